#include "batching/batch_sizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace pawl::batching {
namespace {

using std::chrono::microseconds;

constexpr microseconds kTarget{40'000};

BatchLimits Limits(std::int64_t rows_initial, std::int64_t rows_max) {
  BatchLimits limits;
  limits.duration_target = kTarget;
  limits.rows_initial = rows_initial;
  limits.rows_max = rows_max;
  return limits;
}

TEST(BatchSizerTest, BytesBoundTheRows) {
  BatchLimits limits = Limits(1'000, 10'000);
  limits.bytes_max = 64'000;
  EXPECT_EQ(BatchSizer(limits, 0).rows(), 1'000);
  EXPECT_EQ(BatchSizer(limits, 640).rows(), 100);
  BatchSizer huge_rows(limits, 1'000'000);
  EXPECT_EQ(huge_rows.rows(), 1);
  huge_rows.Report(microseconds(1));
  EXPECT_EQ(huge_rows.rows(), 1);
}

TEST(BatchSizerTest, SettlesAtTheTimeTarget) {
  for (const std::int64_t microseconds_per_row : {5, 40, 400, 2'000}) {
    BatchSizer sizer(Limits(1'000, 10'000), 0);
    for (int i = 0; i < 100; ++i) sizer.Report(microseconds(sizer.rows() * microseconds_per_row));
    const double expected =
        std::clamp(static_cast<double>(kTarget.count() / microseconds_per_row), 10.0, 10'000.0);
    EXPECT_NEAR(static_cast<double>(sizer.rows()), expected, 0.1 * expected + 4)
        << microseconds_per_row;
  }
}

TEST(BatchSizerTest, ChangesByTwofoldAtMost) {
  BatchSizer sizer(Limits(100, 10'000), 0);
  sizer.Report(microseconds(0));
  EXPECT_EQ(sizer.rows(), 200);
  sizer.Report(std::chrono::hours(1));
  EXPECT_GE(sizer.rows(), 100);
}

TEST(BatchSizerTest, StaysWithinBoundsWhateverTheTimesAre) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 100; ++round) {
    const auto rows_max = static_cast<std::int64_t>(1 + random() % 5'000);
    const auto rows_initial =
        1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rows_max));
    BatchSizer sizer(Limits(rows_initial, rows_max), 0);
    for (int i = 0; i < 200; ++i) {
      switch (random() % 5) {
        case 0:
          sizer.Halve();
          break;
        case 1:
          sizer.Narrow();
          break;
        case 2:
          if (sizer.narrowing()) sizer.Widen();
          break;
        default:
          sizer.Report(microseconds(static_cast<std::int64_t>(random() % 1'000'000)));
      }
      ASSERT_GE(sizer.rows(), 1);
      ASSERT_LE(sizer.rows(), rows_max);
    }
  }
}

TEST(BatchSizerTest, HalvesDownToOneRowAndThenSaysSo) {
  BatchSizer sizer(Limits(8, 10'000), 0);
  EXPECT_TRUE(sizer.Halve());
  EXPECT_TRUE(sizer.Halve());
  EXPECT_TRUE(sizer.Halve());
  EXPECT_EQ(sizer.rows(), 1);
  EXPECT_FALSE(sizer.Halve());
  EXPECT_FALSE(sizer.narrowing());
}

TEST(BatchSizerTest, OneRowThatWasNotCountedIsNoOffenderYet) {
  BatchSizer sizer(Limits(1, 1), 0);
  EXPECT_TRUE(sizer.Narrow());  // By arithmetic one row, in truth perhaps a block of them.
  EXPECT_TRUE(sizer.narrowing());
  EXPECT_FALSE(sizer.Narrow());
}

TEST(BatchSizerTest, NarrowingEndsWithTheSizeFromBefore) {
  BatchSizer sizer(Limits(1'000, 10'000), 0);
  EXPECT_TRUE(sizer.Narrow());
  EXPECT_TRUE(sizer.Narrow());
  EXPECT_TRUE(sizer.narrowing());
  EXPECT_EQ(sizer.rows(), 250);
  sizer.Report(microseconds(1));  // Times do not steer while a row is being cornered.
  EXPECT_EQ(sizer.rows(), 250);
  sizer.Widen();
  EXPECT_FALSE(sizer.narrowing());
  EXPECT_EQ(sizer.rows(), 1'000);
}

TEST(BatchSizerTest, AnOffenderThatWentAwayIsGivenUp) {
  BatchSizer sizer(Limits(1'000, 10'000), 0);
  sizer.Narrow();
  for (int i = 0; sizer.narrowing(); ++i) {
    ASSERT_LT(i, 100);
    sizer.Report(microseconds(1));
  }
  EXPECT_EQ(sizer.rows(), 1'000);
}

// The walk of a worker over rows of which some are bad.
TEST(BatchSizerTest, CornersExactlyTheBadRowsInFewBatches) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    constexpr std::int64_t kRows = 5'000;
    std::set<std::int64_t> bad;
    while (bad.size() < 5) bad.insert(static_cast<std::int64_t>(random() % kRows));
    std::set<std::int64_t> set_aside;
    BatchSizer sizer(Limits(1'000, 1'000), 0);
    int batches = 0;
    for (std::int64_t at = 0; at < kRows;) {
      ASSERT_LT(++batches, 250);
      const std::int64_t rows = std::min(sizer.rows(), kRows - at);
      const auto first_bad = bad.lower_bound(at);
      if (first_bad == bad.end() || *first_bad >= at + rows) {
        at += rows;
        sizer.Report(kTarget);
      } else if (!sizer.Narrow()) {
        EXPECT_EQ(*first_bad, at);
        set_aside.insert(at++);
        sizer.Widen();
      }
    }
    EXPECT_EQ(set_aside, bad);
  }
}

}  // namespace
}  // namespace pawl::batching
