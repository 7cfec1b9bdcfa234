// PgBouncer between Pawl and the server.
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/cli/pawl_process.h"
#include "tests/cli/server_tools.h"

namespace pawl::test {
namespace {

constexpr const char* kPgBouncer = "/usr/sbin/pgbouncer";
constexpr int kPort = 6432;

class PoolerE2eTest : public testing::Test {
 protected:
  void SetUp() override {
    if (UsesForeignServer()) GTEST_SKIP() << "a server that is not ours";
    if (access(kPgBouncer, X_OK) != 0) GTEST_SKIP() << kPgBouncer << " is not installed";
    MakeItems(database_, 5'000);
  }

  // Pools `mode`, and returns the address of the database behind it.
  std::string PoolBy(const std::string& mode, const std::string& more = "") {
    const std::string& directory = SharedServer().directory();
    const std::string ini = directory + "/pgbouncer.ini";
    WriteForTool(directory + "/users.txt", "\"postgres\" \"\"\n");
    WriteForTool(ini, "[databases]\n* = user=postgres host=127.0.0.1 port=" +
                          std::to_string(SharedServer().port()) +
                          "\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = " + directory +
                          "\nlisten_port = " + std::to_string(kPort) +
                          "\nauth_type = any\nauth_file = " + directory +
                          "/users.txt\npool_mode = " + mode + "\n" + more);
    const std::string url = SocketUrl(directory, kPort, database_.name());
    pooler_.emplace(std::vector<std::string>{kPgBouncer, ini}, directory);
    pooler_->WaitUntilReady(url);
    return url;
  }

  void ExpectRefused(const Finished& finished) {
    EXPECT_EQ(finished.exit_code, 2) << finished.both();
    EXPECT_NE(finished.err.find("session mode"), std::string::npos) << finished.err;
    EXPECT_NE(finished.err.find("directly"), std::string::npos) << finished.err;
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id"), 5'000);
  }

  TestDatabase database_;
  std::optional<BackgroundTool> pooler_;
  std::string file_ = MigrationFile("raise.sql", "UPDATE item SET price = price + 1;");
};

TEST_F(PoolerE2eTest, TransactionModeIsRefused) {
  const std::string url = PoolBy("transaction");
  ExpectRefused(RunPawl({"run", file_}, url));
  EXPECT_EQ(database_.Value("SELECT to_regnamespace('pawl')"), "NULL");
}

// Each transaction gets another server session, so that the same one twice is no sign of anything.
TEST_F(PoolerE2eTest, TransactionModeInTurnsIsRefused) {
  const std::string url = PoolBy("transaction", "server_round_robin = 1\nmin_pool_size = 5\n");
  std::vector<Sql> busy;
  for (int i = 0; i < 4; ++i) busy.emplace_back(url);
  for (Sql& sql : busy) sql.Exec("BEGIN");
  for (Sql& sql : busy) sql.Exec("COMMIT");
  ExpectRefused(RunPawl({"run", file_}, url));
}

TEST_F(PoolerE2eTest, TransactionModeIsRefusedForARunThatIsUnderWay) {
  const Finished made = RunPawl({"run", file_, "--no-verify"}, database_.url());
  ASSERT_EQ(made.exit_code, 0) << made.both();
  const std::string url = PoolBy("transaction");
  const Finished revert = RunPawl({"revert", "1"}, url);
  EXPECT_EQ(revert.exit_code, 2) << revert.both();
  EXPECT_NE(revert.err.find("session mode"), std::string::npos) << revert.err;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id + 1"), 5'000);
}

TEST_F(PoolerE2eTest, SessionModeWorksToTheEnd) {
  const std::string url = PoolBy("session");
  const Finished run = RunPawl({"run", file_}, url);
  EXPECT_EQ(run.exit_code, 0) << run.both();
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id + 1"), 5'000);
  const Finished revert = RunPawl({"revert", "1"}, url);
  EXPECT_EQ(revert.exit_code, 0) << revert.both();
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id"), 5'000);
}

}  // namespace
}  // namespace pawl::test
