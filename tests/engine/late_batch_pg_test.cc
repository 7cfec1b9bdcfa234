// A worker that sleeps through a revert or an abort of its run, and then sends its batch.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "checkpoints/run_store.h"
#include "checkpoints/span_store.h"
#include "db/error.h"
#include "engine/engine.h"
#include "tests/support/test_database.h"

namespace pawl::engine {
namespace {

class LateBatchPgTest : public testing::Test {
 protected:
  // A run that is paused in the middle, and another process that has leased a span of it.
  LateBatchPgTest() {
    database_.Exec("CREATE TABLE t (id bigint PRIMARY KEY, x integer)");
    database_.Exec("INSERT INTO t SELECT n, 0 FROM generate_series(1, 5000) AS n; ANALYZE t");
    RunSettings slowly;
    slowly.workers = 1;
    slowly.pace = 4'000;
    std::jthread pause([this] {
      test::Sql sql = database_.Connect();
      for (int i = 0; i < 3'000; ++i) {
        if (sql.Integer("SELECT count(*) FROM pg_tables WHERE schemaname = 'pawl' AND tablename = "
                        "'ledger'") == 1 &&
            sql.Integer("SELECT count(*) FROM pawl.ledger") >= 3) {
          break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      engine_.RequestPause();
    });
    const RunResult result =
        engine_.Run("m", "-- pawl: batch_rows=100\nUPDATE t SET x = x + 1;", slowly, {});
    EXPECT_EQ(result.state, "paused") << result.reason;
    run_ = result.run;
    db::Session session(db::ConnectionString(database_.url()), "test");
    worker_ = checkpoints::JoinRun(session, run_, late_.backend_pid());
    lease_ = checkpoints::ClaimSpan(late_, {run_, 1, 1}, worker_);
    EXPECT_TRUE(lease_.has_value());
  }

  void ExpectItComesTooLate() {
    try {
      late_.Run({{"BEGIN", {}},
                 checkpoints::Fence(*lease_, lease_->end_key, true, 1),
                 {"UPDATE t SET x = x + 1", {}},
                 {"COMMIT", {}}});
      ADD_FAILURE() << "A batch of a run that is over has committed.";
    } catch (const db::Error& error) {
      EXPECT_NE(std::string(error.what()).find(checkpoints::kLostLease), std::string::npos);
    }
    EXPECT_FALSE(checkpoints::ReclaimSpan(late_, *lease_, worker_));
    EXPECT_FALSE(checkpoints::ClaimSpan(late_, {run_, 1, 1}, worker_));
  }

  test::TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
  db::Pipeline late_{db::ConnectionString(database_.url()), "worker", {}};
  std::int64_t run_ = 0;
  std::int64_t worker_ = 0;
  std::optional<checkpoints::SpanLease> lease_;
};

TEST_F(LateBatchPgTest, ComesTooLateAfterARevert) {
  Engine reverting{db::ConnectionString(database_.url())};
  const RunResult result = reverting.Revert(run_, {}, {});
  EXPECT_EQ(result.state, "reverted") << result.reason;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x <> 0"), 0);
  ExpectItComesTooLate();
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x <> 0"), 0);
}

TEST_F(LateBatchPgTest, ComesTooLateAfterAnAbort) {
  Engine aborting{db::ConnectionString(database_.url())};
  aborting.Abort(run_);
  const std::int64_t sum = database_.Integer("SELECT sum(x) FROM t");
  ExpectItComesTooLate();
  EXPECT_EQ(database_.Integer("SELECT sum(x) FROM t"), sum);
  // What is done can still be taken back.
  EXPECT_EQ(aborting.Revert(run_, {}, {}).state, "reverted");
  EXPECT_EQ(database_.Integer("SELECT sum(x) FROM t"), 0);
}

TEST_F(LateBatchPgTest, IsWaitedForWhereItIsUnderWay) {
  std::atomic<bool> committed = false;
  test::Sql under_way = database_.Connect();
  // The row lock is held as by a batch that takes a while.
  under_way.Exec("BEGIN; SELECT FROM pawl.span FOR UPDATE");
  std::jthread commits([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    committed = true;
    under_way.Exec("COMMIT");
  });
  Engine reverting{db::ConnectionString(database_.url())};
  EXPECT_EQ(reverting.Revert(run_, {}, {}).state, "reverted");
  EXPECT_TRUE(committed);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x <> 0"), 0);
}

TEST_F(LateBatchPgTest, SingleBatchesOfAnUnfinishedRunAreNotTakenBack) {
  RevertSettings settings;
  settings.batches = {database_.Integer("SELECT min(batch_id) FROM pawl.ledger")};
  Engine reverting{db::ConnectionString(database_.url())};
  EXPECT_THROW(reverting.Revert(run_, settings, {}), db::Error);
  EXPECT_EQ(database_.Value("SELECT state FROM pawl.run"), "paused");
}

}  // namespace
}  // namespace pawl::engine
