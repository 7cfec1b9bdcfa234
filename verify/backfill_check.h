// Proves one backfill step of a run from the tables alone: the ledger, the undo records and the
// rows as they are now. It uses no counter of the workers.
//
//     the ledger's batches partition the table     every round, span, window and pass
//     no row is left that should have changed      though it was there when its batch ran
//     every changed row holds what it should       expressions re-evaluated, or written values kept
//                                                  in undo records; copies compared row by row
//     undo records = ledger rows                   per batch
//
// The application may have written since. By the transaction that wrote a row last (its xmin) and
// the snapshots in the ledger, its writes are told from those of the run, and counted as changed
// since. What can be proved depends on the plan; what cannot is a note, and a check that verified
// no row of a step that changed some is a difference.
#pragma once

#include <cstdint>
#include <functional>

#include "db/connection_string.h"
#include "db/session.h"
#include "schema/plan.h"
#include "verify/step_findings.h"

namespace pawl::verify {

struct CheckOptions {
  // Whether a row that the application changed or deleted after its batch is no difference.
  bool accept_changed = false;
  int threads = 2;  // Connections that look at chunks; one more reads the ledger.
  std::int64_t differences_max = 100;
  std::function<bool()> stopped = [] { return false; };  // Asked before each chunk, on any thread.
};

// Checks step `step` of run `run`, whose workers have finished. `settings` must give the search
// path and time zone of the plan. Reads only, in transactions of a second or so, each on its own
// snapshot (INSERT … SELECT in block order: one for all). Throws db::Error; kStop once `stopped`
// says so. Requires threads > 0. Thread safety: may be called for several steps at a time.
StepCheck CheckBackfill(const db::ConnectionString& where, const db::SessionSettings& settings,
                        const schema::Backfill& backfill, std::int64_t run, int step,
                        const CheckOptions& options = {});

}  // namespace pawl::verify
