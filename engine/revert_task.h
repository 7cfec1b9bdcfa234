// The backward task: takes back the batches of one span, the last first.
#pragma once

#include <memory>

#include "engine/span_task.h"
#include "schema/plan.h"
#include "schema/render.h"

namespace pawl::engine {

// The spans of a revert over the ledger of `forward_round`, or over the chosen batches only. A
// revert span's cursor is ["<span>","<seq>"]: batches of that span up to seq are still to be taken
// back.
std::vector<checkpoints::SpanSeed> CutRevertSpans(db::Session& session,
                                                  const checkpoints::Round& forward_round,
                                                  const std::vector<std::int64_t>& batches);

class RevertSource : public TaskSource {
 public:
  // `backfill` must outlive it. `forward` is the step's run and number; its round does not matter.
  RevertSource(const schema::Backfill& backfill, const checkpoints::Round& round,
               schema::OnConflict on_conflict)
      : backfill_(backfill), round_(round), on_conflict_(on_conflict) {}

  std::unique_ptr<SpanTask> Open(db::Pipeline& pipeline, const checkpoints::SpanLease& lease,
                                 std::int64_t worker) override;
  // Batches of one span may touch the same row; their order matters, so spans stay whole.
  bool Split(db::Pipeline&) override { return false; }

 private:
  const schema::Backfill& backfill_;
  checkpoints::Round round_;
  schema::OnConflict on_conflict_;
};

}  // namespace pawl::engine
