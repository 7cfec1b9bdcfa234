#include "engine/pace.h"

#include <algorithm>
#include <cmath>

namespace pawl::engine {
namespace {

// A rest is never longer: one slow batch must not silence a worker.
constexpr std::chrono::seconds kRestMax{1};
// Batches of a rested worker, as a part of the full size: from a twenty-fifth, with the standard 40 ms
// some 1.6 ms, to a half. A batch of longer than a scheduler's slice keeps the application off a core;
// where there is little rest anyway, the fixed cost of a transaction counts for more.
constexpr double kBatchShareMin = 0.04;
constexpr double kBatchShareMax = 0.5;
constexpr double kRested = 0.98;  // From here on there are no rests to speak of.
// A batch of a paced run is a hundredth of a second's rows: more at once, and then a long wait, is felt
// more (docs/performance.md). Fewer than the least cost more transactions than that is worth.
constexpr double kPacedBatchSeconds = 0.01;
constexpr double kPacedBatchRowsMin = 50;

}  // namespace

Pace::Turn::~Turn() {
  if (pace_ == nullptr) return;
  const auto now = Clock::now();
  pace_->GiveBack(slot_, now, std::max(Clock::duration(0), now - began_ - waited_));
}

Pace::Turn::Turn(Turn&& other) noexcept
    : pace_(other.pace_), slot_(other.slot_), began_(other.began_), waited_(other.waited_) {
  other.pace_ = nullptr;
}

void Pace::SetRowsPerSecond(double rows) {
  const std::lock_guard lock(mutex_);
  if (rows == rows_per_second_) return;
  rows_per_second_ = rows;
  next_ = {};  // A raised pace must not wait out what the old one had booked.
}

void Pace::Allow(double level) {
  const std::lock_guard lock(mutex_);
  // What was meant to be a long rest at the old level is none at the new one.
  if (level_ && level > 1.2 * *level_) {
    for (Slot& slot : slots_) slot.free_at = {};
  }
  level_ = std::max(0.0, level);
  const auto count = static_cast<std::size_t>(std::ceil(*level_ - 1e-9));
  if (slots_.size() < count) slots_.resize(count);
}

double Pace::ShareLocked() const {
  if (!level_) return 1;
  const double count = std::ceil(*level_ - 1e-9);
  return count <= 0 ? 0 : std::min(1.0, *level_ / count);
}

std::optional<Pace::Turn> Pace::Take(Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (!level_) return Turn(nullptr, 0, now);
  const auto count = static_cast<std::size_t>(std::ceil(*level_ - 1e-9));
  // Those beyond `count` finish what they are at; together there are never more at work.
  const auto taken =
      std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.taken; });
  if (static_cast<std::size_t>(taken) >= count) return std::nullopt;
  for (std::size_t i = 0; i < count; ++i) {
    if (slots_[i].taken || slots_[i].free_at > now) continue;
    slots_[i].taken = true;
    return Turn(this, i, now);
  }
  return std::nullopt;
}

void Pace::GiveBack(std::size_t slot, Clock::time_point now, Clock::duration worked) {
  const std::lock_guard lock(mutex_);
  slots_[slot].taken = false;
  const double share = ShareLocked();
  if (share <= 0 || share >= 1) return;
  const auto rest = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
      std::chrono::duration<double>(worked).count() * (1 / share - 1)));
  slots_[slot].free_at = now + std::min<Clock::duration>(rest, kRestMax);
}

std::int64_t Pace::BatchRows(std::int64_t rows) const {
  const std::lock_guard lock(mutex_);
  const double share = ShareLocked();
  auto most = static_cast<double>(rows);
  if (share < kRested) {
    most *= std::clamp(share * share * share / 2, kBatchShareMin, kBatchShareMax);
  }
  if (rows_per_second_ > 0) {
    most = std::min(most, std::max(kPacedBatchRowsMin, kPacedBatchSeconds * rows_per_second_));
  }
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(most));
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
