// RENAME of a table or a column: the old name stays readable and writable until the contract, by a
// view that PostgreSQL can write through, or by a column that is kept in step.
//
// Thread safety: none. Belongs to one planning.
#pragma once

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

bool IsRename(const AstValue& node);

// Adds the steps. Throws db::Error (kBadInput) where the old name cannot stay.
void PlanRename(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
