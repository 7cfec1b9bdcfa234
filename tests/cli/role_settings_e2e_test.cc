// What an administrator has set for the role is for the application, and none of it may stop a run
// or change what it writes.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/cli/clerk_role.h"

namespace pawl::test {
namespace {

std::string Content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class RoleSettingsE2eTest : public testing::Test {
 protected:
  RoleSettingsE2eTest() {
    database_.Exec(
        "CREATE SCHEMA app; CREATE TABLE app.event (id timestamptz PRIMARY KEY, body bytea NOT "
        "NULL, note text, day text);INSERT INTO app.event SELECT '2024-02-01 "
        "12:00+00'::timestamptz + n * interval '7 hours', decode(lpad(to_hex(n), 8, '0'), 'hex'), "
        "'n' FROM generate_series(1, 3000) AS n; ANALYZE app.event;GRANT USAGE ON SCHEMA app TO " +
        role_.name() + "; GRANT SELECT, UPDATE ON app.event TO " + role_.name() +
        "; GRANT CREATE ON DATABASE " + database_.name() + " TO " + role_.name());
  }

  void Set(const std::string& setting) {
    database_.Exec("ALTER ROLE " + role_.name() + " SET " + setting);
  }

  void ExpectThereAndBack(const std::string& pace = "0") {
    const auto hash = [&] {
      return database_.Value(
          "SELECT md5(string_agg(e::text, ',' ORDER BY id)) FROM app.event AS e");
    };
    const std::string before = hash();
    const std::string log = MigrationFile("run.log", "");
    const Finished run =
        RunPawl({"run", file_, "--batch-rows", "300", "--pace", pace, "--log", log}, role_.url());
    EXPECT_EQ(run.exit_code, 0) << run.both();
    // No connection was ended in between, and none had to be made again.
    EXPECT_EQ(database_.Integer("SELECT max(worker_id) FROM pawl.worker"), 1);
    EXPECT_EQ(Content(log).find("connection lost"), std::string::npos);
    EXPECT_NE(run.out.find("3,000 verified, 0 differences"), std::string::npos) << run.out;
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM app.event WHERE note = E'ä\\\\b' AND "
                                "length(day) = 4"),
              3'000);
    EXPECT_EQ(RunPawl({"verify", "1"}, role_.url()).exit_code, 0);
    const Finished revert = RunPawl({"revert", "1"}, role_.url());
    EXPECT_EQ(revert.exit_code, 0) << revert.both();
    EXPECT_EQ(hash(), before);
  }

  TestDatabase database_;
  ClerkRole role_{database_};
  // A backslash, and a value that depends on the form of bytea.
  std::string file_ =
      MigrationFile("mark.sql",
                    "UPDATE app.event SET note = 'ä\\b', body = body || '\\x01'::bytea, day = "
                    "to_char(id, 'YYYY');");
};

TEST_F(RoleSettingsE2eTest, TimeoutsOfOneMillisecond) {
  Set("statement_timeout = '1ms'");
  Set("lock_timeout = '1ms'");
  Set("idle_in_transaction_session_timeout = '1ms'");
  ExpectThereAndBack();
}

// Short enough to end any connection that waits, long enough to let one be made.
TEST_F(RoleSettingsE2eTest, AnIdleSessionTimeout) {
  if (database_.Integer("SHOW server_version_num") < 140000) {
    GTEST_SKIP() << "from PostgreSQL 14 on";
  }
  Set("idle_session_timeout = '50ms'");
  ExpectThereAndBack("3000");
}

TEST_F(RoleSettingsE2eTest, Serializable) {
  Set("default_transaction_isolation = serializable");
  Set("default_transaction_deferrable = on");
  ExpectThereAndBack();
}

TEST_F(RoleSettingsE2eTest, FormsOfValues) {
  Set("TimeZone = 'Asia/Kathmandu'");
  Set("DateStyle = 'SQL, DMY'");
  Set("IntervalStyle = 'sql_standard'");
  Set("bytea_output = escape");
  Set("extra_float_digits = -15");
  Set("client_encoding = 'LATIN1'");
  ExpectThereAndBack();
}

TEST_F(RoleSettingsE2eTest, BackslashesThatEscape) {
  Set("standard_conforming_strings = off");
  Set("escape_string_warning = off");
  ExpectThereAndBack();
}

TEST_F(RoleSettingsE2eTest, ASearchPathToNowhere) {
  Set("search_path = nowhere");
  ExpectThereAndBack();
}

// Triggers and foreign keys would not fire: for this the role must be allowed to set it back.
TEST_F(RoleSettingsE2eTest, TriggersThatDoNotFire) {
  database_.Exec(
      "CREATE TABLE app.fired (n integer); GRANT INSERT ON app.fired TO " + role_.name() +
      "; CREATE FUNCTION app.count() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO "
      "app.fired VALUES (1); RETURN NEW; END'; CREATE TRIGGER t BEFORE UPDATE ON app.event FOR "
      "EACH ROW EXECUTE FUNCTION app.count()");
  Set("session_replication_role = replica");
  const Finished refused = RunPawl({"run", file_}, role_.url());
  EXPECT_EQ(refused.exit_code, 2) << refused.both();
  EXPECT_NE(refused.err.find("session_replication_role"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("RESET"), std::string::npos) << refused.err;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM app.event WHERE note = 'n'"), 3'000);
  if (database_.Integer("SHOW server_version_num") < 150000) return;
  database_.Exec("GRANT SET ON PARAMETER session_replication_role TO " + role_.name());
  const Finished run = RunPawl({"run", file_}, role_.url());
  EXPECT_EQ(run.exit_code, 0) << run.both();
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM app.fired"), 3'000);
}

}  // namespace
}  // namespace pawl::test
