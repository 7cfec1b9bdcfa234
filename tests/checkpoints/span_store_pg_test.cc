// Leases and the fence, step by step: who may commit a batch, and who may not any more.
#include "checkpoints/span_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <thread>

#include "checkpoints/control_schema.h"
#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::checkpoints {
namespace {

using ::testing::HasSubstr;

constexpr Round kRound{1, 1, 1};

class SpanStorePgTest : public testing::Test {
 protected:
  SpanStorePgTest() {
    EnsureControlSchema(session_);
    database_.Exec(R"sql(
INSERT INTO pawl.migration (migration_hash, name, text) VALUES ('m', 'm', '');
INSERT INTO pawl.plan (plan_hash, migration_hash, version, content) VALUES ('p', 'm', 1, '');
INSERT INTO pawl.run (run_id, migration, migration_hash, plan_hash, state)
VALUES (1, 'm', 'm', 'p', 'running');
INSERT INTO pawl.step (run_id, step, kind, title) VALUES (1, 1, 'backfill', 'm'))sql");
    EXPECT_TRUE(CreateSpans(session_, kRound, {{db::Value(), "[\"100\"]", "start", 100}}));
    worker_ = Join(pipeline_.backend_pid());
    other_ = Join(rival_.backend_pid());
  }

  std::int64_t Join(int backend_pid) {
    return database_.Integer(
        "INSERT INTO pawl.worker (run_id, host, pid, backend_pid, backend_start) SELECT 1, 'h', 1, "
        "pid, backend_start FROM pg_stat_activity WHERE pid = " +
        std::to_string(backend_pid) + " RETURNING worker_id");
  }

  SpanLease Claimed(db::Pipeline& pipeline, std::int64_t worker) {
    const std::optional<SpanLease> lease = ClaimSpan(pipeline, kRound, worker);
    if (!lease) throw std::runtime_error("no span is free");
    return *lease;
  }

  static void Commit(db::Pipeline& pipeline, SpanLease& lease, const std::string& cursor,
                     bool done = false) {
    pipeline.Run({{"BEGIN", {}}, Fence(lease, cursor, done, 10), {"COMMIT", {}}});
    lease.cursor = cursor;
    ++lease.seq;
  }

  void ExpectFenced(db::Pipeline& pipeline, SpanLease lease) {
    const std::string before = Span();
    try {
      Commit(pipeline, lease, "stale");
      ADD_FAILURE() << "a batch without a lease was committed";
    } catch (const db::Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(kLostLease));
    }
    EXPECT_EQ(Span(), before);
  }

  std::string Span() {
    return database_.Value(
        "SELECT string_agg(concat_ws('|', cursor, end_key, seq, lease_epoch, done), ' ' ORDER BY "
        "span_id) FROM pawl.span");
  }
  void Expire() { database_.Exec("UPDATE pawl.span SET lease_until = now() - interval '1 s'"); }

  test::TestDatabase database_;
  db::ConnectionString where_{database_.url()};
  db::Session session_{where_, "test"};
  db::Pipeline pipeline_{where_, "one", {}};
  db::Pipeline rival_{where_, "two", {}};
  std::int64_t worker_ = 0;
  std::int64_t other_ = 0;
};

TEST_F(SpanStorePgTest, ARoundIsCutOnce) {
  EXPECT_FALSE(CreateSpans(session_, kRound, {{db::Value(), "[\"7\"]", "start", 1}}));
  EXPECT_EQ(UnfinishedSpans(session_, kRound), 1);
}

TEST_F(SpanStorePgTest, ASpanHasOneHolder) {
  SpanLease lease = Claimed(pipeline_, worker_);
  EXPECT_FALSE(ClaimSpan(rival_, kRound, other_).has_value());
  Commit(pipeline_, lease, "a");
  Commit(pipeline_, lease, "b");
  Commit(pipeline_, lease, "end", true);
  EXPECT_EQ(UnfinishedSpans(session_, kRound), 0);
  ExpectFenced(pipeline_, lease);
}

// A helper that was frozen while the run was paused and reverted, and wakes up then.
TEST_F(SpanStorePgTest, NobodyGoesForwardOnceTheWayBackHasBegun) {
  SpanLease frozen = Claimed(pipeline_, worker_);
  Commit(pipeline_, frozen, "a");
  RetireForwardSpans(session_, 1);
  ExpectFenced(pipeline_, frozen);
  EXPECT_FALSE(ClaimSpan(rival_, kRound, other_).has_value());
  EXPECT_FALSE(ReclaimSpan(pipeline_, frozen, worker_).has_value());
  EXPECT_FALSE(SplitSpan(rival_, frozen, "[\"50\"]", {db::Value(), "[\"100\"]", "a", 50}));
}

TEST_F(SpanStorePgTest, AHolderFrozenPastItsLeaseCannotCommit) {
  const SpanLease frozen = Claimed(pipeline_, worker_);
  Expire();
  // Its cursor is still the same: the epoch alone tells.
  SpanLease lease = Claimed(rival_, other_);
  EXPECT_EQ(lease.cursor, frozen.cursor);
  EXPECT_GT(lease.epoch, frozen.epoch);
  ExpectFenced(pipeline_, frozen);
  Commit(rival_, lease, "a");
  ExpectFenced(pipeline_, frozen);
}

TEST_F(SpanStorePgTest, TheSameBatchIsNotCommittedTwice) {
  SpanLease lease = Claimed(pipeline_, worker_);
  const SpanLease before = lease;
  Commit(pipeline_, lease, "a");
  ExpectFenced(pipeline_, before);
}

TEST_F(SpanStorePgTest, ABatchBeyondAMovedEndIsNotCommitted) {
  const SpanLease lease = Claimed(pipeline_, worker_);
  ASSERT_TRUE(SplitSpan(rival_, lease, "[\"50\"]", {"[\"50\"]", "[\"100\"]", "tail", 50}));
  ExpectFenced(pipeline_, lease);
  std::optional<SpanLease> now = ReloadLease(pipeline_, lease);
  ASSERT_TRUE(now.has_value());
  EXPECT_EQ(now->end_key, "[\"50\"]");
  Commit(pipeline_, *now, "a");
  EXPECT_EQ(Claimed(rival_, other_).cursor, "tail");
}

TEST_F(SpanStorePgTest, ASplitWithAnOldCursorChangesNothing) {
  SpanLease lease = Claimed(pipeline_, worker_);
  const SpanLease seen = lease;
  Commit(pipeline_, lease, "a");
  const std::string before = Span();
  EXPECT_FALSE(SplitSpan(rival_, seen, "[\"50\"]", {"[\"50\"]", "[\"100\"]", "tail", 50}));
  EXPECT_EQ(Span(), before);
}

TEST_F(SpanStorePgTest, AHolderWhoseConnectionIsGoneIsReplacedAtOnce) {
  Claimed(pipeline_, worker_);
  test::Sql killer = database_.Connect();
  killer.Exec("SELECT pg_terminate_backend(" + std::to_string(pipeline_.backend_pid()) + ", 5000)");
  EXPECT_TRUE(ClaimSpan(rival_, kRound, other_).has_value());
}

TEST_F(SpanStorePgTest, ReclaimingWaitsForTheBatchInDoubt) {
  const SpanLease lease = Claimed(pipeline_, worker_);
  test::Sql batch = database_.Connect();
  batch.Exec("BEGIN; UPDATE pawl.span SET cursor = 'a', seq = seq + 1");
  std::optional<SpanLease> reclaimed;
  {
    std::atomic<bool> returned = false;
    const std::jthread reclaim([&] {
      reclaimed = ReclaimSpan(rival_, lease, worker_);
      returned = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_FALSE(returned);
    batch.Exec("COMMIT");
  }
  ASSERT_TRUE(reclaimed.has_value());
  EXPECT_EQ(reclaimed->cursor, "a");
  ExpectFenced(pipeline_, lease);
}

TEST_F(SpanStorePgTest, ReclaimingALostSpanFails) {
  const SpanLease lease = Claimed(pipeline_, worker_);
  Expire();
  Claimed(rival_, other_);
  EXPECT_FALSE(ReclaimSpan(pipeline_, lease, worker_).has_value());
  EXPECT_FALSE(ReloadLease(pipeline_, lease).has_value());
  const std::string before = Span();
  ReleaseSpan(pipeline_, lease);
  FinishSpan(pipeline_, lease);
  EXPECT_EQ(Span(), before);
}

TEST_F(SpanStorePgTest, AReleasedSpanIsFree) {
  ReleaseSpan(pipeline_, Claimed(pipeline_, worker_));
  EXPECT_TRUE(ClaimSpan(rival_, kRound, other_).has_value());
}

}  // namespace
}  // namespace pawl::checkpoints
