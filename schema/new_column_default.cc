#include "schema/new_column_default.h"

#include <fmt/format.h>

#include <optional>
#include <set>

#include "db/quote.h"
#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/statement_check.h"

namespace pawl::schema {
namespace {

// Which of them is called, the types decide: one of that name is enough.
bool HasVolatileOperator(db::Session& session, const AstValue& tree) {
  std::set<std::string> names;
  Walk(tree, [&](std::string_view type, const AstObject& body) {
    const AstArray& parts = ArrayMember(body, "name");
    if (type == "A_Expr" && !parts.empty()) names.insert(StringOf(parts[parts.size() - 1]));
    return true;
  });
  for (const std::string& name : names) {
    const db::Result found = session.Query(
        "SELECT FROM pg_catalog.pg_operator AS o JOIN pg_catalog.pg_proc AS p ON p.oid = o.oprcode "
        "WHERE o.oprname = $1 AND p.provolatile = 'v' LIMIT 1",
        {name});
    if (!found.rows.empty()) return true;
  }
  return false;
}

// A cast may stand between any default and its column.
bool HasVolatileCasts(db::Session& session) {
  return !session
              .Query(
                  "SELECT FROM pg_catalog.pg_cast AS c JOIN pg_catalog.pg_proc AS p ON p.oid = "
                  "c.castfunc WHERE p.provolatile = 'v' LIMIT 1")
              .rows.empty();
}

}  // namespace

bool IsComputedForEachRow(db::Session& session, const std::string& default_value) {
  if (default_value.empty()) return false;
  const std::optional<AstValue> tree = ParseExpression(default_value);
  return !tree || !ReadFunctions(session, FunctionsIn(*tree)).volatile_ones.empty() ||
         HasVolatileOperator(session, *tree) || HasVolatileCasts(session);
}

std::string RewriteByType(db::Session& session, const std::string& type) {
  const db::Result found = session.Query(
      R"(
WITH RECURSIVE domain AS (
  SELECT t.oid, t.typbasetype, t.typnotnull, t.typdefault, 1 AS depth FROM pg_catalog.pg_type AS t
   WHERE t.oid = pg_catalog.to_regtype($1) AND t.typtype = 'd'
  UNION ALL
  SELECT t.oid, t.typbasetype, t.typnotnull, t.typdefault, depth + 1 FROM domain
    JOIN pg_catalog.pg_type AS t ON t.oid = domain.typbasetype WHERE t.typtype = 'd')
SELECT pg_catalog.bool_or(typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint
                                                 WHERE contypid = domain.oid)),
       (SELECT typdefault FROM domain AS d WHERE typdefault IS NOT NULL ORDER BY depth LIMIT 1)
  FROM domain)",
      {type});
  const db::Row& row = found.rows.at(0);
  if (!row[0]) return {};
  if (db::ToBool(row[0])) {
    return fmt::format(
        "{} is a domain with a constraint, which PostgreSQL proves by writing every "
        "row anew",
        type);
  }
  if (!row[1] || !IsComputedForEachRow(session, *row[1])) return {};
  return fmt::format("{} is a domain with the default {}, which PostgreSQL computes for every row",
                     type, *row[1]);
}

}  // namespace pawl::schema
