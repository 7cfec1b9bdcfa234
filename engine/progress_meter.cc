#include "engine/progress_meter.h"

#include <algorithm>

namespace pawl::engine {
namespace {

using std::chrono::duration;

double Seconds(ProgressMeter::Clock::duration elapsed) { return duration<double>(elapsed).count(); }

}  // namespace

void ProgressMeter::Note(Clock::time_point now, std::int64_t rows, double fraction) {
  if (!samples_.empty() && now - samples_.back().at < std::chrono::milliseconds(500)) return;
  samples_.push_back({now, rows, fraction});
  while (samples_.size() > 60) samples_.pop_front();
}

void ProgressMeter::Describe(Progress& progress) const {
  if (samples_.size() < 3) return;
  const Sample& first = samples_.front();
  const Sample& last = samples_.back();
  const double seconds = Seconds(last.at - first.at);
  if (seconds <= 0) return;
  const std::size_t recent = samples_.size() > 10 ? samples_.size() - 10 : 0;
  const double recent_seconds = Seconds(last.at - samples_[recent].at);
  progress.rows_per_second =
      static_cast<double>(last.rows - samples_[recent].rows) / std::max(recent_seconds, 0.1);
  // The slower and the faster half of what was seen bound what is to come.
  double slowest = -1;
  double fastest = -1;
  const std::size_t step = std::max<std::size_t>(1, samples_.size() / 6);
  for (std::size_t i = step; i < samples_.size(); i += step) {
    const double speed = (samples_[i].fraction - samples_[i - step].fraction) /
                         std::max(Seconds(samples_[i].at - samples_[i - step].at), 0.1);
    slowest = slowest < 0 ? speed : std::min(slowest, speed);
    fastest = std::max(fastest, speed);
  }
  const double mean = (last.fraction - first.fraction) / seconds;
  if (mean <= 0 || fastest <= 0) return;
  const double left = std::max(0.0, 1.0 - last.fraction);
  progress.eta_seconds_low = left / std::max(fastest, mean);
  progress.eta_seconds_high = left / std::max(std::min(slowest, mean), mean / 3);
}

}  // namespace pawl::engine
