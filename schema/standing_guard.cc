#include "schema/standing_guard.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/catalog.h"
#include "schema/column_uses.h"
#include "schema/shape_trigger.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

std::string Guard(const TableName& table, const std::string& column, ColumnFate fate,
                  const std::string& expected, const char* since, const char* remedy) {
  return "DO " + DollarQuoted(fmt::format(
                     R"(
DECLARE
  pawl_expected text := {};
  pawl_standing text := (
{});
  pawl_then text[] := pg_catalog.string_to_array(coalesce(pawl_expected, 'what is not known'), '; ');
  pawl_now text[] := pg_catalog.string_to_array(pawl_standing, '; ');
BEGIN
  IF pawl_standing IS DISTINCT FROM pawl_expected THEN
    RAISE EXCEPTION 'Other things hang on column % of % than {}. Then, and not now: %. Now, and not then: %. {}',
      {}, {},
      (SELECT coalesce(pg_catalog.string_agg(line, '; '), 'nothing')
         FROM pg_catalog.unnest(pawl_then) AS line WHERE line <> ALL (pawl_now)),
      (SELECT coalesce(pg_catalog.string_agg(line, '; '), 'nothing')
         FROM pg_catalog.unnest(pawl_now) AS line WHERE line <> ALL (pawl_then));
  END IF;
END
)",
                     expected, StandingSql(table, column, fate), since, remedy,
                     db::QuoteLiteral(column), db::QuoteLiteral(Readable(table))));
}

}  // namespace

// Our own are some triggers and indexes. The constraints of contype n are NOT NULL, which the column
// itself says too, in every version.
std::string StandingSql(const TableName& table, const std::string& column, ColumnFate fate) {
  const std::string dependents = fate == ColumnFate::kDropped
                                     ? ""
                                     : "  UNION ALL\n  SELECT making FROM (" +
                                           DependentsSql(table, column, fate) + ") AS dependents\n";
  return fmt::format(
      R"sql(SELECT coalesce(pg_catalog.string_agg(DISTINCT line, '; ' ORDER BY line), 'nothing') FROM (
  SELECT o.type || ' ' || o.identity || coalesce(
           CASE WHEN d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
                THEN ' ' || pg_catalog.pg_get_constraintdef(d.objid)
                WHEN d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                THEN ' ' || (SELECT pg_catalog.pg_get_indexdef(i.indexrelid)
                               FROM pg_catalog.pg_index AS i WHERE i.indexrelid = d.objid)
                WHEN d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
                THEN ' ' || pg_catalog.pg_get_statisticsobjdef(d.objid) END, '')
           AS line
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
     AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
   CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) AS o
   WHERE a.attrelid = pg_catalog.to_regclass({0}) AND a.attname = {1}
     AND d.classid <> 'pg_catalog.pg_attrdef'::pg_catalog.regclass
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t
                      WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid
                        AND pg_catalog.starts_with(t.tgname::text, {2}))
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k
                      WHERE d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid
                        AND k.contype = 'n')
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c
                      WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
                        AND c.relkind = 'i' AND pg_catalog.right(c.relname::text, {4}) = {3})
  UNION ALL
  SELECT word FROM pg_catalog.pg_attribute AS a
   CROSS JOIN LATERAL (VALUES (a.attnotnull, 'NOT NULL'),
                              (a.atthasdef, 'default ' || (SELECT pg_catalog.pg_get_expr(e.adbin, e.adrelid)
                                                             FROM pg_catalog.pg_attrdef AS e
                                                            WHERE e.adrelid = a.attrelid AND e.adnum = a.attnum)),
                              (a.attidentity <> '', 'identity')) AS words (is_so, word)
   WHERE a.attrelid = pg_catalog.to_regclass({0}) AND a.attname = {1} AND is_so
{5}) AS lines)sql",
      db::QuoteLiteral(QuoteName(table.schema, table.name)), db::QuoteLiteral(column),
      db::QuoteLiteral(kShapeTriggerPrefix), db::QuoteLiteral(kOldSuffix),
      std::string_view(kOldSuffix).size(), dependents);
}

std::string ReaderSql(const TableName& table, const std::string& column) {
  return fmt::format(
      R"sql(
    SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
      FROM pg_catalog.pg_attribute AS a
      JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
     WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attname = {}
       AND d.classid IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass,
                         'pg_catalog.pg_policy'::pg_catalog.regclass,
                         'pg_catalog.pg_trigger'::pg_catalog.regclass)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS t
                        WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass
                          AND t.oid = d.objid AND pg_catalog.starts_with(t.tgname::text, {}))
     LIMIT 1)sql",
      db::QuoteLiteral(QuoteName(table.schema, table.name)), db::QuoteLiteral(column),
      db::QuoteLiteral(kShapeTriggerPrefix));
}

std::string RenderUnreadGuard(const TableName& table, const std::string& column) {
  return "DO " + DollarQuoted(fmt::format(
                     R"(
DECLARE
  pawl_reader text := ({});
BEGIN
  IF pawl_reader IS NOT NULL THEN
    RAISE EXCEPTION '% reads column % of %, which is not in use before the cut-over. Drop it, then resume; make it again afterwards.',
      pawl_reader, {}, {};
  END IF;
END
)",
                     ReaderSql(table, column), db::QuoteLiteral(column),
                     db::QuoteLiteral(Readable(table))));
}

std::string RenderStandingGuard(const TableName& table, const std::string& column, ColumnFate fate,
                                const std::string& standing) {
  return Guard(table, column, fate, db::QuoteLiteral(standing), "when this was planned",
               "Put it back as it was, then resume; or take the run back and plan anew.");
}

std::string RenderStandingNote(const TableName& table, const std::string& column, ColumnFate fate,
                               const std::string& function) {
  return "DO " + DollarQuoted(fmt::format(
                     R"(
BEGIN
  EXECUTE pg_catalog.format('COMMENT ON FUNCTION {}() IS %L', (
{}));
END
)",
                     function, StandingSql(table, column, fate)));
}

std::string RenderNotedGuard(const TableName& table, const std::string& column, ColumnFate fate,
                             const std::string& function) {
  return Guard(table, column, fate,
               fmt::format("pg_catalog.obj_description(pg_catalog.to_regprocedure({}), 'pg_proc')",
                           db::QuoteLiteral(function + "()")),
               "at the cut-over", "Put it back as it was, then resume.");
}

}  // namespace pawl::schema
