// Interrupted, killed, paused, steered: the same command carries on, and every row is changed once.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "tests/cli/pawl_process.h"

namespace pawl::test {
namespace {

constexpr std::int64_t kRows = 40'000;

class InterruptE2eTest : public testing::Test {
 protected:
  InterruptE2eTest() { MakeItems(database_, kRows); }

  // Slow enough to be caught in the act: 40,000 rows at 4,000 a second.
  std::vector<std::string> SlowRun() const { return {"run", file_, "--pace", "4000"}; }
  std::vector<std::string> FastRun() const { return {"run", file_, "--pace", "0"}; }

  std::int64_t RowsChanged() {
    return database_.Integer("SELECT count(*) FROM item WHERE price = id + 1");
  }

  void WaitForRows() {
    ASSERT_TRUE(WaitUntil([&] { return RowsChanged() > 0; }));
  }

  // Not idempotent: a row that was changed twice shows.
  void ExpectAllChangedOnce() {
    EXPECT_EQ(RowsChanged(), kRows);
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM item"), kRows);
  }

  TestDatabase database_;
  std::string file_ = MigrationFile("raise_price.sql", "UPDATE item SET price = price + 1;");
};

TEST_F(InterruptE2eTest, CtrlCPausesAndTheSameCommandCarriesOn) {
  PawlProcess process(SlowRun(), database_.url());
  WaitForRows();
  process.Signal(SIGINT);
  const Finished paused = process.Wait();
  EXPECT_EQ(paused.exit_code, 130) << paused.both();
  EXPECT_NE(paused.err.find("pausing: running batches finish"), std::string::npos) << paused.err;
  EXPECT_NE(paused.out.find("Carry on with: pawl resume"), std::string::npos) << paused.out;
  EXPECT_EQ(database_.Value("SELECT state FROM pawl.run"), "paused");
  EXPECT_LT(RowsChanged(), kRows);

  const Finished finished = RunPawl(FastRun(), database_.url());
  EXPECT_EQ(finished.exit_code, 0) << finished.both();
  ExpectAllChangedOnce();
}

TEST_F(InterruptE2eTest, TwoSignalsLeaveAtOnceAndNothingIsLost) {
  PawlProcess process(SlowRun(), database_.url());
  WaitForRows();
  process.Signal(SIGTERM);
  process.Signal(SIGINT);
  EXPECT_EQ(process.Wait().exit_code, 130);
  const Finished finished = RunPawl(FastRun(), database_.url());
  EXPECT_EQ(finished.exit_code, 0) << finished.both();
  ExpectAllChangedOnce();
}

TEST_F(InterruptE2eTest, KilledTheSameCommandCarriesOn) {
  PawlProcess process(SlowRun(), database_.url());
  WaitForRows();
  process.Signal(SIGKILL);
  EXPECT_EQ(process.Wait().exit_code, 128 + SIGKILL);
  const Finished finished = RunPawl(FastRun(), database_.url());
  EXPECT_EQ(finished.exit_code, 0) << finished.both();
  ExpectAllChangedOnce();
}

TEST_F(InterruptE2eTest, PauseAndResumeFromElsewhere) {
  PawlProcess process(SlowRun(), database_.url());
  WaitForRows();
  const std::string run = database_.Value("SELECT run_id FROM pawl.run");
  EXPECT_EQ(RunPawl({"pause", run}, database_.url()).exit_code, 0);
  EXPECT_EQ(database_.Value("SELECT state FROM pawl.run"), "paused");
  std::this_thread::sleep_for(std::chrono::seconds(1));  // Running batches finish.
  const std::int64_t rows = RowsChanged();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_EQ(RowsChanged(), rows);
  EXPECT_TRUE(process.Running()) << "it waits to be resumed";

  const Finished resumed = RunPawl({"resume", run, "--pace", "0"}, database_.url());
  EXPECT_EQ(resumed.exit_code, 0) << resumed.both();
  EXPECT_NE(resumed.out.find("is running"), std::string::npos) << resumed.out;
  EXPECT_EQ(process.Wait().exit_code, 0);
  ExpectAllChangedOnce();
}

TEST_F(InterruptE2eTest, ResumeCarriesOnWhatNobodyIsAt) {
  PawlProcess process(SlowRun(), database_.url());
  WaitForRows();
  const std::string run = database_.Value("SELECT run_id FROM pawl.run");
  process.Signal(SIGINT);
  EXPECT_EQ(process.Wait().exit_code, 130);
  const Finished resumed = RunPawl({"resume", run, "--pace", "0"}, database_.url());
  EXPECT_EQ(resumed.exit_code, 0) << resumed.both();
  EXPECT_NE(resumed.out.find("Done and proved"), std::string::npos) << resumed.out;
  ExpectAllChangedOnce();
}

TEST_F(InterruptE2eTest, ARunIsSteeredWhileItIsAtWork) {
  PawlProcess process(SlowRun(), database_.url());
  WaitForRows();
  const std::string run = database_.Value("SELECT run_id FROM pawl.run");
  const Finished set = RunPawl({"set", run, "workers=3", "pace=0"}, database_.url());
  EXPECT_EQ(set.exit_code, 0) << set.both();
  EXPECT_EQ(process.Wait().exit_code, 0);
  ExpectAllChangedOnce();
}

TEST_F(InterruptE2eTest, ASecondProcessJoins) {
  PawlProcess process(SlowRun(), database_.url());
  WaitForRows();
  const std::string run = database_.Value("SELECT run_id FROM pawl.run");
  PawlProcess worker({"worker", run}, database_.url());
  ASSERT_TRUE(WaitUntil([&] { return database_.Integer("SELECT count(*) FROM pawl.worker") > 1; }));
  EXPECT_EQ(RunPawl({"set", run, "pace=0"}, database_.url()).exit_code, 0);
  EXPECT_EQ(process.Wait().exit_code, 0);
  EXPECT_EQ(worker.Wait().exit_code, 0);
  ExpectAllChangedOnce();
}

TEST_F(InterruptE2eTest, AnAbortedRunEndsAndCanBeTakenBack) {
  PawlProcess process(SlowRun(), database_.url());
  WaitForRows();
  const std::string run = database_.Value("SELECT run_id FROM pawl.run");
  EXPECT_EQ(RunPawl({"abort", run}, database_.url()).exit_code, 0);
  EXPECT_EQ(process.Wait().exit_code, 1);
  const Finished revert = RunPawl({"revert", run}, database_.url());
  EXPECT_EQ(revert.exit_code, 0) << revert.both();
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id"), kRows);
}

}  // namespace
}  // namespace pawl::test
