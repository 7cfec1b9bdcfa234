// The binary is killed, cut off, frozen and robbed of its server at every moment there is, with an
// application writing meanwhile. Whatever happens: once it says it is done, every row was raised
// exactly once. x = x + 1 is not idempotent, so a row missed or done twice shows.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <random>
#include <thread>

#include "tests/support/cutting_proxy.h"
#include "tests/support/test_database.h"
#include "tests/support/writers.h"

namespace pawl::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kRows = 5'000;

std::string Binary() {
  const char* path = std::getenv("PAWL_BINARY");
  return path != nullptr ? path : PAWL_BINARY;
}

// A release has no fault points compiled in.
bool HasFaultPoints() {
  std::ifstream file(Binary(), std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  return content.find("PAWL_FAULT_AT") != std::string::npos;
}

bool WaitUntil(const std::function<bool()>& holds, milliseconds limit = seconds(60)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return true;
}

std::string FreshDirectory() {
  std::string path = (fs::temp_directory_path() / "pawl-kill-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make " + path);
  return path;
}

// One process; both its streams go to a file. Killed when it goes out of scope.
class Child {
 public:
  Child(std::vector<std::string> words, const std::string& url, const std::string& fault,
        const std::string& output)
      : output_(output) {
    words.insert(words.begin(), "pawl");
    std::vector<std::string> environment = {"PAWL_DATABASE_URL=" + url};
    if (!fault.empty()) environment.push_back("PAWL_FAULT_AT=" + fault);
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view text = *entry;
      if (!text.starts_with("PAWL_") && !text.starts_with("PG")) environment.emplace_back(text);
    }
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    const int error = posix_spawn(&pid_, Binary().c_str(), &files, nullptr, Pointers(words).data(),
                                  Pointers(environment).data());
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) throw std::runtime_error("cannot start " + Binary());
  }
  ~Child() {
    if (!Ended()) {
      Signal(SIGKILL);
      waitpid(pid_, &status_, 0);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Signal(int signal) const { kill(pid_, signal); }

  bool Ended() {
    if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
    return ended_;
  }

  // The exit code, 128 + the signal that ended it, or -1 where it still runs after `limit`.
  int Wait(milliseconds limit = seconds(90)) {
    if (!WaitUntil([&] { return Ended(); }, limit)) return -1;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }

  std::string Output() const {
    std::ifstream file(output_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  static std::vector<char*> Pointers(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
  }

  std::string output_;
  pid_t pid_ = 0;
  bool ended_ = false;
  int status_ = 0;
};

// A table, a migration of it, and an application that writes to it.
class Scene {
 public:
  Scene() {
    database_.Exec(
        "CREATE TABLE t (id bigint PRIMARY KEY, x integer NOT NULL, updates integer NOT NULL "
        "DEFAULT 0, filler text NOT NULL DEFAULT repeat('x', 60)) WITH (fillfactor = 70)");
    database_.Exec("INSERT INTO t (id, x) SELECT n, n % 7 FROM generate_series(1, " +
                   std::to_string(kRows) + ") AS n; ANALYZE t");
    std::ofstream(directory_ + "/raise.sql") << "ALTER TABLE t ADD COLUMN extra integer;\n\n"
                                                "-- pawl: batch_rows=100\n"
                                                "UPDATE t SET x = x + 1;\n";
    WriterOptions options;
    options.url = database_.url();
    options.table = "t";
    options.key_end = kRows + 1;
    options.inserts = false;
    options.deletes = false;
    options.changes_per_second = 200;
    writers_ = std::make_unique<Writers>(options);
  }
  ~Scene() {
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }

  std::unique_ptr<Child> Start(const std::vector<std::string>& more = {},
                               const std::string& fault = {}, const std::string& url = {}) {
    std::vector<std::string> words = {"run", directory_ + "/raise.sql"};
    words.insert(words.end(), more.begin(), more.end());
    return std::make_unique<Child>(words, url.empty() ? database_.url() : url, fault,
                                   directory_ + "/output");
  }

  int Command(const std::vector<std::string>& words) {
    return Child(words, database_.url(), "", directory_ + "/commands").Wait();
  }

  // The same command again until it is done, as an operator would.
  void Finish(int attempts_max = 5) {
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
      const auto child = Start({"--pace", "0"});
      const int code = child->Wait();
      if (code == 0) return;
      ASSERT_NE(code, -1) << "it hangs: " << child->Output();
    }
    FAIL() << "it does not finish: " << Start({})->Output();
  }

  bool WaitForBatches(std::int64_t count) {
    return WaitUntil([&] { return Batches() >= count; });
  }
  std::int64_t Batches() {
    if (database_.Value("SELECT to_regclass('pawl.ledger') IS NULL") == "t") return 0;
    return database_.Integer("SELECT count(*) FROM pawl.ledger");
  }
  // Our own connection is broken as well, and connects anew after it has noticed.
  void NoticeRestart() {
    try {
      Batches();
    } catch (const SqlError&) {
    }
  }
  std::string Run() { return database_.Value("SELECT run_id FROM pawl.run"); }

  // What must hold at the end, by SQL alone.
  void ExpectRaisedOnce() {
    const WriterCounts counts = writers_->Stop();
    EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
    EXPECT_EQ(writers_->Mismatch(), "");
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x = id % 7 + 1"), kRows);
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t"), kRows);
    EXPECT_EQ(database_.Value("SELECT state FROM pawl.run"), "completed");
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.run"), 1);
    EXPECT_EQ(database_.Integer("SELECT sum(rows) FROM pawl.ledger"), kRows);
    EXPECT_EQ(database_.Integer(
                  "SELECT count(*) - count(DISTINCT (step, span_id, seq)) FROM pawl.ledger"),
              0);
    EXPECT_EQ(
        database_.Integer("SELECT count(*) - count(DISTINCT (span_id, range_lo, residue_lo)) FROM "
                          "pawl.ledger WHERE range_lo IS NOT NULL"),
        0);
  }

  TestDatabase& database() { return database_; }

 private:
  TestDatabase database_;
  std::string directory_ = FreshDirectory();
  std::unique_ptr<Writers> writers_;
};

// ---- The engine dies ----

TEST(KillFaultTest, KilledAtEveryFaultPoint) {
  if (!HasFaultPoints()) GTEST_SKIP() << "no fault points in this build";
  for (const char* fault :
       {"before_ddl:1:kill", "after_ddl:1:kill", "after_spans:1:kill", "before_batch:1:kill",
        "before_batch:2:kill", "before_batch:3:kill", "before_batch:20:kill",
        "before_batch:50:kill", "after_commit:1:kill", "after_commit:2:kill", "after_commit:3:kill",
        "after_commit:20:kill", "after_commit:50:kill"}) {
    SCOPED_TRACE(std::string("PAWL_FAULT_AT=") + fault);
    Scene scene;
    const auto child = scene.Start({}, fault);
    ASSERT_EQ(child->Wait(), 128 + SIGKILL) << child->Output();
    scene.Finish();
    scene.ExpectRaisedOnce();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(KillFaultTest, ConnectionsThatBreakAtEveryFaultPointAreMadeAnew) {
  if (!HasFaultPoints()) GTEST_SKIP() << "no fault points in this build";
  for (const char* fault : {"before_ddl:1:throw", "after_ddl:1:throw", "after_spans:1:throw",
                            "before_batch:1:throw", "before_batch:20:throw", "after_commit:1:throw",
                            "after_commit:20:throw", "after_commit:50:throw"}) {
    SCOPED_TRACE(std::string("PAWL_FAULT_AT=") + fault);
    Scene scene;
    const auto child = scene.Start({}, fault);
    EXPECT_EQ(child->Wait(seconds(60)), 0) << child->Output();
    scene.ExpectRaisedOnce();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(KillFaultTest, KilledAtRandomTimesAgainAndAgain) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::minstd_rand random(seed);
  Scene scene;
  for (int kills = 0; kills < 8; ++kills) {
    const auto child = scene.Start({"--pace", "2500"});
    std::this_thread::sleep_for(milliseconds(100 + random() % 500));
    child->Signal(SIGKILL);
  }
  scene.Finish();
  scene.ExpectRaisedOnce();
}

TEST(KillFaultTest, OneOfTwoProcessesIsKilled) {
  Scene scene;
  const auto first = scene.Start({"--pace", "2000"});
  ASSERT_TRUE(scene.WaitForBatches(3));
  const auto second = scene.Start({"--workers", "2"});
  ASSERT_TRUE(
      WaitUntil([&] { return scene.database().Integer("SELECT count(*) FROM pawl.worker") == 2; }));
  first->Signal(SIGKILL);
  EXPECT_EQ(second->Wait(seconds(60)), 0) << second->Output();
  scene.ExpectRaisedOnce();
}

// ---- The server dies ----

TEST(KillFaultTest, BackendsAreTerminatedOverAndOver) {
  Scene scene;
  const auto child = scene.Start({"--pace", "2500"});
  ASSERT_TRUE(scene.WaitForBatches(2));
  for (int i = 0; i < 15 && !child->Ended(); ++i) {
    scene.database().Exec(
        "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE datname = "
        "current_database() AND application_name LIKE 'pawl/%' ORDER BY random() LIMIT 1) AS s");
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_EQ(child->Wait(seconds(60)), 0) << child->Output();
  scene.ExpectRaisedOnce();
}

TEST(KillFaultTest, TheServerIsKilledAndComesBack) {
  if (UsesForeignServer()) GTEST_SKIP() << "somebody else's server";
  Scene scene;
  const auto child = scene.Start({"--pace", "1500"});
  for (const int batches : {3, 12, 24}) {
    ASSERT_TRUE(scene.WaitForBatches(batches));
    SharedServer().Kill9();
    std::this_thread::sleep_for(seconds(1));  // Nobody listens for a while.
    SharedServer().Start();
    scene.NoticeRestart();
  }
  EXPECT_EQ(child->Wait(seconds(60)), 0) << child->Output();
  if (!testing::Test::HasFailure()) scene.ExpectRaisedOnce();
}

TEST(KillFaultTest, TheServerIsStoppedAtOnceAndRestarted) {
  if (UsesForeignServer()) GTEST_SKIP() << "somebody else's server";
  Scene scene;
  {
    const auto child = scene.Start({"--pace", "2000"});
    ASSERT_TRUE(scene.WaitForBatches(5));
    SharedServer().Restart(control::StopMode::kImmediate);
    scene.NoticeRestart();
    child->Wait(seconds(60));
  }
  scene.Finish();  // Does nothing where it has finished by itself.
  scene.ExpectRaisedOnce();
}

// ---- The network lies ----

class CutFaultTest : public testing::TestWithParam<CutMoment> {};

TEST_P(CutFaultTest, CommitsInDoubtAreSettledByTheCursor) {
  Scene scene;
  CuttingProxy proxy(scene.database().url());
  const auto child = scene.Start({"--pace", "2000"}, "", proxy.url());
  ASSERT_TRUE(scene.WaitForBatches(2));
  for (int cut = 1; cut <= 5; ++cut) {
    proxy.CutAtCommit(GetParam(), cut % 3 + 1);
    ASSERT_TRUE(proxy.WaitForCuts(cut)) << child->Output();
  }
  EXPECT_EQ(child->Wait(seconds(60)), 0) << child->Output();
  scene.ExpectRaisedOnce();
}

INSTANTIATE_TEST_SUITE_P(Moments, CutFaultTest,
                         testing::Values(CutMoment::kAfterExecuted, CutMoment::kBeforeServer),
                         [](const auto& moment) {
                           return moment.param == CutMoment::kAfterExecuted ? "AfterExecuted"
                                                                            : "BeforeServer";
                         });

// The answer to a claim is lost: nobody knows of the lease, and its holder is alive.
TEST(KillFaultTest, AClaimInDoubtDoesNotLockTheSpanForEver) {
  Scene scene;
  CuttingProxy proxy(scene.database().url());
  proxy.CutAtStatement(
      [](std::string_view sql) {
        return sql.find("SET lease_epoch = lease_epoch + 1") != sql.npos;
      },
      CutMoment::kAfterExecuted);
  const auto child = scene.Start({}, "", proxy.url());
  EXPECT_EQ(child->Wait(seconds(40)), 0) << "it hangs: " << child->Output();
  EXPECT_EQ(proxy.cuts(), 1);
  if (!testing::Test::HasFailure()) scene.ExpectRaisedOnce();
}

TEST(KillFaultTest, AReclaimInDoubtDoesNotLockTheSpanForEver) {
  Scene scene;
  CuttingProxy proxy(scene.database().url());
  const auto child = scene.Start({"--pace", "3000", "--workers", "1"}, "", proxy.url());
  ASSERT_TRUE(scene.WaitForBatches(2));
  proxy.CutAtCommit();
  ASSERT_TRUE(proxy.WaitForCuts(1));
  proxy.CutAtStatement(
      [](std::string_view sql) {
        return sql.find("SET lease_epoch = lease_epoch + 1") != sql.npos &&
               sql.find("AND lease_epoch = $2") != sql.npos;
      },
      CutMoment::kAfterExecuted);
  EXPECT_TRUE(proxy.WaitForCuts(2, seconds(5)));
  EXPECT_EQ(child->Wait(seconds(40)), 0) << "it hangs: " << child->Output();
  if (!testing::Test::HasFailure()) scene.ExpectRaisedOnce();
}

// ---- Time stands still ----

TEST(KillFaultTest, AProcessFrozenPastItsLeaseDoesNotDouble) {
  Scene scene;
  const auto frozen = scene.Start({"--pace", "1000", "--workers", "1"});
  ASSERT_TRUE(scene.WaitForBatches(5));
  frozen->Signal(SIGSTOP);  // With a batch prepared: at this pace, it mostly waits with one.
  const std::int64_t before = scene.Batches();
  const auto second = scene.Start({"--pace", "1000", "--workers", "1"});
  const bool taken_over = WaitUntil([&] { return scene.Batches() > before + 1; }, seconds(40));
  frozen->Signal(SIGCONT);
  EXPECT_TRUE(taken_over) << second->Output();
  scene.Command({"set", scene.Run(), "pace=0"});
  EXPECT_EQ(second->Wait(seconds(60)), 0) << second->Output();
  EXPECT_EQ(frozen->Wait(seconds(60)), 0) << frozen->Output();
  scene.ExpectRaisedOnce();
}

}  // namespace
}  // namespace pawl::test
