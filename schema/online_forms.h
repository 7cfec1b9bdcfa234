// Changes of the schema that would stop the application as they are written, as steps that nobody
// notices: indexes CONCURRENTLY, constraints NOT VALID and then validated, NOT NULL by a check that
// PostgreSQL trusts, keys from an index that is there already.
//
// Each step can be killed at any point and run again: `settled` tells whether it has happened, and
// `leftover` whether a try that failed has left something invalid, which `clear` removes.
//
// Thread safety: all functions, each with a planning of its own.
#pragma once

#include <vector>

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

// True where OnlineSteps knows what to do with the statement; from its text alone.
bool HasOnlineForm(const AstValue& node);

// Returns the steps, without numbers. Throws db::Error (kBadInput) where the table is not there, is
// not the role's, or is of a kind that the form does not exist for.
std::vector<Step> OnlineSteps(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
