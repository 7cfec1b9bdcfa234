// Named fault points, compiled out of a release. A test names points, the pass of each at which
// something happens, and what:
//
//   PAWL_FAULT_AT=after_commit:3:kill            the third pass in this process kills it
//   PAWL_FAULT_AT=commit_sent:1:throw            …ends in a broken connection
//   PAWL_FAULT_AT=before_batch:1:delay=2000      …takes two seconds
//   PAWL_FAULT_AT=before_batch:3:until=after_claim:2
//
// The last one places a race: the thread that passes before_batch for the third time waits until
// after_claim has been passed twice, by any process. Passes are told from process to process in
// the directory PAWL_FAULT_DIR, one file a point, as many bytes as passes; a test that adds a byte
// lets the thread go. Several faults are joined by semicolons.
#pragma once

#ifdef PAWL_FAULT_POINTS
#include <array>
#include <string_view>

namespace pawl::db {

// In the order of a run's life. A name that is not here fails a check: a test that waits for a
// point that is never passed would prove nothing.
inline constexpr std::array<std::string_view, 47> kFaultPoints = {
    // A run begins, and moves from state to state.
    "before_create_run", "in_create_run", "after_create_run", "before_move", "in_move",
    "after_move",
    // Its steps: DDL, the sync trigger, the undo table, the spans.
    "before_ddl", "in_ddl", "after_ddl", "before_sync_on", "after_sync_on", "before_sync_off",
    "after_sync_off", "before_undo_table", "after_undo_table", "before_spans", "in_spans",
    "after_spans", "before_step_done", "after_step_done",
    // A shape that changes: is every row ready, the names change over, the old one goes.
    "before_question", "before_cut_over", "after_cut_over", "before_contract", "after_contract",
    // Leases.
    "before_claim", "after_claim", "before_reclaim", "after_reclaim", "before_renew", "after_renew",
    "before_release", "after_release", "before_split", "after_split", "before_finish_span",
    // A batch: cut; its statements sent, not the COMMIT; the COMMIT sent, the answer not read; done.
    "before_batch", "before_commit", "commit_sent", "after_commit",
    // The same on the way back.
    "before_revert_batch", "after_revert_commit", "before_revert_round", "after_revert_round",
    // The proof.
    "before_chunk", "before_verdict", "after_verdict"};

// Throws Error (reconnect) where that is the fault; otherwise returns, or not at all.
// Thread safety: all threads.
void PassFaultPoint(std::string_view point);

}  // namespace pawl::db
#define PAWL_FAULT(point) ::pawl::db::PassFaultPoint(point)
#else
#define PAWL_FAULT(point) static_cast<void>(0)
#endif
