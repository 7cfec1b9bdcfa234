// The controller against models of a server, over hours of simulated time. Every bound that is
// asserted here is one that a user would notice: how far a limit is crossed, for how long, and how
// much speed is given away.
#include "engine/throttle/controller.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <random>
#include <vector>

namespace pawl::throttle {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStep{250};
constexpr double kStepSeconds = 0.25;

Clock::time_point At(double seconds) {
  return Clock::time_point(std::chrono::hours(1)) +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

Sample Of(const std::string& name, Kind kind, double pressure, double read_at) {
  Sample sample;
  sample.name = name;
  sample.kind = kind;
  sample.pressure = pressure;
  sample.read_at = At(read_at);
  sample.sentence = kind == Kind::kGauge ? "it is slow" : "a replica is behind";
  return sample;
}

Sample Gauge(double pressure, double read_at) {
  return Of("latency", Kind::kGauge, pressure, read_at);
}

Sample Budget(double pressure, double read_at) {
  return Of("replica_lag", Kind::kBudget, pressure, read_at);
}

// A server on which the application takes longer the more is asked of it: a queue with one limit.
// Its latency is seen as the mean over the last second, with noise.
class Server {
 public:
  double application = 0.3;  // Of what it can do.
  double cost = 0.4;         // Of what it can do, taken by each worker at full speed.
  double noise = 0.1;
  double allowed = 0.25;  // Above the baseline.

  double Latency(double level) const {
    return 1 / (1 - std::min(0.98, application + cost * level));
  }
  double Baseline() const { return 1 / (1 - 0.3); }
  // What the limit counts, without noise or delay.
  double Pressure(double level) const { return (Latency(level) / Baseline() - 1) / allowed; }
  // The level at which the limit is reached just so.
  double LevelAllowed() const {
    return (1 - 1 / (Baseline() * (1 + allowed)) - application) / cost;
  }

  // Called once each step; returns the pressure as it is measured.
  double Measure(double level) {
    std::normal_distribution<double> scatter(0, noise);
    seen_.push_back(Latency(level) * (1 + scatter(random_)));
    if (seen_.size() > 4) seen_.pop_front();
    double sum = 0;
    for (const double latency : seen_) sum += latency;
    const double mean = sum / static_cast<double>(seen_.size());
    return std::max(0.0, (mean / Baseline() - 1) / allowed);
  }

 private:
  std::mt19937 random_{7};
  std::deque<double> seen_;
};

class ControllerTest : public testing::Test {
 protected:
  Situation Now() const {
    Situation situation;
    situation.now = At(seconds_);
    situation.server_seconds = 1'000'000 + seconds_;
    situation.level_max = level_max_;
    situation.has_baseline = true;
    return situation;
  }

  // Steps until `until` with the samples that `samples` gives for the level of the step before.
  void RunUntil(double until, const std::function<std::vector<Sample>(double level)>& samples,
                const std::function<void(const Decision&)>& look = {}) {
    for (; seconds_ < until; seconds_ += kStepSeconds) {
      Situation situation = Now();
      situation.application_present = application_present_;
      situation.wants_baseline = wants_baseline_;
      situation.samples = samples(decision_.level);
      decision_ = controller_.Step(situation);
      if (look) look(decision_);
    }
  }

  void RunServerUntil(double until, const std::function<void(const Decision&)>& look = {}) {
    RunUntil(
        until,
        [&](double level) { return std::vector<Sample>{Gauge(server_.Measure(level), seconds_)}; },
        look);
  }

  Controller controller_;
  Server server_;
  Decision decision_;
  double seconds_ = 0;
  double level_max_ = 2;
  bool application_present_ = true;
  bool wants_baseline_ = false;
};

TEST_F(ControllerTest, SettlesJustUnderTheLimitAndStaysThere) {
  RunServerUntil(20);
  double sum = 0;
  double highest = 0;
  double lowest = 10;
  int steps = 0;
  RunServerUntil(4 * 3600, [&](const Decision& decision) {
    sum += decision.level;
    highest = std::max(highest, decision.level);
    lowest = std::min(lowest, decision.level);
    ++steps;
  });
  const double allowed = server_.LevelAllowed();
  EXPECT_GT(sum / steps, 0.7 * allowed);
  EXPECT_LT(sum / steps, 1.05 * allowed);
  EXPECT_LT(highest, 1.6 * allowed);
  EXPECT_GT(lowest, 0.25 * allowed);
}

TEST_F(ControllerTest, WithoutNoiseItNeitherOvershootsNorOscillates) {
  server_.noise = 0;
  double highest = 0;
  RunServerUntil(15,
                 [&](const Decision& decision) { highest = std::max(highest, decision.level); });
  EXPECT_LT(server_.Pressure(highest), 1.5);
  double least = 10;
  double most = 0;
  RunServerUntil(600, [&](const Decision& decision) {
    least = std::min(least, decision.level);
    most = std::max(most, decision.level);
  });
  EXPECT_LT(most - least, 0.1 * most);
  EXPECT_GT(least, 0.8 * server_.LevelAllowed());
}

TEST_F(ControllerTest, GivesWayToASpikeWithinTwoSecondsAndIsBackWithinTen) {
  RunServerUntil(60);
  const double before = decision_.level;
  server_.application = 0.9;
  double gave_way = -1;
  RunServerUntil(80, [&](const Decision& decision) {
    if (gave_way < 0 && decision.level < before / 4) gave_way = seconds_ - 60;
  });
  EXPECT_GE(gave_way, 0);
  EXPECT_LT(gave_way, 2);
  server_.application = 0.3;
  double back = -1;
  RunServerUntil(95, [&](const Decision& decision) {
    if (back < 0 && decision.level > 0.7 * before) back = seconds_ - 80;
  });
  EXPECT_GE(back, 0);
  EXPECT_LT(back, 10);
}

TEST_F(ControllerTest, FollowsALoadThatSwingsWithoutLosingTheLimit) {
  double over = 0;
  int steps = 0;
  RunUntil(3600, [&](double level) {
    server_.application = 0.25 + 0.1 * std::sin(seconds_ / 60 * 2 * 3.14159);
    if (seconds_ > 30) {
      over += server_.Pressure(level) > 1.6 ? 1 : 0;
      ++steps;
    }
    return std::vector<Sample>{Gauge(server_.Measure(level), seconds_)};
  });
  EXPECT_LT(over / steps, 0.05);
}

TEST_F(ControllerTest, OwnLoadAloneDoesNotStopIt) {
  // Even one worker at its slowest is felt: the level goes down, and work goes on.
  server_.cost = 0.69;
  server_.allowed = 0.05;
  int held = 0;
  RunServerUntil(3600, [&](const Decision& decision) { held += decision.held ? 1 : 0; });
  EXPECT_EQ(held, 0);
  EXPECT_GE(decision_.level, Controller::kLevelMin);
}

TEST_F(ControllerTest, AnIdleDatabaseIsUsedInFullFromTheFirstStep) {
  application_present_ = false;
  RunUntil(0.1, [&](double) { return std::vector<Sample>{Gauge(9, seconds_)}; });
  EXPECT_EQ(decision_.level, level_max_);
  EXPECT_EQ(decision_.sentence, "");
}

TEST_F(ControllerTest, StartsSlowWhereThereIsAnApplicationAndDoubles) {
  const auto calm = [&](double) { return std::vector<Sample>{Gauge(0, seconds_)}; };
  RunUntil(0.1, calm);
  EXPECT_LE(decision_.level, Controller::kLevelFirst);
  RunUntil(1.1, calm);
  EXPECT_GE(decision_.level, 2 * Controller::kLevelFirst);
  RunUntil(4, calm);
  EXPECT_EQ(decision_.level, level_max_);
}

TEST_F(ControllerTest, ASilentSignalHoldsWithinThreeSecondsAndLetsGo) {
  double read_at = 0;
  const auto silent = [&](double) { return std::vector<Sample>{Budget(0.1, read_at)}; };
  RunUntil(3.1, silent);
  EXPECT_FALSE(decision_.held);
  RunUntil(3.6, silent);
  EXPECT_TRUE(decision_.held);
  EXPECT_EQ(decision_.level, 0);
  RunUntil(3'600, silent, [](const Decision& decision) { EXPECT_TRUE(decision.held); });
  RunUntil(3'602, [&](double) { return std::vector<Sample>{Budget(0.1, seconds_)}; });
  EXPECT_FALSE(decision_.held);
  EXPECT_GT(decision_.level, 0);
}

TEST_F(ControllerTest, AnUnreadableSignalIsNeverZero) {
  for (const double value :
       {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    RunUntil(seconds_ + 1, [&](double) { return std::vector<Sample>{Budget(value, seconds_)}; });
    EXPECT_TRUE(decision_.held) << value;
    RunUntil(seconds_ + 1, [&](double) { return std::vector<Sample>{Gauge(value, seconds_)}; });
    EXPECT_TRUE(decision_.held) << value;
  }
  RunUntil(seconds_ + 1, [&](double) {
    std::vector<Sample> samples = {Gauge(0, seconds_)};
    samples[0].readable = false;
    return samples;
  });
  EXPECT_TRUE(decision_.held);
}

TEST_F(ControllerTest, AMeasuredTimeThatNeverChangesIsALie) {
  const auto lying = [&](double) {
    std::vector<Sample> samples = {Gauge(0.2, seconds_)};
    samples[0].continuous = true;
    return samples;
  };
  RunUntil(9, lying);
  EXPECT_FALSE(decision_.held);
  RunUntil(11, lying);
  EXPECT_TRUE(decision_.held);
}

TEST_F(ControllerTest, ABudgetStopsAtItsLimitAndLetsGoBelowIt) {
  RunUntil(5, [&](double) { return std::vector<Sample>{Budget(0.5, seconds_)}; });
  const double before = decision_.level;
  RunUntil(6, [&](double) { return std::vector<Sample>{Budget(1, seconds_)}; });
  EXPECT_TRUE(decision_.held);
  EXPECT_EQ(decision_.signal, "replica_lag");
  EXPECT_EQ(decision_.sentence, "held: a replica is behind");
  RunUntil(7, [&](double) { return std::vector<Sample>{Budget(0.95, seconds_)}; });
  EXPECT_TRUE(decision_.held);
  RunUntil(7.1, [&](double) { return std::vector<Sample>{Budget(0.5, seconds_)}; });
  EXPECT_FALSE(decision_.held);
  EXPECT_LT(decision_.level, 0.6 * before);
}

// A standby that replays less than the run writes, far away: what it tells is half a second old.
TEST_F(ControllerTest, AFarReplicaStaysWithinASecondOfItsLimitAndIsKeptBusy) {
  for (const bool present : {true, false}) {
    Controller controller;
    double level = 0;
    double backlog = 0;  // In seconds of replay.
    double most = 0;
    double replayed = 0;
    std::deque<double> told;
    for (double now = 0; now < 3'600; now += kStepSeconds) {
      backlog += 2.5 * level * kStepSeconds;  // Full speed, 2, is five times what it can replay.
      const double done = std::min(backlog, kStepSeconds);
      backlog -= done;
      replayed += done;
      told.push_back(backlog);
      if (told.size() > 3) told.pop_front();
      most = std::max(most, backlog);
      Situation situation;
      situation.now = At(now);
      situation.level_max = 2;
      situation.application_present = present;
      situation.has_baseline = true;
      situation.samples = {Budget(told.front() / 2, now)};
      level = controller.Step(situation).level;
    }
    EXPECT_LE(most, 3.0) << present;
    EXPECT_GT(replayed, 0.7 * 3'600) << present;
  }
}

TEST_F(ControllerTest, LearnsTheBaselineInShortDrainsAndRarelyWhereTheLimitIsFar) {
  wants_baseline_ = true;
  int drained = 0;
  RunUntil(
      3'600, [&](double) { return std::vector<Sample>{Gauge(0.1, seconds_)}; },
      [&](const Decision& decision) { drained += decision.draining ? 1 : 0; });
  EXPECT_GT(drained, 3'600 / 120 * 2);
  EXPECT_LT(drained * kStepSeconds, 0.02 * 3'600);
}

TEST_F(ControllerTest, WithoutABaselineTheFirstThingIsADrain) {
  Situation situation = Now();
  situation.wants_baseline = true;
  situation.has_baseline = false;
  situation.samples = {};
  EXPECT_TRUE(controller_.Step(situation).draining);
}

TEST_F(ControllerTest, ADrainEndsBeforeItsResultIsKnown) {
  wants_baseline_ = true;
  bool ended = false;
  for (; seconds_ < 5 && !ended; seconds_ += kStepSeconds) {
    Situation situation = Now();
    situation.wants_baseline = true;
    situation.has_baseline = false;
    ended = !controller_.Step(situation).draining;
  }
  EXPECT_TRUE(ended);
  EXPECT_LT(seconds_, 2);
}

TEST_F(ControllerTest, RunsOfOneDatabaseDrainTogether) {
  Controller other;
  std::vector<Sample> near = {};
  int apart = 0;
  for (; seconds_ < 600; seconds_ += kStepSeconds) {
    Situation situation = Now();
    situation.wants_baseline = true;
    situation.samples = {Gauge(0.8, seconds_)};
    const bool here = controller_.Step(situation).draining;
    situation.now += std::chrono::hours(5);  // Another machine's clock.
    situation.samples[0].read_at += std::chrono::hours(5);
    const bool there = other.Step(situation).draining;
    apart += here != there ? 1 : 0;
  }
  EXPECT_EQ(apart, 0);
}

// Two runs on one server, the second three times as heavy, each with its part of the budget.
TEST_F(ControllerTest, RunsShareByWeight) {
  Controller light;
  Controller heavy;
  double light_level = 0;
  double heavy_level = 0;
  double light_sum = 0;
  double heavy_sum = 0;
  server_.cost = 0.3;
  for (; seconds_ < 1'200; seconds_ += kStepSeconds) {
    const double pressure = server_.Measure(light_level + heavy_level);
    Situation situation = Now();
    situation.samples = {Gauge(pressure, seconds_)};
    situation.level_max = 0.25 * 2;
    situation.fair_share = 0.25;
    light_level = light.Step(situation).level;
    situation.level_max = 0.75 * 2;
    situation.fair_share = 0.75;
    heavy_level = heavy.Step(situation).level;
    if (seconds_ < 300) continue;
    light_sum += light_level;
    heavy_sum += heavy_level;
  }
  EXPECT_NEAR(heavy_sum / light_sum, 3, 1);
}

TEST_F(ControllerTest, HeldForAnHourItStillFinishes) {
  RunUntil(3'600, [&](double) { return std::vector<Sample>{Budget(2, seconds_)}; });
  EXPECT_TRUE(decision_.held);
  RunUntil(3'620, [&](double) { return std::vector<Sample>{Budget(0, seconds_)}; });
  EXPECT_EQ(decision_.level, level_max_);
}

TEST_F(ControllerTest, NobodyThereSpeedIsRegainedStepByStepAfterAHold) {
  application_present_ = false;
  RunUntil(1, [&](double) { return std::vector<Sample>{Budget(2, seconds_)}; });
  RunUntil(1.3, [&](double) { return std::vector<Sample>{Budget(0, seconds_)}; });
  EXPECT_LT(decision_.level, 0.8 * level_max_);
  RunUntil(10, [&](double) { return std::vector<Sample>{Budget(0, seconds_)}; });
  EXPECT_EQ(decision_.level, level_max_);
}

}  // namespace
}  // namespace pawl::throttle
