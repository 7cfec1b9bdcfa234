// ALTER TABLE … DETACH PARTITION, CONCURRENTLY where PostgreSQL can.
//
//     14 and later, no default partition:  DETACH … CONCURRENTLY, which marks the partition, waits
//         for nobody for long, and is ended by FINALIZE as soon as nobody uses the old shape. It leaves
//         a CHECK of the bound behind, by which the way back attaches without a scan.
//     else:  one short lock. The way back makes the checks first, as ATTACH does.
//
// FINALIZE of a detach that was interrupted is the same without its first step.
//
// Thread safety: all functions, each with a planning of its own.
#pragma once

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

// True for a parsed ALTER TABLE … DETACH PARTITION [CONCURRENTLY | FINALIZE] of a table.
bool IsDetach(const AstValue& node);

// Adds the steps. Throws db::Error (kBadInput) where PostgreSQL would refuse it, or would read rows
// under its lock.
void PlanDetach(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
