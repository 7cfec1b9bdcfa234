// REFRESH MATERIALIZED VIEW -> CONCURRENTLY, which lets everybody read meanwhile. It needs a unique
// index of plain columns over all rows; where there is none, the statement is refused with that.
//
// Thread safety: all functions, each with a planning of its own.
#pragma once

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

bool IsRefresh(const AstValue& node);

// Adds the step. Throws db::Error (kBadInput).
void PlanRefresh(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
