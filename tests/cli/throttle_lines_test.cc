#include "cli/throttle_lines.h"

#include <gtest/gtest.h>

namespace pawl::cli {
namespace {

engine::ThrottleReport Held() {
  engine::ThrottleReport report;
  report.run = 7;
  report.migration = "add_total";
  report.state = "running";
  report.decided = true;
  report.level_max = 2;
  report.held = true;
  report.signal = "replica_lag";
  report.sentence = "held: replica r2 is 9.1 s behind (limit 5 s)";
  report.signals = {
      {"replica_lag", "budget", 9.1, 5, 1.82, true, 0.1, "replica r2 is 9.1 s behind (limit 5 s)"},
      {"query", "budget", 0, 0, 0, false, 0.1, "query cannot be read: gone"}};
  report.minute = {
      {3, 1.5, false, ""}, {2, 0, true, report.sentence}, {1, 0, true, report.sentence}};
  report.values = {{"limit.replica_lag", "5s"}};
  report.changes = {{"2026-01-01 10:00:00 UTC", "alice", "db1", "limit.replica_lag=5s"}};
  return report;
}

TEST(ThrottleLinesTest, OneSentenceSaysWhy) {
  EXPECT_EQ(ThrottleText(Held(), false),
            "Run 7 (add_total) is running: held: replica r2 is 9.1 s behind (limit 5 s)");
}

TEST(ThrottleLinesTest, WhyShowsSignalsTheLastMinuteAndWhoSetWhat) {
  EXPECT_EQ(ThrottleText(Held(), true),
            "Run 7 (add_total) is running: held: replica r2 is 9.1 s behind (limit 5 s)\n"
            "  replica_lag        budget   182 %  replica r2 is 9.1 s behind (limit 5 s)\n"
            "  query              budget  unread  query cannot be read: gone\n"
            "The last minute\n"
            "    3 s ago  1.50 workers of 2\n"
            "    2 s ago  held: replica r2 is 9.1 s behind (limit 5 s)\n"
            "Settings\n"
            "  limit.replica_lag=5s\n"
            "Set by hand\n"
            "  2026-01-01 10:00:00 UTC alice from db1: limit.replica_lag=5s");
}

TEST(ThrottleLinesTest, FullSpeedAndNobodyToDecide) {
  engine::ThrottleReport report = Held();
  report.held = false;
  report.sentence = "";
  report.level = 2;
  report.application_present = false;
  EXPECT_EQ(ThrottleText(report, false),
            "Run 7 (add_total) is running: at full speed: nobody else is at work in the database\n"
            "  level 2.00 of 2 workers' worth");
  report.age_seconds = 60;
  EXPECT_NE(ThrottleText(report, false).find("no process has decided anything for"),
            std::string::npos);
  report.decided = false;
  EXPECT_NE(ThrottleText(report, false).find("nothing was decided yet"), std::string::npos);
}

}  // namespace
}  // namespace pawl::cli
