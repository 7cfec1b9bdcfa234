// Rows of the control schema that another version wrote, or somebody's hand: a sentence, no crash,
// and no row of the user's is touched.
#include <gtest/gtest.h>

#include "tests/cli/half_run.h"

namespace pawl::test {
namespace {

class DamagedControlE2eTest : public testing::Test {
 protected:
  std::string Runs() {
    return database_.Value(
        "SELECT string_agg(r::text, ',' ORDER BY run_id) || (SELECT count(*) FROM pawl.worker) || "
        "(SELECT count(*) FROM pawl.audit) FROM pawl.run AS r");
  }

  // The exit code, a sentence with all of `named`, and neither data nor runs changed.
  void ExpectRefused(const std::vector<std::string>& words, int exit_code,
                     const std::vector<std::string>& named) {
    SCOPED_TRACE(words[0]);
    const std::string rows = half_.Hash();
    const std::string runs = Runs();
    const Finished finished = RunPawl(words, database_.url());
    EXPECT_EQ(finished.exit_code, exit_code) << finished.both();
    for (const std::string& word : named) {
      EXPECT_NE(finished.err.find(word), std::string::npos) << word << ": " << finished.err;
    }
    EXPECT_EQ(half_.Hash(), rows);
    EXPECT_EQ(Runs(), runs);
  }

  // Every command that would carry the run on.
  void ExpectAllRefused(int exit_code, const std::vector<std::string>& named) {
    ExpectRefused(half_.command(), exit_code, named);
    for (const char* command : {"resume", "worker", "revert"}) {
      ExpectRefused({command, half_.run()}, exit_code, named);
    }
  }

  TestDatabase database_;
  HalfRun half_{database_};
};

TEST_F(DamagedControlE2eTest, AControlSchemaOfAnotherVersion) {
  database_.Exec("UPDATE pawl.version SET version = 7");
  ExpectAllRefused(2, {"version 7", "versions 1 to 2"});
  ExpectRefused({"status"}, 2, {"version 7", "versions 1 to 2"});
  database_.Exec("UPDATE pawl.version SET version = 0");
  ExpectAllRefused(2, {"version 0", "versions 1 to 2"});
  database_.Exec("DELETE FROM pawl.version");
  ExpectAllRefused(2, {"version 0", "versions 1 to 2"});
  database_.Exec("INSERT INTO pawl.version VALUES (1, 'pawl')");
  half_.ExpectItCarriesOn();
}

TEST_F(DamagedControlE2eTest, APlanOfAnotherVersion) {
  database_.Exec("UPDATE pawl.plan SET version = 7");
  ExpectAllRefused(2, {"plan format 7", "reads 1 to 3"});
  const Finished status = RunPawl({"status", "1"}, database_.url());
  EXPECT_EQ(status.exit_code, 0) << status.both();
  EXPECT_NE(status.out.find("plan format 7"), std::string::npos) << status.out;
  database_.Exec("UPDATE pawl.plan SET version = 3");
  half_.ExpectItCarriesOn();
}

TEST_F(DamagedControlE2eTest, APlanThatIsNoJsonCanBeGivenUp) {
  database_.Exec("UPDATE pawl.plan SET content = left(content, 200)");
  ExpectAllRefused(1, {"plan cannot be read"});
  EXPECT_EQ(RunPawl({"status"}, database_.url()).exit_code, 0);
  const Finished abort = RunPawl({"abort", half_.run()}, database_.url());
  EXPECT_EQ(abort.exit_code, 0) << abort.both();
  EXPECT_EQ(database_.Value("SELECT state FROM pawl.run"), "aborted");
}

// It would be read without complaint, and do something else.
TEST_F(DamagedControlE2eTest, APlanThatSaysSomethingElseNow) {
  database_.Exec("UPDATE pawl.plan SET content = replace(content, 'price + 1', 'price + 2')");
  ExpectAllRefused(1, {"was changed by hand", "pawl abort"});
}

TEST_F(DamagedControlE2eTest, AStateThatDoesNotExist) {
  database_.Exec("UPDATE pawl.run SET state = 'dancing'");
  ExpectAllRefused(2, {"dancing", "pawl.audit"});
  for (const char* command : {"pause", "abort", "verify"}) {
    ExpectRefused({command, half_.run()}, 2, {"dancing"});
  }
  EXPECT_EQ(RunPawl({"status"}, database_.url()).exit_code, 0);
}

// These are met in the middle of the work: the run fails there, and its state says why.
TEST_F(DamagedControlE2eTest, ACursorThatIsNone) {
  for (const char* cursor : {"banana", "{}", "[1, 2", R"({"at": ["1", {}]})", R"({"at": 17})"}) {
    SCOPED_TRACE(cursor);
    const std::string rows = half_.Hash();
    database_.Exec("CREATE TABLE IF NOT EXISTS kept AS SELECT span_id, cursor FROM pawl.span");
    database_.Exec(std::string("UPDATE pawl.span SET cursor = $x$") + cursor +
                   "$x$ WHERE NOT done");
    const Finished finished = RunPawl(half_.command(), database_.url());
    EXPECT_EQ(finished.exit_code, 1) << finished.both();
    EXPECT_NE(finished.err.find(cursor), std::string::npos) << finished.err;
    EXPECT_EQ(half_.Hash(), rows);
  }
  database_.Exec(
      "UPDATE pawl.span AS s SET cursor = k.cursor FROM kept AS k WHERE s.span_id = k.span_id");
  half_.ExpectItCarriesOn();
}

TEST_F(DamagedControlE2eTest, ACursorOfAnotherKey) {
  for (const char* cursor : {R"({"at": ["banana"]})", R"({"at": ["1", "2"]})", R"({"at": []})",
                             R"({"at": ["1"], "window": [null, ["9"]], "residues": [0, 99]})",
                             R"({"at": ["1"], "window": [null, ["9"]], "residues": [1, 1]})"}) {
    SCOPED_TRACE(cursor);
    const std::string rows = half_.Hash();
    database_.Exec(std::string("UPDATE pawl.span SET cursor = $x$") + cursor +
                   "$x$ WHERE NOT done");
    const Finished finished = RunPawl(half_.command(), database_.url());
    EXPECT_EQ(finished.exit_code, 1) << finished.both();
    EXPECT_EQ(half_.Hash(), rows);
  }
}

TEST_F(DamagedControlE2eTest, ACursorThatWasMovedBackChangesNoRowTwice) {
  database_.Exec("CREATE TABLE kept AS SELECT span_id, cursor FROM pawl.span");
  for (const char* cursor : {R"({"at":null})", R"({"at":["50"]})"}) {
    SCOPED_TRACE(cursor);
    const std::string rows = half_.Hash();
    database_.Exec(std::string("UPDATE pawl.span SET cursor = $x$") + cursor + "$x$");
    const Finished finished = RunPawl(half_.command(), database_.url());
    EXPECT_EQ(finished.exit_code, 1) << finished.both();
    EXPECT_NE(finished.err.find("changed by hand"), std::string::npos) << finished.err;
    EXPECT_EQ(half_.Hash(), rows);
  }
  database_.Exec(
      "UPDATE pawl.span AS s SET cursor = k.cursor FROM kept AS k WHERE s.span_id = k.span_id");
  half_.ExpectItCarriesOn();
}

TEST_F(DamagedControlE2eTest, OptionsOfARevertThatAreNone) {
  database_.Exec("UPDATE pawl.run SET state = 'failed', revert_options = 'banana'");
  const std::string rows = half_.Hash();
  const Finished resumed = RunPawl({"resume", half_.run()}, database_.url());
  EXPECT_EQ(resumed.exit_code, 1) << resumed.both();
  EXPECT_NE(resumed.err.find("banana"), std::string::npos) << resumed.err;
  EXPECT_EQ(half_.Hash(), rows);
  const Finished revert = RunPawl({"revert", half_.run()}, database_.url());
  EXPECT_EQ(revert.exit_code, 0) << revert.both();
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id"), HalfRun::kRows);
}

TEST_F(DamagedControlE2eTest, WorkersAndAPaceThatAreNone) {
  database_.Exec("UPDATE pawl.run SET workers = 0, pace = -5");
  EXPECT_EQ(RunPawl({"resume", half_.run()}, database_.url()).exit_code, 0);
  EXPECT_EQ(half_.RowsChanged(), HalfRun::kRows);
}

// Told to people and used for nothing else.
TEST_F(DamagedControlE2eTest, TimesThatAreNoneStopNothing) {
  database_.Exec(
      "UPDATE pawl.run SET working_ms = 9223372036854775807, wal_bytes = 9223372036854775807");
  half_.ExpectItCarriesOn();
  EXPECT_EQ(RunPawl({"status", half_.run()}, database_.url()).exit_code, 0);
  EXPECT_EQ(RunPawl({"revert", half_.run()}, database_.url()).exit_code, 0);
  EXPECT_EQ(half_.RowsChanged(), 0);
}

}  // namespace
}  // namespace pawl::test
