// DROP TABLE and DROP COLUMN: what is dropped is set aside under another name with all its rows, and
// goes with the contract.
//
// Thread safety: none. Belongs to one planning.
#pragma once

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

bool IsDrop(const AstValue& node);

// Adds the steps. Throws db::Error (kBadInput) where something depends on it.
void PlanDrop(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
