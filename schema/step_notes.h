// The notes of a backfill step: what its reader should know before it runs.
#pragma once

#include <string>
#include <vector>

#include "schema/planning.h"
#include "schema/table_sample.h"

namespace pawl::schema {

// Returns sentences: triggers that fire, foreign keys without an index, replicas that receive every
// row, what is estimated and not known, what cannot be taken back. Throws db::Error.
std::vector<std::string> NotesOf(const PlannedStatement& planned, const TableShape& walked,
                                 const TableSample& sample, const Backfill& backfill);

}  // namespace pawl::schema
