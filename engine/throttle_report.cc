// What pawl.throttle says about a run, for `pawl throttle RUN --why`.
#include <boost/json.hpp>

#include "checkpoints/control_schema.h"
#include "checkpoints/run_store.h"
#include "db/error.h"
#include "engine/engine.h"
#include "engine/preconditions.h"

namespace pawl::engine {
namespace {

namespace json = boost::json;

// The members of each object of a JSON array; none where it is damaged, which loses a display only.
template <typename Read>
void ForEach(const std::string& text, Read read) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_array()) return;
  for (const json::value& element : value.get_array()) {
    if (element.is_object()) read(element.get_object());
  }
}

std::string TextOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

double NumberOf(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

bool IsTrue(const json::object& object, const char* name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

void ReadSignals(const std::string& text, ThrottleReport& report) {
  ForEach(text, [&](const json::object& object) {
    report.signals.push_back(
        {TextOf(object, "name"), TextOf(object, "kind"), NumberOf(object, "value"),
         NumberOf(object, "limit"), NumberOf(object, "pressure"), IsTrue(object, "readable"),
         NumberOf(object, "age_seconds") + report.age_seconds, TextOf(object, "sentence")});
  });
}

void ReadMinute(const std::string& text, ThrottleReport& report) {
  ForEach(text, [&](const json::object& object) {
    report.minute.push_back({NumberOf(object, "seconds_ago") + report.age_seconds,
                             NumberOf(object, "level"), IsTrue(object, "held"),
                             TextOf(object, "sentence")});
  });
}

void ReadNotes(const std::string& text, ThrottleReport& report) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_array()) return;
  for (const json::value& note : value.get_array()) {
    if (note.is_string()) report.notes.emplace_back(note.get_string());
  }
}

void ReadChanges(db::Session& session, ThrottleReport& report) {
  const auto found = session.Query(
      "SELECT to_char(given_at, 'YYYY-MM-DD HH24:MI:SS TZ'), given_by, given_from, argument FROM "
      "pawl.command WHERE run_id = $1::bigint AND command = 'set' ORDER BY command_id DESC LIMIT 20",
      {std::to_string(report.run)});
  for (const db::Row& row : found.rows) {
    report.changes.push_back(
        {db::ToText(row[0]), db::ToText(row[1]), db::ToText(row[2]), db::ToText(row[3])});
  }
}

}  // namespace

ThrottleReport Engine::ReportThrottle(std::int64_t run) {
  const auto opened = OpenFirst(where_, "status");
  db::Session& session = *opened;
  if (checkpoints::ControlSchemaVersion(session) == 0) {
    db::FailInput("There are no runs: this database has no control schema pawl.* yet.");
  }
  const checkpoints::RunRow row = checkpoints::LoadRun(session, run);
  ThrottleReport report;
  report.run = run;
  report.migration = row.migration;
  report.state = row.state;
  report.workers = row.workers;
  report.pace = row.pace;
  report.values = schema::ThrottleValuesFrom(row.throttle);
  ReadChanges(session, report);
  const auto found = session.Query(
      "SELECT extract(epoch FROM clock_timestamp() - decided_at), level, level_max, held, signal, "
      "sentence, application, signals, minute, notes FROM pawl.throttle WHERE run_id = $1::bigint",
      {std::to_string(run)});
  if (found.rows.empty()) return report;
  const db::Row& stored = found.rows[0];
  report.decided = true;
  report.age_seconds = db::ToDouble(stored[0]);
  report.level = db::ToDouble(stored[1]);
  report.level_max = db::ToDouble(stored[2]);
  report.held = db::ToBool(stored[3]);
  report.signal = db::ToText(stored[4]);
  report.sentence = db::ToText(stored[5]);
  report.application_present = db::ToBool(stored[6]);
  ReadSignals(db::ToText(stored[7]), report);
  ReadMinute(db::ToText(stored[8]), report);
  ReadNotes(db::ToText(stored[9]), report);
  return report;
}

}  // namespace pawl::engine
