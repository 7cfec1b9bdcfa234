// The forward task: walks a span in its order and changes its rows.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "batching/stride_watch.h"
#include "engine/span_task.h"
#include "schema/plan.h"

namespace pawl::engine {

struct ChangeFacts {
  checkpoints::Round round;
  int server_version = 0;
};

class ChangeSource : public TaskSource {
 public:
  // Closing sweeps (round 2 and up) walk in plain order.
  ChangeSource(schema::Backfill backfill, const ChangeFacts& facts);

  std::unique_ptr<SpanTask> Open(db::Pipeline& pipeline, const checkpoints::SpanLease& lease,
                                 std::int64_t worker) override;
  bool Split(db::Pipeline& pipeline) override;

 private:
  std::shared_ptr<batching::StrideWatch> WatchOf(const db::Pipeline& worker);

  const schema::Backfill backfill_;
  ChangeFacts facts_;
  std::mutex mutex_;
  // One for each worker of this process: what it has learnt holds for its next span too.
  std::map<const db::Pipeline*, std::shared_ptr<batching::StrideWatch>> watches_;
};

}  // namespace pawl::engine
