// Decides how much a run may work, from what the signals say: a pure function of samples and time,
// tested by simulation.
//
//   a budget over its limit, a signal that cannot be read or is stale ──> held
//   gauges:  pressure 0 ............ 0.9 ... 1.05 ............ 2 ............
//            grow, ever more gently   dead    shrink            halve at once
//                                     band
//
// What is decided is one number, the level: workers' worth of work in all processes together. 1.5
// is two workers that rest a quarter of the time. It is a share of time and not a number of rows,
// because a server in trouble makes batches longer, and then rests become longer by themselves.
//
// Growth is fast far below the limit (2.2-fold a second) and gentle near it; the highest pressure
// of all gauges counts. Budgets near their limit slow growth down and never shrink the level; one
// that is about to cross its limit stops the run before it does.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/throttle/sample.h"

namespace pawl::throttle {

// What the controller is told at each step, a few times a second.
struct Situation {
  Clock::time_point now{};
  std::vector<Sample> samples;
  double level_max = 1;   // Workers that the run may use, its fair share applied. Greater than 0.
  double fair_share = 1;  // Of the database, for this run: 0 to 1.
  // Whether anybody else is at work in the database. Without one there is nobody to slow down, and
  // gauges do not count; budgets do.
  bool application_present = true;
  // Whether a limit is relative to how the application does without us.
  bool wants_baseline = false;
  bool has_baseline = false;
  // The server's clock, in seconds: drains of all runs of a database fall together, because each
  // derives them from it.
  double server_seconds = 0;
};

struct Decision {
  double level = 0;
  bool held = false;      // Nothing may begin.
  bool draining = false;  // Held for a moment, to see how the application does without us.
  std::string signal;     // Which one decides; empty: none.
  std::string sentence;   // Why it is held or slowed; empty at full speed.
};

// Thread safety: none. Owned by the throttle's thread, or by a test.
class Controller {
 public:
  // The least that is still work: with it, a pressure that only we cause is seen to fall.
  static constexpr double kLevelMin = 0.02;
  // What the first second begins with, where there is an application to feel it.
  static constexpr double kLevelFirst = 0.25;
  // A sample that is older is no knowledge.
  static constexpr std::chrono::seconds kStale{3};
  static constexpr double kDrainSeconds = 1;
  // One second is a small sample: the first drains follow each other sooner.
  static constexpr int kFirstDrains = 3;
  static constexpr double kFirstDrainsEverySeconds = 10;
  static constexpr double kDrainEverySeconds = 30;
  static constexpr double kDrainEverySecondsCalm = 120;  // Where the limit is far away.

  // Requires that `now` does not go backwards.
  Decision Step(const Situation& situation);

 private:
  struct Track {  // What is remembered of a signal.
    double smooth = 0;
    double last = 0;
    double last_value = 0;
    double rise = 0;  // Of the pressure, a second.
    Clock::time_point last_changed{};
    Clock::time_point last_read{};
    bool smoothed = false;
  };

  const Sample* Stop(const Situation& situation);
  const Track& Follow(const Sample& sample);
  bool IsOver(const Sample& sample, Clock::time_point now);
  bool DrainDue(const Situation& situation);
  Decision Alone(const Situation& situation, double seconds);
  void Steer(const Situation& situation, double seconds);
  const Sample* Highest(const Situation& situation, double seconds);

  double level_ = 0;
  double pressure_ = 0;       // The highest of the gauges, smoothed.
  double pressure_fast_ = 0;  // The same, as it came.
  double budget_ = 0;         // The highest of the budgets.
  bool held_by_gauge_ = false;
  bool started_ = false;
  bool draining_ = false;
  bool latency_was_near_ = false;
  double drain_until_ = -1;  // By the server's clock.
  double last_drain_ = -1;
  int drains_ = 0;
  Clock::time_point last_{};
  Clock::time_point halved_at_{};
  Clock::time_point held_at_{};  // By a budget or for want of knowledge, the last time.
  bool was_held_ = false;
  std::set<std::string> holding_;
  std::map<std::string, Track> tracks_;
};

}  // namespace pawl::throttle
