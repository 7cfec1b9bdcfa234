// A private server must never be root's, never stay behind, and come back after any kind of end.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "control/private_server.h"
#include "control/server_binaries.h"
#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::control {
namespace {

using test::Sql;

TEST(PrivateServerTest, AnswersOnBothAddressesWithTheSettingsAskedFor) {
  PrivateServer server({.settings = {"work_mem=7MB", "log_line_prefix=it's %p "}});
  EXPECT_EQ(Sql(server.ConnectionString()).Value("SHOW work_mem"), "7MB");
  EXPECT_EQ(Sql(server.SocketConnectionString()).Value("SHOW log_line_prefix"), "it's %p ");
  EXPECT_EQ(Sql(server.ConnectionString()).Value("SHOW fsync"), "on");
  Sql(server.ConnectionString()).Exec(R"(CREATE DATABASE "a b/c")");
  EXPECT_EQ(Sql(server.ConnectionString("a b/c")).Value("SELECT current_database()"), "a b/c");
}

TEST(PrivateServerTest, NeverRunsAsRoot) {
  PrivateServer server;
  struct stat status {};
  ASSERT_EQ(stat(("/proc/" + std::to_string(server.pid())).c_str(), &status), 0);
  EXPECT_NE(status.st_uid, 0U);
  ASSERT_EQ(stat(server.directory().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
}

TEST(PrivateServerTest, ComesBackOnItsPortAfterEveryKindOfEnd) {
  PrivateServer server;
  const int port = server.port();
  Sql(server.ConnectionString()).Exec("CREATE TABLE t (n int)");
  int ends = 0;
  const auto committed_survives = [&] {
    ++ends;
    server.Start();
    EXPECT_EQ(Sql(server.ConnectionString()).Integer("SELECT count(*) FROM t"), ends);
  };
  const auto insert = [&] { Sql(server.ConnectionString()).Exec("INSERT INTO t VALUES (1)"); };
  insert();
  server.Stop(StopMode::kFast);
  EXPECT_FALSE(server.running());
  committed_survives();
  insert();
  server.Stop(StopMode::kImmediate);
  committed_survives();
  insert();
  server.Kill9();
  committed_survives();
  insert();
  kill(server.pid(), SIGKILL);  // By somebody else.
  while (server.running()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));  // Its children notice and go.
  committed_survives();
  EXPECT_EQ(server.port(), port);
}

TEST(PrivateServerTest, LeavesNothingBehind) {
  std::string directory;
  pid_t pid = 0;
  {
    PrivateServer server;
    directory = server.directory();
    pid = server.pid();
  }
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_FALSE(IsAlive(pid));
}

TEST(PrivateServerTest, KeepsItsDirectoryWhenTold) {
  std::string directory;
  {
    PrivateServer server;
    server.KeepDirectory();
    directory = server.directory();
  }
  EXPECT_TRUE(std::filesystem::exists(directory + "/data/PG_VERSION"));
  std::filesystem::remove_all(directory);
}

// Another program that owns a server: this one with a filter, because a fork of a threaded program
// may do nothing else. It has been killed with SIGKILL when the constructor returns.
class Owner {
 public:
  explicit Owner(bool with_descendants) {
    const std::string path =
        std::filesystem::temp_directory_path() / ("pawl-owner-" + std::to_string(getpid()));
    setenv("PAWL_OWNER_WRITES", path.c_str(), 1);
    const pid_t owner = fork();
    if (owner == 0) {
      execl("/proc/self/exe", "owner", "--gtest_filter=*OwnerForAnotherTest",
            "--gtest_also_run_disabled_tests", nullptr);
      _exit(1);
    }
    unsetenv("PAWL_OWNER_WRITES");
    for (int tries = 0; tries < 3'000 && !std::filesystem::exists(path); ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    std::ifstream(path) >> directory_ >> server_;
    std::filesystem::remove(path);
    const std::vector<pid_t> children = ChildrenOf(owner);
    kill(owner, SIGKILL);
    if (with_descendants) {
      for (const pid_t child : children) kill(child, SIGKILL);
    }
    waitpid(owner, nullptr, 0);
  }

  // Returns false when server or directory are still there after ten seconds, or never were.
  bool WaitUntilGone() const {
    for (int tries = 0; tries < 500 && server_ != 0; ++tries) {
      if (!std::filesystem::exists(directory_) && !IsAlive(server_)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }

 private:
  std::string directory_;
  pid_t server_ = 0;
};

TEST(PrivateServerTest, DiesWithAnOwnerThatWasKilled) { EXPECT_TRUE(Owner(false).WaitUntilGone()); }

TEST(PrivateServerTest, LeavesNothingWhereItWasKilledTogetherWithItsOwner) {
  // As ctest does to a test that takes too long: all that descends from it.
  EXPECT_TRUE(Owner(true).WaitUntilGone());
}

// No test: the program that the tests above start, and kill.
TEST(PrivateServerTest, DISABLED_OwnerForAnotherTest) {
  const char* path = std::getenv("PAWL_OWNER_WRITES");
  ASSERT_TRUE(path) << "started by the tests above only";
  PrivateServer server;
  const std::string partial = std::string(path) + ".partial";
  std::ofstream(partial) << server.directory() << " " << server.pid() << std::endl;
  std::filesystem::rename(partial, path);
  pause();
}

TEST(PrivateServerTest, SaysWhatIsWrongAndLeavesNothing) {
  try {
    PrivateServer server({.settings = {"no_such_setting=1"}});
    FAIL();
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kStop);
    const std::string message = error.what();
    EXPECT_NE(message.find("no_such_setting"), std::string::npos) << message;
    const std::size_t begin = message.find(" in ") + 4;
    EXPECT_FALSE(std::filesystem::exists(message.substr(begin, message.find(" as user") - begin)));
  }
  setenv("PAWL_PG_BINDIR", "/nowhere", 1);
  EXPECT_THROW(FindServerBinaries(), db::Error);
  unsetenv("PAWL_PG_BINDIR");
}

}  // namespace
}  // namespace pawl::control
