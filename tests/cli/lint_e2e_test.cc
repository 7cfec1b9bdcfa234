// `pawl lint` as a person and as CI run it.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/cli/pawl_process.h"
#include "tests/support/test_database.h"

namespace pawl::test {
namespace {

namespace json = boost::json;

constexpr const char* kFile =
    "ALTER TABLE orders ALTER COLUMN note SET NOT NULL;\n"
    "ALTER TABLE orders ALTER COLUMN code TYPE varchar(20);\n"
    "ALTER TABLE orders DROP COLUMN total;\n"
    "UPDATE orders SET note = 'x' WHERE id < 10;\n";

class LintE2eTest : public testing::Test {
 protected:
  std::string file_ = MigrationFile("change.sql", kFile);
};

TEST_F(LintE2eTest, NeedsNoDatabaseAndSaysWhatWouldHurt) {
  const Finished lint = RunPawl({"lint", file_}, "");
  EXPECT_EQ(lint.exit_code, 4) << lint.both();
  EXPECT_NE(lint.out.find(":1: error: set_not_null: ALTER TABLE … ALTER COLUMN … SET NOT NULL"),
            std::string::npos)
      << lint.out;
  EXPECT_NE(lint.out.find(":2: warning: alter_column_type"), std::string::npos) << lint.out;
  EXPECT_NE(lint.out.find("1 file: 1 error, 3 warnings, 0 notes."), std::string::npos) << lint.out;
}

TEST_F(LintE2eTest, TheExitCodeIsForTheReaderToChoose) {
  EXPECT_EQ(RunPawl({"lint", file_, "--fail-on", "never"}, "").exit_code, 0);
  const std::string harmless = MigrationFile("new.sql", "CREATE TABLE t (a int);");
  EXPECT_EQ(RunPawl({"lint", harmless, "--fail-on", "note"}, "").exit_code, 0);
  const std::string loss = MigrationFile("loss.sql", "DROP TABLE t;");
  EXPECT_EQ(RunPawl({"lint", loss}, "").exit_code, 0);
  EXPECT_EQ(RunPawl({"lint", loss, "--fail-on", "warning"}, "").exit_code, 4);
}

TEST_F(LintE2eTest, WhatIsNoSqlIsBadInput) {
  const Finished lint = RunPawl({"lint", MigrationFile("bad.sql", "ALTER TABEL t;")}, "");
  EXPECT_EQ(lint.exit_code, 2) << lint.both();
  EXPECT_NE(lint.err.find("line 1"), std::string::npos) << lint.err;
  EXPECT_EQ(RunPawl({"lint", "/nowhere.sql"}, "").exit_code, 2);
}

TEST_F(LintE2eTest, JsonAndSarifAreForPrograms) {
  const json::value findings = json::parse(RunPawl({"lint", file_, "--json"}, "").out);
  ASSERT_EQ(findings.as_array().size(), 4U);
  EXPECT_EQ(findings.at(0).at("rule").as_string(), "set_not_null");
  EXPECT_EQ(findings.at(0).at("line").as_int64(), 1);
  const json::value sarif = json::parse(RunPawl({"lint", file_, "--format", "sarif"}, "").out);
  EXPECT_EQ(sarif.at("version").as_string(), "2.1.0");
  const json::value& result = sarif.at("runs").at(0).at("results").at(0);
  EXPECT_EQ(result.at("ruleId").as_string(), "set_not_null");
  EXPECT_EQ(result.at("level").as_string(), "error");
}

TEST_F(LintE2eTest, ADatabaseSettlesWhatTheTextDoesNotShow) {
  TestDatabase database;
  database.Exec(
      "CREATE TABLE orders (id bigint PRIMARY KEY, note text, code varchar(10), total numeric);"
      "INSERT INTO orders SELECT g, 'n', 'c', g FROM generate_series(1, 20000) AS g;"
      "ALTER TABLE orders ADD CONSTRAINT note_there CHECK (note IS NOT NULL);"
      "CREATE VIEW totals AS SELECT total FROM orders; ANALYZE orders");
  const Finished lint = RunPawl({"lint", file_, "--database", database.url()}, "");
  EXPECT_EQ(lint.exit_code, 0) << lint.both();
  // The validated check spares the reading; varchar only widens.
  EXPECT_EQ(lint.out.find("set_not_null"), std::string::npos) << lint.out;
  EXPECT_EQ(lint.out.find("alter_column_type"), std::string::npos) << lint.out;
  EXPECT_NE(lint.out.find("view totals"), std::string::npos) << lint.out;
  EXPECT_NE(lint.out.find("about 20000 rows"), std::string::npos) << lint.out;
  const std::string narrow =
      MigrationFile("narrow.sql", "ALTER TABLE orders ALTER COLUMN code TYPE varchar(5);");
  EXPECT_EQ(RunPawl({"lint", narrow, "--database", database.url()}, "").exit_code, 4);
  // It reads only.
  EXPECT_EQ(database.Integer("SELECT count(*) FROM pg_namespace WHERE nspname = 'pawl'"), 0);
}

}  // namespace
}  // namespace pawl::test
