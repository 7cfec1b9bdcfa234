// The binary is killed, cut off, frozen and robbed of its server at every moment there is, with an
// application writing meanwhile. Whatever happens: once it says it is done, every row was raised
// exactly once. x = x + 1 is not idempotent, so a row missed or done twice shows.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "tests/engine/fault_scene.h"
#include "tests/support/cutting_proxy.h"

namespace pawl::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

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
