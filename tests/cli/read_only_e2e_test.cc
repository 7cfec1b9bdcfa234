// What cannot or must not be written to: a replica, and a role that is to read only.
#include <gtest/gtest.h>

#include "tests/cli/clerk_role.h"
#include "tests/cli/half_run.h"
#include "tests/cli/server_tools.h"

namespace pawl::test {
namespace {

class ReadOnlyE2eTest : public testing::Test {
 protected:
  void SetUp() override {
    if (UsesForeignServer()) GTEST_SKIP() << "a server that is not ours";
  }

  void ExpectRefused(const std::vector<std::string>& words, const std::string& url,
                     const std::string& named) {
    SCOPED_TRACE(words[0]);
    const Finished finished = RunPawl(words, url);
    EXPECT_EQ(finished.exit_code, 2) << finished.both();
    EXPECT_NE(finished.err.find(named), std::string::npos) << finished.err;
    EXPECT_NE(finished.err.find("Nothing was changed"), std::string::npos) << finished.err;
  }

  TestDatabase database_;
  std::string file_ = MigrationFile("raise.sql", "UPDATE item SET price = price + 1;");
};

TEST_F(ReadOnlyE2eTest, AReplicaIsRefusedByEveryCommandThatWrites) {
  MakeItems(database_, 1'000);
  ASSERT_EQ(RunPawl({"run", file_}, database_.url()).exit_code, 0);
  const std::string& directory = SharedServer().directory();
  const std::string data = directory + "/replica";
  RunTool({ServerProgram("pg_basebackup"), "-d", SharedServer().SocketConnectionString(), "-D",
           data, "-R", "-c", "fast", "--no-sync"},
          directory);
  BackgroundTool replica(
      {ServerProgram("postgres"), "-D", data, "-c", "listen_addresses=", "-c", "port=5432"},
      directory);
  const std::string url = SocketUrl(directory, 5432, database_.name());
  replica.WaitUntilReady(url);
  const std::string other = MigrationFile("other.sql", "UPDATE item SET price = price + 2;");
  ExpectRefused({"run", other}, url, "replica");
  ExpectRefused({"plan", other}, url, "replica");
  ExpectRefused({"init"}, url, "replica");
  ExpectRefused({"revert", "1"}, url, "replica");
  ExpectRefused({"verify", "1"}, url, "replica");
  ExpectRefused({"set", "1", "workers=2"}, url, "replica");
  const Finished status = RunPawl({"status"}, url);
  EXPECT_EQ(status.exit_code, 0) << status.both();
}

// Not overruled: somebody has said that this role is not to write.
TEST_F(ReadOnlyE2eTest, ARoleThatIsToReadOnlyIsRefused) {
  ClerkRole role(database_);
  database_.Exec("GRANT CREATE ON DATABASE " + database_.name() + " TO " + role.name() +
                 "; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO " + role.name());
  HalfRun half(database_, role.url());
  database_.Exec("ALTER ROLE " + role.name() + " SET default_transaction_read_only = on");
  ExpectRefused(half.command(), role.url(), "read-only");
  ExpectRefused({"resume", "1"}, role.url(), "read-only");
  ExpectRefused({"abort", "1"}, role.url(), "read-only");
  EXPECT_EQ(database_.Value("SELECT state FROM pawl.run"), "paused");
  database_.Exec("ALTER ROLE " + role.name() + " RESET default_transaction_read_only");
  half.ExpectItCarriesOn();
}

}  // namespace
}  // namespace pawl::test
