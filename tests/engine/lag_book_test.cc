#include "engine/throttle/lag_book.h"

#include <gtest/gtest.h>

namespace pawl::throttle {
namespace {

Clock::time_point At(double seconds) {
  return Clock::time_point(std::chrono::hours(1)) +
         std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

TEST(LagBookTest, AReplicaThatHasEverythingIsNotBehindHoweverLongNobodyWrites) {
  LagBook book;
  book.Wrote(At(0), 100);
  book.Replayed("r", At(3'600), 100);
  EXPECT_EQ(book.Lags(At(3'600)).at("r").seconds, 0);
  EXPECT_EQ(book.Lags(At(3'600)).at("r").bytes, 0);
}

TEST(LagBookTest, LagIsTheAgeOfTheFirstThingNotReplayed) {
  LagBook book;
  book.Wrote(At(0), 100);
  book.Wrote(At(1), 200);
  book.Wrote(At(2), 300);
  book.Replayed("r", At(5), 150);
  EXPECT_DOUBLE_EQ(book.Lags(At(5)).at("r").seconds, 4);
  EXPECT_EQ(book.Lags(At(5)).at("r").bytes, 150);
}

TEST(LagBookTest, AReplicaThatIsGoneFallsBehindByTheClock) {
  LagBook book;
  book.Wrote(At(0), 100);
  book.Replayed("r", At(0), 100);
  EXPECT_FALSE(book.Lags(At(7)).at("r").connected);
  EXPECT_DOUBLE_EQ(book.Lags(At(7)).at("r").seconds, 7);
}

// What is written now will be replayed after all that waits: a growing backlog is seen coming.
TEST(LagBookTest, ABacklogCountsByTheTimeItTakesToWorkItOff) {
  LagBook book;
  constexpr std::int64_t kMegabyte = 1 << 20;
  for (int second = 0; second <= 10; ++second) {
    book.Wrote(At(second), 10 * kMegabyte * second);
    book.Replayed("r", At(second), 2 * kMegabyte * second);  // A fifth of what is written.
  }
  EXPECT_NEAR(book.Lags(At(10)).at("r").seconds, 80.0 / 2, 2);
}

}  // namespace
}  // namespace pawl::throttle
