// What a table must have before it becomes a partition: columns and checks, which it has or has not;
// indexes and foreign keys, which ATTACH PARTITION would make under its lock, and which are made
// before it here.
//
// Thread safety: none. Functions use the planning given to them.
#pragma once

#include <string>
#include <vector>

#include "schema/planning.h"

namespace pawl::schema {

// What keeps PostgreSQL from attaching `child` to `parent`: columns, NOT NULL, checks; in words, empty
// where nothing does.
std::string DifferenceFrom(Planning& planning, const TableShape& parent, const TableShape& child);

// Steps, without numbers, that build the indexes of `parent` that `child` lacks, by the names that
// PostgreSQL would give them, and make constraints of those that are. Throws db::Error (kBadInput)
// where one cannot be built while others write.
std::vector<Step> MissingIndexSteps(Planning& planning, const Place& place,
                                    const TableShape& parent, const TableShape& child);

// Steps, without numbers, that add and validate the foreign keys of `parent` that `child` lacks.
// Throws as MissingIndexSteps.
std::vector<Step> MissingKeySteps(Planning& planning, const Place& place, const TableShape& parent,
                                  const TableShape& child);

}  // namespace pawl::schema
