#include "cli/exit_code.h"

#include <gtest/gtest.h>

namespace pawl::cli {
namespace {

using db::Action;

engine::RunResult InState(const std::string& state) {
  engine::RunResult result;
  result.state = state;
  return result;
}

TEST(ExitCodeTest, ErrorsSayWhetherAnythingWasChanged) {
  EXPECT_EQ(ExitCodeFor(db::Error(Action::kBadInput, "")), 2);
  EXPECT_EQ(ExitCodeFor(db::Error(Action::kRefused, "")), 4);
  for (const Action action : {Action::kRetryBatch, Action::kSplit, Action::kReconnect,
                              Action::kBadData, Action::kLostLease, Action::kStop}) {
    EXPECT_EQ(ExitCodeFor(db::Error(action, "")), 1);
  }
}

TEST(ExitCodeTest, RunsEndAsTheirStateSays) {
  EXPECT_EQ(ExitCodeFor(InState("completed")), 0);
  EXPECT_EQ(ExitCodeFor(InState("reverted")), 0);
  EXPECT_EQ(ExitCodeFor(InState("running")), 0);
  EXPECT_EQ(ExitCodeFor(InState("failed")), 1);
  EXPECT_EQ(ExitCodeFor(InState("aborted")), 1);
  EXPECT_EQ(ExitCodeFor(InState("paused")), 130);
}

TEST(ExitCodeTest, ADifferenceOutranksTheState) {
  engine::RunResult result = InState("failed");
  result.verification.emplace();
  EXPECT_EQ(ExitCodeFor(result), 3);
  result.state = "completed";
  result.verification->passed = true;
  EXPECT_EQ(ExitCodeFor(result), 0);
}

TEST(ExitCodeTest, ARevertThatLeavesRowsAloneSaysSo) {
  engine::RunResult result = InState("reverted");
  result.reverts = true;
  EXPECT_EQ(ExitCodeFor(result), 0);
  result.conflicts = 1;
  EXPECT_EQ(ExitCodeFor(result), 5);
  result.state = "paused";
  EXPECT_EQ(ExitCodeFor(result), 130);
  result.state = "failed";
  EXPECT_EQ(ExitCodeFor(result), 1);
  result.stopped_at_conflict = true;
  EXPECT_EQ(ExitCodeFor(result), 5);
}

}  // namespace
}  // namespace pawl::cli
