// Proof, and the way back.
#include <gtest/gtest.h>

#include "tests/cli/pawl_process.h"

namespace pawl::test {
namespace {

constexpr std::int64_t kRows = 10'000;

class VerifyRevertE2eTest : public testing::Test {
 protected:
  VerifyRevertE2eTest() {
    MakeItems(database_, kRows);
    const std::string file =
        MigrationFile("double_price.sql", "UPDATE item SET price = price * 2;");
    const Finished run = RunPawl({"run", file, "--json"}, database_.url());
    EXPECT_EQ(run.exit_code, 0) << run.both();
    run_ = std::to_string(run.LastJson().as_object().at("run").as_int64());
  }

  Finished Pawl(std::vector<std::string> words) { return RunPawl(words, database_.url()); }

  std::int64_t RowsAsBefore() {
    return database_.Integer("SELECT count(*) FROM item WHERE price = id");
  }

  TestDatabase database_;
  std::string run_;
};

TEST_F(VerifyRevertE2eTest, VerifyProvesAgain) {
  const Finished verify = Pawl({"verify", run_});
  EXPECT_EQ(verify.exit_code, 0) << verify.both();
  EXPECT_NE(verify.out.find("10,000 rows verified"), std::string::npos) << verify.out;
}

TEST_F(VerifyRevertE2eTest, VerifyNamesTheKeyOfAPoisonedRow) {
  database_.Exec("UPDATE item SET price = price + 1 WHERE id = 4711");
  const Finished verify = Pawl({"verify", run_});
  EXPECT_EQ(verify.exit_code, 3) << verify.both();
  EXPECT_NE(verify.out.find("4711"), std::string::npos) << verify.out;
  const Finished json = Pawl({"verify", run_, "--json"});
  EXPECT_EQ(json.exit_code, 3);
  const auto result = json.LastJson().as_object();
  EXPECT_EQ(result.at("passed"), false);
  EXPECT_EQ(result.at("differences_count"), 1);
}

TEST_F(VerifyRevertE2eTest, RevertRestoresEveryRow) {
  const Finished revert = Pawl({"revert", run_});
  EXPECT_EQ(revert.exit_code, 0) << revert.both();
  EXPECT_NE(revert.out.find("Taken back: 10,000 rows"), std::string::npos) << revert.out;
  EXPECT_EQ(RowsAsBefore(), kRows);
  EXPECT_EQ(Pawl({"revert", run_}).exit_code, 0);
  EXPECT_EQ(RowsAsBefore(), kRows);
}

TEST_F(VerifyRevertE2eTest, ValidateOnlyWritesNothing) {
  database_.Exec("UPDATE item SET price = -1 WHERE id = 17");
  const Finished preview = Pawl({"revert", run_, "--validate-only"});
  EXPECT_EQ(preview.exit_code, 5) << preview.both();
  EXPECT_NE(preview.out.find("17"), std::string::npos) << preview.out;
  EXPECT_EQ(RowsAsBefore(), 0);
}

TEST_F(VerifyRevertE2eTest, RevertStopsAtAConflict) {
  database_.Exec("UPDATE item SET price = -1 WHERE id = 17");
  const Finished revert = Pawl({"revert", run_});
  EXPECT_EQ(revert.exit_code, 5) << revert.both();
  EXPECT_EQ(database_.Integer("SELECT price FROM item WHERE id = 17"), -1);
}

TEST_F(VerifyRevertE2eTest, RevertLeavesAConflictAlone) {
  database_.Exec("UPDATE item SET price = -1 WHERE id = 17");
  const Finished revert = Pawl({"revert", run_, "--on-conflict", "skip"});
  EXPECT_EQ(revert.exit_code, 5) << revert.both();
  EXPECT_EQ(database_.Integer("SELECT price FROM item WHERE id = 17"), -1);
  EXPECT_EQ(RowsAsBefore(), kRows - 1);
}

TEST_F(VerifyRevertE2eTest, RevertOverwritesAConflictWhenForced) {
  database_.Exec("UPDATE item SET price = -1 WHERE id = 17");
  const Finished revert = Pawl({"revert", run_, "--on-conflict", "force"});
  EXPECT_EQ(revert.exit_code, 0) << revert.both();
  EXPECT_EQ(RowsAsBefore(), kRows);
}

// What was passed under one policy is not silently passed again under another.
TEST_F(VerifyRevertE2eTest, ForceBehindASkipSaysWhyItCannot) {
  database_.Exec("UPDATE item SET price = -1 WHERE id = 17");
  ASSERT_EQ(Pawl({"revert", run_, "--on-conflict", "skip"}).exit_code, 5);
  const Finished force = Pawl({"revert", run_, "--on-conflict", "force"});
  EXPECT_EQ(force.exit_code, 2) << force.both();
  EXPECT_NE(force.err.find("1 rows"), std::string::npos) << force.err;
  EXPECT_NE(force.err.find("pawl.undo_1_1"), std::string::npos) << force.err;
  EXPECT_NE(force.err.find("Nothing was changed"), std::string::npos) << force.err;
  EXPECT_EQ(database_.Integer("SELECT price FROM item WHERE id = 17"), -1);
  EXPECT_EQ(database_.Integer("SELECT o1[1] FROM pawl.undo_1_1 LIMIT 1") > 0, true);
}

TEST(RevertColumnE2eTest, ForceBehindASkipDropsTheColumnThatWasKept) {
  TestDatabase database;
  MakeItems(database, 500);
  const std::string file = MigrationFile(
      "twice.sql",
      "ALTER TABLE item ADD COLUMN twice bigint;\nUPDATE item SET twice = price * 2 WHERE twice IS NULL;");
  ASSERT_EQ(RunPawl({"run", file}, database.url()).exit_code, 0);
  database.Exec("UPDATE item SET twice = -1 WHERE id = 17");
  const Finished skip = RunPawl({"revert", "1", "--on-conflict", "skip"}, database.url());
  EXPECT_EQ(skip.exit_code, 5) << skip.both();
  EXPECT_EQ(database.Integer("SELECT count(twice) FROM item"), 1);
  const Finished force = RunPawl({"revert", "1", "--on-conflict", "force"}, database.url());
  EXPECT_EQ(force.exit_code, 0) << force.both();
  EXPECT_EQ(database.Integer("SELECT count(*) FROM pg_attribute WHERE attrelid = 'item'::regclass "
                             "AND attname = 'twice'"),
            0);
  EXPECT_EQ(RunPawl({"revert", "1"}, database.url()).exit_code, 0);
}

TEST_F(VerifyRevertE2eTest, OneBatchIsTakenBack) {
  const Row batch = database_
                        .Rows(
                            "SELECT batch_id, rows FROM pawl.ledger WHERE kind = 'change' AND "
                            "rows > 0 ORDER BY batch_id LIMIT 1")
                        .at(0);
  const Finished revert = Pawl({"revert", run_, "--batch", batch.at(0)});
  EXPECT_EQ(revert.exit_code, 0) << revert.both();
  EXPECT_EQ(RowsAsBefore(), std::stoll(batch.at(1)));
}

}  // namespace
}  // namespace pawl::test
