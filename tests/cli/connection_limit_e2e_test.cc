// Fewer connections than a run takes: a sentence at once, and no waiting in silence.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/cli/clerk_role.h"

namespace pawl::test {
namespace {

using std::chrono::seconds;

class ConnectionLimitE2eTest : public testing::Test {
 protected:
  void SetUp() override {
    if (UsesForeignServer()) GTEST_SKIP() << "a server that is not ours";
    MakeItems(database_, 2'000);
  }

  Finished RunSoon(const std::string& url) {
    const auto began = std::chrono::steady_clock::now();
    Finished finished = RunPawl({"run", file_, "--set", "throttle=off"}, url);
    EXPECT_LT(std::chrono::steady_clock::now() - began, seconds(20));
    return finished;
  }

  std::int64_t RowsChanged() {
    return database_.Integer("SELECT count(*) FROM item WHERE price = id + 1");
  }

  TestDatabase database_;
  std::string file_ = MigrationFile("raise.sql", "UPDATE item SET price = price + 1;");
};

TEST_F(ConnectionLimitE2eTest, ALimitOfTheRoleIsNamedBeforeAnythingIsDone) {
  ClerkRole role(database_);
  database_.Exec("GRANT ALL ON item TO " + role.name() + "; GRANT CREATE ON DATABASE " +
                 database_.name() + " TO " + role.name());
  database_.Exec("ALTER ROLE " + role.name() + " CONNECTION LIMIT 2");
  const Finished refused = RunSoon(role.url());
  EXPECT_EQ(refused.exit_code, 2) << refused.both();
  EXPECT_NE(refused.err.find("CONNECTION LIMIT 2"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("--workers"), std::string::npos) << refused.err;
  EXPECT_EQ(database_.Value("SELECT to_regnamespace('pawl')"), "NULL");

  database_.Exec("ALTER ROLE " + role.name() + " CONNECTION LIMIT 0");
  const Finished none = RunSoon(role.url());
  EXPECT_EQ(none.exit_code, 2) << none.both();
  EXPECT_NE(none.err.find("too many connections"), std::string::npos) << none.err;

  // The number that the sentence asks for is enough.
  database_.Exec("ALTER ROLE " + role.name() + " CONNECTION LIMIT 6");
  const Finished run = RunSoon(role.url());
  EXPECT_EQ(run.exit_code, 0) << run.both();
  EXPECT_EQ(RowsChanged(), 2'000);
}

// The server has room for `slots` more sessions that are no superuser's, a moment before the run.
TEST_F(ConnectionLimitE2eTest, AServerThatIsFullIsNamedAndTheRunCarriesOnLater) {
  control::PrivateServer server(
      {.settings = {"fsync=off", "max_connections=12", "superuser_reserved_connections=3"}});
  Sql admin(server.ConnectionString());
  admin.Exec(
      "CREATE ROLE clerk LOGIN; GRANT CREATE ON DATABASE postgres TO clerk; CREATE TABLE item (id "
      "bigint PRIMARY KEY, price bigint NOT NULL); INSERT INTO item SELECT n, n FROM "
      "generate_series(1, 2000) AS n; GRANT ALL ON item TO clerk");
  const std::string url = WithUser(server.ConnectionString(), "clerk");
  std::vector<Sql> others;
  const auto leave = [&](int slots) {
    others.clear();
    std::this_thread::sleep_for(std::chrono::milliseconds(300));  // Their backends go.
    const int sessions = 9 - slots - 1;  // One of the nine is the administrator's.
    for (int i = 0; i < sessions; ++i) others.emplace_back(url);
  };
  leave(0);
  const Finished full = RunSoon(url);
  EXPECT_EQ(full.exit_code, 2) << full.both();
  EXPECT_NE(full.err.find("connection slots are reserved"), std::string::npos) << full.err;
  EXPECT_NE(full.err.find("max_connections"), std::string::npos) << full.err;

  leave(3);  // The run, its listener, and one of its throttle and two workers.
  const Finished short_of = RunSoon(url);
  EXPECT_EQ(short_of.exit_code, 1) << short_of.both();
  EXPECT_NE(short_of.err.find("connection slots are reserved"), std::string::npos) << short_of.err;
  EXPECT_NE(short_of.err.find("pawl resume"), std::string::npos) << short_of.err;

  leave(7);
  const Finished rest = RunSoon(url);
  EXPECT_EQ(rest.exit_code, 0) << rest.both();
  EXPECT_EQ(admin.Integer("SELECT count(*) FROM item WHERE price = id + 1"), 2'000);
}

}  // namespace
}  // namespace pawl::test
