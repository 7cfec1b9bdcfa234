// What must not be under way already where the shape of a table is to change. All throw db::Error
// (kBadInput), and nothing is changed.
#pragma once

#include <vector>

#include "schema/planning.h"

namespace pawl::schema {

// Throws where an earlier statement of the file moves something of the table.
void RequireNotMoved(const Planning& planning, const Place& place, const TableName& table);

// Throws where an earlier statement of the file makes or drops something of the table, but a new
// column: it is not there yet, so it would not be carried along.
void RequireUnchanged(const Planning& planning, const Place& place, const TableName& table);

// Throws where another run's change of this table's shape, or of one that a foreign key ties to it,
// has not been contracted yet, or as RequireNotMoved.
void RequireNoMove(const Planning& planning, const Place& place, const TableShape& table);

// The same for the views that a change makes again or replaces: their definitions are those of one
// change at a time.
void RequireNoMove(const Planning& planning, const Place& place,
                   const std::vector<TableName>& views);

// Throws where the table is partitioned or a partition: the rows of all would have to change over at
// once.
void RequireUnpartitioned(const Place& place, const TableShape& table);

// Throws where the role may not change the table, or it is of a kind that cannot be changed.
void RequireOwnTable(const Place& place, const TableShape& table);

}  // namespace pawl::schema
