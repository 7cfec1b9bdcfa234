// What the text and the functions of a statement say, whatever rows its table holds: whether a
// value can be computed again, whether a trigger could do the same, what a changed row held before.
#pragma once

#include <set>
#include <string>

#include "db/session.h"
#include "schema/catalog.h"
#include "schema/statement.h"

namespace pawl::schema {

struct StatementFacts {
  std::set<std::string> assigned;
  std::string base_where;              // As Backfill::base_where.
  std::set<std::string> read_by_sync;  // By assigned expressions and base_where.
  bool re_evaluable = false;           // As in Backfill, the three.
  bool stands_alone = false;
  bool old_is_null = false;
  bool where_is_volatile = false;
  bool names_all_built_in = true;  // Functions and types that it names are PostgreSQL's own.
  // Why no sync trigger can do the same, as the end of a sentence; empty if it can.
  std::string sync_obstacle;
  // Some value in it may be turned into text or back by DateStyle, TimeZone and their like.
  bool depends_on_formats = false;
};

// Asks the catalogue about functions and types. `target` is the statement's. Throws db::Error.
StatementFacts ReadFacts(db::Session& session, const Statement& statement,
                         const TableShape& target);

// True where a name is in both.
bool Intersects(const std::set<std::string>& left, const std::set<std::string>& right);

}  // namespace pawl::schema
