// What ATTACH PARTITION and DETACH PARTITION have in common: the tables that take part, and the CHECK
// that spares a scan under a lock.
//
// Thread safety: none. Functions use the planning given to them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "schema/partition_bound.h"
#include "schema/planning.h"

namespace pawl::schema {

// Returns the default partition of a partitioned table, where it has one.
std::optional<TableShape> DefaultPartition(Planning& planning, const TableShape& parent);

// Returns the tables that foreign keys of `parent` refer to: with a partition come or go triggers of
// theirs, so ATTACH and DETACH lock them too, for a moment.
std::vector<TableName> ReferredTo(Planning& planning, const TableShape& parent);

// Throws where an earlier statement of the file attaches or detaches a partition of `parent`: what
// depends on the partitions that are there cannot be known yet.
void RequireSamePartitions(const Planning& planning, const Place& place, const TableName& parent);

// The names that a run gives the checks on the partition and on the default partition.
std::string BoundCheckName(const TableName& child);
std::string ApartCheckName(const TableName& default_partition, const TableName& child);

// Asks whether `child` belongs to `parent`; one that is being detached (14 and later) does not count.
std::string IsAttached(const TableName& parent, const TableName& child, int server_version);

// Rows of `table` for which `condition` does not hold, in words.
std::string RowsOutside(const TableShape& table, const std::string& condition);

// Adds and validates CHECK (condition), without number: two steps. The first one names the rows for which it
// does not hold, and then takes it away again. `kind` is kDdl, or kWayBack for the same on the way back,
// in the order of a plan.
std::vector<Step> CheckSteps(StepKind kind, int line, const TableShape& table,
                             const std::string& name, const std::string& condition,
                             const std::string& why);

}  // namespace pawl::schema
