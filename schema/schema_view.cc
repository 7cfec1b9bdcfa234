#include "schema/schema_view.h"

#include <algorithm>

#include <fmt/format.h>

#include "db/error.h"
#include "schema/ast.h"
#include "schema/created_table.h"

namespace pawl::schema {
namespace {

// True where ADD COLUMN gives every row NULL.
bool IsAddedEmpty(const Statement& statement) {
  const std::optional<AstValue> node = ParseOneStatement(statement.text);
  const AstObject* alter = node ? NodeOf(*node, "AlterTableStmt") : nullptr;
  const AstArray* commands = alter == nullptr ? nullptr : &ArrayMember(*alter, "cmds");
  if (commands == nullptr || commands->size() != 1) return false;
  const AstObject* command = NodeOf((*commands)[0], "AlterTableCmd");
  const AstObject* holder = command == nullptr ? nullptr : ObjectMember(*command, "def");
  const AstObject* column = holder == nullptr ? nullptr : ObjectMember(*holder, "ColumnDef");
  if (column == nullptr) return false;
  for (const AstValue& entry : ArrayMember(*column, "constraints")) {
    const AstObject* constraint = NodeOf(entry, "Constraint");
    if (constraint == nullptr || TextMember(*constraint, "contype") != "CONSTR_DEFAULT") continue;
    const AstObject* value = ObjectMember(*constraint, "raw_expr");
    const AstObject* constant = value == nullptr ? nullptr : ObjectMember(*value, "A_Const");
    return constant != nullptr && FlagMember(*constant, "isnull");
  }
  return true;
}

Column ResolveOrFail(db::Session& session, const Place& place, const Statement& statement) {
  try {
    return ResolveType(session, statement.column, statement.type);
  } catch (const db::Error& error) {
    if (error.action() == db::Action::kReconnect) throw;
    FailAt(place, fmt::format("column \"{}\": {}", statement.column, error.what()),
           "Correct the type; one that this file creates cannot be used in it yet: create it in a "
           "migration before this one.");
  }
}

// A domain of its own may have a default.
bool IsDomain(db::Session& session, const std::string& type) {
  return db::ToBool(session
                        .Query(fmt::format("SELECT typtype = 'd' FROM pg_catalog.pg_type WHERE oid "
                                           "= pg_catalog.pg_typeof(NULL::{})::pg_catalog.oid",
                                           type))
                        .rows.at(0)[0]);
}

}  // namespace

SchemaView::SchemaView(db::Session& session)
    : session_(session),
      current_schema_(session.Query("SELECT pg_catalog.current_schema()").rows[0][0].value_or("")) {
}

std::optional<TableShape> SchemaView::Find(const TableName& name) const {
  const std::size_t created = IndexOfCreated(name);
  if (created < created_tables_.size()) return created_tables_[created];
  const std::optional<std::int64_t> oid = FindRelation(session_, name);
  if (!oid) return std::nullopt;
  return Read(*oid);
}

TableShape SchemaView::Require(const Place& place, const TableName& name) const {
  std::optional<TableShape> table = Find(name);
  if (table) return std::move(*table);
  const std::string near = NearRelation(session_, name.name);
  FailAt(place, fmt::format("table \"{}\" does not exist", Readable(name)),
         near.empty() ? "Check the name, its schema, and the search_path of the role."
                      : fmt::format("Did you mean {}?", near));
}

TableShape SchemaView::Read(std::int64_t oid) const {
  TableShape table = ReadTable(session_, oid);
  for (const AddedColumn& added : added_columns_) {
    const bool is_known = table.Find(added.column.column.name) != nullptr;
    if (!is_known && IsGainedBy(added, oid)) table.columns.push_back(added.column);
  }
  return table;
}

bool SchemaView::AddColumn(const Place& place, const Statement& statement) {
  TableShape table = Require(place, statement.target);
  if (table.kind != 'r' && table.kind != 'p') {
    FailAt(place, fmt::format("\"{}\" is no ordinary table", Readable(statement.target)),
           "Name the table itself.");
  }
  TableColumn added;
  added.column = ResolveOrFail(session_, place, statement);
  added.is_created = true;
  added.created_empty = IsAddedEmpty(statement) && !IsDomain(session_, statement.type);
  if (const TableColumn* present = table.Find(statement.column)) {
    if (!statement.if_not_exists) {
      FailAt(place,
             fmt::format("column \"{}\" of table \"{}\" exists already", statement.column,
                         Readable(statement.target)),
             "Write ADD COLUMN IF NOT EXISTS if that is the column meant, or choose another name.");
    }
    if (present->column.type != added.column.type) {
      FailAt(place,
             fmt::format("column \"{}\" of table \"{}\" exists already with another type: {}, not "
                         "{}",
                         statement.column, Readable(statement.target), present->column.type,
                         added.column.type),
             "Choose another name, or the type that the column has.");
    }
    return false;
  }
  if (table.oid == 0) {
    created_tables_[IndexOfCreated(statement.target)].columns.push_back(added);
  } else {
    added_columns_.push_back({table.oid, added});
  }
  return true;
}

bool SchemaView::CreateTable(const Place& place, const Statement& statement,
                             std::vector<std::string>& notes) {
  const TableName name = WithSchema(statement.target);
  if (name.schema.empty()) {
    FailAt(place, "there is no schema in which the table would be made",
           "Write the table with its schema, or set a search_path that names one that exists.");
  }
  if (IndexOfCreated(name) < created_tables_.size() || FindRelation(session_, name)) {
    if (statement.if_not_exists) return false;
    FailAt(place, fmt::format("table \"{}\" exists already", Readable(name)),
           "Write CREATE TABLE IF NOT EXISTS if that is the table meant, or choose another name.");
  }
  const bool is_new_schema = std::find(created_schemas_.begin(), created_schemas_.end(),
                                       name.schema) != created_schemas_.end();
  const db::Result schema = session_.Query(
      "SELECT pg_catalog.has_schema_privilege(oid, 'CREATE') FROM pg_catalog.pg_namespace WHERE "
      "nspname = $1",
      {name.schema});
  if (schema.rows.empty() && !is_new_schema) {
    FailAt(place, fmt::format("schema \"{}\" does not exist", name.schema),
           "Create it first, in this file or outside.");
  }
  if (!schema.rows.empty() && !db::ToBool(schema.rows[0][0])) {
    FailAt(place, fmt::format("the role may not create tables in schema \"{}\"", name.schema),
           fmt::format("GRANT CREATE ON SCHEMA {} to it.", name.schema));
  }
  TableShape table = ShapeOfCreated(
      session_, place, statement, [&](const TableName& other) { return Find(other); }, notes);
  table.name = name;
  created_tables_.push_back(std::move(table));
  return true;
}

bool SchemaView::CreateSchema(const std::string& name) {
  created_schemas_.push_back(name);
  return session_.Query("SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1", {name})
             .rows.size() == 1;
}

TableName SchemaView::WithSchema(const TableName& name) const {
  return {name.schema.empty() ? current_schema_ : name.schema, name.name};
}

std::size_t SchemaView::IndexOfCreated(const TableName& name) const {
  const TableName wanted = WithSchema(name);
  const auto found = std::find_if(created_tables_.begin(), created_tables_.end(),
                                  [&](const TableShape& table) { return table.name == wanted; });
  return static_cast<std::size_t>(found - created_tables_.begin());
}

void SchemaView::MarkFilled(std::int64_t oid, const std::vector<std::string>& columns) {
  for (AddedColumn& added : added_columns_) {
    const bool is_filled =
        std::find(columns.begin(), columns.end(), added.column.column.name) != columns.end();
    if (is_filled && IsGainedBy(added, oid)) added.column.created_empty = false;
  }
}

void SchemaView::MarkNotNull(std::int64_t oid, const std::string& column) {
  for (AddedColumn& added : added_columns_) {
    if (added.oid == oid && added.column.column.name == column) added.column.column.not_null = true;
  }
}

// A partition or child gains what a table above it gains.
bool SchemaView::IsGainedBy(const AddedColumn& added, std::int64_t oid) const {
  if (added.oid == oid) return true;
  const std::vector<std::int64_t> children = ReadChildren(session_, added.oid);
  return std::find(children.begin(), children.end(), oid) != children.end();
}

}  // namespace pawl::schema
