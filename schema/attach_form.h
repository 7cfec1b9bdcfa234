// ALTER TABLE … ATTACH PARTITION without a scan under its lock.
//
//     look for rows that do not fit      (of the table, and of the default partition)
//     build the indexes that it lacks, add the foreign keys that it lacks
//     CHECK of the bound on the table    NOT VALID, then VALIDATE
//     CHECK of its opposite on the default partition, the same
//     ATTACH, and drop both checks       one short lock, which reads no row
//
// The default partition's check comes last: while it is there, nobody can add a row of the new bounds,
// since it would go there.
//
// Thread safety: all functions, each with a planning of its own.
#pragma once

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

// True for a parsed ALTER TABLE … ATTACH PARTITION of a table.
bool IsAttach(const AstValue& node);

// Adds the steps. Throws db::Error (kBadInput) where PostgreSQL would refuse it, or a CHECK cannot say
// what the bound says.
void PlanAttach(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
