// Times that somebody feels, over the last moments, against a limit: of a probe, or of the
// application's own statements. The figure is a high quantile, because what a backfill does to an
// application shows in its slow statements first; not a mean with deviations, which a single
// checkpoint would multiply.
//
// A relative limit needs a baseline: the same figure while none of our batches runs. It is learned
// in drains: the mean of the first ones, and then it follows the day, faster when the server has
// become quicker than when slower, so that one drain in a bad moment does not allow too much.
//
// Thread safety: none. Owned by one signal.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>

#include "engine/throttle/sample.h"
#include "engine/throttle/signal.h"

namespace pawl::throttle {

class FeltTime {
 public:
  struct Shape {
    std::chrono::milliseconds window{2'000};
    double quantile = 0.9;
    std::size_t count_min = 5;  // Fewer tell nothing.
  };

  FeltTime(const schema::LatencyLimit& limit, const Shape& shape) : limit_(limit), shape_(shape) {}

  // One time, or the mean of many.
  void Add(Clock::time_point now, double seconds);

  // nullopt where too few were seen, or a relative limit has no baseline yet. `what` begins the
  // sentence: "a read of public.orders takes".
  std::optional<Reading> Judge(Clock::time_point now, const std::string& what);

  void DrainBegan(Clock::time_point now);
  void DrainEnded();

  bool relative() const { return limit_.relative; }
  // True as well where a drain found nothing to measure: then there is nothing to be slowed down.
  bool has_baseline() const { return !limit_.relative || tried_; }
  std::optional<double> baseline() const { return baseline_; }

 private:
  struct Entry {
    Clock::time_point at;
    double seconds = 0;
  };

  std::optional<double> Figure() const;

  schema::LatencyLimit limit_;
  Shape shape_;
  std::deque<Entry> entries_;
  std::optional<Clock::time_point> drain_from_;  // Set: a drain is under way.
  std::optional<double> baseline_;
  bool tried_ = false;
  int learned_ = 0;  // Drains that had something to measure.
};

}  // namespace pawl::throttle
