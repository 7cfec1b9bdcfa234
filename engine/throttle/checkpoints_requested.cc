// Checkpoints that were requested and not timed: WAL is written faster than max_wal_size allows
// for, and after each of them every page costs a full image again.
#include <deque>

#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class Checkpoints : public Signal {
 public:
  Checkpoints(double limit, std::chrono::seconds look_back)
      : limit_(limit), look_back_(look_back) {}

  std::string name() const override { return "checkpoints"; }
  Kind kind() const override { return Kind::kGauge; }
  bool counts_alone() const override { return true; }

  std::optional<Reading> Read(db::Session& session) override {
    // PostgreSQL 17 moved the counter.
    const auto found =
        session.Query(session.server_version() >= 170'000
                          ? "SELECT num_requested FROM pg_catalog.pg_stat_checkpointer"
                          : "SELECT checkpoints_req FROM pg_catalog.pg_stat_bgwriter");
    const auto now = Clock::now();
    const std::int64_t count = db::ToInt(found.rows.at(0)[0]);
    if (last_ && count > *last_) requested_.insert(requested_.end(), count - *last_, now);
    last_ = count;
    while (!requested_.empty() && now - requested_.front() > look_back_) requested_.pop_front();
    // Over the whole look-back from the first moment on: one checkpoint is no rate.
    const double rate =
        60 * static_cast<double>(requested_.size()) / static_cast<double>(look_back_.count());
    return Reading{
        rate, limit_, rate / limit_,
        fmt::format("{:.1f} checkpoints a minute are requested (limit {:g})", rate, limit_), false};
  }

 private:
  double limit_;
  std::chrono::seconds look_back_;
  std::optional<std::int64_t> last_;
  std::deque<Clock::time_point> requested_;
};

}  // namespace

std::unique_ptr<Signal> MakeCheckpoints(const Scene& scene, std::chrono::seconds look_back) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.checkpoints");
  return limit ? std::make_unique<Checkpoints>(*limit, look_back) : nullptr;
}

}  // namespace pawl::throttle
