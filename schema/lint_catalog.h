// What the linter asks a database, if it has one. Every question has an answer without one: that
// nothing is known. Reads only.
//
// Thread safety: none. Owned by one linting.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/session.h"
#include "schema/ast.h"
#include "schema/ddl_effects.h"
#include "schema/statement.h"

namespace pawl::schema {

struct RelationFacts {
  std::int64_t oid = 0;
  double rows = -1;  // As statistics say; -1: never counted.
};

class LintCatalog {
 public:
  // `session` may be null.
  explicit LintCatalog(db::Session* session) : session_(session) {}

  std::optional<RelationFacts> Find(const TableName& table);

  // Names of enabled triggers that fire for `event` ("UPDATE"), with their functions.
  std::vector<std::string> TriggersOn(std::int64_t table, const std::string& event);

  // Views, materialized views, foreign keys and functions' row types that depend on the table, at
  // most ten, in words.
  std::vector<std::string> DependentsOf(std::int64_t table);

  // True where the planner expects under a tenth of the rows and reads them all the same.
  bool FindsFewByReadingAll(const Statement& statement, const RelationFacts& facts);

  // Settles what depends on types and values: whether a new type rewrites, a default is volatile, a
  // validated check spares SET NOT NULL its reading.
  void Refine(const AstValue& node, DdlEffect& effect);

 private:
  void RefineType(const AstObject& command, std::int64_t table, DdlEffect& effect);
  void RefineColumnType(const AstValue& definition, DdlEffect& effect);
  void RefineDefault(const AstValue& definition, DdlEffect& effect);
  void RefineNotNull(const AstObject& command, std::int64_t table, DdlEffect& effect);

  db::Session* session_;
};

}  // namespace pawl::schema
