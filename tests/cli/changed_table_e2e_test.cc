// Somebody changes the table underneath a run. It stops with a sentence, nothing else is touched,
// and once the table is as it was, the run carries on.
#include <gtest/gtest.h>

#include "tests/cli/half_run.h"

namespace pawl::test {
namespace {

class ChangedTableE2eTest : public testing::Test {
 protected:
  // Runs `sql` while the run is at work.
  Finished Meanwhile(const std::string& sql) {
    const auto process = StartSlowRun(database_, database_.url());
    database_.Exec(sql);
    return process->Wait();
  }

  void ExpectStopped(const Finished& finished, const std::vector<std::string>& named) {
    EXPECT_EQ(finished.exit_code, 1) << finished.both();
    for (const std::string& word : named) {
      EXPECT_NE(finished.err.find(word), std::string::npos) << word << ": " << finished.err;
    }
    EXPECT_NE(finished.err.find("pawl resume"), std::string::npos) << finished.err;
    EXPECT_EQ(database_.Value("SELECT state FROM pawl.run"), "failed");
  }

  void ExpectItCarriesOn() {
    const Finished rest = RunPawl({"resume", "1", "--pace", "0"}, database_.url());
    EXPECT_EQ(rest.exit_code, 0) << rest.both();
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price::bigint = id + 1"),
              HalfRun::kRows);
  }

  TestDatabase database_;
};

TEST_F(ChangedTableE2eTest, Renamed) {
  ExpectStopped(Meanwhile("ALTER TABLE item RENAME TO thing"), {"item", "as it was planned"});
  database_.Exec("ALTER TABLE thing RENAME TO item");
  ExpectItCarriesOn();
}

// As a schema change by copy does: the name is another table's now, of the same shape.
TEST_F(ChangedTableE2eTest, Replaced) {
  ExpectStopped(
      Meanwhile(
          "BEGIN; CREATE TABLE copy (LIKE item INCLUDING ALL); INSERT INTO copy SELECT id, -id, "
          "label FROM item; ALTER TABLE item RENAME TO thing; ALTER TABLE copy RENAME TO item; "
          "COMMIT"),
      {"Another table has taken the name public.item"});
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = -id"), HalfRun::kRows);
  database_.Exec("DROP TABLE item; ALTER TABLE thing RENAME TO item");
  ExpectItCarriesOn();
}

TEST_F(ChangedTableE2eTest, Dropped) {
  ExpectStopped(Meanwhile("CREATE TABLE other AS SELECT * FROM item; DROP TABLE item"),
                {"item", "as it was planned"});
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM other"), HalfRun::kRows);
  EXPECT_EQ(RunPawl({"abort", "1"}, database_.url()).exit_code, 0);
}

TEST_F(ChangedTableE2eTest, ColumnDropped) {
  ExpectStopped(Meanwhile("ALTER TABLE item DROP COLUMN price"), {"price", "as it was planned"});
}

TEST_F(ChangedTableE2eTest, ColumnOfAnotherType) {
  ExpectStopped(Meanwhile("ALTER TABLE item ALTER COLUMN price TYPE text"), {"as it was planned"});
  database_.Exec("ALTER TABLE item ALTER COLUMN price TYPE bigint USING price::bigint");
  ExpectItCarriesOn();
}

TEST_F(ChangedTableE2eTest, KeyOfAnotherType) {
  ExpectStopped(Meanwhile("ALTER TABLE item ALTER COLUMN id TYPE text"), {"as it was planned"});
  database_.Exec("ALTER TABLE item ALTER COLUMN id TYPE bigint USING id::bigint");
  ExpectItCarriesOn();
}

TEST_F(ChangedTableE2eTest, KeyDropped) {
  ExpectStopped(Meanwhile("ALTER TABLE item DROP CONSTRAINT item_pkey"), {"item_pkey", "index"});
  database_.Exec("ALTER TABLE item ADD PRIMARY KEY (id)");
  ExpectItCarriesOn();
}

TEST_F(ChangedTableE2eTest, PrivilegeDenied) {
  ExpectStopped(
      Meanwhile("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION "
                "''keep out'' USING ERRCODE = ''42501''; END'; CREATE TRIGGER no BEFORE UPDATE ON "
                "item EXECUTE FUNCTION no()"),
      {"keep out", "GRANT"});
  database_.Exec("DROP TRIGGER no ON item");
  ExpectItCarriesOn();
}

}  // namespace
}  // namespace pawl::test
