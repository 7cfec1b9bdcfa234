// The throttle of one run: a thread with a connection of its own that reads the signals, asks the
// controller, and tells everybody.
//
//   signals ──> samples ──> controller ──> decision ──> this process, at once
//                                              └──────> pawl.throttle ──> the run's other processes,
//                                                                         and `pawl throttle --why`
//
// Only the run's coordinator has one, or whoever finds it silent. What cannot be read holds the run.
//
// Thread safety: all methods.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "db/connection_string.h"
#include "db/session.h"
#include "engine/throttle/controller.h"
#include "engine/throttle/signal.h"
#include "schema/plan.h"

namespace pawl::throttle {

// What a run wants of its throttle; may change at any time.
struct Wishes {
  schema::ThrottleValues values;
  int workers = 1;  // Of all processes together.

  bool operator==(const Wishes&) const = default;
};

// What the tables say about a throttle.
struct Stored {
  bool decided = false;  // Else nobody has yet.
  double level = 0;
  bool held = false;
  std::string sentence;
  double age_seconds = 0;
  bool stale = false;  // Nobody decides any more.
};

class Throttle {
 public:
  using OnDecision = std::function<void(const Decision&)>;

  // Starts the thread. `on_decision` is called from it with every decision, the first one as soon
  // as each signal was asked once; until then nothing may begin.
  Throttle(const db::ConnectionString& where, std::int64_t run, const schema::Plan& plan,
           Wishes wishes, OnDecision on_decision);
  ~Throttle();

  void SetWishes(const Wishes& wishes);

  // The last decision; held where there has been none for two seconds.
  Decision decision() const;

  // The thread's server session where it has been silent for so long, else 0. A commit that waits
  // for a standby has no time-out: whoever cancels it lets the thread go on.
  int silent_backend() const;

 private:
  class Loop;

  bool IsSilent() const;

  mutable std::mutex mutex_;
  Wishes wishes_;
  Decision decision_;
  Clock::time_point decided_at_ = Clock::now();
  std::string asking_;  // The signal that is being asked; empty: none.
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ended_{false};
  std::atomic<int> backend_pid_{0};
  db::ConnectionString where_;
  OnDecision on_decision_;
  std::jthread thread_;
};

// The tables that `plan` changes, as far as they exist.
std::vector<WatchedTable> TablesOf(db::Session& session, const schema::Plan& plan);

// Asks every signal whether it can be read here. Throws db::Error (kBadInput) where one that the
// user named cannot; returns a sentence for each of the others.
std::vector<std::string> CheckSignals(const db::ConnectionString& where, db::Session& session,
                                      const schema::Plan& plan,
                                      const schema::ThrottleValues& values);

// Asks the signals that `given` names, as they are under `values`, of which it is a part. Throws
// db::Error (kBadInput) where one cannot be read. The others may be broken: that is when people set
// something.
void CheckGivenSignals(const db::ConnectionString& where, db::Session& session,
                       const schema::Plan& plan, const schema::ThrottleValues& values,
                       const schema::ThrottleValues& given);

// The last decision as stored; a run without one, or one that is older than five seconds, is held.
Stored LastDecision(db::Session& session, std::int64_t run);

}  // namespace pawl::throttle
