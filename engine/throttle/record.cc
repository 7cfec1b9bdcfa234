#include "engine/throttle/record.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "checkpoints/run_store.h"

namespace pawl::throttle {
namespace {

namespace json = boost::json;

constexpr std::chrono::milliseconds kWriteEvery{1'000};
constexpr std::size_t kMomentsMax = 60;
// Other processes look once a second by themselves; they are woken for what cannot wait.
constexpr double kMuch = 1.5;

json::array Signals(const Situation& situation) {
  json::array signals;
  for (const Sample& sample : situation.samples) {
    const double age = std::chrono::duration<double>(situation.now - sample.read_at).count();
    signals.push_back({{"name", sample.name},
                       {"kind", sample.kind == Kind::kGauge ? "gauge" : "budget"},
                       {"value", sample.value},
                       {"limit", sample.limit},
                       {"pressure", std::isfinite(sample.pressure) ? sample.pressure : -1},
                       {"readable", sample.readable},
                       {"age_seconds", std::round(age * 100) / 100},
                       {"sentence", sample.sentence}});
  }
  return signals;
}

}  // namespace

void Record::Load(db::Session& session, std::int64_t run, std::vector<WatchedTable>& tables) {
  json::object sizes;
  for (const WatchedTable& table : tables) {
    const auto bytes = session.Query("SELECT coalesce(pg_catalog.pg_relation_size($1::oid), 0)",
                                     {std::to_string(table.oid)});
    sizes[table.Display()] = db::ToInt(bytes.rows.at(0)[0]);
  }
  session.Query(
      "INSERT INTO pawl.throttle (run_id, bytes_at_start) VALUES ($1::bigint, $2) ON CONFLICT "
      "(run_id) DO NOTHING",
      {std::to_string(run), json::serialize(sizes)});
  const auto stored = session.Query(
      "SELECT bytes_at_start FROM pawl.throttle WHERE run_id = $1::bigint", {std::to_string(run)});
  boost::system::error_code error;
  const json::value known = json::parse(db::ToText(stored.rows.at(0)[0]), error);
  for (WatchedTable& table : tables) {
    // A table that the run itself has made was not there at its start.
    const json::value* bytes =
        !error && known.is_object() ? known.get_object().if_contains(table.Display()) : nullptr;
    if (bytes != nullptr && bytes->is_int64()) table.bytes_at_start = bytes->get_int64();
  }
}

void Record::SetNotes(db::Session& session, std::int64_t run,
                      const std::vector<std::string>& notes) {
  session.Query("UPDATE pawl.throttle SET notes = $2 WHERE run_id = $1::bigint",
                {std::to_string(run), json::serialize(json::value_from(notes))});
}

void Record::Note(db::Session& session, std::int64_t run, const Decision& decision,
                  const Situation& situation, const Share& share) {
  const bool turned = decision.held != held_ && !decision.draining;
  if (!turned && situation.now - written_at_ < kWriteEvery) return;
  written_at_ = situation.now;
  minute_.push_back({situation.server_seconds, decision.level, decision.held, decision.sentence});
  while (minute_.size() > kMomentsMax) minute_.pop_front();
  Write(session, run, decision, situation, share);
  const bool much =
      level_ < 0 || decision.level > level_ * kMuch || decision.level * kMuch < level_;
  if (turned || much) {
    level_ = decision.level;
    session.Query("SELECT pg_catalog.pg_notify($1, $2)",
                  {checkpoints::kChannel, std::to_string(run)});
  }
  held_ = decision.held;
}

void Record::Write(db::Session& session, std::int64_t run, const Decision& decision,
                   const Situation& situation, const Share& share) {
  json::array minute;
  for (const Moment& moment : minute_) {
    minute.push_back({{"seconds_ago", std::round(situation.server_seconds - moment.server_seconds)},
                      {"level", std::round(moment.level * 1000) / 1000},
                      {"held", moment.held},
                      {"sentence", moment.sentence}});
  }
  session.Query(
      R"sql(UPDATE pawl.throttle
   SET level = $2::float8, level_max = $3::float8, held = $4::boolean, signal = $5, sentence = $6,
       weight = $7::float8, workers = $8::integer, application = $9::boolean, signals = $10,
       minute = $11, decided_at = clock_timestamp()
 WHERE run_id = $1::bigint)sql",
      {std::to_string(run), fmt::format("{}", decision.level),
       fmt::format("{}", situation.level_max), decision.held ? "true" : "false", decision.signal,
       decision.sentence, fmt::format("{}", share.weight), std::to_string(share.workers),
       situation.application_present ? "true" : "false", json::serialize(Signals(situation)),
       json::serialize(minute)});
}

}  // namespace pawl::throttle
