// How fast: what people set by hand, and what the throttle allows. The coordinator decides for all
// processes of the run; the others obey what it has stored.
#include "engine/run_process.h"

namespace pawl::engine {
namespace {

using std::chrono::steady_clock;

}  // namespace

// What was set by hand. Called when the run's row may have changed.
void RunProcess::Steer(WorkerPool* pool) {
  processes_ = static_cast<int>(others_) + 1;
  pace_.SetRowsPerSecond(static_cast<double>(run_.pace) / processes_);
  // A number given to this process holds until `pawl set` says otherwise.
  if (!settings_.workers || run_.workers != *settings_.workers) {
    if (run_.workers != workers_set_ && (!settings_.workers || coordinator_)) {
      workers_set_ = run_.workers;
    }
  }
  if (pool != nullptr && pool->size() != workers_set_) pool->Resize(workers_set_);
  if (throttle_) {
    throttle_->SetWishes({schema::ThrottleValuesFrom(run_.throttle), workers_set_ * processes_});
  } else if (!coordinator_ && pool != nullptr) {
    // Another process decides.
    const throttle::Stored stored = throttle::LastDecision(*session_, run_id_);
    held_ = stored.held;
    throttled_ = stored.sentence;
    pace_.Allow(stored.held ? 0 : stored.level / processes_);
    // It has gone silent: dead, and then this process follows it; or frozen with its lock, and then
    // this one decides for itself. Two who decide both know the limits; none would be for ever.
    if (stored.stale) {
      BecomeCoordinator();
      Decide();
    }
  }
}

// Before workers start: until the signals have been asked, none may begin.
void RunProcess::StartThrottle() {
  if (throttle_) return;
  pace_.Allow(0);
  if (!coordinator_) {
    looked_at_ = {};  // Asks for the coordinator's decision at the first tick.
    return;
  }
  Decide();
}

void RunProcess::Decide() {
  throttle_ = std::make_unique<throttle::Throttle>(
      where_, run_id_, plan_,
      throttle::Wishes{schema::ThrottleValuesFrom(run_.throttle), workers_set_ * processes_},
      [this](const throttle::Decision& decision) {
        pace_.Allow(decision.held ? 0 : decision.level / processes_);
      });
}

// Says why it is held or slowed, and counts the time for which it was held: no deadline runs then.
void RunProcess::ObeyThrottle(const WorkerPool* pool) {
  if (throttle_) {
    const throttle::Decision decision = throttle_->decision();
    held_ = decision.held;
    throttled_ = decision.sentence;
    // Silence is not leave to go on.
    if (const int silent = throttle_->silent_backend(); silent != 0) {
      pace_.Allow(0);
      session_->Query("SELECT pg_cancel_backend($1::integer)", {std::to_string(silent)});
    }
  }
  const auto now = steady_clock::now();
  if (held_ && pool != nullptr && obeyed_at_ != steady_clock::time_point{}) {
    held_seconds_ += std::chrono::duration<double>(now - obeyed_at_).count();
  }
  obeyed_at_ = now;
  // Without workers something else is going on, with a note of its own.
  if (pool != nullptr) progress_.note = throttled_;
}

}  // namespace pawl::engine
