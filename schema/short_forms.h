// Statements that touch the catalogue for a moment only, and are run as they stand: settings of a
// column (STATISTICS, STORAGE, COMPRESSION), the name of an enum's value, a new view. What they need is
// the statement that takes them back, which mostly is in the catalogue.
//
// Thread safety: all functions, each with a planning of its own.
#pragma once

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

bool IsShortForm(const AstValue& node);

// Adds the step. Throws db::Error (kBadInput) where the table or column is not there.
void PlanShortForm(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
