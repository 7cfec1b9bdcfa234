#include "schema/statement_check.h"

#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/error.h"
#include "db/quote.h"
#include "schema/ast.h"
#include "schema/ast_queries.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

std::string WithoutFullStop(std::string sentence) {
  while (!sentence.empty() && (sentence.back() == '.' || sentence.back() == ' ')) {
    sentence.pop_back();
  }
  return sentence;
}

constexpr std::chrono::seconds kLimit{2};
constexpr std::string_view kRemedy = "Correct the statement; `pawl plan` checks it again.";

// Runs a check whose failure is the user's.
db::Result Ask(db::Session& session, const Place& place, const std::string& query) {
  try {
    return session.Query(query);
  } catch (const db::Error& error) {
    // What the role may not do is no fault of the statement; the caller knows the GRANT.
    if (error.action() == db::Action::kReconnect || error.sqlstate() == "42501") throw;
    std::string words = WithoutFullStop(error.what());
    // The user wrote no VALUES; the check did.
    for (const std::string_view ours : {" in VALUES", " in FROM clause of their own query level"}) {
      const std::size_t at = words.find(ours);
      if (at != std::string::npos) words.replace(at, ours.size(), " here");
    }
    FailAt(place, words, std::string(kRemedy));
  }
}

// The FROM list of the statement, as a SELECT over the walked table sees it.
std::string FromList(const Statement& statement, const TableShape& walked) {
  if (statement.kind == StatementKind::kInsertSelect) {
    return RelationSql(walked, statement.source_alias) + " " + statement.source_joins;
  }
  std::string list = RelationSql(walked, statement.alias);
  if (!statement.from_clause.empty()) list += ", " + statement.from_clause;
  return list;
}

struct Assigned {
  std::string expression;
  Column column;
};

std::vector<Assigned> AssignedIn(const Statement& statement, const TableShape& target,
                                 const std::vector<std::string>& columns) {
  std::vector<Assigned> assigned;
  for (const Assignment& assignment : statement.assignments) {
    const TableColumn* column = target.Find(assignment.column);
    if (!assignment.expression || column == nullptr) continue;
    assigned.push_back({*assignment.expression, column->column});
  }
  for (std::size_t i = 0; i < columns.size() && i < statement.select_items.size(); ++i) {
    const TableColumn* column = target.Find(columns[i]);
    if (column != nullptr) assigned.push_back({statement.select_items[i], column->column});
  }
  return assigned;
}

// A literal takes the type of the column it is assigned to, which pg_typeof() cannot see.
bool TakesAnyType(const std::string& expression) {
  const std::optional<AstValue> tree = ParseExpression(expression);
  return !tree || NodeOf(*tree, "A_Const") != nullptr || NodeOf(*tree, "RowExpr") != nullptr ||
         NodeOf(*tree, "SetToDefault") != nullptr;
}

// VALUES allows no aggregate, no window function
// and no set of rows, as UPDATE does not.
// A bare literal is cast to its column's type, so that one that does not fit is found now.
std::string Checked(const Assigned& assigned) {
  const std::optional<AstValue> tree = ParseExpression(assigned.expression);
  const bool literal = tree && NodeOf(*tree, "A_Const") != nullptr;
  return literal ? fmt::format("({})::{}", assigned.expression, assigned.column.type)
                 : fmt::format("({})", assigned.expression);
}

std::string ValuesOf(const std::vector<Assigned>& assigned) {
  std::string values;
  for (const Assigned& one : assigned) {
    values += (values.empty() ? "" : ", ") + Checked(one);
  }
  return values.empty() ? "1" : values;
}

void CheckTypes(db::Session& session, const Place& place, const std::string& from_list,
                const std::vector<Assigned>& assigned) {
  if (assigned.empty()) return;
  std::string names;
  std::string types;
  for (std::size_t i = 0; i < assigned.size(); ++i) {
    names += fmt::format("{}c{}", i == 0 ? "" : ", ", i);
    types += fmt::format("{}pg_catalog.pg_typeof(v.c{})::pg_catalog.oid", i == 0 ? "" : ", ", i);
  }
  const db::Result result = Ask(session, place,
                                fmt::format(R"(
SELECT {}
  FROM (SELECT 1) AS one
  LEFT JOIN (SELECT pawl_check.* FROM {}, LATERAL (VALUES ({})) AS pawl_check({}) WHERE false) AS v
    ON true)",
                                            types, from_list, ValuesOf(assigned), names));
  for (std::size_t i = 0; i < assigned.size(); ++i) {
    if (TakesAnyType(assigned[i].expression)) continue;
    const db::Result cast = session.Query(fmt::format(R"(
SELECT pg_catalog.format_type(s.oid, NULL), s.oid = t.oid OR t.typcategory = 'S'
       OR s.typtype IN ('d', 'p') OR t.typtype = 'p'
       OR (s.typelem <> 0 AND t.typelem <> 0)
       OR EXISTS (SELECT FROM pg_catalog.pg_cast c
                   WHERE c.castsource = s.oid AND c.casttarget = t.oid
                     AND c.castcontext IN ('i', 'a'))
  FROM pg_catalog.pg_type s, pg_catalog.pg_type t
 WHERE s.oid = $1::pg_catalog.oid
   AND t.oid = pg_catalog.pg_typeof(NULL::{})::pg_catalog.oid)",
                                                      assigned[i].column.type),
                                          {result.rows.at(0)[i]});
    if (cast.rows.empty() || db::ToBool(cast.rows[0][1])) continue;
    FailAt(
        place,
        fmt::format("column \"{}\" is of type {}, but its expression is of type {}",
                    assigned[i].column.name, assigned[i].column.type, db::ToText(cast.rows[0][0])),
        fmt::format("Write a cast: ({})::{}.", assigned[i].expression, assigned[i].column.type));
  }
}

// True from a whole number type to a wider one.
bool IsWidening(const std::string& from, const std::string& to) {
  static const std::map<std::string, int> kWidths = {
      {"smallint", 1}, {"integer", 2}, {"bigint", 3}, {"numeric", 4}};
  const auto source = kWidths.find(from);
  const auto target = kWidths.find(to);
  return source != kWidths.end() && target != kWidths.end() && source->second <= target->second;
}

std::string Flattened(const db::Result& result) {
  std::string text;
  for (const db::Row& row : result.rows) text += row.at(0).value_or("") + "\n";
  return text;
}

}  // namespace

std::string RelationSql(const TableShape& table, const std::string& alias,
                        const std::string& sampled, const std::string& extra) {
  const bool exists = table.oid != 0;
  if (exists && !table.has_created_columns() && extra.empty() && sampled.empty()) {
    return fmt::format("{}{} AS {}", table.kind == 'p' ? "" : "ONLY ",
                       QuoteName(table.name.schema, table.name.name), QuoteName(alias));
  }
  std::string columns = extra;
  // What is no column of the table alone, but can be named in a condition.
  if (exists) columns += fmt::format("{}t.ctid, t.tableoid", columns.empty() ? "" : ", ");
  for (const TableColumn& column : table.columns) {
    const std::string name = QuoteName(column.column.name);
    if (!columns.empty()) columns += ", ";
    columns += exists && !column.is_created
                   ? "t." + name
                   : fmt::format("NULL::{} AS {}", column.column.type, name);
  }
  if (!exists) return fmt::format("(SELECT {} WHERE false) AS {}", columns, QuoteName(alias));
  return fmt::format("(SELECT {} FROM {}{} AS t {}) AS {}", columns,
                     table.kind == 'p' ? "" : "ONLY ",
                     QuoteName(table.name.schema, table.name.name), sampled, QuoteName(alias));
}

void CheckOnServer(db::Session& session, const Place& place, const Statement& statement,
                   const TableShape& walked, const TableShape& target,
                   const std::vector<std::string>& columns) {
  const std::string from_list = FromList(statement, walked);
  const std::vector<Assigned> assigned = AssignedIn(statement, target, columns);
  Ask(session, place,
      fmt::format("EXPLAIN SELECT 1 FROM {}, LATERAL (VALUES ({})) AS pawl_check{}", from_list,
                  ValuesOf(assigned),
                  statement.where_clause.empty() ? "" : " WHERE (" + statement.where_clause + ")"));
  CheckTypes(session, place, from_list, assigned);
}

bool IsStoredUnchanged(ReadTransaction& reading, const std::string& expression,
                       const Column& column, const TableShape& table, const std::string& alias) {
  const std::optional<AstValue> tree = ParseExpression(expression);
  if (!tree) return false;
  if (!Contains(*tree, "ColumnRef")) {
    const std::string query =
        fmt::format("SELECT ({0})::{1} IS NOT DISTINCT FROM ({0})", expression, column.type);
    std::string error;
    const std::optional<db::Result> same = reading.Try(query, kLimit, error);
    return same && db::ToBool(same->rows.at(0)[0]);
  }
  const std::string relation = RelationSql(table, alias);
  std::string error;
  const std::optional<db::Result> type = reading.Try(
      fmt::format("SELECT pg_catalog.format_type(pg_catalog.pg_typeof((SELECT ({}) FROM {} WHERE "
                  "false))::pg_catalog.oid, NULL)",
                  expression, relation),
      kLimit, error);
  if (!type) return false;
  if (IsWidening(db::ToText(type->rows.at(0)[0]), column.type)) return true;
  // A cast that does nothing leaves no trace in the plan.
  const auto plan_of = [&](const std::string& value) {
    return reading.Try(
        fmt::format("EXPLAIN (VERBOSE, COSTS OFF) SELECT {} FROM {}", value, relation), kLimit,
        error);
  };
  const std::optional<db::Result> plain = plan_of("(" + expression + ")");
  const std::optional<db::Result> cast = plan_of("(" + expression + ")::" + column.type);
  return plain && cast && Flattened(*plain) == Flattened(*cast);
}

FunctionFacts ReadFunctions(db::Session& session, const std::vector<FunctionCall>& calls) {
  FunctionFacts facts;
  for (const FunctionCall& call : calls) {
    const db::Result result = session.Query(
        R"(
SELECT coalesce(pg_catalog.bool_or(p.provolatile = 'v'), true),
       coalesce(pg_catalog.bool_and(n.nspname = 'pg_catalog'), false)
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE p.proname = $2
   AND CASE WHEN $1 = '' THEN pg_catalog.pg_function_is_visible(p.oid) ELSE n.nspname = $1 END
   AND (p.pronargs = $3::int
        OR (p.provariadic <> 0 AND $3::int >= p.pronargs - 1)
        OR $3::int BETWEEN p.pronargs - p.pronargdefaults AND p.pronargs))",
        {call.schema, call.name, std::to_string(call.argument_count)});
    if (db::ToBool(result.rows.at(0)[0])) facts.volatile_ones.push_back(call.name);
    facts.all_built_in = facts.all_built_in && db::ToBool(result.rows.at(0)[1]);
  }
  return facts;
}

}  // namespace pawl::schema
