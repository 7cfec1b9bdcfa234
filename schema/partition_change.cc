#include "schema/partition_change.h"

#include <algorithm>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/chosen_name.h"
#include "schema/form_steps.h"

namespace pawl::schema {

using db::QuoteLiteral;
using db::QuoteName;

std::optional<TableShape> DefaultPartition(Planning& planning, const TableShape& parent) {
  const db::Result found = planning.reading.session().Query(
      "SELECT partdefid FROM pg_catalog.pg_partitioned_table WHERE partrelid = "
      "$1::pg_catalog.oid AND partdefid <> 0",
      {std::to_string(parent.oid)});
  if (found.rows.empty()) return std::nullopt;
  return planning.schema.Read(db::ToInt(found.rows[0][0]));
}

std::vector<TableName> ReferredTo(Planning& planning, const TableShape& parent) {
  const db::Result found = planning.reading.session().Query(
      R"(
SELECT DISTINCT n.nspname, c.relname
  FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.conrelid = $1::pg_catalog.oid AND c.oid <> $1::pg_catalog.oid
 ORDER BY 1, 2)",
      {std::to_string(parent.oid)});
  std::vector<TableName> tables;
  for (const db::Row& row : found.rows) {
    tables.push_back({db::ToText(row[0]), db::ToText(row[1])});
  }
  return tables;
}

void RequireSamePartitions(const Planning& planning, const Place& place, const TableName& parent) {
  for (const Step& step : planning.steps) {
    const bool changes_it =
        std::find(step.also.begin(), step.also.end(), parent) != step.also.end() &&
        step.sql.find(" PARTITION ") != std::string::npos;
    if (!changes_it) continue;
    FailAt(place,
           fmt::format("an earlier statement of this file ({}) changes which partitions {} has",
                       step.title, Readable(parent)),
           "Put this statement into a file of its own, and run it afterwards.");
  }
}

std::string BoundCheckName(const TableName& child) {
  return ObjectName(child.name, "", "pawl_bound");
}

std::string ApartCheckName(const TableName& default_partition, const TableName& child) {
  return ObjectName(default_partition.name, child.name, "pawl_apart");
}

std::string IsAttached(const TableName& parent, const TableName& child, int server_version) {
  return fmt::format(
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = "
      "pg_catalog.to_regclass({}) AND inhrelid = pg_catalog.to_regclass({}){})",
      QuoteLiteral(SqlName(parent)), QuoteLiteral(SqlName(child)),
      server_version >= 140000 ? " AND NOT inhdetachpending" : "");
}

std::string RowsOutside(const TableShape& table, const std::string& condition) {
  return fmt::format("SELECT {} FROM {}{} WHERE NOT ({}) LIMIT 5", RowInWords(table),
                     table.kind == 'p' ? "" : "ONLY ", SqlName(table.name), condition);
}

std::vector<Step> CheckSteps(StepKind kind, int line, const TableShape& table,
                             const std::string& name, const std::string& condition,
                             const std::string& why) {
  const std::string drop = DropConstraint(table.name, name);
  Step add = DdlStep(line, table.name,
                     fmt::format("add check {} to {}, for new rows", name, Readable(table.name)),
                     kMoment, why);
  // Killed before its question is answered, it is done again.
  add.sql = fmt::format("{};\nALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID", drop,
                        SqlName(table.name), QuoteName(name), condition);
  add.inverse = drop;
  add.question = RowsOutside(table, condition);
  add.reopen = drop;
  add.is_own = true;
  Step validate = ValidationStep(line, table.name, name);
  if (kind == StepKind::kDdl) return {add, validate};
  for (Step* step : {&add, &validate}) {
    step->kind = kind;
    step->lock = kOnTheWayBack;
    step->inverse = step->sql;
    step->sql.clear();
  }
  return {validate, add};
}

}  // namespace pawl::schema
