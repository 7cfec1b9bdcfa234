// ALTER DOMAIN … ADD CONSTRAINT … CHECK -> NOT VALID, then VALIDATE.
//
// The first holds for new values and reads no row. To validate, PostgreSQL reads every table with a
// column of the domain under a lock that stops its writers: so that may take no longer than the stall
// budget allows, or the constraint stays as it is, and the run says so.
//
// Thread safety: all functions, each with a planning of its own.
#pragma once

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

bool IsDomainConstraint(const AstValue& node);

// Adds the steps. Throws db::Error (kBadInput).
void PlanDomainConstraint(Planning& planning, const Statement& statement);

}  // namespace pawl::schema
