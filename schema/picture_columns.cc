// The columns of relations, and what can be set for each.
#include <fmt/format.h>

#include "schema/picture_sql.h"

namespace pawl::schema {

std::string PictureOfColumns(int server_version) {
  const char* target =
      server_version >= 170000 ? "coalesce(c.attstattarget, -1)" : "c.attstattarget";
  return fmt::format(
      R"sql(
SELECT CASE WHEN c.rel_kind IN ('table', 'foreign table') THEN 'column' ELSE 'column of ' || c.rel_kind END,
       c.name, 'pg_class'::regclass::oid, c.attrelid, c.attnum, jsonb_build_object(
         'belongs_to', ARRAY[c.rel_key], 'comes_along', true, 'naming', 'COLUMN ' || c.name, 'acl', c.attacl::text,
         'acl_kind', 'c', 'acl_owner', c.relowner, 'acl_on', format('(%s) ON TABLE %s', c.col, c.rel)) || CASE
       WHEN c.rel_kind IN ('table', 'foreign table') THEN jsonb_build_object(
         'definition', c.type || CASE WHEN c.attgenerated = '' THEN '' ELSE ' ' || c.attgenerated::text || c.value END,
         'shape', CASE WHEN c.attgenerated = '' THEN '' ELSE c.attgenerated::text || c.value END,
         'create', format('ALTER TABLE %s ADD COLUMN %s', c.rel, w.text),
         'change', format('ALTER TABLE %s ALTER COLUMN %s TYPE %s%s', c.rel, c.col, c.type, CASE
                     WHEN c.rel_kind = 'table' AND c.attgenerated = ''
                     THEN format(' USING %s::%s', c.col, format_type(c.atttypid, c.atttypmod)) ELSE '' END),
         'drop', format('ALTER TABLE %s DROP COLUMN %s', c.rel, c.col),
         'loses_data', c.rel_kind = 'table' AND c.attgenerated = '', 'is_inherited', c.attinhcount > 0)
       WHEN c.rel_kind = 'composite' THEN jsonb_build_object(
         'definition', c.type,
         'create', format('ALTER TYPE %s ADD ATTRIBUTE %s %s CASCADE', c.rel, c.col, c.type),
         'change', format('ALTER TYPE %s ALTER ATTRIBUTE %s TYPE %s CASCADE', c.rel, c.col, c.type),
         'drop', format('ALTER TYPE %s DROP ATTRIBUTE %s CASCADE', c.rel, c.col), 'loses_data', true)
       ELSE '{{}}' END
  FROM col AS c JOIN written AS w ON w.attrelid = c.attrelid AND w.attnum = c.attnum
UNION ALL
SELECT 'default', c.name, 'pg_attrdef'::regclass, c.default_oid, 0, jsonb_build_object(
         'create', format('ALTER %s ALTER COLUMN %s SET DEFAULT %s', o.rel, c.col, c.value),
         'change', format('ALTER %s ALTER COLUMN %s SET DEFAULT %s', o.rel, c.col, c.value),
         'drop', format('ALTER %s ALTER COLUMN %s DROP DEFAULT', o.rel, c.col),
         'belongs_to', ARRAY[CASE c.rel_kind WHEN 'view' THEN c.rel_key ELSE 'column ' || c.name END],
         'comes_along', c.rel_kind <> 'view' AND NOT w.draws AND (c.attislocal OR c.attinhcount = 0))
  FROM col AS c JOIN written AS w ON w.attrelid = c.attrelid AND w.attnum = c.attnum,
  LATERAL (SELECT CASE c.rel_kind WHEN 'view' THEN 'VIEW ' ELSE 'TABLE ONLY ' END || c.rel AS rel) AS o
 WHERE c.value IS NOT NULL AND c.attgenerated = ''
UNION ALL
SELECT 'not null', c.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER TABLE %s ALTER COLUMN %s SET NOT NULL', c.rel, c.col),
         'drop', format('ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL', c.rel, c.col),
         'belongs_to', ARRAY['column ' || c.name], 'comes_along', true, 'is_inherited', c.parent_not_null)
  FROM col AS c WHERE c.attnotnull AND c.rel_kind IN ('table', 'foreign table')
UNION ALL
SELECT 'identity', c.name, 'pg_class'::regclass, c.identity_seq, 0, jsonb_build_object(
         'create', format('ALTER TABLE %s ALTER COLUMN %s ADD GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)', c.rel,
                          c.col, c.identity, c.identity_seq::regclass, c.identity_options),
         'definition', c.identity || c.identity_options,
         'change', format('ALTER TABLE %s ALTER COLUMN %s SET GENERATED %s SET %s', c.rel, c.col, c.identity,
                          regexp_replace(regexp_replace(c.identity_options,
                            ' (MINVALUE|MAXVALUE|START|CACHE) ', ' SET \1 ', 'g'), ' (NO CYCLE|CYCLE)$', ' SET \1')),
         'drop', format('ALTER TABLE %s ALTER COLUMN %s DROP IDENTITY', c.rel, c.col), 'loses_data', true,
         'belongs_to', ARRAY['column ' || c.name], 'comes_along', true)
  FROM col AS c WHERE c.identity_seq IS NOT NULL
UNION ALL
SELECT 'storage', c.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER %s ALTER COLUMN %s SET STORAGE %s', c.rel_naming, c.col, mode.of_column),
         'change', format('ALTER %s ALTER COLUMN %s SET STORAGE %s', c.rel_naming, c.col, mode.of_column),
         'drop', format('ALTER %s ALTER COLUMN %s SET STORAGE %s', c.rel_naming, c.col, mode.of_type),
         'belongs_to', ARRAY[own.key])
  FROM col AS c, LATERAL (SELECT CASE c.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                                 ELSE 'EXTENDED' END AS of_column,
                                 CASE c.typstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                                 ELSE 'EXTENDED' END AS of_type) AS mode,
  LATERAL (SELECT CASE c.rel_kind WHEN 'materialized view' THEN c.rel_key ELSE 'column ' || c.name END AS key) AS own
 WHERE c.attstorage <> c.typstorage AND c.rel_kind IN ('table', 'foreign table', 'materialized view')
UNION ALL
SELECT 'compression', c.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER TABLE ONLY %s ALTER COLUMN %s SET COMPRESSION %s', c.rel, c.col, mode.name),
         'change', format('ALTER TABLE ONLY %s ALTER COLUMN %s SET COMPRESSION %s', c.rel, c.col, mode.name),
         'drop', format('ALTER TABLE ONLY %s ALTER COLUMN %s SET COMPRESSION default', c.rel, c.col),
         'belongs_to', ARRAY['column ' || c.name])
  FROM col AS c, LATERAL (SELECT CASE c.compression WHEN 'l' THEN 'lz4' ELSE 'pglz' END AS name) AS mode
 WHERE c.compression <> '' AND c.rel_kind = 'table'
UNION ALL
SELECT 'statistics target', c.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER %s ALTER COLUMN %s SET STATISTICS %s', o.rel, c.col, {0}),
         'change', format('ALTER %s ALTER COLUMN %s SET STATISTICS %s', o.rel, c.col, {0}),
         'drop', format('ALTER %s ALTER COLUMN %s SET STATISTICS -1', o.rel, c.col), 'belongs_to', ARRAY[own.key])
  FROM col AS c,
  LATERAL (SELECT CASE c.rel_kind WHEN 'materialized view' THEN c.rel_key ELSE 'column ' || c.name END AS key) AS own,
  LATERAL (SELECT CASE c.rel_kind WHEN 'materialized view' THEN c.rel_naming ELSE 'TABLE ONLY ' || c.rel END AS rel) AS o
 WHERE {0} >= 0 AND c.rel_kind IN ('table', 'foreign table', 'materialized view')
UNION ALL
SELECT 'column option', format('%s %s', c.name, v.option_name), 0, 0, 0, jsonb_build_object(
         'create', format('ALTER TABLE ONLY %s ALTER COLUMN %s SET (%I = %L)', c.rel, c.col, v.option_name, v.option_value),
         'change', format('ALTER TABLE ONLY %s ALTER COLUMN %s SET (%I = %L)', c.rel, c.col, v.option_name, v.option_value),
         'drop', format('ALTER TABLE ONLY %s ALTER COLUMN %s RESET (%I)', c.rel, c.col, v.option_name),
         'belongs_to', ARRAY['column ' || c.name])
  FROM col AS c, pg_options_to_table(c.attoptions) AS v WHERE c.rel_kind IN ('table', 'foreign table')
UNION ALL
SELECT 'foreign column option', format('%s %s', c.name, v.option_name), 0, 0, 0, jsonb_build_object(
         'create', format('ALTER FOREIGN TABLE %s ALTER COLUMN %s OPTIONS (ADD %I %L)', c.rel, c.col, v.option_name, v.option_value),
         'change', format('ALTER FOREIGN TABLE %s ALTER COLUMN %s OPTIONS (SET %I %L)', c.rel, c.col, v.option_name, v.option_value),
         'drop', format('ALTER FOREIGN TABLE %s ALTER COLUMN %s OPTIONS (DROP %I)', c.rel, c.col, v.option_name),
         'belongs_to', ARRAY['column ' || c.name])
  FROM col AS c, pg_options_to_table(c.attfdwoptions) AS v WHERE c.rel_kind = 'foreign table')sql",
      target);
}

}  // namespace pawl::schema
