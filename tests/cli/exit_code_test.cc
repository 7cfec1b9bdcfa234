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

TEST(ExitCodeTest, ConflictsThatWereForcedAreNotLeft) {
  engine::RunResult result = InState("reverted");
  result.conflicts = 1;
  EXPECT_EQ(ExitCodeForRevert(result, engine::OnConflict::kStop), 5);
  EXPECT_EQ(ExitCodeForRevert(result, engine::OnConflict::kSkip), 5);
  EXPECT_EQ(ExitCodeForRevert(result, engine::OnConflict::kForce), 0);
}

}  // namespace
}  // namespace pawl::cli
