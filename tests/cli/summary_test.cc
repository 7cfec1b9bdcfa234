#include "cli/summary.h"

#include <gtest/gtest.h>

#include "cli/json.h"

namespace pawl::cli {
namespace {

engine::RunResult Completed() {
  engine::RunResult result;
  result.run = 7;
  result.migration = "add_total";
  result.state = "completed";
  result.rows_done = 1'000'000;
  result.rows_estimated = 1'010'000;
  result.seconds = 6.2;
  result.verification.emplace();
  result.verification->passed = true;
  result.verification->rows_verified = 1'000'000;
  return result;
}

TEST(SummaryTest, DoneAndProved) {
  EXPECT_EQ(RunSummary(Completed()),
            "Done and proved: 1,000,000 rows changed, 1,000,000 verified, 0 differences, in 6.2 s "
            "(161,290 rows/s). Take it back with: pawl revert 7");
}

TEST(SummaryTest, NeverClaimsAProofThatWasNotMade) {
  engine::RunResult result = Completed();
  result.verification.reset();
  EXPECT_EQ(RunSummary(result),
            "Done, not verified: 1,000,000 rows changed, in 6.2 s (161,290 rows/s). Prove it with: "
            "pawl verify 7");
}

TEST(SummaryTest, AlreadyDoneIsSaid) {
  engine::RunResult result = Completed();
  result.already_done = true;
  EXPECT_EQ(RunSummary(result),
            "Nothing to do: add_total is already done, by run 7 (1,000,000 rows). Take it back "
            "with: pawl revert 7");
}

TEST(SummaryTest, ARevertAskedForAgainStillNamesItsConflicts) {
  engine::RunResult result = Completed();
  result.state = "reverted";
  result.already_done = true;
  EXPECT_EQ(RevertSummary(result), "Nothing to do: run 7 (add_total) is already taken back.");
  result.conflicts = 3;
  EXPECT_EQ(RevertSummary(result),
            "Nothing to do: run 7 (add_total) is already taken back. Left alone: 3 conflicts: rows "
            "the application has changed since. List: SELECT * FROM pawl.conflict WHERE run_id = "
            "7");
}

TEST(SummaryTest, PausedAndFailedSayHowToCarryOn) {
  engine::RunResult result = Completed();
  result.verification.reset();
  result.rows_done = 423'000;
  result.state = "paused";
  EXPECT_EQ(RunSummary(result),
            "Run 7 (add_total) is paused. 423,000 of about 1,010,000 rows changed and kept. Carry "
            "on with: pawl resume 7");
  result.reason = "paused by an interrupt";
  EXPECT_TRUE(
      RunSummary(result).starts_with("Run 7 (add_total) is paused by an interrupt. 423,000"));
  result.state = "failed";
  result.reason = "the server is gone";
  EXPECT_EQ(RunSummary(result),
            "Run 7 (add_total) failed: the server is gone. 423,000 of about 1,010,000 rows changed "
            "and kept. Carry on with: pawl resume 7. Give it up with: pawl abort 7");
}

TEST(SummaryTest, DifferencesAreNamedUpToTwenty) {
  engine::VerifyReport report;
  report.differences_count = 345;
  for (int i = 1; i <= 100; ++i) {
    report.differences.push_back({2, "public.orders", std::to_string(i), "holds another value"});
  }
  const std::string text = VerifySummary(7, report);
  EXPECT_NE(text.find("public.orders (20): holds another value\n  … and 325 more"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("(21)"), std::string::npos);
}

TEST(SummaryTest, RevertSaysWhatWasLeft) {
  engine::RunResult result = Completed();
  result.state = "reverted";
  EXPECT_EQ(RevertSummary(result),
            "Taken back: 1,000,000 rows of run 7, in 6.2 s (161,290 rows/s).");
  result.conflicts = 2;
  EXPECT_NE(RevertSummary(result).find("Left alone: 2 conflicts"), std::string::npos);
}

TEST(SummaryTest, ARevertThatDoesNotEndSaysWhyAndHowToGoOn) {
  engine::RunResult result = Completed();
  result.rows_done = 10;
  result.conflicts = 2;
  result.state = "failed";
  result.reason = "Make room on the server's disk.";
  EXPECT_EQ(RevertSummary(result),
            "Reverting run 7 (add_total) failed: Make room on the server's disk. 10 rows taken "
            "back so far. Carry on with: pawl resume 7. Left alone: 2 conflicts: rows the "
            "application has changed since. List: SELECT * FROM pawl.conflict WHERE run_id = 7");
  result.stopped_at_conflict = true;
  result.reason = "Row 17 was changed. Choose --on-conflict skip";
  EXPECT_EQ(RevertSummary(result),
            "Reverting run 7 (add_total) stopped: Row 17 was changed. Choose --on-conflict skip. "
            "10 rows taken back so far.");
  result = Completed();
  result.rows_done = 10;
  result.state = "paused";
  result.reason = "paused by an interrupt";
  EXPECT_EQ(RevertSummary(result),
            "Reverting run 7 (add_total) is paused by an interrupt. 10 rows taken back so far. "
            "Carry on with: pawl resume 7");
  result.state = "aborted";
  result.reason.clear();
  EXPECT_EQ(RevertSummary(result),
            "Reverting run 7 (add_total) is aborted. 10 rows taken back so far.");
}

TEST(JsonTest, AResultHasItsMembersWithAndWithoutAProof) {
  engine::RunResult result = Completed();
  for (const bool verified : {true, false}) {
    if (!verified) result.verification.reset();
    const auto object = ResultEvent(ToJson(result), 0).as_object();
    for (const char* name : {"event", "run", "migration", "state", "rows_done", "rows_estimated",
                             "rows_verified", "rows_quarantined", "seconds", "verify_seconds",
                             "wal_bytes", "undo_bytes", "differences", "conflicts", "exit"}) {
      EXPECT_TRUE(object.contains(name)) << name;
    }
    EXPECT_EQ(object.at("passed").is_null(), !verified);
  }
}

TEST(JsonTest, NumbersReadAsPeopleWriteThem) {
  EXPECT_EQ(OnOneLine({{"a", 6.2}, {"b", 1.0}, {"c", "x\"\n"}, {"d", {1, nullptr, true}}}),
            R"({"a":6.2,"b":1,"c":"x\"\n","d":[1,null,true]})");
}

}  // namespace
}  // namespace pawl::cli
