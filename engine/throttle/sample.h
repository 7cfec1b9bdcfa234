// What a signal says at one moment: how near one measured quantity is to its limit, and how old
// that knowledge is.
#pragma once

#include <chrono>
#include <string>

namespace pawl::throttle {

using Clock = std::chrono::steady_clock;

// Gauges steer: the run goes as fast as keeps them just under their limit. Budgets stop: nothing
// may cross them, and they are not steered to, because what they measure comes late.
enum class Kind { kGauge, kBudget };

struct Sample {
  std::string name;
  Kind kind = Kind::kBudget;
  // Gauges count only where somebody else is at work and may be slowed down; this one always.
  bool counts_alone = false;
  double value = 0;  // In base units: seconds, bytes, shares. For display.
  double limit = 0;
  // The value over its limit: 0 far away, 1 at the limit. A relative limit counts what is above the
  // baseline: +10 % where +25 % is allowed is 0.4.
  double pressure = 0;
  bool readable = true;     // False: it could not be read, and says so in `sentence`.
  bool continuous = false;  // A measured time: two are never the same to the last bit.
  Clock::time_point read_at{};
  std::string sentence;  // "replica r2 is 9.1 s behind (limit 5 s)"
};

}  // namespace pawl::throttle
