#include "batching/batch_sizer.h"

#include <algorithm>

#include "db/error.h"

namespace pawl::batching {
namespace {

// A cornered row is found within log2(rows_max) failures with a success between any two: 40 is
// ample.
constexpr int kNarrowingBatches = 40;

}  // namespace

BatchSizer::BatchSizer(const BatchLimits& limits, std::int64_t row_bytes)
    : rows_max_(limits.rows_max),
      rows_(limits.rows_initial),
      microseconds_target_(static_cast<double>(limits.duration_target.count())) {
  PAWL_CHECK(0 < limits.rows_initial && limits.rows_initial <= limits.rows_max);
  if (row_bytes > 0) {
    rows_max_ = std::clamp<std::int64_t>(limits.bytes_max / row_bytes, 1, rows_max_);
  }
  rows_ = std::min(rows_, rows_max_);
}

void BatchSizer::Report(std::chrono::microseconds elapsed, std::int64_t rows) {
  if (narrowing_ > 0) {
    if (--narrowing_ == 0) Widen();
    return;
  }
  const double took = std::max(1.0, static_cast<double>(elapsed.count()));
  const double ideal = static_cast<double>(rows) * microseconds_target_ / took;
  // A quarter of the way each time: one slow commit must not halve the next ten batches.
  const double next = 0.75 * static_cast<double>(rows_) + 0.25 * ideal;
  rows_ = std::clamp<std::int64_t>(static_cast<std::int64_t>(next),
                                   std::max<std::int64_t>(1, rows_ / 2),
                                   std::max<std::int64_t>(1, rows_ * 2));
  rows_ = std::clamp<std::int64_t>(rows_, std::min<std::int64_t>(10, rows_max_), rows_max_);
}

bool BatchSizer::Halve() {
  if (rows_ == 1) return false;
  rows_ /= 2;
  return true;
}

bool BatchSizer::Narrow() {
  // The batch that failed was cut exactly only if this is not the first: an estimate of one row may
  // have been several.
  const bool was_exact = narrowing_ > 0;
  if (!was_exact) rows_before_narrowing_ = rows_;
  narrowing_ = kNarrowingBatches;
  return Halve() || !was_exact;
}

void BatchSizer::Widen() {
  narrowing_ = 0;
  rows_ = std::max<std::int64_t>(1, rows_before_narrowing_);
}

}  // namespace pawl::batching
