// How long a session of the application has been waiting for a lock that a session of Pawl holds or
// queues for.
#include <map>

#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class LockWait : public Signal {
 public:
  explicit LockWait(double limit) : limit_(limit) {}

  std::string name() const override { return "lock_wait"; }
  std::chrono::milliseconds interval() const override { return std::chrono::milliseconds(250); }

  std::optional<std::string> Obstacle(db::Session& session) override {
    if (SeesActivity(session)) return std::nullopt;
    return NeedsMonitor(session, "what other sessions wait for");
  }

  std::optional<Reading> Read(db::Session& session) override {
    // Only those that wait are asked for whom: pg_blocking_pids takes every lock partition.
    const auto found = session.Query(
        R"sql(SELECT w.pid, min(b.pid)
  FROM pg_catalog.pg_stat_activity AS w
 CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS blocking (pid)
  JOIN pg_catalog.pg_stat_activity AS b ON b.pid = blocking.pid
 WHERE w.wait_event_type = 'Lock' AND w.application_name NOT LIKE 'pawl/%'
   AND b.application_name LIKE 'pawl/%'
 GROUP BY w.pid)sql");
    const auto now = Clock::now();
    // Since when is our own account: pg_locks knows it from PostgreSQL 14 on only.
    std::map<std::int64_t, Clock::time_point> since;
    Reading reading{0, limit_, 0, "nobody waits for a lock of ours", false};
    for (const db::Row& row : found.rows) {
      const std::int64_t pid = db::ToInt(row[0]);
      const auto before = since_.find(pid);
      since[pid] = before == since_.end() ? now : before->second;
      const double seconds = std::chrono::duration<double>(now - since[pid]).count();
      if (seconds < reading.value) continue;
      reading.value = seconds;
      reading.sentence =
          fmt::format("session {} has been waiting {} for a lock of our session {} (limit {})", pid,
                      TimeText(seconds), db::ToInt(row[1]), TimeText(limit_));
    }
    since_ = std::move(since);
    reading.pressure = reading.value / limit_;
    return reading;
  }

 private:
  double limit_;
  std::map<std::int64_t, Clock::time_point> since_;  // Those that waited at the last look.
};

}  // namespace

std::unique_ptr<Signal> MakeLockWait(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.lock_wait");
  return limit ? std::make_unique<LockWait>(*limit) : nullptr;
}

}  // namespace pawl::throttle
