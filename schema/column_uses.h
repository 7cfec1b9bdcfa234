// All that hangs on one column of a table, as far as it can be moved to another: indexes,
// constraints on either side, default, identity, sequence, comment, grants, and what reads it in words
// of its own (schema/dependents.h). What cannot be moved is named.
//
// Thread safety: none. Functions use the session given to them.
#pragma once

#include <string>
#include <vector>

#include "db/session.h"
#include "schema/catalog.h"
#include "schema/column_definitions.h"
#include "schema/dependents.h"

namespace pawl::schema {

// Ends the names of what belongs to the old column (column_move.h).
inline constexpr const char* kOldSuffix = "_pawl_old";

struct IndexUse {
  std::string name;
  std::string definition;  // pg_get_indexdef().
  std::string tablespace;  // Empty: the default one.
  bool is_unique = false;
  bool is_computed = false;  // With expressions or a predicate.
  bool is_clustered = false;
  // Holds the column itself, once, and nothing else that may be called like it.
  bool names_column = false;
  // Of its constraint; "p", "u" or empty.
  std::string constraint_type;
  std::string comment;
  std::string constraint_comment;
};

struct CheckUse {
  std::string name;
  std::string definition;  // pg_get_constraintdef().
  bool is_validated = true;
  std::string comment;
};

struct ForeignKeyUse {
  std::string name;
  TableName table;             // Which has it.
  TableName other;             // To which it refers.
  bool is_referring = false;   // The column is one of its own.
  bool is_referenced = false;  // The column is one that it refers to.
  std::string definition;
  bool is_validated = true;
  std::string comment;
};

// A statistics object. It stays with its column, renamed, like a plain index.
struct StatisticsUse {
  TableName name;
  std::string definition;  // pg_get_statisticsobjdef().
  std::string owner;       // Quoted where needed.
  std::string target;      // As SET STATISTICS wants it; empty: the default.
  std::string comment;
};

struct SequenceUse {
  TableName name;  // Empty: there is none.
  bool is_identity = false;
  std::string options;  // Of CREATE SEQUENCE, without AS, MINVALUE and MAXVALUE.
  std::string minimum;
  std::string maximum;
  std::string type;
  std::vector<std::string> grants;  // Statements.
  std::string comment;
};

struct ColumnUses {
  std::string type;  // format_type().
  bool not_null = false;
  std::string not_null_name;       // PostgreSQL 18 has a constraint for it; else empty.
  bool has_own_collation = false;  // Not that of its type.
  std::string default_value;
  char identity = 0;  // 'a': ALWAYS, 'd': BY DEFAULT.
  SequenceUse sequence;
  std::vector<IndexUse> indexes;
  std::vector<CheckUse> checks;
  std::vector<ForeignKeyUse> foreign_keys;
  std::vector<StatisticsUse> statistics;
  std::vector<Dependent> dependents;
  // What else a column of that name had: ends of ALTER TABLE … ALTER COLUMN …, grants as
  // "SELECT (%) ON … TO …" with % for the column.
  std::vector<std::string> settings;
  std::vector<std::string> grants;
  std::string comment;
  // All that PostgreSQL's books tie to it but what is Pawl's, by kind, name and definition, in order
  // (RenderStandingGuard).
  std::string standing;
  // Why PostgreSQL would not change it, and why it cannot be moved to another column: each the
  // beginning of a sentence, or empty.
  std::string obstacle;
  std::string move_obstacle;
  // A publication that would send a second column to subscribers who have none; or empty.
  std::string publication;

  const std::string& why_not() const { return obstacle.empty() ? move_obstacle : obstacle; }
};

// Requires that the table exists and has the column.
ColumnUses ReadColumnUses(db::Session& session, const TableShape& table, const std::string& column,
                          ColumnFate fate);

}  // namespace pawl::schema
