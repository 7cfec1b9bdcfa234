// CREATE INDEX on a partitioned table, for which PostgreSQL has no CONCURRENTLY:
//
//     CREATE INDEX CONCURRENTLY on each partition that holds rows
//     CREATE INDEX ON ONLY the partitioned tables, which reads no row and is not valid yet
//     ALTER INDEX … ATTACH PARTITION, from the leaves up; with the last one it is valid
//
// The way back drops the index of the whole, with which those that are attached go.
//
// Thread safety: all functions, each with a planning of its own.
#pragma once

#include <vector>

#include "schema/ast.h"
#include "schema/planning.h"

namespace pawl::schema {

// The steps, without numbers, of the CREATE INDEX `index` (an IndexStmt) of `statement` on the
// partitioned table `parent`. Throws db::Error (kBadInput) where a partition cannot have it.
std::vector<Step> PartitionedIndexSteps(Planning& planning, const Statement& statement,
                                        const AstObject& index, const TableShape& parent);

}  // namespace pawl::schema
