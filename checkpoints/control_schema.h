// The tables of `pawl.*`: what is durably done. Created by `pawl init` or by the first run,
// versioned, upgraded in place. One written by a later version is refused, never guessed at.
#pragma once

#include <string>

#include "db/session.h"

namespace pawl::checkpoints {

inline constexpr int kControlSchemaVersion = 2;

// Returns the version found in the database, 0 where there is no control schema. Throws Error:
// kBadInput where the version is not this program's, or the role may not look, with what to do.
int ControlSchemaVersion(db::Session& session);

// Throws kBadInput with the GRANTs that the role lacks to write the control schema, which must
// exist; `makes_tables`: also to make undo tables in it.
void RequireControlPrivileges(db::Session& session, bool makes_tables);

// Creates or upgrades the control schema in one transaction; does nothing where it is current.
// Concurrent callers wait for each other. An upgrade locks no table that a run uses, so one that an
// older pawl is at goes on; commands of that pawl are refused from then on. Throws Error (kBadInput,
// naming the privilege, where the role may not).
void EnsureControlSchema(db::Session& session);

// The statements that create it, for `pawl init --print` and for a role that may not create
// schemas.
std::string ControlSchemaSql();

}  // namespace pawl::checkpoints
