// The address leads to a standby that was promoted, and then back to the old primary, which nobody
// has switched off. The run goes on where the first leads, and stops at the second.
#include <gtest/gtest.h>

#include "tests/cli/pawl_process.h"
#include "tests/cli/server_tools.h"
#include "tests/support/cutting_proxy.h"

namespace pawl::test {
namespace {

constexpr std::int64_t kRows = 6'000;

class FailoverE2eTest : public testing::Test {
 protected:
  void SetUp() override {
    if (UsesForeignServer()) GTEST_SKIP() << "a server that is not ours";
    MakeItems(database_, kRows);
    const std::string& directory = SharedServer().directory();
    const std::string data = directory + "/standby";
    RunTool({ServerProgram("pg_basebackup"), "-d", SharedServer().SocketConnectionString(), "-D",
             data, "-R", "-c", "fast", "--no-sync"},
            directory);
    // Its port is one that the proxy can be led to.
    port_ = SharedServer().port() == 65'535 ? 65'534 : SharedServer().port() + 1;
    standby_ = std::make_unique<BackgroundTool>(
        std::vector<std::string>{ServerProgram("postgres"), "-D", data, "-c",
                                 "listen_addresses=127.0.0.1", "-c",
                                 "port=" + std::to_string(port_)},
        directory);
    standby_->WaitUntilReady(StandbyUrl());
  }

  std::string StandbyUrl() const {
    return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" + database_.name();
  }

  static std::int64_t Changed(Sql& sql) {
    return sql.Integer("SELECT count(*) FROM item WHERE price = id + 1");
  }

  void LeadTo(int port) {
    proxy_.LeadTo(port);
    proxy_.ResetAll();
  }

  TestDatabase database_;
  CuttingProxy proxy_{database_.url()};
  int port_ = 0;
  std::unique_ptr<BackgroundTool> standby_;
};

TEST_F(FailoverE2eTest, TheRunFollowsAPromotionAndNotTheWayBack) {
  const std::string file = MigrationFile(
      "raise.sql", "-- pawl: order=key batch_rows=50\nUPDATE item SET price = price + 1;\n");
  PawlProcess run({"run", file, "--pace", "600"}, proxy_.url());
  Sql old_primary(database_.url());
  ASSERT_TRUE(WaitUntil([&] { return Changed(old_primary) > 500; }));
  Sql promoted(StandbyUrl());
  promoted.Exec("SELECT pg_promote()");
  LeadTo(port_);
  ASSERT_TRUE(WaitUntil([&] { return promoted.Integer("SELECT count(*) FROM pawl.worker") > 1; }));
  const std::int64_t at_promotion = Changed(promoted);
  ASSERT_TRUE(WaitUntil([&] { return Changed(promoted) > at_promotion + 200; }));

  LeadTo(SharedServer().port());
  const Finished stopped = run.Wait();
  EXPECT_EQ(stopped.exit_code, 1) << stopped.both();
  EXPECT_NE(stopped.err.find("the old primary of a failover"), std::string::npos) << stopped.both();
  // What it wrote before the promotion is all that it wrote there.
  EXPECT_EQ(old_primary.Integer("SELECT count(*) FROM pawl.worker"), 1);

  const Finished rest = RunPawl({"run", file, "--pace", "0"}, StandbyUrl());
  EXPECT_EQ(rest.exit_code, 0) << rest.both();
  EXPECT_EQ(Changed(promoted), kRows);
}

}  // namespace
}  // namespace pawl::test
