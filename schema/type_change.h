// ALTER TABLE … ALTER COLUMN … TYPE: a short step where PostgreSQL keeps the rows as they are, else
// a column of the new type that takes over (schema/move_steps.h).
//
// Thread safety: none. Belongs to one planning.
#pragma once

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

bool IsTypeChange(const AstValue& node);

// Adds the steps. Throws db::Error (kBadInput) where something depends on the column that cannot be
// carried along, or values have no way back.
void PlanTypeChange(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
