// Spreads rows over time: at most so many a second, shared by the workers of a process.
// Thread safety: all methods.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

namespace pawl::engine {

class Pace {
 public:
  using Clock = std::chrono::steady_clock;

  // 0: unlimited.
  void SetRowsPerSecond(double rows);

  // Books `rows` and returns when they may be worked on.
  Clock::time_point Book(std::int64_t rows, Clock::time_point now);

 private:
  std::mutex mutex_;
  double rows_per_second_ = 0;
  Clock::time_point next_{};
};

}  // namespace pawl::engine
