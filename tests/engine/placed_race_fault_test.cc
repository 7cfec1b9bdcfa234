// Races that are placed, not hoped for: one thread is held at a fault point until another thread or
// process has passed the one that makes the moment wrong.
#include <gtest/gtest.h>

#include <csignal>
#include <string>
#include <thread>

#include "tests/engine/fault_scene.h"

namespace pawl::test {
namespace {

using std::chrono::seconds;

class PlacedRaceFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HasFaultPoints()) GTEST_SKIP() << "no fault points in this build";
  }
};

// A process stands before a batch, cut and not begun, while its lease runs out and another process
// does that very batch.
TEST_F(PlacedRaceFaultTest, ABatchThatAnotherHasDoneMeanwhileDoesNotCommit) {
  Scene scene;
  // Its coordinator renews leases, so that one must stand still as well.
  const auto late = scene.Start({"--workers", "1"},
                                "before_batch:3:until=after_commit:5;"
                                "before_renew:1:until=after_commit:5");
  ASSERT_TRUE(scene.WaitForPass("before_batch", 3) && scene.WaitForPass("before_renew", 1));
  // Two before it, or fewer: a batch that met the application's locks has passed the point twice.
  EXPECT_LE(scene.Batches(), 2);
  // Fifteen seconds, at once.
  ASSERT_EQ(scene.database().Exec(
                "UPDATE pawl.span SET lease_until = clock_timestamp() - interval '1 second'"),
            1);
  const auto other = scene.Start({"--workers", "1"});
  EXPECT_EQ(other->Wait(seconds(60)), 0) << other->Output();
  EXPECT_EQ(late->Wait(seconds(60)), 0) << late->Output();
  EXPECT_NE(late->Output().find("Done and proved"), std::string::npos) << late->Output();
  scene.ExpectRaisedOnce();
}

// A worker has cut its batch, and before it begins, another process takes the tail of its span.
TEST_F(PlacedRaceFaultTest, ASpanThatIsSplitBehindItsOwnersBackIsDoneOnceToItsNewEnd) {
  // In strides a worker reaches over a whole window, and there would be nothing to take.
  Scene scene(12'000, "order=key batch_rows=1000");
  const auto owner = scene.Start({"--workers", "1"}, "before_batch:2:until=after_split:1");
  ASSERT_TRUE(scene.WaitForPass("before_batch", 2));
  // Of a table this small no tail is worth taking, unless it looks larger.
  ASSERT_EQ(scene.database().Exec("UPDATE pawl.span SET rows_estimated = 100000"), 1);
  const auto helper = scene.Start({"--workers", "1"});
  ASSERT_TRUE(scene.WaitForPass("after_split", 1)) << helper->Output();
  EXPECT_EQ(owner->Wait(seconds(60)), 0) << owner->Output();
  EXPECT_EQ(helper->Wait(seconds(60)), 0) << helper->Output();
  EXPECT_GE(scene.database().Integer("SELECT count(*) FROM pawl.span"), 2);
  scene.ExpectRaisedOnce();
}

// A batch's connection broke, and at the server its transaction still stands: the span is locked for
// longer than a lock is waited for.
TEST_F(PlacedRaceFaultTest, ASpanThatADeadSessionStillHoldsIsWaitedFor) {
  Scene scene;
  const auto child =
      scene.Start({"--workers", "1"}, "before_commit:3:throw;before_reclaim:1:until=after_split:1");
  ASSERT_TRUE(scene.WaitForPass("before_reclaim", 1));
  Sql dead = scene.database().Connect();
  dead.Exec("BEGIN; SELECT FROM pawl.span FOR UPDATE");
  scene.Pass("after_split");
  std::this_thread::sleep_for(seconds(5));
  dead.Exec("ROLLBACK");
  EXPECT_EQ(child->Wait(seconds(60)), 0) << child->Output();
  scene.ExpectRaisedOnce();
}

// A batch takes longer than a lock is waited for, and another process wants its span's tail.
TEST_F(PlacedRaceFaultTest, ATailThatIsWantedDuringALongBatchIsAskedForAgain) {
  Scene scene(12'000, "order=key batch_rows=1000");
  const auto owner = scene.Start(
      {"--workers", "1"}, "before_batch:2:until=before_sync_on:1;before_commit:2:delay=5000");
  ASSERT_TRUE(scene.WaitForPass("before_batch", 2));
  ASSERT_EQ(scene.database().Exec("UPDATE pawl.span SET rows_estimated = 100000"), 1);
  scene.Pass("before_sync_on");
  ASSERT_TRUE(scene.WaitForPass("before_commit", 2));
  const auto helper = scene.Start({"--workers", "1"});
  ASSERT_TRUE(scene.WaitForPass("before_split", 1));
  EXPECT_EQ(owner->Wait(seconds(60)), 0) << owner->Output();
  EXPECT_EQ(helper->Wait(seconds(60)), 0) << helper->Output();
  scene.ExpectRaisedOnce();
}

// The COMMIT is on its way, nobody has heard the answer, and the connection is given up.
TEST_F(PlacedRaceFaultTest, ACommitWhoseAnswerNobodyReadIsSettledByTheCursor) {
  for (const char* fault :
       {"commit_sent:1:throw", "commit_sent:2:throw", "commit_sent:30:throw",
        "before_commit:1:throw", "before_commit:2:throw", "before_commit:30:throw",
        "before_commit:7:kill", "commit_sent:7:kill"}) {
    SCOPED_TRACE(fault);
    Scene scene;
    scene.Start({}, fault)->Wait(seconds(60));
    EXPECT_GE(scene.Passes("commit_sent"), 1);
    scene.Finish();
    scene.ExpectRaisedOnce();
  }
}

// The run is about to be completed when somebody pauses it.
TEST_F(PlacedRaceFaultTest, APauseAtTheMomentOfTheLastMoveStands) {
  Scene scene;
  // Moves: verifying (1), completed (2); the pause is the third to come and the second to pass.
  const auto late = scene.Start({}, "before_move:2:until=after_move:2");
  ASSERT_TRUE(scene.WaitForPass("before_move", 2));
  EXPECT_EQ(scene.Command({"pause", scene.Run()}), 0);
  EXPECT_FALSE(WaitUntil([&] { return late->Ended(); }, seconds(1)));  // It waits for a resume.
  EXPECT_EQ(scene.database().Value("SELECT state FROM pawl.run"), "paused");
  EXPECT_EQ(scene.Command({"resume", scene.Run()}), 0);
  EXPECT_EQ(late->Wait(seconds(60)), 0) << late->Output();
  scene.ExpectRaisedOnce();
}

// Two processes start the same file; the one that is first at the door is the second to go in.
TEST_F(PlacedRaceFaultTest, TwoThatStartTheSameFileAtOnceMakeOneRun) {
  Scene scene;
  ASSERT_EQ(scene.Command({"init"}), 0);
  const auto first = scene.Start({}, "before_create_run:1:until=after_create_run:1");
  ASSERT_TRUE(scene.WaitForPass("before_create_run", 1));
  const auto second = scene.Start({}, "after_create_run:1:delay=300");
  EXPECT_EQ(second->Wait(seconds(60)), 0) << second->Output();
  EXPECT_EQ(first->Wait(seconds(60)), 0) << first->Output();
  scene.ExpectRaisedOnce();
}

// The one that still plans finds, when it comes to begin, that all is done.
TEST_F(PlacedRaceFaultTest, OneThatPlansForLongDoesNotDoAgainWhatWasDoneMeanwhile) {
  Scene scene;
  ASSERT_EQ(scene.Command({"init"}), 0);
  // Moves of the other one: verifying, completed.
  const auto late = scene.Start({}, "before_create_run:1:until=after_move:2");
  ASSERT_TRUE(scene.WaitForPass("before_create_run", 1));
  const auto other = scene.Start();
  EXPECT_EQ(other->Wait(seconds(60)), 0) << other->Output();
  EXPECT_EQ(late->Wait(seconds(60)), 0) << late->Output();
  EXPECT_EQ(scene.database().Integer("SELECT count(*) FROM pawl.run"), 1);
  scene.ExpectRaisedOnce();
}

// Every point of db/fault.h that a run forward passes, killed there at its first pass and a later
// one.
TEST_F(PlacedRaceFaultTest, KilledAtEachPointOfARun) {
  for (const char* point :
       {"before_create_run", "in_create_run", "after_create_run", "in_ddl", "before_undo_table",
        "after_undo_table", "before_spans", "in_spans", "before_claim", "after_claim",
        "before_step_done", "after_step_done", "before_move", "in_move", "after_move",
        "before_chunk", "before_verdict", "after_verdict"}) {
    SCOPED_TRACE(point);
    Scene scene(2'000);
    const auto child = scene.Start({}, std::string(point) + ":1:kill");
    ASSERT_EQ(child->Wait(), 128 + SIGKILL) << child->Output();
    scene.Finish();
    scene.ExpectRaisedOnce();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace pawl::test
