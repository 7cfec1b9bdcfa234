#include "cli/status_lines.h"

#include <gtest/gtest.h>

namespace pawl::cli {
namespace {

engine::RunStatus Running() {
  engine::RunStatus run;
  run.progress.run = 7;
  run.progress.migration = "add_total";
  run.progress.state = "running";
  run.progress.fraction = 0.423;
  run.progress.rows_done = 423'000;
  run.progress.rows_estimated = 1'000'000;
  run.started_at = "2026-01-01 10:00:00+00";
  run.started_by = "alice";
  run.workers = {{"db1", 12, 2, 5'000, true}, {"db2", 13, 4, 5'000, false}};
  return run;
}

TEST(StatusLinesTest, ATableOfRuns) {
  EXPECT_EQ(StatusTable({Running()}),
            "run  migration  state      done     rows  workers  started\n"
            "  7  add_total  running  42.3 %  423,000        2  2026-01-01 10:00:00+00\n");
  EXPECT_EQ(StatusTable({}), "No runs yet.");
}

TEST(StatusLinesTest, OneRunSaysWhatToTypeNext) {
  engine::RunStatus run = Running();
  EXPECT_EQ(StatusOf(run).find("No process"), std::string::npos);
  run.workers[0].alive = false;
  EXPECT_NE(StatusOf(run).find("No process is at it. Carry on with: pawl resume 7"),
            std::string::npos);
  run.progress.state = "completed";
  EXPECT_NE(StatusOf(run).find("Take it back with: pawl revert 7"), std::string::npos);
}

TEST(StatusLinesTest, AtRestIsWhatEndsAWatch) {
  engine::RunStatus run = Running();
  EXPECT_FALSE(AtRest(run));
  for (const char* state : {"paused", "failed", "completed", "aborted", "reverted"}) {
    run.progress.state = state;
    EXPECT_TRUE(AtRest(run)) << state;
  }
}

}  // namespace
}  // namespace pawl::cli
