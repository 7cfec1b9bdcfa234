// How many threads a pool has, whatever is asked of it while they are at work.
#include "engine/worker_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <thread>

#include "checkpoints/control_schema.h"
#include "checkpoints/run_store.h"
#include "db/session.h"
#include "tests/support/test_database.h"

namespace pawl::engine {
namespace {

// Holds every worker that comes, until it is opened.
class Gate {
 public:
  void Pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }

  void AwaitWaiting(int count) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return waiting_ >= count; }));
  }

  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

// There is nothing to do in any span.
class NoTask : public SpanTask {
 public:
  std::optional<Batch> Next(std::int64_t, bool) override { return std::nullopt; }
  Batch Skip() override { return {}; }
  void Committed(const std::vector<db::Result>&) override {}
  void MoveEnd(const std::string&) override {}
  std::string KeyText() const override { return {}; }
};

class GatedTasks : public TaskSource {
 public:
  explicit GatedTasks(Gate& gate) : gate_(gate) {}
  std::unique_ptr<SpanTask> Open(db::Pipeline&, const checkpoints::SpanLease&,
                                 std::int64_t) override {
    gate_.Pass();
    return std::make_unique<NoTask>();
  }
  bool Split(db::Pipeline&) override { return false; }

 private:
  Gate& gate_;
};

class WorkerPoolPgTest : public testing::Test {
 protected:
  WorkerPoolPgTest() {
    checkpoints::EnsureControlSchema(session_);
    database_.Exec(R"sql(
INSERT INTO pawl.migration VALUES ('m', 'm', 'm');
INSERT INTO pawl.plan (plan_hash, migration_hash, version, content) VALUES ('p', 'm', 1, '');
INSERT INTO pawl.run (run_id, migration, migration_hash, plan_hash, state)
VALUES (1, 'm', 'm', 'p', 'running');
INSERT INTO pawl.span (run_id, step, end_key, cursor)
SELECT 1, 1, '["1"]', '["1"]' FROM generate_series(1, 8))sql");
    order_.round = {1, 1, 1};
    order_.worker = checkpoints::JoinRun(session_, 1, session_.backend_pid());
    order_.tasks = &tasks_;
    order_.pace = &pace_;
    order_.leases = &leases_;
    order_.timeline = &timeline_;
  }

  void FinishAll(WorkerPool& pool) {
    gate_.Open();
    pool.Join();
    EXPECT_FALSE(pool.failure()) << pool.failure()->what();
    EXPECT_TRUE(pool.idle());
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.span WHERE done"), 8);
  }

  test::TestDatabase database_;
  db::Session session_{db::ConnectionString(database_.url()), "test"};
  Gate gate_;
  GatedTasks tasks_{gate_};
  Pace pace_;
  LeaseBook leases_;
  TimelineWatch timeline_;
  WorkOrder order_{.where = db::ConnectionString(database_.url()),
                   .settings = {},
                   .round = {},
                   .limits = {},
                   .on_failing = {},
                   .table = {},
                   .key_index = {},
                   .system_identifier = {}};
};

TEST_F(WorkerPoolPgTest, WorkersThatAreWantedAgainAreNotDoubled) {
  WorkerPool pool(order_);
  pool.Resize(4);
  gate_.AwaitWaiting(4);
  pool.Resize(2);
  pool.Resize(4);
  EXPECT_EQ(pool.threads(), 4);
  EXPECT_EQ(pool.size(), 4);
  FinishAll(pool);
}

TEST_F(WorkerPoolPgTest, FewerAreLeftAfterTheirSpanAndMoreComeAgain) {
  WorkerPool pool(order_);
  pool.Resize(3);
  gate_.AwaitWaiting(3);
  pool.Resize(0);
  gate_.Open();
  while (!pool.idle()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_LT(database_.Integer("SELECT count(*) FROM pawl.span WHERE done"), 8);
  pool.Resize(2);
  EXPECT_EQ(pool.threads(), 2);
  FinishAll(pool);
}

}  // namespace
}  // namespace pawl::engine
