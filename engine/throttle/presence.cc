#include "engine/throttle/presence.h"

#include "engine/throttle/signal.h"

namespace pawl::throttle {
namespace {

constexpr std::chrono::milliseconds kLookEvery{500};
constexpr std::chrono::seconds kLinger{10};

double Seconds(Clock::duration elapsed) { return std::chrono::duration<double>(elapsed).count(); }

}  // namespace

Presence::Presence(db::Session& session) : sees_others_(SeesActivity(session)) {}

bool Presence::Look(db::Session& session, Clock::time_point now) {
  if (looked_at_ != Clock::time_point{} && now - looked_at_ < kLookEvery) return false;
  const bool first = looked_at_ == Clock::time_point{};
  // Sessions that have begun or ended a statement of late, or are at one.
  const auto found = session.Query(
      R"sql(SELECT extract(epoch FROM clock_timestamp()), EXISTS (
  SELECT FROM pg_catalog.pg_stat_activity
   WHERE datname = pg_catalog.current_database() AND application_name NOT LIKE 'pawl/%'
     AND backend_type = 'client backend'
     AND (state <> 'idle' OR state_change > clock_timestamp() - interval '1 second')))sql");
  looked_at_ = now;
  server_seconds_ = db::ToDouble(found.rows.at(0)[0]);
  if (!sees_others_ || db::ToBool(found.rows[0][1])) seen_at_ = now;
  const bool before = present_;
  present_ = seen_at_ != Clock::time_point{} && now - seen_at_ < kLinger;
  return first || present_ != before;
}

double Presence::server_seconds(Clock::time_point now) const {
  return server_seconds_ + Seconds(now - looked_at_);
}

}  // namespace pawl::throttle
