// One worker thread: leases a span, works through it batch by batch, gives it back.
//
//   lease a span ──> next batch ──> [fence · change · ledger · COMMIT] ──> next batch … ──> next span
//                      ^                        |
//                      |   retry, split, narrow |   lost lease: drop the span
//                      +------------------------+   connection gone: lease anew, read the cursor
//
// Failures are sorted by db::Action; what none of these settles ends the pool.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "batching/batch_sizer.h"
#include "checkpoints/span_store.h"
#include "db/connection_string.h"
#include "db/error.h"
#include "db/pipeline.h"
#include "engine/pace.h"
#include "engine/span_task.h"
#include "engine/timeline_watch.h"
#include "schema/render.h"

namespace pawl::engine {

// The leases that the workers of a process hold, for the heartbeat to renew.
// Thread safety: all methods.
class LeaseBook {
 public:
  void Add(const checkpoints::SpanLease& lease);
  void Remove(const checkpoints::SpanLease& lease);
  std::vector<checkpoints::HeldLease> All() const;

 private:
  mutable std::mutex mutex_;
  std::vector<checkpoints::HeldLease> held_;
};

// What every worker of a pool shares. All of it outlives the workers.
struct WorkOrder {
  db::ConnectionString where;
  db::SessionSettings settings;
  checkpoints::Round round;
  std::int64_t worker = 0;  // The process's row in pawl.worker.
  batching::BatchLimits limits;
  std::int64_t row_bytes = 0;
  std::int64_t quarantine_max = 0;
  // What a revert that walks again does with a row over which the expression fails, since the
  // application has changed it: kStop or kSkip. Others evaluate none.
  std::optional<schema::OnConflict> on_failing;
  bool nested_loops_only = false;  // The statement has no join of its own: see render_update.cc.
  std::string table;               // For messages: "public.orders".
  std::string key_index;           // For messages.
  std::string system_identifier;
  TaskSource* tasks = nullptr;
  Pace* pace = nullptr;
  LeaseBook* leases = nullptr;
  TimelineWatch* timeline = nullptr;
};

// The SQLSTATE, of our own making, of the error that ends a revert at a row changed since.
inline constexpr const char* kConflictState = "PAWLC";

// A finished batch, on its way from a worker to the coordinator.
struct BatchReport {
  std::int64_t batch = 0;
  std::int64_t rows = 0;
  std::int64_t rows_visited = 0;
  std::chrono::microseconds duration{0};
  double hot_share = -1;
};

class Worker {
 public:
  // `may_work` says whether to begin another batch; `report` takes each finished one. Both are
  // called from this worker's thread.
  Worker(const WorkOrder& order, std::function<bool()> may_work,
         std::function<void(const BatchReport&)> report);

  ~Worker() { Hold(std::nullopt); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Works until may_work says no or no span of the round is left. Throws db::Error when it cannot
  // go on; everything committed stays.
  void Run();

 private:
  void Hold(std::optional<checkpoints::SpanLease> lease);
  bool WorkOneSpan();
  void WorkSpan();
  std::optional<Pace::Turn> WaitForTurn();
  bool Cut(std::optional<Batch>& batch);
  bool RunBatch(Batch batch);
  void Settle(const db::Error& error);
  bool PassOver(const std::vector<db::Call>& beside);
  void SetAside(const db::Error& error);
  bool IsConflict(const db::Error& error) const;
  [[noreturn]] void StopAtConflict() const;
  bool WillPass(const db::Error& error) const;
  void RetryLater(const db::Error& error);
  void FindEndAgain();
  void Connect();
  void RequireSameServer(db::Pipeline& pipeline) const;
  void Reconnect(const db::Error& cause);
  bool WaitForPace(std::int64_t rows, Pace::Turn& turn);

  const WorkOrder& order_;
  std::function<bool()> may_work_;
  std::function<void(const BatchReport&)> report_;
  std::unique_ptr<db::Pipeline> pipeline_;
  bool was_connected_ = false;
  batching::BatchSizer sizer_;
  std::optional<checkpoints::SpanLease> lease_;
  std::unique_ptr<SpanTask> task_;
  std::int64_t rows_asked_ = 0;  // For the batch at hand.
  int retries_ = 0;
};

}  // namespace pawl::engine
