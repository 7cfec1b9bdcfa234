// What the planning of a file's statements shares, and what is known of one of them on its way to
// becoming steps.
#pragma once

#include <string>
#include <vector>

#include "schema/catalog.h"
#include "schema/place.h"
#include "schema/plan.h"
#include "schema/read_transaction.h"
#include "schema/schema_view.h"
#include "schema/statement.h"
#include "schema/statement_facts.h"
#include "schema/statement_options.h"

namespace pawl::schema {

// What all statements of one planning share.
struct Planning {
  ReadTransaction& reading;
  const MigrationFile& migration;
  SchemaView& schema;
  std::string search_path;
  std::string time_zone;
  std::vector<Step> steps;  // Numbered from 1, in order.
  std::vector<TableName>
      moved;  // Tables whose shape changes with a cut-over at the end of the run.

  void Add(Step step) {
    step.number = static_cast<int>(steps.size()) + 1;
    steps.push_back(std::move(step));
  }

  Place PlaceOf(const Statement& statement) const {
    return {migration.name + ".sql", statement.line};
  }
};

// One UPDATE, DELETE or INSERT … SELECT. Filled in from top to bottom.
struct PlannedStatement {
  Planning& planning;
  const Statement& statement;
  Place place;
  TableShape target;
  std::vector<std::string> insert_columns;  // INSERT: what its select items are assigned to.
  StatementFacts facts;

  db::Session& session() const { return planning.reading.session(); }
  bool is_insert() const { return statement.kind == StatementKind::kInsertSelect; }
  bool is_quiet() const { return IsQuiet(statement); }

  // By which its expressions know the walked table.
  const std::string& alias() const {
    return is_insert() ? statement.source_alias : statement.alias;
  }

  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place, what_was_wrong, remedy);
  }
};

}  // namespace pawl::schema
