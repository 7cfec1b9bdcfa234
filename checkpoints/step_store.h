// What the tables say about the steps of a run: their states and rounds, and sums over the ledger.
// The state machine of the run itself is in run_store.h.
//
// Thread safety: as the session's. All throw db::Error; nothing is changed on failure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/span_store.h"
#include "db/session.h"

namespace pawl::checkpoints {

// "pending", "running", "done" or "reverted".
std::string StepState(db::Session& session, std::int64_t run, int step);
void SetStepState(db::Session& session, std::int64_t run, int step, const std::string& state);

// The last round that was begun, 0 where none was; of a revert (`back`) as a negative number.
int LastRound(db::Session& session, std::int64_t run, int step, bool back);

// The rounds in which rows were changed, by the ledger, the last one first.
std::vector<int> RoundsToTakeBack(db::Session& session, std::int64_t run, int step);

// The round that workers may join: it has spans that are not done. Reverts have negative rounds.
std::optional<Round> RoundAtWork(db::Session& session, std::int64_t run, bool back);

std::int64_t RowsChanged(db::Session& session, const Round& round);

// Changed by all rounds of the step, whether or not they were taken back since.
std::int64_t RowsOfStep(db::Session& session, std::int64_t run, int step);
std::int64_t RowsQuarantined(db::Session& session, std::int64_t run);

// Rows that a revert left alone because the application had changed them.
std::int64_t Conflicts(db::Session& session, std::int64_t run);

// Marks as forced what an earlier way back has kept whole: columns and tables that the application
// has filled, and rows of columns that the run made. Their DROP takes all of it.
void ForceKept(db::Session& session, std::int64_t run);

// Bytes of all undo tables of the run.
std::int64_t UndoBytes(db::Session& session, std::int64_t run);

}  // namespace pawl::checkpoints
