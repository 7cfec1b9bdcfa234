#include "schema/statement_facts.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/statement_check.h"

namespace pawl::schema {
namespace {

// System columns that an UPDATE changes in every row.
bool ReadsRowVersion(const std::set<std::string>& columns) {
  return Intersects(columns, {"ctid", "xmin", "xmax", "cmin", "cmax"});
}

// True where the expression calls nothing volatile and reads no clock.
bool IsRepeatable(db::Session& session, const std::string& expression) {
  if (expression.empty()) return true;
  const std::optional<AstValue> tree = ParseExpression(expression);
  return tree && !ReadsClock(*tree) &&
         ReadFunctions(session, FunctionsIn(*tree)).volatile_ones.empty();
}

bool HasSubselect(const std::string& expression) {
  if (expression.empty()) return false;
  const std::optional<AstValue> tree = ParseExpression(expression);
  return !tree || Contains(*tree, "SubLink");
}

bool IsReEvaluable(db::Session& session, const Statement& statement, const StatementFacts& facts) {
  if (statement.kind != StatementKind::kUpdate || !statement.from_clause.empty()) return false;
  return std::all_of(statement.assignments.begin(), statement.assignments.end(),
                     [&](const Assignment& assignment) {
                       return assignment.expression &&
                              !Intersects(assignment.columns_read, facts.assigned) &&
                              !ReadsRowVersion(assignment.columns_read) &&
                              !HasSubselect(*assignment.expression) &&
                              IsRepeatable(session, *assignment.expression);
                     });
}

bool StandsAlone(const Statement& statement) {
  return statement.kind == StatementKind::kUpdate && statement.from_clause.empty() &&
         !HasSubselect(statement.where_clause) &&
         std::all_of(statement.assignments.begin(), statement.assignments.end(),
                     [&](const Assignment& assignment) {
                       return assignment.expression && !HasSubselect(*assignment.expression);
                     });
}

// A composite of nulls IS NULL as well, but is another value.
bool TestsAllNull(const Statement& statement, const StatementFacts& facts,
                  const TableShape& target) {
  std::set<std::string> tested;
  for (const Conjunct& conjunct : statement.conjuncts) {
    const TableColumn* column = target.Find(conjunct.null_column);
    if (column != nullptr && !column->column.is_composite) tested.insert(conjunct.null_column);
  }
  return statement.kind == StatementKind::kUpdate && statement.from_clause.empty() &&
         std::includes(tested.begin(), tested.end(), facts.assigned.begin(), facts.assigned.end());
}

// In a BEFORE trigger a stored generated column is NULL: it is computed afterwards.
bool ReadsGenerated(const std::set<std::string>& columns, const TableShape& target) {
  return std::any_of(target.columns.begin(), target.columns.end(), [&](const TableColumn& column) {
    return column.is_generated && columns.contains(column.column.name);
  });
}

std::string SyncObstacle(const Statement& statement, const StatementFacts& facts,
                         const std::set<std::string>& base_columns, const TableShape& target) {
  if (statement.kind != StatementKind::kUpdate) return "only an UPDATE can be kept in sync";
  if (!statement.from_clause.empty()) {
    return "the statement reads other tables, whose changes a trigger would not see";
  }
  if (!facts.re_evaluable) {
    return "the assigned values cannot be computed again from the row alone";
  }
  if (facts.where_is_volatile || HasSubselect(facts.base_where) ||
      Intersects(base_columns, facts.assigned) || ReadsRowVersion(base_columns)) {
    return "its WHERE clause cannot be decided from the other columns of a row alone";
  }
  std::set<std::string> read = facts.read_by_sync;
  for (const Conjunct& conjunct : statement.conjuncts) {
    read.insert(conjunct.columns_read.begin(), conjunct.columns_read.end());
  }
  if (ReadsGenerated(read, target)) {
    return "it reads a generated column, which a trigger sees before it is computed";
  }
  return {};
}

bool CastsAreBuiltIn(db::Session& session, const Statement& statement) {
  bool built_in = true;
  for (const Assignment& assignment : statement.assignments) {
    const std::optional<AstValue> tree = ParseExpression(assignment.expression.value_or("NULL"));
    if (!tree) return false;
    Walk(*tree, [&](std::string_view name, const AstObject& body) {
      if (name != "TypeCast" || !built_in) return built_in;
      const AstObject* type = ObjectMember(body, "typeName");
      const AstArray& names = ArrayMember(type == nullptr ? body : *type, "names");
      if (names.empty()) return built_in = false;
      built_in = session
                     .Query(
                         "SELECT FROM pg_catalog.pg_type WHERE typname = $1 AND typnamespace "
                         "= 'pg_catalog'::pg_catalog.regnamespace",
                         {StringOf(names[names.size() - 1])})
                     .rows.size() == 1;
      return built_in;
    });
  }
  return built_in;
}

// Names that the search path decides, in functions, casts and the types of the columns.
bool NamesAllBuiltIn(db::Session& session, const Statement& statement, const TableShape& target,
                     const StatementFacts& facts) {
  if (!ReadFunctions(session, statement.functions).all_built_in) return false;
  std::set<std::string> types;
  for (const TableColumn& column : target.columns) {
    const bool is_used = facts.assigned.contains(column.column.name) ||
                         facts.read_by_sync.contains(column.column.name);
    if (is_used) types.insert(column.column.type);
  }
  for (const std::string& type : types) {
    const db::Result built_in = session.Query(fmt::format(
        "SELECT typnamespace = 'pg_catalog'::pg_catalog.regnamespace FROM pg_catalog.pg_type WHERE "
        "oid = pg_catalog.pg_typeof(NULL::{})::pg_catalog.oid",
        type));
    if (!db::ToBool(built_in.rows.at(0)[0])) return false;
  }
  return CastsAreBuiltIn(session, statement);
}

// Types whose text is the same under every setting.
bool HasOneText(const std::string& type) {
  static const std::set<std::string> kTypes = {"smallint", "integer", "bigint",  "int2",
                                               "int4",     "int8",    "numeric", "text",
                                               "bool",     "boolean", "varchar", "uuid"};
  return kTypes.contains(type) || type.starts_with("numeric(") ||
         type.starts_with("character varying");
}

bool CastsToOneText(const std::string& expression) {
  const std::optional<AstValue> tree =
      expression.empty() ? std::nullopt : ParseExpression(expression);
  bool one = expression.empty() || tree;
  if (!tree) return one;
  Walk(*tree, [&](std::string_view name, const AstObject& body) {
    const AstObject* type = name == "TypeCast" ? ObjectMember(body, "typeName") : nullptr;
    if (type == nullptr) return one;
    const AstArray& names = ArrayMember(*type, "names");
    one = one && !names.empty() && HasOneText(StringOf(names[names.size() - 1]));
    return one;
  });
  return one;
}

bool DependsOnFormats(const Statement& statement, const TableShape& target,
                      const StatementFacts& facts) {
  for (const TableColumn& column : target.columns) {
    const bool is_used = facts.assigned.contains(column.column.name) ||
                         facts.read_by_sync.contains(column.column.name);
    if (is_used && !HasOneText(column.column.type)) return true;
  }
  bool one = CastsToOneText(statement.where_clause);
  for (const Assignment& assignment : statement.assignments) {
    one = one && CastsToOneText(assignment.expression.value_or(""));
  }
  return !one;
}

}  // namespace

StatementFacts ReadFacts(db::Session& session, const Statement& statement,
                         const TableShape& target) {
  StatementFacts facts;
  for (const Assignment& assignment : statement.assignments) {
    facts.assigned.insert(assignment.column);
    facts.read_by_sync.insert(assignment.columns_read.begin(), assignment.columns_read.end());
  }
  std::set<std::string> base_columns;
  for (const Conjunct& conjunct : statement.conjuncts) {
    if (conjunct.self_excluding) continue;
    facts.base_where += (facts.base_where.empty() ? "(" : " AND (") + conjunct.text + ")";
    base_columns.insert(conjunct.columns_read.begin(), conjunct.columns_read.end());
  }
  facts.read_by_sync.insert(base_columns.begin(), base_columns.end());
  facts.re_evaluable = IsReEvaluable(session, statement, facts);
  facts.stands_alone = StandsAlone(statement);
  facts.old_is_null = TestsAllNull(statement, facts, target);
  facts.where_is_volatile = !IsRepeatable(session, statement.where_clause);
  facts.sync_obstacle = SyncObstacle(statement, facts, base_columns, target);
  facts.depends_on_formats = DependsOnFormats(statement, target, facts);
  facts.names_all_built_in = NamesAllBuiltIn(session, statement, target, facts);
  return facts;
}

bool Intersects(const std::set<std::string>& left, const std::set<std::string>& right) {
  return std::any_of(left.begin(), left.end(),
                     [&](const std::string& name) { return right.contains(name); });
}

}  // namespace pawl::schema
