// Whether the tables of a statement are such that it can run on them in batches, by this role, with
// nothing lost: kinds of tables, row level security, rules, privileges, references from other
// tables, replica identity.
//
// Every function throws db::Error (kBadInput) with what to do, or returns.
#pragma once

#include <string>

#include "schema/planning.h"

namespace pawl::schema {

// The target as named: a view, a foreign or temporary table, one that this file creates.
void CheckTarget(const PlannedStatement& planned);

// INSERT … SELECT: the same for the table whose rows are walked.
void CheckWalked(const PlannedStatement& planned, const TableShape& walked);

// A table below `parent`.
void CheckChild(const PlannedStatement& planned, const TableShape& parent, const TableShape& child);

// What the role may do; the second for each walked table.
void CheckPrivilegesOnTarget(const PlannedStatement& planned);
void CheckPrivileges(const PlannedStatement& planned, const TableShape& walked);
[[noreturn]] void FailPrivilege(const PlannedStatement& planned, const TableShape& table,
                                const std::string& privilege);

// Foreign keys by which other tables would change with this one.
void CheckReferences(const PlannedStatement& planned, const TableShape& walked);

// A published table without a replica identity refuses UPDATE and DELETE.
void CheckReplicaIdentity(const PlannedStatement& planned, const TableShape& walked);

}  // namespace pawl::schema
