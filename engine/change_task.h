// The forward task: walks a span in its order and changes its rows.
#pragma once

#include <memory>
#include <string>

#include "engine/span_task.h"
#include "schema/plan.h"

namespace pawl::engine {

struct ChangeFacts {
  checkpoints::Round round;
  int server_version = 0;
  // Taking back by walking again (kImplicit): the ledger says 'revert', and there is no undo of the
  // undo.
  bool reverting = false;
};

class ChangeSource : public TaskSource {
 public:
  // `backfill` must outlive it. Closing sweeps (round 2 and up) walk in plain order.
  ChangeSource(const schema::Backfill& backfill, const ChangeFacts& facts);

  std::unique_ptr<SpanTask> Open(db::Pipeline& pipeline, const checkpoints::SpanLease& lease,
                                 std::int64_t worker) override;
  bool Split(db::Pipeline& pipeline) override;

 private:
  const schema::Backfill& backfill_;
  ChangeFacts facts_;
};

}  // namespace pawl::engine
