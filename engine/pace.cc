#include "engine/pace.h"

#include <algorithm>

namespace pawl::engine {

void Pace::SetRowsPerSecond(double rows) {
  const std::lock_guard lock(mutex_);
  if (rows == rows_per_second_) return;
  rows_per_second_ = rows;
  next_ = {};  // A raised pace must not wait out what the old one had booked.
}

Pace::Clock::time_point Pace::Book(std::int64_t rows, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (rows_per_second_ <= 0) return now;
  // Time that was not used is not saved up: after a pause there is no burst.
  const Clock::time_point begin = std::max(next_, now);
  next_ = begin + std::chrono::duration_cast<Clock::duration>(
                      std::chrono::duration<double>(static_cast<double>(rows) / rows_per_second_));
  return begin;
}

}  // namespace pawl::engine
