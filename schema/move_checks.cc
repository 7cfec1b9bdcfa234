#include "schema/move_checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "schema/shape_trigger.h"
#include "schema/statement_check.h"

namespace pawl::schema {

void RequireNotMoved(const Planning& planning, const Place& place, const TableName& table) {
  if (std::find(planning.moved.begin(), planning.moved.end(), table) == planning.moved.end()) {
    return;
  }
  FailAt(
      place,
      fmt::format("an earlier statement of this file changes {}, which is cut over at the end of "
                  "the run only",
                  Readable(table)),
      "Put this statement into a file of its own, and run it afterwards.");
}

void RequireUnchanged(const Planning& planning, const Place& place, const TableName& table) {
  for (const Step& step : planning.steps) {
    if (step.kind != StepKind::kDdl || !(step.table == table) || step.lock == "none" ||
        !step.created_column.empty()) {
      continue;
    }
    FailAt(place,
           fmt::format("an earlier statement of this file ({}) changes {} as well", step.title,
                       Readable(table)),
           "Put this statement into a file of its own, and run it afterwards.");
  }
}

namespace {

// Throws where a run has cut over something of the table, or something that ties another one to it, and
// keeps the old shape still. Its way back and its contract name tables and columns as that run left
// them. A role that may not read the books is not asked to.
void RequireContracted(const Planning& planning, const Place& place, const TableName& table) {
  db::Session& session = planning.reading.session();
  const db::Result may_read = session.Query(R"(
SELECT coalesce(pg_catalog.bool_and(
         pg_catalog.has_schema_privilege(n.oid, 'USAGE')
         AND pg_catalog.has_table_privilege(c.oid, 'SELECT')), false) AND count(*) = 3
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = 'pawl' AND c.relname IN ('run', 'step', 'plan'))");
  if (!db::ToBool(may_read.rows.at(0)[0])) return;
  const db::Result found = session.Query(
      R"(
WITH kept AS MATERIALIZED (
  SELECT r.run_id, r.migration, r.state, r.plan_hash, s.step, s.title, s.schema_name, s.table_name
    FROM pawl.run AS r JOIN pawl.step AS s ON s.run_id = r.run_id
   WHERE r.state NOT IN ('reverted', 'contracted') AND s.kind = 'cut over' AND s.state = 'done'
     AND EXISTS (SELECT FROM pawl.step AS c WHERE c.run_id = r.run_id AND c.kind = 'contract'
                    AND c.state <> 'done')),
also AS (
  SELECT kept.run_id, kept.migration, kept.state, kept.title, a ->> 'schema' AS schema_name,
         a ->> 'name' AS table_name
    FROM kept
    JOIN pawl.plan AS p ON p.plan_hash = kept.plan_hash
   CROSS JOIN LATERAL pg_catalog.json_array_elements(p.content::json -> 'steps') AS e
   CROSS JOIN LATERAL pg_catalog.json_array_elements(e -> 'also') AS a
   WHERE (e ->> 'number')::integer = kept.step)
SELECT run_id, migration, state, title FROM kept WHERE schema_name = $1 AND table_name = $2
UNION ALL
SELECT run_id, migration, state, title FROM also WHERE schema_name = $1 AND table_name = $2
 LIMIT 1)",
      {table.schema, table.name});
  if (found.rows.empty()) return;
  const db::Row& row = found.rows[0];
  FailAt(
      place,
      fmt::format("run {} ({}, {}) keeps an old shape that is tied to {}: {}", db::ToText(row[0]),
                  db::ToText(row[1]), db::ToText(row[2]), Readable(table), db::ToText(row[3])),
      fmt::format("End it with `pawl contract {0}` first, or take it back with `pawl revert {0}`.",
                  db::ToText(row[0])));
}

}  // namespace

void RequireNoMove(const Planning& planning, const Place& place, const TableShape& table) {
  RequireNotMoved(planning, place, table.name);
  RequireContracted(planning, place, table.name);
  const db::Result found = planning.reading.session().Query(
      "SELECT tgname FROM pg_catalog.pg_trigger WHERE tgrelid = $1::pg_catalog.oid AND "
      "pg_catalog.starts_with(tgname::text, $2) LIMIT 1",
      {std::to_string(table.oid), kShapeTriggerPrefix});
  if (found.rows.empty()) return;
  FailAt(place,
         fmt::format("an earlier change of {} still keeps its old shape in step (trigger {})",
                     Readable(table.name), db::ToText(found.rows[0][0])),
         "End it with `pawl contract RUN` first, or take it back; `pawl status` lists the runs.");
}

void RequireNoMove(const Planning& planning, const Place& place,
                   const std::vector<TableName>& views) {
  for (const TableName& view : views) {
    RequireNotMoved(planning, place, view);
    RequireContracted(planning, place, view);
  }
}

void RequireUnpartitioned(const Place& place, const TableShape& table) {
  if (table.kind != 'p' && !table.is_partition) return;
  FailAt(
      place,
      fmt::format("{} is {}: a partition has the types of the whole at every moment, so none can "
                  "change before the others, and neither an index nor a foreign key of the whole "
                  "can be built beside the old one while others write",
                  Readable(table.name), table.kind == 'p' ? "partitioned" : "a partition"),
      "Make a table of the new type, partitioned alike; fill its partitions one by one by INSERT … "
      "SELECT, which Pawl runs in batches; attach what is complete, and rename both.");
}

void RequireOwnTable(const Place& place, const TableShape& table) {
  if (table.kind != 'r' && table.kind != 'p') {
    FailAt(place, fmt::format("{} is no table", Readable(table.name)), "Name a table.");
  }
  if (table.is_temporary || table.is_system) {
    FailAt(place,
           fmt::format("{} is a temporary table, or one of PostgreSQL's own", Readable(table.name)),
           "Name a table of yours.");
  }
  if (table.is_owner) return;
  FailAt(place, fmt::format("only the owner of {} may do this", Readable(table.name)),
         "Connect as the owner, or as a member of the owner's role.");
}

}  // namespace pawl::schema
