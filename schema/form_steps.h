// Steps and questions that several online forms are made of.
//
// Thread safety: all functions.
#pragma once

#include <chrono>
#include <string>

#include "schema/catalog.h"
#include "schema/plan.h"
#include "schema/planning.h"

namespace pawl::schema {

inline constexpr const char* kNobodyWaits =
    "SHARE UPDATE EXCLUSIVE: everybody reads and writes meanwhile";
inline constexpr const char* kMoment =
    "ACCESS EXCLUSIVE, milliseconds; retried with a short lock time-out";
inline constexpr const char* kOnTheWayBack = "none, but when the run is taken back";
inline constexpr const char* kBrieflyOnTheWayBack =
    "none, but when the run is taken back: then milliseconds, within the stall budget";

// True where the step's `lock` ends with "within the stall budget": its statements touch the catalogue
// only, and are given up, and tried again, before they take longer than limit.stall allows.
bool IsBrief(const Step& step);

// For how long a step that runs alone waits for a lock; 0: for as long as it takes. DETACH PARTITION …
// CONCURRENTLY first waits for those who use the partitioned table, then asks for a lock that stops all
// who use the partition by its own name. It is not to queue for that: given up, it has marked the
// partition, and FINALIZE gets the lock by the usual tries.
std::chrono::milliseconds LockWaitOf(const Step& step);

// "schema"."name" as SQL.
std::string SqlName(const TableName& name);

// A kDdl step of the statement in `line`.
Step DdlStep(int line, const TableName& table, const std::string& title, const std::string& lock,
             const std::string& why);

// Questions: is there an index of that name in that schema, valid or invalid; is there a constraint of
// that name, for which `condition` (" AND convalidated", or nothing) holds?
std::string HasIndex(const TableName& index, bool valid);
std::string HasConstraint(const TableName& table, const std::string& name,
                          const std::string& condition);
std::string DropConstraint(const TableName& table, const std::string& name);

// Builds an index by `sql`, CREATE INDEX CONCURRENTLY; what a try has left invalid goes first.
Step IndexStep(int line, const TableName& table, const std::string& name, const std::string& sql,
               const std::string& why);

// Reads all rows for a constraint that is NOT VALID.
Step ValidationStep(int line, const TableName& table, const std::string& name);

// "CREATE UNIQUE INDEX i ON …" -> "CREATE UNIQUE INDEX CONCURRENTLY i ON …". IF NOT EXISTS would take
// an invalid left-over for the index.
std::string Concurrently(const std::string& create_index);

// pg_get_indexdef of an index of a partitioned table -> the statement that builds the same, by that
// name, on another table.
std::string IndexOn(const std::string& definition, const std::string& name, const TableName& table);

// An expression that names a row by its key, in words: 'id 7'; without a key by its place.
std::string RowInWords(const TableShape& table);

}  // namespace pawl::schema
