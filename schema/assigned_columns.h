// The columns that a statement assigns: whether they exist and may be assigned.
//
// Every function throws db::Error (kBadInput) with what to do, or returns.
#pragma once

#include <string>
#include <vector>

#include "schema/planning.h"

namespace pawl::schema {

// INSERT … SELECT: returns the columns that the select items are assigned to, in their order. A
// list of columns that is written down cannot change between two batches.
std::vector<std::string> ResolveInsertColumns(const PlannedStatement& planned);

// UPDATE: columns that exist, are not generated, and do not decide in which partition a row lies.
void CheckAssignedColumns(const PlannedStatement& planned);

}  // namespace pawl::schema
