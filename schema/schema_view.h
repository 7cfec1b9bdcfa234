// The schema as a statement of a migration will find it: the database as it is, and on top of it
// what the statements before have created. Nothing is created; it is written down here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "db/session.h"
#include "schema/catalog.h"
#include "schema/place.h"
#include "schema/statement.h"

namespace pawl::schema {

// Thread safety: none. Owned by one planning.
class SchemaView {
 public:
  explicit SchemaView(db::Session& session);

  // Returns the relation as the next statement will find it, or nullopt. A table that the file
  // creates has oid 0.
  std::optional<TableShape> Find(const TableName& name) const;

  // Returns the relation. Throws db::Error (kBadInput), with a similar name if there is one.
  TableShape Require(const Place& place, const TableName& name) const;

  // Returns the shape of the table `oid` with the columns that the file adds to it or to a table
  // above it.
  TableShape Read(std::int64_t oid) const;

  // Writes down what an ADD COLUMN will do. Returns false where it will do nothing, because the
  // column is there already and the statement says IF NOT EXISTS. Throws db::Error (kBadInput).
  bool AddColumn(const Place& place, const Statement& statement);

  // The same for CREATE TABLE. `notes` gets what could not be known of the table.
  bool CreateTable(const Place& place, const Statement& statement, std::vector<std::string>& notes);

  // The same for CREATE SCHEMA. True if the schema is there now.
  bool CreateSchema(const std::string& name);

  // Writes down that the columns of a table are no longer NULL in every row.
  void MarkFilled(std::int64_t oid, const std::vector<std::string>& columns);

  // Writes down that a column which the file adds is NOT NULL by then.
  void MarkNotNull(std::int64_t oid, const std::string& column);

  // The schema in which an unqualified new table is made; empty if there is none.
  const std::string& current_schema() const { return current_schema_; }

 private:
  struct AddedColumn {
    std::int64_t oid = 0;  // Of the table that gains it.
    TableColumn column;
  };

  TableName WithSchema(const TableName& name) const;
  bool IsGainedBy(const AddedColumn& added, std::int64_t oid) const;

  // Returns the place in created_tables_, or its size.
  std::size_t IndexOfCreated(const TableName& name) const;

  db::Session& session_;
  std::string current_schema_;
  std::vector<AddedColumn> added_columns_;
  std::vector<TableShape> created_tables_;
  std::vector<std::string> created_schemas_;
};

}  // namespace pawl::schema
