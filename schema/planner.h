// Compiles a migration against a database. Reads the catalogue and a small sample of each table;
// writes nothing, takes no lock above ACCESS SHARE, and works under a read-only role.
#pragma once

#include "db/session.h"
#include "schema/plan.h"
#include "schema/statement.h"

namespace pawl::schema {

// Returns the plan. Throws db::Error: kBadInput with a sentence that names the statement's line,
// what is wrong and what to do, for whatever in the file cannot be run (a refusal that `allow=`
// does not name, an unknown table or column, a missing privilege, no usable order, …). Nothing has
// been changed then.
Plan MakePlan(db::Session& session, const MigrationFile& migration);

// What `pawl plan` prints: steps, order of rows, locks, rows, time, WAL, undo, growth, hash.
std::string Describe(const Plan& plan);

}  // namespace pawl::schema
