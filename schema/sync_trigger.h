// The trigger that gives rows which the application writes during a backfill the same values as the
// backfill would: a BEFORE ROW trigger that computes the same expressions from NEW.
//
// It touches only what the statement itself would: a row that matches the whole WHERE gets its new
// form at once, and a row that had it keeps in step with the columns that it is computed from. A
// value that the application gave by itself stays, whatever the expression says.
//
// Rendering only. Thread safety: all functions.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "schema/statement.h"

namespace pawl::schema {

struct SyncTrigger {
  std::string suffix;  // Makes the names unique: "<12 hex of the migration's hash>_<step>".
  TableName table;
  std::string alias;  // By which the expressions know the row.
  std::vector<std::pair<std::string, std::string>> assigned;  // Column and expression.
  std::string where;       // Which rows the statement changes; empty: every row.
  std::string base_where;  // The part of it that a changed row still fulfils; empty: every row.
  std::set<std::string> columns_read;  // Of the table, by expressions and condition.
  // Not empty: the function runs with these, because names in it are looked up by the search path.
  // It costs on every call, so it is left out where all names are PostgreSQL's own.
  std::string search_path;
  // Not empty: values are turned into text or back somewhere, so the function runs with this zone
  // and with the batches' formats, whoever writes the row.
  std::string time_zone;
};

// Two statements: CREATE FUNCTION and CREATE TRIGGER. The trigger sorts late by its name, so that
// it sees what the application's own triggers have made of the row.
std::string RenderSyncOn(const SyncTrigger& trigger);
std::string RenderSyncOff(const SyncTrigger& trigger);

}  // namespace pawl::schema
