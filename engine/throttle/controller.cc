#include "engine/throttle/controller.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "db/error.h"

namespace pawl::throttle {
namespace {

using std::chrono::duration;

// A budget that stopped the run lets go below this, so that it does not flutter at its limit.
constexpr double kRelease = 0.9;
// One that would cross its limit within so long, at the rate it rises, stops the run already: what
// it measures goes on rising for a moment after the last batch.
constexpr double kForeseeSeconds = 0.7;
constexpr double kForeseeFrom = 0.2;
// After a stop, speed is regained step by step even where nobody else is at work.
constexpr std::chrono::minutes kCareful{1};
// The dead band.
constexpr double kGrowBelow = 0.9;
constexpr double kShrinkAbove = 1.05;
// Time constant of the smoothing, seconds: one lucky or unlucky window must not move the level.
constexpr double kSmoothSeconds = 1.0;
// e^0.8 = 2.2-fold a second at no pressure. Together with smoothing and a window of a second the
// loop answers after 1.5 s: gain times delay stays near 1, short of oscillation.
constexpr double kGrowth = 0.8;
constexpr double kShrinkage = 0.8;
// Added each second whatever the level, as a part of the fair share: runs that share a database
// drift towards their shares, because what is taken away is in proportion to what each has.
constexpr double kDrift = 0.02;
// At such pressure there is no time to smooth anything.
constexpr double kAlarm = 2.0;
constexpr std::chrono::milliseconds kAlarmPause{700};
// Beyond this, even the least work is too much.
constexpr double kHoldAbove = 4.0;
// A measured time that stays the same to the last bit for so long was not measured.
constexpr std::chrono::seconds kFrozen{10};
constexpr double kNear = 0.5;

bool Counts(const Sample& sample, const Situation& situation) {
  return situation.application_present || sample.counts_alone;
}

double SecondsBetween(Clock::time_point from, Clock::time_point to) {
  return duration<double>(to - from).count();
}

}  // namespace

const Controller::Track& Controller::Follow(const Sample& sample) {
  Track& track = tracks_[sample.name];
  const bool first = track.last_read == Clock::time_point{};
  if (sample.read_at == track.last_read && !first) return track;
  const double seconds = SecondsBetween(track.last_read, sample.read_at);
  track.rise = first || seconds <= 0 ? 0 : (sample.pressure - track.last) / seconds;
  if (first || sample.value != track.last_value || sample.pressure != track.last ||
      !sample.continuous) {
    track.last_changed = sample.read_at;
  }
  track.last = sample.pressure;
  track.last_value = sample.value;
  track.last_read = sample.read_at;
  return track;
}

bool Controller::IsOver(const Sample& sample, Clock::time_point now) {
  const Track& track = Follow(sample);
  // A source that goes on telling the same value is one that has died in a friendly way.
  const bool frozen = now - track.last_changed > kFrozen;
  if (!sample.readable || !std::isfinite(sample.pressure) || sample.pressure < 0 ||
      now - sample.read_at > kStale || frozen) {
    return true;
  }
  if (sample.kind == Kind::kGauge) return false;
  budget_ = std::max(budget_, std::min(1.0, sample.pressure));
  if (sample.pressure >= (holding_.contains(sample.name) ? kRelease : 1.0)) return true;
  return sample.pressure > kForeseeFrom &&
         sample.pressure + std::max(0.0, track.rise) * kForeseeSeconds >= 1;
}

// The signal that stops the run, nullptr where none does.
const Sample* Controller::Stop(const Situation& situation) {
  const Sample* stop = nullptr;
  budget_ = 0;
  for (const Sample& sample : situation.samples) {
    bool over = IsOver(sample, situation.now);
    // Nobody is there to be slowed down, so not even an unreadable gauge matters.
    if (sample.kind == Kind::kGauge && !Counts(sample, situation)) over = false;
    if (!over) {
      holding_.erase(sample.name);
      continue;
    }
    holding_.insert(sample.name);
    if (stop == nullptr) stop = &sample;
  }
  return stop;
}

const Sample* Controller::Highest(const Situation& situation, double seconds) {
  const Sample* highest = nullptr;
  const double weight = 1 - std::exp(-seconds / kSmoothSeconds);
  pressure_ = 0;
  pressure_fast_ = 0;
  latency_was_near_ = false;
  for (const Sample& sample : situation.samples) {
    if (sample.kind != Kind::kGauge || !Counts(sample, situation)) continue;
    Track& track = tracks_[sample.name];
    track.smooth += (track.smoothed ? weight : 1) * (sample.pressure - track.smooth);
    track.smoothed = true;
    if (highest == nullptr || track.smooth > pressure_) highest = &sample;
    pressure_ = std::max(pressure_, track.smooth);
    pressure_fast_ = std::max(pressure_fast_, sample.pressure);
  }
  latency_was_near_ = pressure_ > kNear;
  return highest;
}

void Controller::Steer(const Situation& situation, double seconds) {
  if (pressure_fast_ >= kAlarm && situation.now - halved_at_ >= kAlarmPause) {
    halved_at_ = situation.now;
    level_ /= 2;
  } else if (pressure_ > kShrinkAbove) {
    level_ *= std::exp(-kShrinkage * seconds * std::min(pressure_ - 1, 2.0));
  } else if (pressure_ < kGrowBelow && pressure_fast_ < 1) {
    const double room = (1 - pressure_) * (1 - pressure_) * (1 - budget_);
    level_ = level_ * std::exp(kGrowth * seconds * room) +
             kDrift * seconds * situation.fair_share * (1 - budget_);
  }
  level_ = std::clamp(level_, std::min(kLevelMin, situation.level_max), situation.level_max);
}

// By the server's clock: each run of the database comes to the same answer.
bool Controller::DrainDue(const Situation& situation) {
  if (!situation.wants_baseline || !situation.application_present) return false;
  const double now = situation.server_seconds;
  if (now < drain_until_) return true;
  // What a drain has found is known only when it is over: it is not begun anew before.
  if (draining_) return false;
  if (!situation.has_baseline) {
    drain_until_ = now + kDrainSeconds;
    last_drain_ = now;
    ++drains_;
    return true;
  }
  // Runs that share a database keep the same hours, or one would learn the other's load.
  const bool often = latency_was_near_ || situation.fair_share < 1;
  const double every = drains_ < kFirstDrains ? kFirstDrainsEverySeconds
                       : often                ? kDrainEverySeconds
                                              : kDrainEverySecondsCalm;
  const double into = std::fmod(now, every);
  if (into >= kDrainSeconds || now - last_drain_ < every / 2) return false;
  last_drain_ = now;
  ++drains_;
  drain_until_ = now - into + kDrainSeconds;
  return true;
}

// Nobody else is at work: at full speed from the first moment, because a start that tests the water
// would cost an idle database its first seconds.
Decision Controller::Alone(const Situation& situation, double seconds) {
  held_by_gauge_ = false;
  for (auto& [name, track] : tracks_) {
    const auto counts = [&, &signal = name](const Sample& sample) {
      return sample.name == signal && sample.counts_alone;
    };
    if (std::none_of(situation.samples.begin(), situation.samples.end(), counts)) {
      track.smoothed = false;
    }
  }
  const Sample* highest = Highest(situation, seconds);
  const bool careful = was_held_ && situation.now - held_at_ < kCareful;
  if (highest == nullptr && !careful) level_ = situation.level_max;
  Steer(situation, seconds);
  Decision decision;
  decision.level = level_;
  if (level_ < situation.level_max) {
    decision.sentence =
        fmt::format("at {:.0f} % of full speed: {}", 100 * level_ / situation.level_max,
                    highest != nullptr ? highest->sentence : "it was held less than a minute ago");
  }
  return decision;
}

Decision Controller::Step(const Situation& situation) {
  PAWL_CHECK(situation.level_max > 0 && situation.now >= last_);
  const double seconds = started_ ? std::min(1.0, SecondsBetween(last_, situation.now)) : 0;
  if (!started_) {
    level_ = std::min(kLevelFirst, situation.level_max);
    started_ = true;
  }
  last_ = situation.now;
  Decision decision;
  const bool was_holding = !holding_.empty();
  if (const Sample* stop = Stop(situation)) {
    // Once for each hold: what led here was too much.
    if (!was_holding) level_ = std::max(kLevelMin, level_ / 2);
    held_at_ = situation.now;
    was_held_ = true;
    decision.held = true;
    decision.signal = stop->name;
    decision.sentence = "held: " + stop->sentence;
    return decision;
  }
  if (!situation.application_present) return Alone(situation, seconds);
  draining_ = DrainDue(situation);
  if (draining_) {
    decision.held = true;
    decision.draining = true;
    decision.sentence = "held: measures for a moment how the application does without it";
    return decision;
  }
  const Sample* highest = Highest(situation, seconds);
  Steer(situation, seconds);
  if (pressure_ > kHoldAbove && level_ <= kLevelMin) held_by_gauge_ = true;
  if (pressure_ < 1) held_by_gauge_ = false;
  decision.level = level_;
  if (highest != nullptr && (level_ < situation.level_max || held_by_gauge_)) {
    decision.signal = highest->name;
    decision.held = held_by_gauge_;
    decision.sentence = held_by_gauge_
                            ? "held: " + highest->sentence
                            : fmt::format("at {:.0f} % of full speed: {}",
                                          100 * level_ / situation.level_max, highest->sentence);
  }
  if (decision.held) decision.level = 0;
  return decision;
}

}  // namespace pawl::throttle
