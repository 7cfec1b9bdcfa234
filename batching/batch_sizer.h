// Steers how many rows a batch visits, so that each takes about a target time, within bounds of
// rows and bytes. After a failure it narrows down: halves on a time-out, bisects on bad data.
//
// Thread safety: none. Owned by one worker.
#pragma once

#include <chrono>
#include <cstdint>

namespace pawl::batching {

struct BatchLimits {
  // Wall clock, first statement to commit. Row locks are held this long, and the application waits
  // for them: 40 ms keeps its p99.9 bounded (10,000-row batches measured waits of 100 to 450 ms).
  std::chrono::microseconds duration_target{40'000};
  std::int64_t rows_initial = 1'000;
  // Without the cap, a stretch of rows that do not match looks infinitely fast and provokes one
  // enormous transaction.
  std::int64_t rows_max = 10'000;
  std::int64_t bytes_max = 16 << 20;  // Rows times their average width.
};

class BatchSizer {
 public:
  // Requires 0 < rows_initial <= rows_max. `row_bytes` is the average width, 0 if unknown.
  BatchSizer(const BatchLimits& limits, std::int64_t row_bytes);

  // Rows that the next batch should visit; at least 1.
  std::int64_t rows() const { return rows_; }

  // True while bad data is being cornered: batches are then cut exactly, row by row counted.
  bool narrowing() const { return narrowing_ > 0; }

  // A batch of rows() took `elapsed`. Growth is at most twofold per batch.
  void Report(std::chrono::microseconds elapsed) { Report(elapsed, rows_); }
  // The same of a batch that was asked to have `rows`, fewer than rows().
  void Report(std::chrono::microseconds elapsed, std::int64_t rows);

  // A batch took too long or kept colliding. Returns false if it was a single row already.
  bool Halve();

  // A batch held bad data. Returns false if it was a single row, cut exactly: that one is the
  // offender.
  bool Narrow();

  // The offender was set aside: back to the size before.
  void Widen();

 private:
  std::int64_t rows_max_;
  std::int64_t rows_;
  std::int64_t rows_before_narrowing_ = 0;
  int narrowing_ = 0;  // Batches left before it is given up as passed by itself.
  double microseconds_target_;
};

}  // namespace pawl::batching
