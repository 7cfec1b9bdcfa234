// Runs, plans, commands and the audit trail in the control schema.
//
//  running <-> paused          reverting <-> paused
//     |  \--> failed --> running     |  \--> failed --> reverting
//     v                              v
//  verifying --> completed --> reverting --> reverted          aborted --> reverting
//     \--> failed   \--> contracted   (paused, failed, running, verifying --> aborted)
//
// And by a contract, which gives a way back up that has not reached its cut-over yet:
//  failed, paused, aborted --> completed --> contracted
//
// One function, MoveRun, moves a run, against the table of these edges, in the transaction that
// also writes the audit row and tells every process by NOTIFY.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/session.h"
#include "schema/picture.h"
#include "schema/plan.h"
#include "schema/throttle_options.h"

namespace pawl::checkpoints {

// The channel on which processes hear that something about a run has changed.
inline constexpr const char* kChannel = "pawl";

struct RunRow {
  std::int64_t run = 0;
  std::string migration;
  std::string migration_hash;
  std::string plan_hash;
  std::string state;
  std::string reason;
  int workers = 2;
  std::int64_t pace = 0;
  std::string throttle;        // JSON, see schema::ThrottleValues; empty: as is standard.
  std::string revert_options;  // JSON; empty unless the run is being taken back.
  std::string started_at;
  std::string started_by;
  std::string finished_at;
  std::int64_t working_ms = 0;
  std::int64_t wal_bytes = 0;
};

// Throws kBadInput where there is no such run, or its state is none that this program knows.
RunRow LoadRun(db::Session& session, std::int64_t run);

// Newest first.
std::vector<RunRow> LoadRuns(db::Session& session);

// How fast a run may go, as it is asked for when it begins.
struct RunKnobs {
  int workers = 2;
  std::int64_t pace = 0;
  schema::ThrottleValues throttle;
};

// Stores the plan with the file's text and creates a run in state running; where the same
// migration has an unfinished or completed run already (whatever file it was made from), returns
// that one. Throws kBadInput, and has created nothing, when another unfinished run touches one of
// the plan's tables: two migrations at one table would undo each other's undo.
RunRow CreateRun(db::Session& session, const schema::Plan& plan, const std::string& text,
                 const RunKnobs& knobs);

// The newest unfinished or completed run of migration `name`; nullopt where there is none.
std::optional<RunRow> FindRun(db::Session& session, const std::string& name);

// Throws kBadInput where another version made it, kStop where it was damaged since.
schema::Plan LoadPlan(db::Session& session, const std::string& plan_hash);

// Moves the run along an allowed edge, says why, and books the `command` that asked for it where
// there is one. Does nothing where the run is in `to` already. Throws kBadInput where the edge does
// not exist; nothing is changed then.
void MoveRun(db::Session& session, std::int64_t run, const std::string& to,
             const std::string& reason, const std::string& command = {});

// MoveRun to a state that ends it, and records in the same transaction what the schema looks like now,
// where `picture` says it (checkpoints/picture_store.h).
void EndRun(db::Session& session, std::int64_t run, const std::string& to,
            const std::string& reason, const std::optional<schema::Picture>& picture,
            const std::string& command = {});

// Moves the run to reverting with these options (engine/run_process.h), which replace those of a
// revert under way. Throws kBadInput, and changes nothing, where the edge does not exist, or as
// CreateRun where another unfinished run touches one of its tables.
void BeginRevert(db::Session& session, const schema::Plan& plan, std::int64_t run,
                 const std::string& options);

// Gives up for good what a revert has begun: makes a run that is failed, paused or aborted, and whose
// cut-overs are all done, a completed one, and its way back steps `running`, because they may have
// been begun. Does nothing where the run is completed. Throws kBadInput, and changes nothing, where
// it is none of these, or a process works on it.
void GiveUpWayBack(db::Session& session, std::int64_t run);

// Throws kBadInput, as CreateRun, where an unfinished run other than `run` touches one of the
// plan's tables. Changes nothing.
void RequireNoRivals(db::Session& session, const schema::Plan& plan, std::int64_t run);

// Changes what is given and leaves the rest; `throttle` is laid over what is there. Writes the
// history and tells every process. Throws kBadInput where there is no such run.
void SetRun(db::Session& session, std::int64_t run, std::optional<int> workers,
            std::optional<std::int64_t> pace, const schema::ThrottleValues& throttle = {});

// Adds to the run's time at work, and to the WAL that the server wrote meanwhile.
void AddWorkingTime(db::Session& session, std::int64_t run, std::int64_t working_ms,
                    std::int64_t wal_bytes);

// States from which nothing more will be changed by the run itself.
bool IsFinal(const std::string& state);

// A running process announces itself, known by the backend of its listening connection; returns its
// worker id. Throws kReconnect where that backend has ended already.
std::int64_t JoinRun(db::Session& session, std::int64_t run, int backend_pid);
void Heartbeat(db::Session& session, std::int64_t worker, int threads, std::int64_t batch_rows);
void LeaveRun(db::Session& session, std::int64_t worker);

// Other processes of the run whose connection exists.
std::int64_t LiveWorkers(db::Session& session, std::int64_t run, std::int64_t except_worker);

}  // namespace pawl::checkpoints
