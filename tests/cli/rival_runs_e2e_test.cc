// Two migrations at one table: the second waits for its turn, in so many words.
#include <gtest/gtest.h>

#include "tests/cli/half_run.h"

namespace pawl::test {
namespace {

class RivalRunsE2eTest : public testing::Test {
 protected:
  TestDatabase database_;
  HalfRun half_{database_};
};

TEST_F(RivalRunsE2eTest, TheSecondIsRefusedWhileTheFirstIsUnfinished) {
  const std::string rival = MigrationFile("rival.sql", "UPDATE item SET label = label || '!';");
  const std::string rows = half_.Hash();
  const Finished refused = RunPawl({"run", rival}, database_.url());
  EXPECT_EQ(refused.exit_code, 2) << refused.both();
  EXPECT_NE(refused.err.find("Run 1 (raise) is paused and works on public.item"), std::string::npos)
      << refused.err;
  EXPECT_NE(refused.err.find("pawl resume 1"), std::string::npos) << refused.err;
  EXPECT_EQ(half_.Hash(), rows);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.run"), 1);

  half_.ExpectItCarriesOn();
  EXPECT_EQ(RunPawl({"run", rival}, database_.url()).exit_code, 0);
}

TEST_F(RivalRunsE2eTest, OtherTablesAreFree) {
  database_.Exec(
      "CREATE TABLE other (id bigint PRIMARY KEY, n integer); INSERT INTO other VALUES (1, 1)");
  const std::string free = MigrationFile("free.sql", "UPDATE other SET n = n + 1;");
  const Finished run = RunPawl({"run", free}, database_.url());
  EXPECT_EQ(run.exit_code, 0) << run.both();
}

// What is inserted is undone by its keys: it is work on that table, and not on the source only.
TEST_F(RivalRunsE2eTest, ATableThatIsInsertedIntoIsWorkedOn) {
  database_.Exec(
      "CREATE TABLE copy (id bigint PRIMARY KEY, label text);"
      "CREATE TABLE one (id bigint PRIMARY KEY, label text);"
      "INSERT INTO one SELECT g, 'x' FROM generate_series(1, 2000) AS g;"
      "CREATE TABLE two (id bigint PRIMARY KEY, label text);"
      "INSERT INTO two VALUES (-1, 'y')");
  const std::string slow = MigrationFile(
      "one.sql",
      "-- pawl: order=key batch_rows=100\nINSERT INTO copy (id, label) SELECT id, label FROM one;");
  PawlProcess first({"run", slow, "--pace", "1000"}, database_.url());
  ASSERT_TRUE(WaitUntil([&] { return database_.Integer("SELECT count(*) FROM copy") > 0; }));
  for (const char* sql : {"INSERT INTO copy (id, label) SELECT id, label FROM two;",
                          "UPDATE copy SET label = label || '!';"}) {
    const Finished refused = RunPawl({"run", MigrationFile("rival.sql", sql)}, database_.url());
    EXPECT_EQ(refused.exit_code, 2) << refused.both();
    EXPECT_NE(refused.err.find("works on public.copy as well"), std::string::npos) << refused.err;
  }
  EXPECT_EQ(first.Wait().exit_code, 0);
}

// Taking back a finished run is work on its table, too.
TEST_F(RivalRunsE2eTest, ARevertIsRefusedWhileAnotherRunIsUnfinished) {
  half_.ExpectItCarriesOn();
  const std::string slow = MigrationFile(
      "mark.sql", "-- pawl: order=key batch_rows=100\nUPDATE item SET label = label || '!';");
  PawlProcess second({"run", slow, "--pace", "1300"}, database_.url());
  ASSERT_TRUE(WaitUntil(
      [&] { return database_.Integer("SELECT count(*) FROM item WHERE label LIKE '%!'") > 0; }));
  const Finished revert = RunPawl({"revert", "1"}, database_.url());
  EXPECT_EQ(revert.exit_code, 2) << revert.both();
  EXPECT_NE(revert.err.find("Run 2 (mark)"), std::string::npos) << revert.err;
  EXPECT_EQ(half_.RowsChanged(), HalfRun::kRows);
  EXPECT_EQ(second.Wait().exit_code, 0);
  EXPECT_EQ(RunPawl({"revert", "1"}, database_.url()).exit_code, 0);
}

}  // namespace
}  // namespace pawl::test
