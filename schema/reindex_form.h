// REINDEX INDEX, TABLE, SCHEMA and DATABASE: one REINDEX INDEX CONCURRENTLY for each index, so that a
// run that is killed, paused or failed goes on where it was. What an earlier try has left invalid
// (name_ccnew, name_ccold) is dropped first.
//
// Left out and named in the plan: the system catalogues, Pawl's own tables, and indexes that cannot be
// built while others write (exclusion constraints).
//
// Thread safety: all functions, each with a planning of its own.
#pragma once

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

// True for a parsed REINDEX, but for REINDEX SYSTEM.
bool IsReindex(const AstValue& node);

// Adds the steps. Throws db::Error (kBadInput) where there is no such thing, it is not the role's, or
// the one index that is named cannot be built while others write.
void PlanReindex(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
