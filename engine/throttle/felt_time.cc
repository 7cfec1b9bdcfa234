#include "engine/throttle/felt_time.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace pawl::throttle {
namespace {

// The batches under way finish, and what they wrote is flushed.
constexpr std::chrono::milliseconds kSettle{200};
// What one more drain counts for; see the header.
constexpr double kSlowerWeight = 0.25;
constexpr double kQuickerWeight = 0.4;

}  // namespace

void FeltTime::Add(Clock::time_point now, double seconds) {
  if (drain_from_ && now < *drain_from_ + kSettle) return;
  entries_.push_back({now, seconds});
  while (!drain_from_ && now - entries_.front().at > shape_.window) entries_.pop_front();
}

std::optional<double> FeltTime::Figure() const {
  if (entries_.size() < shape_.count_min) return std::nullopt;
  std::vector<double> times;
  for (const Entry& entry : entries_) times.push_back(entry.seconds);
  const auto at = times.begin() + static_cast<std::ptrdiff_t>(
                                      shape_.quantile * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), at, times.end());
  return *at;
}

std::optional<Reading> FeltTime::Judge(Clock::time_point now, const std::string& what) {
  while (!entries_.empty() && now - entries_.front().at > shape_.window) entries_.pop_front();
  const std::optional<double> figure = Figure();
  if (!figure) return std::nullopt;
  Reading reading;
  reading.value = *figure;
  reading.continuous = true;
  if (!limit_.relative) {
    reading.limit = limit_.allowed;
    reading.pressure = *figure / limit_.allowed;
    reading.sentence =
        fmt::format("{} {} (limit {})", what, TimeText(*figure), TimeText(limit_.allowed));
    return reading;
  }
  if (!baseline_) return std::nullopt;
  reading.limit = *baseline_ * (1 + limit_.allowed);
  reading.pressure = std::max(0.0, (*figure / *baseline_ - 1) / limit_.allowed);
  reading.sentence = fmt::format("{} {}, {} without us (limit {:+.0f} %)", what, TimeText(*figure),
                                 TimeText(*baseline_), 100 * limit_.allowed);
  return reading;
}

void FeltTime::DrainBegan(Clock::time_point now) {
  drain_from_ = now;
  entries_.clear();
}

void FeltTime::DrainEnded() {
  const std::optional<double> figure = Figure();
  if (figure) {
    const bool slower = baseline_ && *figure > *baseline_;
    const double weight = std::max(slower ? kSlowerWeight : kQuickerWeight, 1.0 / ++learned_);
    baseline_ = baseline_.value_or(0) * (1 - weight) + *figure * weight;
  }
  tried_ = true;
  drain_from_.reset();
  entries_.clear();
}

}  // namespace pawl::throttle
