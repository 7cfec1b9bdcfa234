#include "schema/catalog.h"

#include <algorithm>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "schema/near_name.h"

namespace pawl::schema {
namespace {

using db::Result;
using db::Row;
using db::Session;
using db::ToBool;
using db::ToInt;
using db::ToText;

// A domain's values are those of its base type, found by going down the chain. `base` is then the
// type and modifier, `hash` its default hash operator class: an exact one, that of a type it can
// stand in for (varchar for text), or a polymorphic one (enum). Some classes borrow the function of
// another type (date that of int4), which cannot be called by name: then it is an empty text.
constexpr const char* kTypeFacts = R"(
CROSS JOIN LATERAL (
  WITH RECURSIVE chain(type, modifier, depth) AS (
    SELECT start.type, start.modifier, 0
    UNION ALL
    SELECT t.typbasetype, t.typtypmod, depth + 1
      FROM chain JOIN pg_catalog.pg_type t ON t.oid = chain.type
     WHERE t.typtype = 'd')
  SELECT type, modifier FROM chain ORDER BY depth DESC LIMIT 1) AS base
JOIN pg_catalog.pg_type AS bt ON bt.oid = base.type
LEFT JOIN LATERAL (
  SELECT CASE WHEN p.proargtypes[0] = bt.oid
                OR p.proargtypes[0] = 'pg_catalog.anyenum'::pg_catalog.regtype
                OR EXISTS (SELECT FROM pg_catalog.pg_cast c
                            WHERE c.castsource = bt.oid AND c.casttarget = p.proargtypes[0]
                              AND c.castcontext = 'i')
              THEN pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname)
              ELSE '' END AS function
    FROM pg_catalog.pg_opclass o
    JOIN pg_catalog.pg_am am ON am.oid = o.opcmethod AND am.amname = 'hash'
    JOIN pg_catalog.pg_amproc ap ON ap.amprocfamily = o.opcfamily AND ap.amprocnum = 1
                                AND ap.amproclefttype = o.opcintype
                                AND ap.amprocrighttype = o.opcintype
    JOIN pg_catalog.pg_proc p ON p.oid = ap.amproc
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
   WHERE o.opcdefault
     AND (o.opcintype = bt.oid
          OR (bt.typtype = 'e' AND o.opcintype = 'pg_catalog.anyenum'::pg_catalog.regtype)
          OR EXISTS (SELECT FROM pg_catalog.pg_cast c
                      WHERE c.castsource = bt.oid AND c.casttarget = o.opcintype
                        AND c.castmethod = 'b' AND c.castcontext = 'i'))
   ORDER BY o.opcintype = bt.oid DESC, o.opcintype
   LIMIT 1) AS hash ON true)";

constexpr const char* kTypeColumns = R"(
       pg_catalog.format_type(base.type, base.modifier),
       bt.typlen = -1 AND bt.typelem <> 0 AND bt.typcategory = 'A',
       hash.function,
       bt.oid IN ('int2'::pg_catalog.regtype, 'int4'::pg_catalog.regtype,
                  'int8'::pg_catalog.regtype),
       bt.typtype = 'c')";

void FillType(const Row& row, std::size_t first, Column& column) {
  column.type = ToText(row[first]);
  column.is_array = ToBool(row[first + 1]);
  column.has_hash = row[first + 2].has_value();
  column.hash_function = row[first + 2].value_or("");
  column.is_integer = ToBool(row[first + 3]);
  column.is_composite = ToBool(row[first + 4]);
}

std::vector<std::string> TextList(const db::Value& json_array) {
  std::vector<std::string> texts;
  if (!json_array) return texts;
  const boost::json::value list = boost::json::parse(*json_array);
  for (const boost::json::value& element : list.as_array()) {
    texts.emplace_back(element.as_string());
  }
  return texts;
}

void ReadColumns(Session& session, TableShape& table) {
  const Result result = session.Query(fmt::format(R"(
SELECT a.attname,
       a.attnotnull AND NOT EXISTS (
         -- From 18 on, a NOT NULL may be NOT VALID.
         SELECT FROM pg_catalog.pg_constraint AS n
          WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND NOT n.convalidated
            AND n.conkey[1] = a.attnum),
       a.attgenerated <> '', a.attidentity = 'a',
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'UPDATE'),{}
  FROM pg_catalog.pg_attribute AS a
 CROSS JOIN LATERAL (SELECT a.atttypid AS type, a.atttypmod AS modifier) AS start
 {}
 WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum)",
                                                  kTypeColumns, kTypeFacts),
                                      {std::to_string(table.oid)});
  for (const Row& row : result.rows) {
    TableColumn column;
    column.column.name = ToText(row[0]);
    column.column.not_null = ToBool(row[1]);
    column.is_generated = ToBool(row[2]);
    column.is_identity_always = ToBool(row[3]);
    column.may_update = ToBool(row[4]);
    FillType(row, 5, column.column);
    table.columns.push_back(std::move(column));
  }
}

// Row comparison needs one direction in all columns, and an index whose order is that of the
// columns' own collations and default operators.
void ReadKeys(Session& session, TableShape& table) {
  const Result result = session.Query(
      R"(
SELECT c.relname, i.indisprimary,
       (SELECT pg_catalog.json_agg(a.attname ORDER BY k)
          FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k]),
       (SELECT pg_catalog.sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE 32 END)
          FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k
          JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k])
         AS width
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_am am ON am.oid = c.relam
 WHERE i.indrelid = $1::pg_catalog.oid
   AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indisready AND i.indislive
   AND i.indpred IS NULL AND i.indexprs IS NULL AND am.amname = 'btree'
   AND NOT EXISTS (
         SELECT FROM pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k]
           JOIN pg_catalog.pg_opclass o ON o.oid = i.indclass[k]
          WHERE NOT a.attnotnull OR NOT o.opcdefault OR i.indoption[k] <> 0
             OR i.indcollation[k] <> a.attcollation
             -- From 18 on, a NOT NULL may be NOT VALID.
             OR EXISTS (SELECT FROM pg_catalog.pg_constraint n
                         WHERE n.conrelid = i.indrelid AND n.contype = 'n' AND NOT n.convalidated
                           AND n.conkey[1] = a.attnum))
 ORDER BY NOT i.indisprimary, i.indnkeyatts, width, c.relname)",
      {std::to_string(table.oid)});
  for (const Row& row : result.rows) {
    table.keys.push_back({ToText(row[0]), ToBool(row[1]), TextList(row[2]), ToInt(row[3])});
  }
}

// An index depends on the columns of its expressions and predicate by pg_depend, and names those of
// its keys. BRIN does not stop HOT updates from 16 on.
void ReadIndexedColumns(Session& session, TableShape& table) {
  const Result result = session.Query(
      R"(
WITH blocking AS (
  SELECT i.* FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am am ON am.oid = c.relam
   WHERE i.indrelid = $1::pg_catalog.oid
     AND NOT (am.amname = 'brin'
              AND pg_catalog.current_setting('server_version_num')::int >= 160000))
SELECT DISTINCT a.attname
  FROM blocking i
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0
 WHERE a.attnum = ANY (i.indkey)
    OR EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.objid = i.indexrelid
                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))",
      {std::to_string(table.oid)});
  for (const Row& row : result.rows) table.indexed_columns.push_back(ToText(row[0]));
  table.index_count = ToInt(session
                                .Query("SELECT count(*) FROM pg_catalog.pg_index WHERE indrelid = "
                                       "$1::pg_catalog.oid",
                                       {std::to_string(table.oid)})
                                .rows[0][0]);
}

void ReadTriggers(Session& session, TableShape& table) {
  // Before 15, a partition's copy of its parent's trigger counts as internal.
  // tgtype bits (catalog/pg_trigger.h): 1 row, 2 before, 4 insert, 8 delete, 16 update.
  const Result result = session.Query(
      R"(
SELECT t.tgname, p.oid::pg_catalog.regproc::text, t.tgtype & 2 <> 0, t.tgtype & 1 <> 0,
       t.tgtype & 4 <> 0, t.tgtype & 16 <> 0, t.tgtype & 8 <> 0,
       (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = t.tgrelid AND a.attnum = ANY (t.tgattr)),
       t.tgenabled IN ('A', 'R'), t.tgenabled <> 'R'
  FROM pg_catalog.pg_trigger t
  JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
 WHERE t.tgrelid = $1::pg_catalog.oid AND t.tgenabled IN ('O', 'A', 'R')
   AND (NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0))
 ORDER BY t.tgname)",
      {std::to_string(table.oid)});
  for (const Row& row : result.rows) {
    table.triggers.push_back({ToText(row[0]), ToText(row[1]), ToBool(row[2]), ToBool(row[3]),
                              ToBool(row[4]), ToBool(row[5]), ToBool(row[6]), TextList(row[7]),
                              ToBool(row[8]), ToBool(row[9])});
  }
  const Result rules = session.Query(
      R"(
SELECT DISTINCT ev_type::text FROM pg_catalog.pg_rewrite
 WHERE ev_class = $1::pg_catalog.oid AND ev_type IN ('2', '3', '4') AND ev_enabled IN ('O', 'A'))",
      {std::to_string(table.oid)});
  for (const Row& row : rules.rows) table.rules.push_back(ToText(row[0])[0]);
}

void ReadReferences(Session& session, TableShape& table) {
  // Keys that refer to a partitioned parent are seen at each leaf as clones with conparentid.
  const Result result = session.Query(
      R"(
SELECT c.conname, c.conrelid::pg_catalog.regclass::text,
       (SELECT pg_catalog.json_agg(a.attname) FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.confrelid AND a.attnum = ANY (c.confkey)),
       c.confupdtype, c.confdeltype,
       EXISTS (SELECT FROM pg_catalog.pg_index i
                WHERE i.indrelid = c.conrelid AND i.indisvalid AND i.indpred IS NULL
                  AND i.indkey[0] = ANY (c.conkey))
  FROM pg_catalog.pg_constraint c
 WHERE c.contype = 'f' AND c.confrelid = $1::pg_catalog.oid
 ORDER BY c.conname)",
      {std::to_string(table.oid)});
  for (const Row& row : result.rows) {
    table.references.push_back({ToText(row[0]), ToText(row[1]), TextList(row[2]), ToText(row[3])[0],
                                ToText(row[4])[0], ToBool(row[5])});
  }
}

void ReadPublications(Session& session, TableShape& table) {
  const Result result = session.Query(
      R"(
SELECT DISTINCT pubname FROM pg_catalog.pg_publication_tables
 WHERE schemaname = $1 AND tablename = $2 ORDER BY pubname)",
      {table.name.schema, table.name.name});
  for (const Row& row : result.rows) table.publications.push_back(ToText(row[0]));
}

}  // namespace

const TableColumn* TableShape::Find(const std::string& column_name) const {
  const auto found = std::find_if(
      columns.begin(), columns.end(),
      [&](const TableColumn& candidate) { return candidate.column.name == column_name; });
  return found == columns.end() ? nullptr : &*found;
}

bool TableShape::has_created_columns() const {
  return std::any_of(columns.begin(), columns.end(),
                     [](const TableColumn& column) { return column.is_created; });
}

std::optional<std::string> UnprovedNotNull(Session& session, std::int64_t table,
                                           const std::string& column) {
  const Result result = session.Query(
      R"(
SELECT n.conname
  FROM pg_catalog.pg_constraint AS n
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = n.conrelid AND a.attnum = n.conkey[1]
 WHERE n.conrelid = $1::pg_catalog.oid AND n.contype = 'n' AND NOT n.convalidated
   AND a.attname = $2)",
      {std::to_string(table), column});
  if (result.rows.empty()) return std::nullopt;
  return ToText(result.rows[0][0]);
}

std::optional<std::int64_t> FindRelation(Session& session, const TableName& name) {
  // By name and not by to_regclass: that one is an error where the schema may not be used.
  const Result result = session.Query(
      R"(
SELECT c.oid
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = $2
   AND CASE WHEN $1 = '' THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $1 END)",
      {name.schema, name.name});
  if (result.rows.empty()) return std::nullopt;
  return ToInt(result.rows[0][0]);
}

TableShape ReadTable(Session& session, std::int64_t oid) {
  const Result result = session.Query(
      R"(
SELECT n.nspname, c.relname, c.relkind, c.relpersistence = 't',
       n.nspname IN ('pg_catalog', 'information_schema') OR n.nspname LIKE 'pg\_toast%',
       c.relispartition, c.reltuples, c.relpages,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) / s.block
            ELSE 0 END,
       pg_catalog.row_security_active(c.oid),
       pg_catalog.has_table_privilege(c.oid, 'SELECT')
         OR NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                           AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')),
       pg_catalog.has_table_privilege(c.oid, 'UPDATE'),
       pg_catalog.has_table_privilege(c.oid, 'INSERT'),
       pg_catalog.has_table_privilege(c.oid, 'DELETE'),
       pg_catalog.has_table_privilege(c.oid, 'TRIGGER'),
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')) / s.block,
       pg_catalog.pg_has_role(c.relowner, 'USAGE'),
       CASE c.relreplident
         WHEN 'd' THEN EXISTS (SELECT FROM pg_catalog.pg_index i
                                WHERE i.indrelid = c.oid AND i.indisprimary)
         ELSE c.relreplident <> 'n' END
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN (SELECT pg_catalog.current_setting('block_size')::bigint AS block) s
 WHERE c.oid = $1::pg_catalog.oid)",
      {std::to_string(oid)});
  const Row& row = result.rows.at(0);
  TableShape table;
  table.oid = oid;
  table.name = {ToText(row[0]), ToText(row[1])};
  table.kind = ToText(row[2])[0];
  table.is_temporary = ToBool(row[3]);
  table.is_system = ToBool(row[4]);
  table.is_partition = ToBool(row[5]);
  table.rows_in_statistics = db::ToDouble(row[6]);
  table.pages_in_statistics = ToInt(row[7]);
  table.pages = ToInt(row[8]);
  table.row_security = ToBool(row[9]);
  table.may_select = ToBool(row[10]);
  table.may_update = ToBool(row[11]);
  table.may_insert = ToBool(row[12]);
  table.may_delete = ToBool(row[13]);
  table.may_create_trigger = ToBool(row[14]);
  table.is_cached = table.pages <= ToInt(row[15]);
  table.is_owner = ToBool(row[16]);
  table.has_replica_identity = ToBool(row[17]);
  ReadColumns(session, table);
  ReadKeys(session, table);
  ReadIndexedColumns(session, table);
  ReadTriggers(session, table);
  ReadReferences(session, table);
  ReadPublications(session, table);
  return table;
}

std::vector<std::int64_t> ReadChildren(Session& session, std::int64_t oid) {
  const Result result = session.Query(
      R"(
WITH RECURSIVE tree(oid) AS (
  SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = $1::pg_catalog.oid
  UNION
  SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid)
SELECT c.oid FROM tree JOIN pg_catalog.pg_class c USING (oid)
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind <> 'p'
 ORDER BY n.nspname, c.relname)",
      {std::to_string(oid)});
  std::vector<std::int64_t> children;
  for (const Row& row : result.rows) children.push_back(ToInt(row[0]));
  return children;
}

std::vector<std::string> ReadPartitionColumns(Session& session, std::int64_t oid) {
  // Columns have other numbers in a partition, but the same names. partattrs is 0 for expressions,
  // whose columns pg_depend has.
  const Result result = session.Query(
      R"(
WITH RECURSIVE parents(oid) AS (
  SELECT $1::pg_catalog.oid
  UNION
  SELECT i.inhparent FROM pg_catalog.pg_inherits i JOIN parents ON i.inhrelid = parents.oid)
SELECT DISTINCT a.attname
  FROM parents
  JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = parents.oid
  JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum > 0
 WHERE a.attnum = ANY (p.partattrs)
    OR EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.objid = p.partrelid AND d.objsubid = 0
                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.refobjid = p.partrelid AND d.refobjsubid = a.attnum))",
      {std::to_string(oid)});
  std::vector<std::string> columns;
  for (const Row& row : result.rows) columns.push_back(ToText(row[0]));
  return columns;
}

Column ResolveType(Session& session, const std::string& name, const std::string& type) {
  const Result result = session.Query(fmt::format(
      R"(
SELECT{}, start.type <> base.type
  FROM (SELECT pg_catalog.pg_typeof(NULL::{})::pg_catalog.oid AS type, -1 AS modifier) AS start
  {})",
      kTypeColumns, type, kTypeFacts));
  const Row& row = result.rows.at(0);
  Column column;
  column.name = name;
  FillType(row, 0, column);
  // pg_typeof() knows no modifiers, so a type that has some stays as written.
  const bool is_domain = ToBool(row[5]);
  const bool has_modifier = type.find('(') != std::string::npos || type.starts_with("interval");
  if (!is_domain && has_modifier) column.type = type;
  return column;
}

std::string NearRelation(Session& session, const std::string& name) {
  const Result result = session.Query(R"(
SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid)
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
 ORDER BY 1, 2 LIMIT 5000)");
  std::vector<std::string> names;
  for (const Row& row : result.rows) names.push_back(ToText(row[1]));
  const std::string nearest = NearName(name, names);
  for (const Row& row : result.rows) {
    if (nearest.empty() || ToText(row[1]) != nearest) continue;
    return Readable({ToBool(row[2]) ? "" : ToText(row[0]), nearest});
  }
  return {};
}

std::string Readable(const TableName& name) {
  return name.schema.empty() ? name.name : name.schema + "." + name.name;
}

}  // namespace pawl::schema
