// Decides whether strides pay. They do only while each page can prune its dead versions between two
// passes, which shows as HOT updates; an old snapshot, a slot or an index that nobody saw stops
// that, and strides are then slower than plain order (0.79 measured).
//
//   striding ──three windows < 30 % in a row──> plain for 4 windows' worth of rows ──> striding (a probe)
//                                               8, 16, 32 after further failures
//
// A window whose share is low is finished in plain order at once.
//
// Thread safety: none. Owned by one worker.
#pragma once

#include <cstdint>

namespace pawl::batching {

class StrideWatch {
 public:
  // `passes` is the stride: 1 for plain order throughout.
  explicit StrideWatch(std::int64_t passes) : passes_(passes) {}

  // True if the next window is to be walked in strides.
  bool striding() const { return passes_ > 1 && plain_rows_left_ <= 0; }

  // A batch of `pass` (0 the first) changed `updated` rows, `hot` of them HOT. Returns true if the
  // rest of the window is to be walked at once. The first passes say nothing: they move rows out of
  // full pages, and where an earlier run has left rows packed elsewhere, the first of them fills
  // what room there was.
  bool GiveUp(std::int64_t pass, std::int64_t updated, std::int64_t hot, std::int64_t window_rows);

  // A plain batch visited `rows`.
  void VisitedPlain(std::int64_t rows) { plain_rows_left_ -= rows; }

  void BeginWindow();

  // Share of HOT updates in the last window measured, -1 before the first.
  double hot_share() const { return share_; }

 private:
  std::int64_t passes_;
  std::int64_t plain_rows_left_ = 0;
  std::int64_t windows_off_ = 2;
  int failures_ = 0;  // Windows in a row that were given up.
  std::int64_t updated_ = 0;
  std::int64_t hot_ = 0;
  double share_ = -1;
};

}  // namespace pawl::batching
