#include "schema/refresh_form.h"

#include <string>

#include <fmt/format.h>

#include "schema/ast_queries.h"
#include "schema/form_steps.h"

namespace pawl::schema {

bool IsRefresh(const AstValue& node) { return NodeOf(node, "RefreshMatViewStmt") != nullptr; }

void PlanRefresh(Planning& planning, const Statement& statement) {
  const Place place = planning.PlaceOf(statement);
  const std::optional<AstValue> node = ParseOneStatement(statement.text);
  const AstObject& refresh = *NodeOf(*node, "RefreshMatViewStmt");
  const std::string given = SqlName(RelationOf(*ObjectMember(refresh, "relation")));
  if (FlagMember(refresh, "skipData")) {
    FailAt(place, "WITH NO DATA empties the view, and whoever reads it then fails",
           "Run it with psql when nobody reads it any more.");
  }
  // As matview.c has it: unique, immediate, valid, no expression and no condition.
  const db::Result found = planning.reading.session().Query(
      R"(
SELECT n.nspname, c.relname, pg_catalog.pg_has_role(c.relowner, 'USAGE'), c.relkind = 'm', c.relispopulated,
       EXISTS (SELECT FROM pg_catalog.pg_index AS i
                WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
                  AND i.indpred IS NULL AND 0 <> ALL (i.indkey::pg_catalog.int2[]))
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.oid = pg_catalog.to_regclass($1))",
      {given});
  if (found.rows.empty() || !db::ToBool(found.rows[0][3])) {
    FailAt(place, fmt::format("there is no materialized view {}", given),
           "Check its name and the search path.");
  }
  const db::Row& row = found.rows[0];
  const TableName view = {db::ToText(row[0]), db::ToText(row[1])};
  if (!db::ToBool(row[2])) {
    FailAt(place, fmt::format("only the owner of {} may do this", Readable(view)),
           "Connect as the owner, or as a member of the owner's role.");
  }
  const bool is_populated = db::ToBool(row[4]);
  if (is_populated && !db::ToBool(row[5])) {
    FailAt(place,
           fmt::format("{} has no unique index, without which PostgreSQL refreshes it under a lock "
                       "that stops all readers",
                       Readable(view)),
           "CREATE UNIQUE INDEX on columns of it that no two rows share, without WHERE; then this "
           "runs CONCURRENTLY.");
  }
  Step step = DdlStep(statement.line, view, fmt::format("refresh {}", Readable(view)),
                      "EXCLUSIVE: everybody reads meanwhile",
                      is_populated ? "CONCURRENTLY: it computes the view beside the old rows, and "
                                     "changes those that differ."
                                   : "It has never been filled: nobody can read it yet.");
  step.sql = fmt::format("REFRESH MATERIALIZED VIEW {}{}", is_populated ? "CONCURRENTLY " : "",
                         SqlName(view));
  step.alone = true;
  step.notes.emplace_back("There is nothing to take back: the view is computed from its tables.");
  planning.Add(std::move(step));
}

}  // namespace pawl::schema
