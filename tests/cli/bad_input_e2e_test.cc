// Whatever is off in what the user gives: exit code 2, a sentence that names it, nothing changed.
#include <gtest/gtest.h>

#include "tests/cli/pawl_process.h"

namespace pawl::test {
namespace {

struct BadInput {
  std::string claim;
  std::string sql;
  std::string named;  // What the message must say.
};

class BadInputE2eTest : public testing::Test {
 protected:
  BadInputE2eTest() { MakeItems(database_, 100); }

  // The same database as another role, which trusts as the test's own server does.
  std::string UrlAs(const std::string& role) {
    std::string url = database_.url();
    const std::size_t begin = url.find("//") + 2;
    return url.replace(begin, url.find('@') - begin, role);
  }

  void ExpectRefused(const Finished& finished, const std::string& named) {
    EXPECT_EQ(finished.exit_code, 2) << finished.both();
    EXPECT_TRUE(finished.err.starts_with("pawl: ")) << finished.err;
    EXPECT_NE(finished.err.find(named), std::string::npos) << finished.err;
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id"), 100);
  }

  TestDatabase database_;
};

TEST_F(BadInputE2eTest, IsNamedAndNothingIsChanged) {
  const std::vector<BadInput> kCases = {
      {"unknown column", "UPDATE item SET prise = 1;", "prise"},
      {"unknown column in WHERE", "UPDATE item SET price = 1 WHERE colour = 'red';", "colour"},
      {"unknown table", "UPDATE items SET price = 1;", "items"},
      {"not SQL", "UPDATE item SET SET price = 1;", "line 1"},
      {"not SQL further down", "UPDATE item SET price = 1;\n\nSELEC 2;", "line 3"},
      {"nothing at all", "-- no statement\n", "no statement"},
      {"unknown option", "-- pawl: ordre=key\nUPDATE item SET price = 1;", "order"},
      {"wrong value", "-- pawl: order=sideways\nUPDATE item SET price = 1;", "sideways"},
      {"a transaction", "BEGIN;\nUPDATE item SET price = 1;\nCOMMIT;", "line 1"},
      {"a query", "SELECT * FROM item;", "line 1"},
      {"wrong type", "UPDATE item SET price = 'dear';", "dear"},
  };
  for (const BadInput& bad : kCases) {
    SCOPED_TRACE(bad.claim);
    const std::string file = MigrationFile("bad.sql", bad.sql);
    ExpectRefused(RunPawl({"plan", file}, database_.url()), bad.named);
    ExpectRefused(RunPawl({"run", file}, database_.url()), bad.named);
  }
  EXPECT_EQ(database_.Value("SELECT to_regclass('pawl.run')"), "NULL");
}

TEST_F(BadInputE2eTest, AMissingFileIsNamed) {
  ExpectRefused(RunPawl({"run", "/nowhere/missing.sql"}, database_.url()), "/nowhere/missing.sql");
}

TEST_F(BadInputE2eTest, AMissingDatabaseIsNamed) {
  const std::string file = MigrationFile("price.sql", "UPDATE item SET price = 0;");
  ExpectRefused(RunPawl({"run", file, "-d", ServerUrl("no_such_database")}, database_.url()),
                "no_such_database");
}

TEST_F(BadInputE2eTest, AMissingPrivilegeIsNamed) {
  if (UsesForeignServer()) GTEST_SKIP() << "roles of a server that is not ours";
  const std::string role = "clerk_" + database_.name();
  database_.Exec("CREATE ROLE " + role + " LOGIN; GRANT SELECT ON item TO " + role);
  const std::string file = MigrationFile("price.sql", "UPDATE item SET price = 0;");
  ExpectRefused(RunPawl({"run", file}, UrlAs(role)), "item");
  database_.Exec("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(BadInputE2eTest, AReadOnlyDatabaseIsRefused) {
  const std::string file = MigrationFile("price.sql", "UPDATE item SET price = 0;");
  database_.Exec("ALTER DATABASE " + database_.name() + " SET default_transaction_read_only = on");
  ExpectRefused(RunPawl({"run", file}, database_.url()), "read-only");
}

// The role's time-out is for the application's statements; it must not cut Pawl's short.
TEST_F(BadInputE2eTest, AStatementTimeoutOfTheRoleDoesNotApply) {
  const std::string file =
      MigrationFile("price.sql", "UPDATE item SET price = price + 1 + 0 * length(label);");
  database_.Exec("ALTER DATABASE " + database_.name() + " SET statement_timeout = '20ms'");
  const Finished run = RunPawl({"run", file}, database_.url());
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id + 1"), 100);
}

TEST_F(BadInputE2eTest, ARunThatDoesNotExistIsNamed) {
  for (const char* command :
       {"pause", "resume", "abort", "worker", "verify", "revert", "contract"}) {
    SCOPED_TRACE(command);
    ExpectRefused(RunPawl({command, "99"}, database_.url()), "no ");
  }
  ASSERT_EQ(RunPawl({"init"}, database_.url()).exit_code, 0);
  for (const char* command :
       {"pause", "resume", "abort", "worker", "verify", "revert", "contract"}) {
    SCOPED_TRACE(command);
    ExpectRefused(RunPawl({command, "99"}, database_.url()), "99");
  }
  ExpectRefused(RunPawl({"set", "99", "workers=2"}, database_.url()), "99");
}

}  // namespace
}  // namespace pawl::test
