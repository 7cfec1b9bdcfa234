// Explores every interleaving of the model run. With all guards in place there is no violation and
// every state can come to its end; with one of them removed there is, and the shortest way to it is
// what the test expects to find.
#include "tests/model/run_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include "tests/model/explorer.h"

namespace pawl::model {
namespace {

constexpr std::size_t kStatesMax = 1'500'000;

std::string Told(const Exploration& found) {
  std::string text = found.violation + "\n";
  for (std::size_t i = 0; i < found.trace.size(); ++i) {
    text += fmt::format("{:4}  {}\n", i + 1, found.trace[i]);
  }
  return text;
}

Exploration Explore(const Guards& guards, const RunLimits& limits) {
  const RunModel model(guards, limits);
  const auto began = std::chrono::steady_clock::now();
  const Exploration found = Explorer(model).Run(kStatesMax);
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::cout << fmt::format("{} states, {} steps, {:.1f} s\n", found.states, found.steps, seconds);
  return found;
}

// A sanitizer makes it ten times slower and looks at the code, not at the run: fewer faults will do.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr Small kFewerFaults = 1;
#else
constexpr Small kFewerFaults = 0;
#endif

void ExpectHolds(RunLimits limits) {
  limits.faults = static_cast<Small>(limits.faults - std::min(limits.faults, kFewerFaults));
  const Exploration found = Explore({}, limits);
  EXPECT_TRUE(found.violation.empty()) << Told(found);
  EXPECT_GT(found.states, 1'000u);
}

void ExpectBroken(const Guards& guards, const std::string& how, const RunLimits& limits = {}) {
  const Exploration found = Explore(guards, limits);
  EXPECT_NE(found.violation.find(how), std::string::npos) << Told(found);
  std::cout << Told(found);
}

TEST(RunModelTest, HoldsWithoutFaultsAndCommands) { ExpectHolds({0, 0, 0}); }
TEST(RunModelTest, HoldsWithTwoFaults) { ExpectHolds({2, 0, 0}); }
TEST(RunModelTest, HoldsWithAPauseAndAFault) { ExpectHolds({1, 1, 0}); }
TEST(RunModelTest, HoldsWithAPauseAndARevert) { ExpectHolds({0, 1, 1}); }
TEST(RunModelTest, HoldsWithARevertAndAFault) { ExpectHolds({1, 0, 1}); }
TEST(RunModelTest, HoldsWithAPauseARevertAndAFaultInOneSpan) {
  ExpectHolds({.faults = 1, .pauses = 1, .reverts = 1, .may_split = false});
}

TEST(RunModelTest, WithoutTheEpochALostLeaseCommits) {
  Guards guards;
  guards.fence_epoch = false;
  ExpectBroken(guards, "lost lease");
}

// The epoch rises with every lease, so the cursor says nothing that the epoch has not said. It is
// the second line: without the epoch it still keeps every row right, and without both none is.
TEST(RunModelTest, TheCursorIsTheSecondLineOfTheFence) {
  const RunLimits faults{.faults = static_cast<Small>(2 - kFewerFaults),
                         .pauses = 0,
                         .reverts = 0,
                         .judges_leases = false};
  Guards guards;
  guards.fence_cursor = false;
  EXPECT_EQ(Explore(guards, faults).violation, "");
  guards.fence_cursor = true;
  guards.fence_epoch = false;
  EXPECT_EQ(Explore(guards, faults).violation, "");
  guards.fence_cursor = false;
  ExpectBroken(guards, "Row ", faults);
}

TEST(RunModelTest, WithoutTheEndASplitChangesRowsTwice) {
  Guards guards;
  guards.fence_end = false;
  ExpectBroken(guards, "Row ", {0, 0, 0});
}

TEST(RunModelTest, WithoutTheCursorASplitCutsWhatIsDone) {
  Guards guards;
  guards.split_cursor = false;
  ExpectBroken(guards, "Row ", {0, 0, 0});
}

TEST(RunModelTest, AClaimThatDoesNotRaiseTheEpochFencesNobody) {
  Guards guards;
  guards.claim_raises_epoch = false;
  ExpectBroken(guards, "lost lease");
}

TEST(RunModelTest, AReclaimThatDoesNotWaitKnowsNothing) {
  Guards guards;
  guards.reclaim_waits = false;
  ExpectBroken(guards, "lost lease");
}

TEST(RunModelTest, ARevertThatDoesNotRetireTheForwardSpansLeavesRowsChanged) {
  Guards guards;
  guards.retire_forward = false;
  ExpectBroken(guards, "reverted, and row", {0, 1, 1});
}

}  // namespace
}  // namespace pawl::model
