// Relations, and what can be set for each.
#include <fmt/format.h>

#include "schema/picture_sql.h"

namespace pawl::schema {

std::string PictureRelations(int server_version) {
  const char* compression = server_version >= 140000 ? "a.attcompression" : "''";
  return fmt::format(
      R"sql(
space AS (
  SELECT n.oid, n.nspname, n.nspowner, n.nspacl FROM pg_namespace AS n
   WHERE n.nspname NOT IN ('information_schema', 'pawl') AND n.nspname !~ '^pg_'),
rel AS (
  SELECT c.*, k.kind, format('%I.%I', n.nspname, c.relname) AS name,
         format('%s %I.%I', k.kind, n.nspname, c.relname) AS key,
         format('%s %I.%I', CASE k.kind WHEN 'composite' THEN 'TYPE' ELSE upper(k.kind) END, n.nspname,
                c.relname) AS naming
    FROM pg_class AS c JOIN space AS n ON n.oid = c.relnamespace
    JOIN (VALUES ('r', 'table'), ('p', 'table'), ('f', 'foreign table'), ('v', 'view'),
                 ('m', 'materialized view'), ('c', 'composite'), ('S', 'sequence')) AS k (letter, kind)
      ON k.letter::"char" = c.relkind),
seq AS (
  SELECT s.seqrelid, d.deptype AS tie, d.refobjid AS relid, d.refobjsubid AS attnum,
         format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s',
                s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
                CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END) AS options,
         format_type(s.seqtypid, NULL) AS type
    FROM pg_sequence AS s
    LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid
          AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0),
col AS (
  SELECT a.*, {} AS compression, r.name AS rel, r.kind AS rel_kind, r.key AS rel_key, r.naming AS rel_naming,
         r.relowner, format('%I', a.attname) AS col, format('%s.%I', r.name, a.attname) AS name,
         format_type(a.atttypid, a.atttypmod) || coalesce(' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(l.collname), '') AS type,
         t.typstorage, d.oid AS default_oid, pg_get_expr(d.adbin, d.adrelid) AS value,
         i.seqrelid AS identity_seq, i.options AS identity_options,
         CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS identity,
         EXISTS (SELECT FROM pg_inherits AS h JOIN pg_attribute AS p ON p.attrelid = h.inhparent
                  WHERE h.inhrelid = a.attrelid AND p.attname = a.attname AND p.attnotnull) AS parent_not_null
    FROM pg_attribute AS a JOIN rel AS r ON r.oid = a.attrelid AND r.kind <> 'sequence'
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN pg_collation AS l ON l.oid = a.attcollation AND a.attcollation <> t.typcollation
    LEFT JOIN pg_namespace AS n ON n.oid = l.collnamespace
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN seq AS i ON i.relid = a.attrelid AND i.attnum = a.attnum AND i.tie = 'i'
   WHERE a.attnum > 0 AND NOT a.attisdropped),
-- As CREATE TABLE and ADD COLUMN have it. A default that draws from a sequence comes later: the
-- sequence may belong to the column.
written AS (
  SELECT attrelid, attnum, attislocal, value ~ '\mnextval\(' AS draws,
         format('%s %s%s', col, type, CASE
           WHEN attgenerated = 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', value)
           WHEN attgenerated = 'v' THEN format(' GENERATED ALWAYS AS (%s)', value)
           WHEN identity IS NOT NULL THEN format(' GENERATED %s AS IDENTITY (SEQUENCE NAME %s %s)', identity,
                                                 identity_seq::regclass, identity_options)
           WHEN value !~ '\mnextval\(' THEN ' DEFAULT ' || value ELSE '' END
           || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END) AS text
    FROM col))sql",
      compression);
}

std::string PictureOfTables() {
  return R"sql(
SELECT r.kind, r.name, 'pg_class'::regclass::oid, r.oid, 0, jsonb_build_object(
         'definition', coalesce(' PARTITION BY ' || pg_get_partkeydef(r.oid), ''),
         'create', format('CREATE TABLE %s (%s)%s', r.name,
                          (SELECT string_agg(E'\n  ' || w.text, ',' ORDER BY w.attnum) || E'\n' FROM written AS w
                            WHERE w.attrelid = r.oid AND (w.attislocal OR r.relispartition)),
                          coalesce(E'\nPARTITION BY ' || pg_get_partkeydef(r.oid), parents.clause, '')),
         'after', parents.keys,
         'drop', 'DROP TABLE ' || r.name, 'loses_data', true, 'naming', r.naming, 'owner', r.relowner,
         'acl', r.relacl::text, 'acl_kind', 'r')
  FROM rel AS r,
  LATERAL (SELECT E'\nINHERITS (' || string_agg(p.name, ', ' ORDER BY h.inhseqno) || ')' AS clause,
                  array_agg(p.key) AS keys
             FROM pg_inherits AS h JOIN rel AS p ON p.oid = h.inhparent
            WHERE h.inhrelid = r.oid AND NOT r.relispartition) AS parents
 WHERE r.kind = 'table'
UNION ALL
SELECT r.kind, r.name, 'pg_class'::regclass, r.oid, 0, jsonb_build_object(
         'definition', format('SERVER %I', s.srvname),
         'create', format('CREATE FOREIGN TABLE %s (%s) SERVER %I%s', r.name,
                          (SELECT string_agg(E'\n  ' || w.text, ',' ORDER BY w.attnum) || E'\n' FROM written AS w
                            WHERE w.attrelid = r.oid),
                          s.srvname, ' OPTIONS (' || (SELECT string_agg(format('%I %L', o.option_name, o.option_value), ', ')
                                         FROM pg_options_to_table(f.ftoptions) AS o) || ')'),
         'drop', 'DROP FOREIGN TABLE ' || r.name, 'naming', r.naming, 'owner', r.relowner,
         'acl', r.relacl::text, 'acl_kind', 'r')
  FROM rel AS r JOIN pg_foreign_table AS f ON f.ftrelid = r.oid JOIN pg_foreign_server AS s ON s.oid = f.ftserver
UNION ALL
SELECT r.kind, r.name, 'pg_class'::regclass, r.oid, 0, jsonb_build_object(
         'create', format(E'CREATE %s %s AS\n%s%s', upper(r.kind), r.name, rtrim(pg_get_viewdef(r.oid), ';'),
                          CASE r.kind WHEN 'view' THEN '' ELSE
                                 CASE WHEN r.relispopulated THEN '' ELSE ' WITH NO DATA' END END),
         'definition', pg_get_viewdef(r.oid),
         'drop', format('DROP %s', r.naming), 'naming', r.naming, 'owner', r.relowner,
         'acl', r.relacl::text, 'acl_kind', 'r')
  FROM rel AS r WHERE r.kind IN ('view', 'materialized view')
UNION ALL
SELECT r.kind, r.name, 'pg_class'::regclass, r.oid, 0, jsonb_build_object(
         'create', format('CREATE SEQUENCE %s AS %s %s', r.name, s.type, s.options),
         'change', format('ALTER SEQUENCE %s AS %s %s', r.name, s.type, s.options),
         'drop', 'DROP SEQUENCE ' || r.name, 'loses_data', true, 'naming', r.naming, 'owner', r.relowner,
         'follows', s.tie IS NOT NULL, 'acl', r.relacl::text, 'acl_kind', 's')
  FROM rel AS r JOIN seq AS s ON s.seqrelid = r.oid WHERE s.tie IS DISTINCT FROM 'i'
UNION ALL
SELECT 'owned by', r.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER SEQUENCE %s OWNED BY %s', r.name, c.name),
         'change', format('ALTER SEQUENCE %s OWNED BY %s', r.name, c.name),
         'drop', format('ALTER SEQUENCE %s OWNED BY NONE', r.name),
         'belongs_to', ARRAY[r.key, 'column ' || c.name])
  FROM rel AS r JOIN seq AS s ON s.seqrelid = r.oid AND s.tie = 'a'
  JOIN col AS c ON c.attrelid = s.relid AND c.attnum = s.attnum
UNION ALL
SELECT 'attach', child.name || ' to ' || parent.name, 0, 0, 0, jsonb_build_object(
         'create', CASE WHEN child.relispartition
                        THEN format('ALTER TABLE ONLY %s ATTACH PARTITION %s %s', parent.name, child.name,
                                    pg_get_expr(child.relpartbound, child.oid))
                        ELSE format('ALTER TABLE ONLY %s INHERIT %s', child.name, parent.name) END,
         'drop', CASE WHEN child.relispartition
                      THEN format('ALTER TABLE ONLY %s DETACH PARTITION %s', parent.name, child.name)
                      ELSE format('ALTER TABLE ONLY %s NO INHERIT %s', child.name, parent.name) END,
         'belongs_to', ARRAY[child.key], 'needs', ARRAY[parent.key],
         'comes_along', child.kind = 'table' AND NOT child.relispartition)
  FROM pg_inherits AS h JOIN rel AS child ON child.oid = h.inhrelid JOIN rel AS parent ON parent.oid = h.inhparent
UNION ALL
SELECT 'of type', r.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER TABLE ONLY %s OF %s', r.name, t.key_name),
         'drop', format('ALTER TABLE ONLY %s NOT OF', r.name),
         'belongs_to', ARRAY[r.key], 'needs', ARRAY['composite ' || t.key_name])
  FROM rel AS r JOIN (SELECT oid, name AS key_name, reltype FROM rel) AS t ON t.reltype = r.reloftype WHERE r.reloftype <> 0
UNION ALL
SELECT 'logged', r.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER TABLE ONLY %s SET UNLOGGED', r.name),
         'drop', format('ALTER TABLE ONLY %s SET LOGGED', r.name), 'belongs_to', ARRAY[r.key])
  FROM rel AS r WHERE r.kind = 'table' AND r.relpersistence = 'u'
UNION ALL
SELECT 'access method', r.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER %s SET ACCESS METHOD %I', r.naming, m.amname),
         'change', format('ALTER %s SET ACCESS METHOD %I', r.naming, m.amname),
         'drop', format('ALTER %s SET ACCESS METHOD heap', r.naming), 'belongs_to', ARRAY[r.key])
  FROM rel AS r JOIN pg_am AS m ON m.oid = r.relam WHERE m.amname <> 'heap' AND r.kind IN ('table', 'materialized view')
UNION ALL
SELECT 'tablespace', r.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER %s SET TABLESPACE %I', r.naming, s.spcname),
         'change', format('ALTER %s SET TABLESPACE %I', r.naming, s.spcname),
         'drop', format('ALTER %s SET TABLESPACE pg_default', r.naming), 'belongs_to', ARRAY[r.key])
  FROM rel AS r JOIN pg_tablespace AS s ON s.oid = r.reltablespace
UNION ALL
SELECT 'row security', r.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', r.name),
         'drop', format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', r.name), 'belongs_to', ARRAY[r.key])
  FROM rel AS r WHERE r.relrowsecurity
UNION ALL
SELECT 'forced row security', r.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', r.name),
         'drop', format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', r.name), 'belongs_to', ARRAY[r.key])
  FROM rel AS r WHERE r.relforcerowsecurity
UNION ALL
SELECT 'replica identity', r.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER TABLE ONLY %s REPLICA IDENTITY %s', r.name, how.text),
         'change', format('ALTER TABLE ONLY %s REPLICA IDENTITY %s', r.name, how.text),
         'drop', format('ALTER TABLE ONLY %s REPLICA IDENTITY DEFAULT', r.name), 'belongs_to', ARRAY[r.key],
         'with_index', i.indexrelid)
  FROM rel AS r LEFT JOIN pg_index AS i ON i.indrelid = r.oid AND i.indisreplident AND r.relreplident = 'i'
  LEFT JOIN pg_class AS x ON x.oid = i.indexrelid,
  LATERAL (SELECT CASE r.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                  ELSE 'USING INDEX ' || quote_ident(x.relname) END AS text) AS how
 WHERE r.kind = 'table' AND r.relreplident <> 'd' AND (r.relreplident <> 'i' OR i.indexrelid IS NOT NULL)
UNION ALL
SELECT 'clustered', r.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER %s CLUSTER ON %I', r.naming, x.relname),
         'change', format('ALTER %s CLUSTER ON %I', r.naming, x.relname),
         'drop', format('ALTER %s SET WITHOUT CLUSTER', r.naming), 'belongs_to', ARRAY[r.key],
         'with_index', i.indexrelid)
  FROM rel AS r JOIN pg_index AS i ON i.indrelid = r.oid AND i.indisclustered JOIN pg_class AS x ON x.oid = i.indexrelid
UNION ALL
SELECT 'option', format('%s %s%s', r.naming, o.prefix, v.option_name), 0, 0, 0, jsonb_build_object(
         'create', format('ALTER %s SET (%s%I = %L)', r.naming, o.prefix, v.option_name, v.option_value),
         'change', format('ALTER %s SET (%s%I = %L)', r.naming, o.prefix, v.option_name, v.option_value),
         'drop', format('ALTER %s RESET (%s%I)', r.naming, o.prefix, v.option_name), 'belongs_to', ARRAY[r.key])
  FROM rel AS r
  JOIN LATERAL (SELECT '' AS prefix, r.reloptions AS options
                 UNION ALL SELECT 'toast.', t.reloptions FROM pg_class AS t WHERE t.oid = r.reltoastrelid) AS o ON true
  JOIN LATERAL pg_options_to_table(o.options) AS v ON true
UNION ALL
SELECT 'foreign option', format('%s %s', r.name, v.option_name), 0, 0, 0, jsonb_build_object(
         'create', format('ALTER FOREIGN TABLE %s OPTIONS (ADD %I %L)', r.name, v.option_name, v.option_value),
         'change', format('ALTER FOREIGN TABLE %s OPTIONS (SET %I %L)', r.name, v.option_name, v.option_value),
         'drop', format('ALTER FOREIGN TABLE %s OPTIONS (DROP %I)', r.name, v.option_name),
         'belongs_to', ARRAY[r.key], 'comes_along', true)
  FROM rel AS r JOIN pg_foreign_table AS f ON f.ftrelid = r.oid, pg_options_to_table(f.ftoptions) AS v)sql";
}

}  // namespace pawl::schema
