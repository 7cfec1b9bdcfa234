// What PostgreSQL's catalogue says about one table, as far as a plan depends on it. Reads only, and
// takes no lock above ACCESS SHARE.
//
// Thread safety: none. Functions use the session given to them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/session.h"
#include "schema/plan.h"
#include "schema/statement.h"

namespace pawl::schema {

struct TableColumn {
  Column column;
  bool is_generated = false;
  bool is_identity_always = false;
  bool may_update = true;      // The role may assign it.
  bool is_created = false;     // By an earlier statement of the same file; not in the database yet.
  bool created_empty = false;  // And without a default: NULL in every row.
};

// An index by which rows can be ordered and found: unique, complete, on NOT NULL columns in
// ascending order.
struct KeyIndex {
  std::string name;
  bool is_primary = false;
  std::vector<std::string> columns;
  std::int64_t width_bytes = 0;
};

struct UserTrigger {
  std::string name;
  std::string function;
  bool is_before = false;
  bool is_row = false;
  bool on_insert = false;
  bool on_update = false;
  bool on_delete = false;
  std::vector<std::string> update_columns;  // UPDATE OF these; empty: any.
  bool fires_in_replica = false;  // ENABLE ALWAYS or REPLICA: quiet_triggers does not stop it.
  bool fires_in_origin = true;    // Not ENABLE REPLICA: it fires for those who write here.
};

// A foreign key of another table that refers to this one.
struct Reference {
  std::string name;
  std::string from_table;            // Qualified and quoted where needed.
  std::vector<std::string> columns;  // Of this table.
  char on_update = 'a';              // a: no action, r: restrict, c: cascade, n: null, d: default.
  char on_delete = 'a';
  bool is_indexed = false;  // The referring columns are.
};

struct TableShape {
  TableName name;
  std::int64_t oid = 0;  // 0: created by an earlier statement of the same file.
  char kind = 'r';       // pg_class.relkind.
  bool is_temporary = false;
  bool is_system = false;
  bool is_partition = false;
  std::vector<TableColumn> columns;
  std::vector<KeyIndex> keys;                // Best first.
  std::vector<std::string> indexed_columns;  // In any index that stops a HOT update.
  std::int64_t index_count = 0;
  std::int64_t pages = 0;
  double rows_in_statistics = -1;  // pg_class.reltuples; -1 where never counted.
  std::int64_t pages_in_statistics = 0;
  bool is_cached = false;             // Fits into shared_buffers.
  std::vector<UserTrigger> triggers;  // Enabled, not internal.
  std::vector<char> rules;            // Of commands: '2' UPDATE, '3' INSERT, '4' DELETE.
  std::vector<Reference> references;
  std::vector<std::string> publications;
  bool has_replica_identity = true;
  bool row_security = false;  // Active for this role.
  bool may_select = false;
  bool may_update = false;
  bool may_insert = false;
  bool may_delete = false;
  bool may_create_trigger = false;
  bool is_owner = false;

  const TableColumn* Find(const std::string& column_name) const;
  bool has_created_columns() const;
};

// Returns the oid of a relation by the session's search path, or nullopt.
std::optional<std::int64_t> FindRelation(db::Session& session, const TableName& name);

// Reads one relation. Requires that it exists.
TableShape ReadTable(db::Session& session, std::int64_t oid);

// Returns the tables below a partitioned table that hold rows, or below an inheritance parent all
// children; not `oid` itself. In order of their names.
std::vector<std::int64_t> ReadChildren(db::Session& session, std::int64_t oid);

// Returns the columns of the partition keys on the way from the leaf `oid` up.
std::vector<std::string> ReadPartitionColumns(db::Session& session, std::int64_t oid);

// Returns the name of the column's NOT NULL where that is NOT VALID, which PostgreSQL has from 18
// on: rows may hold NULL still.
std::optional<std::string> UnprovedNotNull(db::Session& session, std::int64_t table,
                                           const std::string& column);

// Fills type, hash and integer facts of a type given as SQL text. Throws db::Error where there is
// no such type.
Column ResolveType(db::Session& session, const std::string& name, const std::string& type);

// Returns the name of a relation that looks like `name`, or an empty text.
std::string NearRelation(db::Session& session, const std::string& name);

// "schema"."name" with quotes only where they are needed, for sentences.
std::string Readable(const TableName& name);

}  // namespace pawl::schema
