// What must hold before a command writes anything: the server takes writes, is the one the run
// began on, there is no transaction pooler in between, and the role may do what the plan needs.
//
// Not for what a migration means: schema/ refuses that. Every function throws db::Error kBadInput
// with a sentence that ends with what to do, and has then changed nothing.
//
// Thread safety: all functions, each with a session of its own.
#pragma once

#include <memory>
#include <string>

#include "checkpoints/run_store.h"
#include "db/session.h"
#include "engine/engine.h"
#include "schema/plan.h"

namespace pawl::engine {

// The first connection of a command: nothing has begun, so a server that is not there is refused.
// `role` as in db::Session.
std::unique_ptr<db::Session> OpenFirst(const db::ConnectionString& where, const std::string& role);

// Opens the session of a command that writes to an existing control schema.
std::unique_ptr<db::Session> OpenControl(const db::ConnectionString& where);

// Refuses a replica, and a role or database whose transactions are read-only.
void RequireWritable(db::Session& session);

// Refuses a pooler in transaction mode: settings, prepared statements and locks of a session would
// be lost there without an error. `session` must be fresh.
void RefuseTransactionPooler(const db::ConnectionString& where, db::Session& session);

// Refuses a server that is not the one `plan` was made for: a restored copy, for example. Does
// nothing where either side may not be asked for its identity.
void RequireSameServer(const db::ConnectionString& where, db::Session& session,
                       const schema::Plan& plan);

// Refuses a role that could do the change, but not prove it or take it back.
void RequireWayBack(db::Session& session, const schema::Plan& plan);

// Refuses a CONNECTION LIMIT of the role or the database that is too low for `workers`.
void RequireConnections(db::Session& session, int workers);

// Refuses a way back that would destroy what the run never touched: `force` where no record says
// which rows were changed, rows that others refer to, columns that came later; and the batches of a
// run that is not completed, which it would then be taken for.
void RequireRevertible(db::Session& session, const checkpoints::RunRow& run,
                       const schema::Plan& plan, const RevertSettings& settings);

// Refuses to force, behind a way back that is at its end, rows which that one left alone by their
// undo records.
void RequireForcible(db::Session& session, std::int64_t run);

// Refuses to begin where an aborted run of the same name has changed rows that `plan` would change
// once more.
void RefuseToRepeat(db::Session& session, const schema::Plan& plan);

// Whether a run of `plan` makes undo tables.
bool MakesUndoTables(const schema::Plan& plan);

}  // namespace pawl::engine
