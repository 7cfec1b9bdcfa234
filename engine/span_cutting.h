// Cuts a table into spans at the start of a round, and the largest span in two when a worker runs
// dry, so that workers finish together. Samples blocks; memory does not grow with the table.
#pragma once

#include <vector>

#include "checkpoints/span_store.h"
#include "db/pipeline.h"
#include "db/session.h"
#include "schema/plan.h"

namespace pawl::engine {

// Rows that a stride window spans: enough pages that some moments pass between two passes over one
// page, few enough that they stay in cache.
std::int64_t WindowRows(const schema::Backfill& backfill);

// The spans of a round over the table as it is now: together they reach from the first row to the
// last one there is (later rows are the sync trigger's, or the application's own). Empty for an
// empty table.
//
// `closing`: one span that reaches beyond every block there can be, to be changed by one statement.
std::vector<checkpoints::SpanSeed> CutSpans(db::Session& session, const schema::Backfill& backfill,
                                            bool closing = false);

// Splits the span with most left to do. Returns false where none is worth it.
bool SplitLargest(db::Pipeline& pipeline, const schema::Backfill& backfill,
                  const checkpoints::Round& round);

}  // namespace pawl::engine
