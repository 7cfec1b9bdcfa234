// pawl drift as a user meets it.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/cli/pawl_process.h"

namespace pawl::test {
namespace {

class DriftE2eTest : public testing::Test {
 protected:
  DriftE2eTest() { MakeItems(database_, 100); }

  Finished Drift(std::vector<std::string> words = {}) {
    words.insert(words.begin(), "drift");
    return RunPawl(words, database_.url());
  }
  void RunFile(const std::string& name, const std::string& sql) {
    const Finished run = RunPawl({"run", MigrationFile(name, sql)}, database_.url());
    ASSERT_EQ(run.exit_code, 0) << run.both();
  }
  void ExpectNone(const std::string& as) {
    const Finished drift = Drift();
    EXPECT_EQ(drift.exit_code, 0) << drift.both();
    EXPECT_NE(drift.out.find("No difference"), std::string::npos) << drift.out;
    EXPECT_NE(drift.out.find(as), std::string::npos) << drift.out;
  }
  void ExpectRefused(const std::vector<std::string>& words, const std::string& named) {
    const Finished drift = Drift(words);
    EXPECT_EQ(drift.exit_code, 2) << drift.both();
    EXPECT_NE(drift.err.find(named), std::string::npos) << drift.err;
  }

  TestDatabase database_;
};

TEST_F(DriftE2eTest, WhatSomebodyChangedSinceTheRunIsPrintedAsSql) {
  ExpectRefused({}, "No picture of the schema");
  RunFile("add.sql",
          "ALTER TABLE item ADD COLUMN cents bigint; CREATE INDEX item_cents ON item (cents);");
  ExpectNone("run 1 had ended");
  database_.Exec("DROP INDEX item_cents; ALTER TABLE item ADD COLUMN hidden text");
  const Finished drift = Drift();
  EXPECT_EQ(drift.exit_code, 3) << drift.both();
  EXPECT_NE(drift.out.find("\n-- loses data: ALTER TABLE public.item DROP COLUMN hidden;\n"),
            std::string::npos)
      << drift.out;
  const auto json = Drift({"--json"}).LastJson().as_object();
  EXPECT_EQ(json.at("exit"), 3);
  EXPECT_EQ(json.at("run"), 1);
  EXPECT_EQ(json.at("statements").as_array().at(0).at("loses_data"), true);
  // What is printed can be run as it is, and loses nothing.
  database_.Exec(drift.out);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_indexes WHERE indexname = 'item_cents'"), 1);
  EXPECT_EQ(Drift().exit_code, 3);
  database_.Exec("ALTER TABLE item DROP COLUMN hidden");
  ExpectNone("run 1 had ended");
}

TEST_F(DriftE2eTest, ARunOfBatchesAloneHidesNoDrift) {
  RunFile("add.sql", "ALTER TABLE item ADD COLUMN cents bigint");
  database_.Exec("CREATE TABLE hidden (id integer)");
  RunFile("fill.sql", "UPDATE item SET cents = 1");
  EXPECT_EQ(Drift().exit_code, 3);
  ASSERT_EQ(RunPawl({"revert", "2"}, database_.url()).exit_code, 0);
  EXPECT_EQ(Drift().exit_code, 3);
  database_.Exec("DROP TABLE hidden");
  ASSERT_EQ(RunPawl({"revert", "1"}, database_.url()).exit_code, 0);
  ExpectNone("run 1 had ended");
}

TEST_F(DriftE2eTest, WhatIsRightIsRecordedByHand) {
  const Finished recorded = Drift({"--record"});
  EXPECT_EQ(recorded.exit_code, 0) << recorded.both();
  ExpectNone("recorded it");
  database_.Exec("COMMENT ON TABLE item IS 'sold'");
  EXPECT_EQ(Drift().exit_code, 3);
  EXPECT_EQ(Drift({"--record"}).exit_code, 0);
  ExpectNone("recorded it");
}

TEST_F(DriftE2eTest, TwoDatabasesAreCompared) {
  TestDatabase other;
  MakeItems(other, 1);
  EXPECT_EQ(Drift({"--other", other.url()}).exit_code, 0);
  other.Exec("CREATE VIEW cheap AS SELECT id FROM item WHERE price < 10");
  const Finished drift = Drift({"--other", other.url()});
  EXPECT_EQ(drift.exit_code, 3) << drift.both();
  EXPECT_NE(drift.out.find("CREATE VIEW public.cheap"), std::string::npos) << drift.out;
  EXPECT_EQ(database_.Value("SELECT to_regnamespace('pawl')"), "NULL");
  ExpectRefused({"--other", "postgresql:///no_such_database?host=/nowhere"}, "nowhere");
  ExpectRefused({"--other", other.url(), "--record"}, "--record");
}

TEST_F(DriftE2eTest, APictureThatDoesNotFitIsNotComparedWith) {
  RunFile("add.sql", "ALTER TABLE item ADD COLUMN cents bigint");
  database_.Exec("UPDATE pawl.picture SET server_version = 90000");
  ExpectRefused({}, "recorded on PostgreSQL 9");
  database_.Exec("UPDATE pawl.picture SET recorded_at = '2000-01-01'");
  ExpectRefused({}, "Run 1 ended after the picture");
  database_.Exec("UPDATE pawl.picture SET content = '{'");
  ExpectRefused({}, "cannot be read");
  EXPECT_EQ(Drift({"--record"}).exit_code, 0);
  ExpectNone("recorded it");
}

}  // namespace
}  // namespace pawl::test
