#include "cli/progress_lines.h"

#include <gtest/gtest.h>

#include "cli/format.h"
#include "cli/progress_display.h"

namespace pawl::cli {
namespace {

engine::Progress Midway() {
  engine::Progress progress;
  progress.run = 7;
  progress.state = "running";
  progress.step = 2;
  progress.steps = 3;
  progress.step_title = "backfill public.orders: set total_cents";
  progress.rows_done = 423'000;
  progress.rows_estimated = 1'000'000;
  progress.fraction = 0.423;
  progress.rows_per_second = 161'290.3;
  progress.eta_seconds_low = 3;
  progress.eta_seconds_high = 4;
  progress.workers = 2;
  progress.batch_rows = 5'000;
  progress.hot_share = 0.87;
  progress.note = "held: replica r2 is 9.1 s behind (limit 5 s)";
  return progress;
}

TEST(ProgressLinesTest, SayWhatAWatcherWantsToKnow) {
  const auto lines = LiveLines(Midway(), {.columns = 120, .utf8 = false});
  EXPECT_EQ(lines[0],
            "############------------------  42.3 %  423,000 of about 1,000,000 rows  161,290/s  "
            "3 to 4 s left");
  EXPECT_EQ(lines[1],
            "step 2 of 3 | held: replica r2 is 9.1 s behind (limit 5 s) | 2 workers | batches of "
            "5,000 | HOT 87 % | backfill public.");
}

TEST(ProgressLinesTest, NeverWrap) {
  engine::Progress progress = Midway();
  progress.note = "line\nbreak \x1b[31m 表表表表表表表表表表表表表表表表表表表表表表表表表表表表表";
  for (std::size_t columns = 1; columns <= 200; ++columns) {
    for (const std::string& line : LiveLines(progress, {.columns = columns, .utf8 = true})) {
      EXPECT_LE(DisplayWidth(line), std::max<std::size_t>(columns - 1, 1));
      EXPECT_EQ(line.find_first_of("\n\x1b"), std::string::npos);
    }
  }
}

TEST(ProgressLinesTest, LeaveOutWhatIsNotKnown) {
  engine::Progress progress;
  progress.state = "running";
  EXPECT_EQ(PlainLine(progress), "running: 0.0 %, 0 rows");
}

TEST(ProgressLinesTest, NeverDoneMoreThanEstimated) {
  engine::Progress progress = Midway();
  progress.rows_estimated = 400'000;
  EXPECT_NE(PlainLine(progress).find("423,000 of about 423,000 rows"), std::string::npos);
}

TEST(CadenceTest, ReportsStepChangesAtOnceAndTheRestInTime) {
  Cadence cadence(std::chrono::seconds(5));
  engine::Progress progress = Midway();
  Cadence::Time now{};
  EXPECT_TRUE(cadence.Due(progress, now));
  EXPECT_FALSE(cadence.Due(progress, now + std::chrono::seconds(4)));
  progress.step = 3;
  EXPECT_TRUE(cadence.Due(progress, now + std::chrono::seconds(4)));
  EXPECT_FALSE(cadence.Due(progress, now + std::chrono::seconds(8)));
  EXPECT_TRUE(cadence.Due(progress, now + std::chrono::seconds(9)));
}

}  // namespace
}  // namespace pawl::cli
