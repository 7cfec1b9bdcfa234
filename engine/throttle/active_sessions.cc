// Sessions of others that are at work at this moment, per core, and what they are at: on a core, in
// the storage, at a lock. Our own do not count: they would be there whatever the server can take.
#include <thread>

#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

constexpr double kWeight = 0.4;  // Of the newest look.

class ActiveSessions : public Signal {
 public:
  ActiveSessions(double limit, std::optional<double> cores) : limit_(limit), cores_(cores) {}

  std::string name() const override { return "active"; }
  Kind kind() const override { return Kind::kGauge; }

  std::optional<std::string> Obstacle(db::Session& session) override {
    if (!SeesActivity(session)) return NeedsMonitor(session, "what other sessions do");
    if (!cores_ && !IsLocalServer(session)) {
      return "how many cores the server has is not known. Say cores=N, or switch the limit off.";
    }
    return std::nullopt;
  }

  std::optional<Reading> Read(db::Session& session) override {
    if (!cores_) cores_ = std::max(1U, std::thread::hardware_concurrency());
    static const std::string sql = fmt::format(
        R"sql(SELECT count(*) FILTER (WHERE wait_event_type IS NULL),
       count(*) FILTER (WHERE wait_event_type = 'IO'),
       count(*) FILTER (WHERE wait_event_type IN ('LWLock', 'BufferPin', 'IPC')),
       count(*) FILTER (WHERE wait_event_type = 'Lock')
  FROM pg_catalog.pg_stat_activity
 WHERE state = 'active' AND backend_type = 'client backend' AND NOT {})sql",
        kOursLike);
    const db::Row row = session.Query(sql).rows.at(0);
    for (std::size_t i = 0; i < 4; ++i) {
      counts_[i] += (seen_ ? kWeight : 1) * (static_cast<double>(db::ToInt(row[i])) - counts_[i]);
    }
    seen_ = true;
    // Who waits at a lock uses nothing; lock_wait is about those.
    const double value = (counts_[0] + counts_[1] + counts_[2]) / *cores_;
    return Reading{value, limit_, value / limit_,
                   fmt::format("{:.1f} sessions of others per core are at work (limit {:g}): on a "
                               "core {:.1f}, storage {:.1f}, inner locks {:.1f}, row or table "
                               "locks {:.1f}",
                               value, limit_, counts_[0], counts_[1], counts_[2], counts_[3]),
                   false};
  }

 private:
  double limit_;
  std::optional<double> cores_;
  double counts_[4] = {};
  bool seen_ = false;
};

}  // namespace

std::unique_ptr<Signal> MakeActive(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.active");
  if (!limit) return nullptr;
  return std::make_unique<ActiveSessions>(*limit, schema::ThrottleNumber(scene.values, "cores"));
}

}  // namespace pawl::throttle
