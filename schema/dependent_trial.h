// Whether what reads a column can be made again over another type of it: asked of PostgreSQL at the
// time of the plan, not found at the cut-over, hours later.
//
// Thread safety: none. Belongs to one planning.
#pragma once

#include <string>

#include "schema/catalog.h"
#include "schema/planning.h"

namespace pawl::schema {

// `type` as ADD COLUMN wants it, with COLLATE. Returns why one of them cannot, as the beginning of a
// sentence with the server's words, or nothing. What the question itself makes impossible (the table is
// stood in for by a sub-query, which has no key and no ctid) is not held against it.
std::string TrialObstacle(Planning& planning, const TableShape& table, const std::string& column,
                          const std::string& type);

}  // namespace pawl::schema
