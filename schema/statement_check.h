// Asks the server whether the expressions of a statement make sense there: names, types, functions.
// EXPLAIN plans and does not run; a scan of nothing tells types. Nothing is written or locked.
#pragma once

#include <string>
#include <vector>

#include "db/session.h"
#include "schema/catalog.h"
#include "schema/place.h"
#include "schema/read_transaction.h"
#include "schema/statement.h"

namespace pawl::schema {

// Returns `table` as an item of a FROM list under `alias`, with the columns that do not exist yet
// as NULLs of their types. A table that does not exist yet is one without rows. `sampled` follows
// the name of the table: a TABLESAMPLE clause or nothing. `extra` is put in front of the columns:
// expressions over "t", each with its name.
std::string RelationSql(const TableShape& table, const std::string& alias,
                        const std::string& sampled = {}, const std::string& extra = {});

// Throws db::Error (kBadInput) with the server's words where the statement's expressions or
// condition cannot be planned, or an expression cannot be assigned to its column. `walked` is the
// table whose rows are walked; `columns` are the assigned columns of an INSERT, in the order of its
// select items, and empty otherwise.
void CheckOnServer(db::Session& session, const Place& place, const Statement& statement,
                   const TableShape& walked, const TableShape& target,
                   const std::vector<std::string>& columns);

// True where storing the value of `expression` in `column` keeps it as it is: no rounding, no
// padding. False in doubt.
bool IsStoredUnchanged(ReadTransaction& reading, const std::string& expression,
                       const Column& column, const TableShape& table, const std::string& alias);

// What the catalogue says about the functions that a statement may be calling.
struct FunctionFacts {
  std::vector<std::string> volatile_ones;  // Names; in doubt a function is volatile.
  bool all_built_in = true;                // All are in pg_catalog.
};
FunctionFacts ReadFunctions(db::Session& session, const std::vector<FunctionCall>& calls);

}  // namespace pawl::schema
