// The pure pieces of the throttle beside the controller: felt times, fair shares, turns.
#include <gtest/gtest.h>

#include <thread>

#include "engine/pace.h"
#include "engine/throttle/fair_share.h"
#include "engine/throttle/felt_time.h"

namespace pawl::throttle {
namespace {

using std::chrono::milliseconds;

Clock::time_point At(double seconds) {
  return Clock::time_point(std::chrono::hours(1)) +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

void AddTimes(FeltTime& felt, double from, double seconds_each, int count) {
  for (int i = 0; i < count; ++i) {
    felt.Add(At(from + 0.01 * i), seconds_each);
  }
}

void Drain(FeltTime& felt, double at, double seconds_each) {
  felt.DrainBegan(At(at));
  AddTimes(felt, at + 0.3, seconds_each, 20);
  felt.DrainEnded();
}

TEST(FeltTimeTest, ARelativeLimitCountsWhatIsAboveTheBaseline) {
  FeltTime felt({true, 0.25}, {});
  EXPECT_FALSE(felt.has_baseline());
  Drain(felt, 0, 0.004);
  AddTimes(felt, 1, 0.005, 20);
  EXPECT_NEAR(felt.Judge(At(1.3), "it takes")->pressure, 1, 1e-6);
  EXPECT_EQ(felt.Judge(At(1.3), "it takes")->sentence,
            "it takes 5.00 ms, 4.00 ms without us (limit +25 %)");
}

TEST(FeltTimeTest, WhatIsUnderWayWhenADrainBeginsDoesNotCount) {
  FeltTime felt({true, 0.25}, {});
  felt.DrainBegan(At(0));
  AddTimes(felt, 0.01, 1.0, 10);
  AddTimes(felt, 0.3, 0.004, 10);
  felt.DrainEnded();
  EXPECT_NEAR(*felt.baseline(), 0.004, 1e-6);
}

TEST(FeltTimeTest, ABaselineIsTheMeanAtFirstAndRisesMoreSlowlyThanItFalls) {
  FeltTime felt({true, 0.25}, {});
  Drain(felt, 0, 0.004);
  Drain(felt, 10, 0.008);
  EXPECT_NEAR(*felt.baseline(), 0.006, 1e-6);
  for (int i = 2; i < 20; ++i) Drain(felt, 10 * i, 0.004);
  EXPECT_NEAR(*felt.baseline(), 0.004, 1e-5);
  Drain(felt, 200, 0.008);
  EXPECT_NEAR(*felt.baseline(), 0.005, 1e-5);
  Drain(felt, 210, 0.004);
  EXPECT_NEAR(*felt.baseline(), 0.0046, 1e-5);
}

TEST(FeltTimeTest, ADrainThatFoundNobodyIsNotRepeatedForEver) {
  FeltTime felt({true, 0.25}, {});
  felt.DrainBegan(At(0));
  felt.DrainEnded();
  EXPECT_TRUE(felt.has_baseline());
  AddTimes(felt, 1, 0.005, 20);
  EXPECT_FALSE(felt.Judge(At(1.3), "it takes"));
}

TEST(FeltTimeTest, OneSlowTimeIsNoPressure) {
  FeltTime felt({false, 0.010}, {});
  AddTimes(felt, 0, 0.004, 20);
  felt.Add(At(0.25), 3);
  EXPECT_LT(felt.Judge(At(0.3), "it takes")->pressure, 1);
}

TEST(FeltTimeTest, OldTimesAreForgotten) {
  FeltTime felt({false, 0.010}, {});
  AddTimes(felt, 0, 0.020, 20);
  EXPECT_NEAR(felt.Judge(At(0.3), "it takes")->pressure, 2, 1e-6);
  EXPECT_FALSE(felt.Judge(At(10), "it takes"));
}

TEST(FairShareTest, AloneARunHasAllItsWorkers) {
  EXPECT_EQ(Divide(1, 4, 0, 0).level_max, 4);
  EXPECT_EQ(Divide(1, 4, 0, 0).share, 1);
}

TEST(FairShareTest, WeightsDivideTheLargestRunsWorkers) {
  EXPECT_DOUBLE_EQ(Divide(1, 2, 1, 2).level_max, 1);
  EXPECT_DOUBLE_EQ(Divide(3, 4, 1, 4).level_max, 3);
  EXPECT_DOUBLE_EQ(Divide(1, 1, 1, 8).level_max, 1);  // No more than it has.
  EXPECT_GT(Divide(0.001, 1, 1'000, 1).level_max, 0);
}

using engine::Pace;

TEST(PaceTest, WithoutAThrottleEverybodyMayBeginAtOnce) {
  Pace pace;
  const auto now = Pace::Clock::now();
  const auto first = pace.Take(now);
  const auto second = pace.Take(now);
  EXPECT_TRUE(first && second);
  EXPECT_EQ(pace.BatchRows(1'000), 1'000);
}

TEST(PaceTest, HeldNobodyMay) {
  Pace pace;
  pace.Allow(0);
  EXPECT_FALSE(pace.Take(Pace::Clock::now()));
  pace.Allow(2);
  EXPECT_TRUE(pace.Take(Pace::Clock::now()));
}

TEST(PaceTest, NeverMoreAtWorkThanAllowed) {
  Pace pace;
  pace.Allow(2);
  const auto now = Pace::Clock::now();
  const auto first = pace.Take(now);
  auto second = pace.Take(now);
  EXPECT_FALSE(pace.Take(now));
  pace.Allow(1);
  second.reset();
  EXPECT_FALSE(pace.Take(Pace::Clock::now()));  // One is still at it.
}

TEST(PaceTest, ARestFollowsEachBatchInProportion) {
  Pace pace;
  pace.Allow(0.25);
  EXPECT_LT(pace.BatchRows(1'000), 1'000);
  {
    const auto turn = pace.Take(Pace::Clock::now());
    std::this_thread::sleep_for(milliseconds(20));
  }
  const auto ended = Pace::Clock::now();
  EXPECT_FALSE(pace.Take(ended + milliseconds(40)));
  EXPECT_TRUE(pace.Take(ended + milliseconds(200)));
}

TEST(PaceTest, BatchesAreShortWhereThereIsRestAndWholeWhereThereIsNone) {
  Pace pace;
  const auto rows_at = [&](double level) {
    pace.Allow(level);
    return pace.BatchRows(10'000);
  };
  EXPECT_EQ(rows_at(0.05), 400);
  EXPECT_EQ(rows_at(0.3), 400);
  EXPECT_EQ(rows_at(0.5), 625);
  EXPECT_GT(rows_at(0.9), 3'000);
  EXPECT_EQ(rows_at(1), 10'000);
  EXPECT_EQ(rows_at(1.0001), 625);  // Two workers at half their time.
  pace.Allow(0.1);
  EXPECT_EQ(pace.BatchRows(3), 1);
}

TEST(PaceTest, ABatchOfAPacedRunIsAHundredthOfASecond) {
  Pace pace;
  pace.SetRowsPerSecond(15'000);
  EXPECT_EQ(pace.BatchRows(10'000), 150);
  EXPECT_EQ(pace.BatchRows(100), 100);
  pace.SetRowsPerSecond(200);
  EXPECT_EQ(pace.BatchRows(10'000), 50);
  pace.Allow(0.1);
  EXPECT_EQ(pace.BatchRows(100), 4);  // What is less holds.
}

TEST(PaceTest, ARestIsForgottenWhenTheThrottleLetsGo) {
  Pace pace;
  pace.Allow(0.02);
  {
    const auto turn = pace.Take(Pace::Clock::now());
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_FALSE(pace.Take(Pace::Clock::now()));
  pace.Allow(1);
  EXPECT_TRUE(pace.Take(Pace::Clock::now()));
}

}  // namespace
}  // namespace pawl::throttle
