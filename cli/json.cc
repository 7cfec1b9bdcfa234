#include "cli/json.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <utility>

namespace pawl::cli {
namespace {

namespace json = boost::json;

json::value KnownOrNull(double value) { return value < 0 ? json::value() : json::value(value); }

json::value TextOrNull(const std::string& text) {
  return text.empty() ? json::value() : json::value(text);
}

json::array ToJson(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

json::array ToJson(const std::vector<engine::VerifyReport::Difference>& differences) {
  json::array array;
  for (const auto& difference : differences) {
    array.push_back({{"step", difference.step},
                     {"table", difference.table},
                     {"key", difference.key},
                     {"what", difference.what}});
  }
  return array;
}

void Append(std::string& text, const json::value& value) {
  const char* separator = "";
  if (value.is_object()) {
    text += '{';
    for (const auto& [name, member] : value.get_object()) {
      text += separator + json::serialize(name) + ":";
      Append(text, member);
      separator = ",";
    }
    text += '}';
  } else if (value.is_array()) {
    text += '[';
    for (const json::value& element : value.get_array()) {
      text += separator;
      Append(text, element);
      separator = ",";
    }
    text += ']';
  } else if (value.is_double()) {
    const double number = value.get_double();
    text += std::isfinite(number) ? fmt::format("{}", number) : "null";
  } else {
    text += json::serialize(value);
  }
}

}  // namespace

std::string OnOneLine(const json::value& value) {
  std::string text;
  Append(text, value);
  return text;
}

json::object ToJson(const engine::Progress& progress) {
  return {{"run", progress.run},
          {"migration", progress.migration},
          {"state", progress.state},
          {"step", progress.step},
          {"steps", progress.steps},
          {"step_title", progress.step_title},
          {"rows_done", progress.rows_done},
          {"rows_estimated", progress.rows_estimated},
          {"fraction", progress.fraction},
          {"rows_per_second", KnownOrNull(progress.rows_per_second)},
          {"eta_seconds_low", KnownOrNull(progress.eta_seconds_low)},
          {"eta_seconds_high", KnownOrNull(progress.eta_seconds_high)},
          {"workers", progress.workers},
          {"batch_rows", progress.batch_rows},
          {"hot_share", KnownOrNull(progress.hot_share)},
          {"note", progress.note},
          {"working_seconds", progress.working_seconds},
          {"waiting_seconds", progress.waiting_seconds}};
}

json::object ToJson(const engine::RunStatus& status) {
  json::object object = ToJson(status.progress);
  object["plan_hash"] = status.plan_hash;
  object["reason"] = status.reason;
  object["started_at"] = TextOrNull(status.started_at);
  object["finished_at"] = TextOrNull(status.finished_at);
  object["started_by"] = status.started_by;
  object["rows_quarantined"] = status.rows_quarantined;
  object["undo_bytes"] = status.undo_bytes;
  object["phase"] = status.phase;
  object["keeps_old_shape"] = status.keeps_old_shape;
  json::array processes;
  int threads = 0;
  for (const auto& worker : status.workers) {
    processes.push_back({{"host", worker.host},
                         {"pid", worker.pid},
                         {"threads", worker.threads},
                         {"batch_rows", worker.batch_rows},
                         {"alive", worker.alive}});
    threads += worker.alive ? worker.threads : 0;
  }
  object["workers"] = threads;  // Of all processes that live.
  object["processes"] = std::move(processes);
  return object;
}

json::object ToJson(const engine::AppliedMigration& applied) {
  return {{"run", applied.run},
          {"migration", applied.migration},
          {"migration_hash", applied.migration_hash},
          {"state", applied.state},
          {"started_at", TextOrNull(applied.started_at)},
          {"finished_at", TextOrNull(applied.finished_at)},
          {"started_by", applied.started_by}};
}

json::object ToJson(const engine::DriftReport& report) {
  json::array statements;
  for (const schema::DriftStatement& statement : report.statements) {
    statements.push_back({{"sql", statement.sql}, {"loses_data", statement.loses_data}});
  }
  return {{"against", report.against},
          {"run", report.run ? json::value(*report.run) : json::value()},
          {"recorded_at", TextOrNull(report.recorded_at)},
          {"note", report.note},
          {"statements", std::move(statements)}};
}

json::object ToJson(const engine::VerifyReport& report) {
  return {{"passed", report.passed},
          {"rows_verified", report.rows_verified},
          {"rows_counted", report.rows_counted},
          {"rows_changed_since", report.rows_changed_since},
          {"differences_count", report.differences_count},
          {"differences", ToJson(report.differences)},
          {"notes", ToJson(report.notes)},
          {"verify_seconds", report.seconds}};
}

json::object ToJson(const engine::RunResult& result) {
  json::object object = {{"run", result.run},
                         {"migration", result.migration},
                         {"state", result.state},
                         {"reason", result.reason},
                         {"already_done", result.already_done},
                         {"rows_done", result.rows_done},
                         {"rows_estimated", result.rows_estimated},
                         {"rows_quarantined", result.rows_quarantined},
                         {"conflicts", result.conflicts},
                         {"seconds", result.seconds},
                         {"wal_bytes", result.wal_bytes},
                         {"undo_bytes", result.undo_bytes},
                         {"keeps_old_shape", result.keeps_old_shape}};
  // The same members with and without a verification, so that a reader need not ask first.
  const engine::VerifyReport none;
  for (const auto& [name, value] : ToJson(result.verification ? *result.verification : none)) {
    object[name] = value;
  }
  if (!result.verification) object["passed"] = nullptr;
  return object;
}

json::object ToJson(const engine::RevertPreview& preview) {
  return {{"batches", preview.batches},
          {"rows", preview.rows},
          {"conflicts", preview.conflicts},
          {"keys", ToJson(preview.keys)}};
}

json::object ToJson(const engine::ThrottleReport& report) {
  json::object settings;
  for (const auto& [name, value] : report.values) settings[name] = value;
  json::array signals;
  for (const auto& signal : report.signals) {
    signals.push_back({{"name", signal.name},
                       {"kind", signal.kind},
                       {"value", signal.value},
                       {"limit", signal.limit},
                       {"pressure", KnownOrNull(signal.pressure)},
                       {"readable", signal.readable},
                       {"age_seconds", signal.age_seconds},
                       {"sentence", signal.sentence}});
  }
  json::array minute;
  for (const auto& moment : report.minute) {
    minute.push_back({{"seconds_ago", moment.seconds_ago},
                      {"level", moment.level},
                      {"held", moment.held},
                      {"sentence", moment.sentence}});
  }
  json::array changes;
  for (const auto& change : report.changes) {
    changes.push_back(
        {{"at", change.at}, {"who", change.who}, {"from", change.from}, {"what", change.what}});
  }
  return {{"run", report.run},
          {"migration", report.migration},
          {"state", report.state},
          {"workers", report.workers},
          {"pace", report.pace},
          {"settings", std::move(settings)},
          {"decided", report.decided},
          {"age_seconds", report.age_seconds},
          {"level", report.level},
          {"level_max", report.level_max},
          {"held", report.held},
          {"signal", TextOrNull(report.signal)},
          {"sentence", report.sentence},
          {"application_present", report.application_present},
          {"signals", std::move(signals)},
          {"notes", ToJson(report.notes)},
          {"minute", std::move(minute)},
          {"changes", std::move(changes)}};
}

json::value ResultEvent(json::object members, int exit_code) {
  json::object event = {{"event", "result"}};
  for (const auto& member : members) event.insert(member);
  event["exit"] = exit_code;
  return event;
}

}  // namespace pawl::cli
