// Whether a row that a statement has changed no longer matches its WHERE clause, with all that may
// come between: triggers, and types that store another value than they are given.
#pragma once

#include <vector>

#include "schema/planning.h"

namespace pawl::schema {

// The triggers of `table` that fire for the statement.
std::vector<UserTrigger> FiringTriggers(const PlannedStatement& planned, const TableShape& table);

// In doubt false. Tries assigned values on the server; throws db::Error.
bool IsSelfExcluding(const PlannedStatement& planned, const TableShape& walked);

}  // namespace pawl::schema
