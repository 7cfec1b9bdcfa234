#include "batching/stride_watch.h"

#include <algorithm>

namespace pawl::batching {
namespace {

constexpr double kShareMin = 0.30;
// Too few rows say nothing: a share of 300 rows is right within 5 %.
constexpr std::int64_t kRowsMin = 300;
constexpr std::int64_t kWindowsOffMax = 32;
// Windows in a row.
constexpr int kFailuresMin = 3;
// At least the second half of a window is judged.
constexpr std::int64_t kFillingPassesMax = 3;

}  // namespace

void StrideWatch::BeginWindow() {
  updated_ = 0;
  hot_ = 0;
}

bool StrideWatch::GiveUp(std::int64_t pass, std::int64_t updated, std::int64_t hot,
                         std::int64_t window_rows) {
  if (pass < std::min(kFillingPassesMax, passes_ / 2)) return false;
  updated_ += updated;
  hot_ += hot;
  if (updated_ < kRowsMin) return false;
  share_ = static_cast<double>(hot_) / static_cast<double>(updated_);
  if (share_ >= kShareMin) {
    failures_ = 0;
    windows_off_ = 2;
    return false;
  }
  // One window may be unlucky, and a stretch of plain order fills the room of the pages ahead, which
  // makes the next window fail as well (31 % HOT measured over a run, and 89 % without).
  if (++failures_ < kFailuresMin) return true;
  windows_off_ = std::min(2 * windows_off_, kWindowsOffMax);
  plain_rows_left_ = windows_off_ * window_rows;
  return true;
}

}  // namespace pawl::batching
