// How long a small commit takes to reach the disk, and the synchronous standby where there is one.
#include <algorithm>

#include <fmt/format.h>

#include "engine/throttle/felt_time.h"
#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kOften{60};
constexpr milliseconds kOftenInDrain{30};
// Where commits take long, there is no room for many of ours.
constexpr int kTimesItself = 20;
constexpr milliseconds kSeldom{1'000};  // Before what is known is stale.

class CommitLatency : public Signal {
 public:
  explicit CommitLatency(const schema::LatencyLimit& limit)
      : felt_(limit, {.window = milliseconds(3'000), .quantile = 0.75, .count_min = 1}) {}

  std::string name() const override { return "commit"; }
  Kind kind() const override { return Kind::kGauge; }
  milliseconds interval() const override {
    const milliseconds often = draining_ ? kOftenInDrain : kOften;
    return std::clamp(kTimesItself * took_, often, kSeldom);
  }

  std::optional<std::string> Obstacle(db::Session& session) override {
    const auto found = session.Query(
        "SELECT coalesce(bool_and(pg_catalog.has_function_privilege(oid, 'EXECUTE')), false) FROM "
        "pg_catalog.pg_proc WHERE proname = 'pg_logical_emit_message'");
    if (db::ToBool(found.rows.at(0)[0])) return std::nullopt;
    return "the role may not write a message to the WAL. GRANT EXECUTE ON FUNCTION "
           "pg_logical_emit_message TO it, or switch the limit off.";
  }

  std::optional<Reading> Read(db::Session& session) override {
    if (!present_) return std::nullopt;
    if (as_usual_.empty()) {
      // The throttle's own session does not wait for its commits; the application does as is set.
      as_usual_ = db::ToText(session
                                 .Query("SELECT reset_val FROM pg_catalog.pg_settings WHERE name = "
                                        "'synchronous_commit'")
                                 .rows.at(0)[0]);
    }
    const auto began = Clock::now();
    // The smallest thing that a commit has to write and to wait for; no table, no row, no bloat.
    session.Query(
        "SELECT pg_catalog.set_config('synchronous_commit', $1, true), "
        "pg_catalog.pg_logical_emit_message(true, 'pawl', '')",
        {as_usual_});
    const auto ended = Clock::now();
    const double seconds = std::chrono::duration<double>(ended - began).count();
    took_ = std::chrono::duration_cast<milliseconds>(ended - began);
    felt_.Add(ended, seconds);
    return felt_.Judge(ended, "a commit takes");
  }

  bool wants_baseline() const override { return felt_.relative(); }
  bool has_baseline() const override { return felt_.has_baseline(); }
  void ApplicationPresent(bool present) override { present_ = present; }

  void DrainBegan() override {
    draining_ = true;
    felt_.DrainBegan(Clock::now());
  }

  void DrainEnded() override {
    draining_ = false;
    felt_.DrainEnded();
  }

 private:
  FeltTime felt_;
  bool present_ = false;
  bool draining_ = false;
  std::string as_usual_;
  milliseconds took_{0};  // The last one.
};

}  // namespace

std::unique_ptr<Signal> MakeCommit(const Scene& scene) {
  const auto limit = schema::ThrottleLatency(scene.values, "limit.commit");
  return limit ? std::make_unique<CommitLatency>(*limit) : nullptr;
}

}  // namespace pawl::throttle
