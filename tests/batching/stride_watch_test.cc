#include "batching/stride_watch.h"

#include <gtest/gtest.h>

namespace pawl::batching {
namespace {

constexpr std::int64_t kWindow = 1'000;
constexpr std::int64_t kPasses = 16;

TEST(StrideWatchTest, StridesOnlyWhereWanted) {
  EXPECT_TRUE(StrideWatch(kPasses).striding());
  StrideWatch unwanted(1);
  unwanted.VisitedPlain(1'000'000);
  EXPECT_FALSE(unwanted.striding());
}

TEST(StrideWatchTest, TheFirstPassesSayNothing) {
  StrideWatch watch(kPasses);
  watch.BeginWindow();
  for (const int pass : {0, 1, 2}) EXPECT_FALSE(watch.GiveUp(pass, 1'000, 0, kWindow));
  EXPECT_EQ(watch.hot_share(), -1);
  EXPECT_TRUE(watch.striding());
}

TEST(StrideWatchTest, OfTwoPassesTheSecondIsJudged) {
  StrideWatch watch(2);
  watch.BeginWindow();
  EXPECT_FALSE(watch.GiveUp(0, 1'000, 0, kWindow));
  EXPECT_TRUE(watch.GiveUp(1, 1'000, 0, kWindow));
}

TEST(StrideWatchTest, FewRowsSayNothing) {
  StrideWatch watch(kPasses);
  watch.BeginWindow();
  EXPECT_FALSE(watch.GiveUp(3, 299, 0, kWindow));
  EXPECT_TRUE(watch.GiveUp(3, 1, 0, kWindow));  // Together 300.
  EXPECT_EQ(watch.hot_share(), 0);
}

TEST(StrideWatchTest, AWindowStartsItsCountAnew) {
  StrideWatch watch(kPasses);
  watch.BeginWindow();
  EXPECT_FALSE(watch.GiveUp(3, 299, 0, kWindow));
  watch.BeginWindow();
  EXPECT_FALSE(watch.GiveUp(3, 299, 0, kWindow));
}

TEST(StrideWatchTest, ThirtyPercentIsEnough) {
  StrideWatch watch(kPasses);
  watch.BeginWindow();
  EXPECT_FALSE(watch.GiveUp(3, 1'000, 300, kWindow));
  EXPECT_DOUBLE_EQ(watch.hot_share(), 0.3);
  EXPECT_TRUE(watch.GiveUp(3, 10, 0, kWindow));
}

TEST(StrideWatchTest, TwoUnluckyWindowsAreNoReasonToPause) {
  StrideWatch watch(kPasses);
  for (int i = 0; i < 2; ++i) {
    watch.BeginWindow();
    ASSERT_TRUE(watch.GiveUp(3, 1'000, 0, kWindow));
    EXPECT_TRUE(watch.striding());
  }
  watch.BeginWindow();
  ASSERT_FALSE(watch.GiveUp(3, 1'000, 900, kWindow));
  watch.BeginWindow();
  ASSERT_TRUE(watch.GiveUp(3, 1'000, 0, kWindow));
  EXPECT_TRUE(watch.striding());
}

TEST(StrideWatchTest, PausesTwiceAsLongAfterEachFailureUpToThirtyTwoWindows) {
  StrideWatch watch(kPasses);
  for (int i = 0; i < 2; ++i) {
    watch.BeginWindow();
    ASSERT_TRUE(watch.GiveUp(3, 1'000, 0, kWindow));
  }
  for (const std::int64_t windows : {4, 8, 16, 32, 32}) {
    watch.BeginWindow();
    ASSERT_TRUE(watch.GiveUp(3, 1'000, 0, kWindow));
    watch.VisitedPlain(windows * kWindow - 1);
    EXPECT_FALSE(watch.striding()) << windows;
    watch.VisitedPlain(1);
    EXPECT_TRUE(watch.striding()) << windows;
  }
}

TEST(StrideWatchTest, ASuccessMakesTheNextPauseShortAgain) {
  StrideWatch watch(kPasses);
  const auto fail_three_times = [&] {
    for (int i = 0; i < 3; ++i) {
      watch.BeginWindow();
      ASSERT_TRUE(watch.GiveUp(3, 1'000, 0, kWindow));
    }
  };
  fail_three_times();
  watch.VisitedPlain(4 * kWindow);
  watch.BeginWindow();
  ASSERT_FALSE(watch.GiveUp(3, 1'000, 900, kWindow));
  fail_three_times();
  watch.VisitedPlain(4 * kWindow);
  EXPECT_TRUE(watch.striding());
}

}  // namespace
}  // namespace pawl::batching
