// Turns counts into a rate and an honest ETA: a range, from the spread of the last seconds.
// Thread safety: none. Owned by the coordinator.
#pragma once

#include <chrono>
#include <deque>

#include "engine/engine.h"

namespace pawl::engine {

class ProgressMeter {
 public:
  using Clock = std::chrono::steady_clock;

  // Notes that `rows` (of the whole run, by all processes) and `fraction` of the way were done at
  // `now`.
  void Note(Clock::time_point now, std::int64_t rows, double fraction);

  // Fills in rate and ETA.
  void Describe(Progress& progress) const;

 private:
  struct Sample {
    Clock::time_point at;
    std::int64_t rows = 0;
    double fraction = 0;
  };

  std::deque<Sample> samples_;  // Of the last 30 s, two a second.
};

}  // namespace pawl::engine
