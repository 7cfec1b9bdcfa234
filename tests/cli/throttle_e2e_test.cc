// The throttle on the command line: settings, refusals, and what `pawl throttle` says.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/json.hpp>
#include <stdexcept>

#include "tests/cli/pawl_process.h"
#include "tests/support/loopback_socket.h"

namespace pawl::test {
namespace {

// Takes connections and never answers.
class SilentEndpoint {
 public:
  SilentEndpoint() {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    if (bind(socket_.fd(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        listen(socket_.fd(), 8) != 0 ||
        getsockname(socket_.fd(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("no port of 127.0.0.1 can be had");
    }
    port_ = ntohs(address.sin_port);
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/gate"; }

 private:
  Socket socket_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  int port_ = 0;
};

class ThrottleE2eTest : public testing::Test {
 protected:
  ThrottleE2eTest() { MakeItems(database_, 5'000); }

  void ExpectRefused(const std::vector<std::string>& arguments, const std::string& named) {
    const Finished finished = RunPawl(arguments, database_.url());
    EXPECT_EQ(finished.exit_code, 2) << finished.both();
    EXPECT_NE(finished.err.find(named), std::string::npos) << finished.err;
  }

  TestDatabase database_;
  std::string file_ =
      MigrationFile("raise.sql", "-- pawl: batch_rows=100\nUPDATE item SET price = price + 1;");
};

TEST_F(ThrottleE2eTest, WhatIsOffIsNamedAtPlanTime) {
  const SilentEndpoint silent;
  for (const char* command : {"plan", "run"}) {
    ExpectRefused({command, file_, "--set", "limit.replica_lag=10"}, "10s");
    ExpectRefused({command, file_, "--set", "limit.replica_lg=10s"}, "limit.replica_lag");
    ExpectRefused({command, file_, "--set", "window=22:00-22:00"}, "window");
    ExpectRefused({command, file_, "--set", "window=22:00-06:00 Mars/Olympus"}, "zone");
    ExpectRefused({command, file_, "--set", "http=http://127.0.0.1:1/"}, "http");
    ExpectRefused({command, file_, "--set", "query=SELECT 'x'", "--set", "limit.query=1"},
                  "no number");
    ExpectRefused({command, file_, "--set", "query=SELECT 1 WHERE false", "--set", "limit.query=1"},
                  "no row");
    ExpectRefused({command, file_, "--set", "query=SELECT pg_sleep(60)", "--set", "limit.query=1"},
                  "query=");
    ExpectRefused({command, file_, "--set", "http=" + silent.url()}, "no answer within a second");
  }
  EXPECT_EQ(database_.Value("SELECT to_regclass('pawl.run')"), "NULL");
}

TEST_F(ThrottleE2eTest, ARunIsHeldSetFreeAndExplained) {
  PawlProcess run({"run", file_, "--pace", "2000", "--set", "limit.xid_age=1"}, database_.url());
  const auto throttle = [&] {
    return RunPawl({"throttle", "1", "--why", "--json"}, database_.url());
  };
  ASSERT_TRUE(
      WaitUntil([&] { return throttle().out.find("oldest transaction id") != std::string::npos; }));
  const auto report = throttle().LastJson().as_object();
  EXPECT_TRUE(report.at("held").as_bool());
  EXPECT_EQ(report.at("signal").as_string(), "xid_age");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id + 1"), 0);
  EXPECT_NE(RunPawl({"status", "1"}, database_.url()).out.find("held: the oldest"),
            std::string::npos);
  EXPECT_EQ(RunPawl({"set", "1", "limit.xid_age=off", "pace=0"}, database_.url()).exit_code, 0);
  const Finished finished = run.Wait();
  EXPECT_EQ(finished.exit_code, 0) << finished.both();
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id + 1"), 5'000);
  const Finished why = RunPawl({"throttle", "1", "--why"}, database_.url());
  EXPECT_NE(why.out.find("Set by hand"), std::string::npos) << why.out;
  ExpectRefused({"set", "1", "limit.xid_age=many"}, "is not understood");
  ExpectRefused({"throttle", "99"}, "99");
}

}  // namespace
}  // namespace pawl::test
