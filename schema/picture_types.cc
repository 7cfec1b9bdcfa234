// Types and collations.
#include "schema/picture_sql.h"

namespace pawl::schema {

std::string PictureOfTypes() {
  return R"sql(
SELECT 'composite', r.name, 'pg_class'::regclass::oid, r.oid, 0, jsonb_build_object(
         'definition', '',
         'create', format('CREATE TYPE %s AS (%s)', r.name,
                          (SELECT string_agg(c.col || ' ' || c.type, ', ' ORDER BY c.attnum) FROM col AS c
                            WHERE c.attrelid = r.oid)),
         'drop', 'DROP TYPE ' || r.name, 'naming', r.naming, 'owner', t.typowner, 'acl', t.typacl::text, 'acl_kind', 'T')
  FROM rel AS r JOIN pg_type AS t ON t.oid = r.reltype WHERE r.kind = 'composite'
UNION ALL
-- Its values are objects of their own, each made BEFORE the next one, so that any may be new.
SELECT 'enum', y.name, 'pg_type'::regclass, y.oid, 0, jsonb_build_object(
         'definition', v.list, 'create', format('CREATE TYPE %s AS ENUM (%s)', y.name, v.list),
         'drop', 'DROP TYPE ' || y.name)
         || y.facts
  FROM (SELECT t.*, format('%I.%I', n.nspname, t.typname) AS name, jsonb_build_object(
                 'naming', format('TYPE %I.%I', n.nspname, t.typname), 'owner', t.typowner, 'acl', t.typacl::text,
                 'acl_kind', 'T') AS facts
          FROM pg_type AS t JOIN space AS n ON n.oid = t.typnamespace) AS y,
  LATERAL (SELECT coalesce(string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder), '') AS list
             FROM pg_enum AS e WHERE e.enumtypid = y.oid) AS v
 WHERE y.typtype = 'e'
UNION ALL
SELECT 'enum value', format('%I.%I %L', n.nspname, t.typname, e.enumlabel), 0, 0, 0, jsonb_build_object(
         'definition', '',
         'create', format('ALTER TYPE %I.%I ADD VALUE %L', n.nspname, t.typname, e.enumlabel)
                   || coalesce(' BEFORE ' || quote_literal(e.next), ''),
         'belongs_to', ARRAY[format('enum %I.%I', n.nspname, t.typname)], 'comes_along', true,
         'after', array_remove(ARRAY[
           format('enum value %I.%I ', n.nspname, t.typname) || quote_literal(e.next)], NULL))
  FROM pg_type AS t JOIN space AS n ON n.oid = t.typnamespace
  JOIN (SELECT *, lead(enumlabel) OVER (PARTITION BY enumtypid ORDER BY enumsortorder) AS next FROM pg_enum) AS e
    ON e.enumtypid = t.oid
UNION ALL
SELECT 'domain', y.name, 'pg_type'::regclass, y.oid, 0, jsonb_build_object(
         'create', format('CREATE DOMAIN %s AS %s', y.name, format_type(y.typbasetype, y.typtypmod))
                   || coalesce((SELECT format(' COLLATE %I.%I', n.nspname, l.collname)
                                  FROM pg_collation AS l JOIN pg_namespace AS n ON n.oid = l.collnamespace
                                  JOIN pg_type AS b ON b.oid = y.typbasetype
                                 WHERE l.oid = y.typcollation AND b.typcollation <> l.oid), ''),
         'drop', 'DROP DOMAIN ' || y.name, 'naming', 'DOMAIN ' || y.name, 'owner', y.typowner, 'acl', y.typacl::text,
         'acl_kind', 'T', 'acl_on', 'TYPE ' || y.name)
  FROM (SELECT t.*, format('%I.%I', n.nspname, t.typname) AS name
          FROM pg_type AS t JOIN space AS n ON n.oid = t.typnamespace) AS y WHERE y.typtype = 'd'
UNION ALL
SELECT 'domain default', y.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER DOMAIN %s SET DEFAULT %s', y.name, y.value),
         'change', format('ALTER DOMAIN %s SET DEFAULT %s', y.name, y.value),
         'drop', format('ALTER DOMAIN %s DROP DEFAULT', y.name), 'belongs_to', ARRAY['domain ' || y.name])
  FROM (SELECT t.*, format('%I.%I', n.nspname, t.typname) AS name, pg_get_expr(t.typdefaultbin, 0) AS value
          FROM pg_type AS t JOIN space AS n ON n.oid = t.typnamespace) AS y
 WHERE y.typtype = 'd' AND y.value IS NOT NULL
UNION ALL
SELECT 'domain not null', y.name, 0, 0, 0, jsonb_build_object(
         'create', format('ALTER DOMAIN %s SET NOT NULL', y.name),
         'drop', format('ALTER DOMAIN %s DROP NOT NULL', y.name), 'belongs_to', ARRAY['domain ' || y.name])
  FROM (SELECT t.*, format('%I.%I', n.nspname, t.typname) AS name
          FROM pg_type AS t JOIN space AS n ON n.oid = t.typnamespace) AS y WHERE y.typtype = 'd' AND y.typnotnull
UNION ALL
SELECT 'domain constraint', format('%I ON %s', k.conname, y.name), 'pg_constraint'::regclass, k.oid, 0,
       jsonb_build_object(
         'create', format('ALTER DOMAIN %s ADD CONSTRAINT %I %s', y.name, k.conname, pg_get_constraintdef(k.oid)),
         'drop', format('ALTER DOMAIN %s DROP CONSTRAINT %I', y.name, k.conname),
         'naming', format('CONSTRAINT %I ON DOMAIN %s', k.conname, y.name), 'belongs_to', ARRAY['domain ' || y.name])
  FROM (SELECT t.oid, format('%I.%I', n.nspname, t.typname) AS name
          FROM pg_type AS t JOIN space AS n ON n.oid = t.typnamespace) AS y
  JOIN pg_constraint AS k ON k.contypid = y.oid AND k.contype = 'c'
UNION ALL
SELECT 'range', y.name, 'pg_type'::regclass, y.oid, 0, jsonb_build_object(
         'create', format('CREATE TYPE %s AS RANGE (SUBTYPE = %s, SUBTYPE_OPCLASS = %I.%I', y.name,
                          format_type(r.rngsubtype, NULL), n.nspname, o.opcname)
                   || coalesce((SELECT format(', COLLATION = %I.%I', ln.nspname, l.collname) FROM pg_collation AS l
                                  JOIN pg_namespace AS ln ON ln.oid = l.collnamespace WHERE l.oid = r.rngcollation), '')
                   || CASE r.rngcanonical WHEN 0 THEN '' ELSE format(', CANONICAL = %s', r.rngcanonical) END
                   || CASE r.rngsubdiff WHEN 0 THEN '' ELSE format(', SUBTYPE_DIFF = %s', r.rngsubdiff) END
                   || coalesce((SELECT format(', MULTIRANGE_TYPE_NAME = %I.%I', mn.nspname, m.typname) FROM pg_type AS m
                                  JOIN pg_namespace AS mn ON mn.oid = m.typnamespace
                                 WHERE m.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid), '') || ')',
         'drop', 'DROP TYPE ' || y.name, 'naming', 'TYPE ' || y.name, 'owner', y.typowner, 'acl', y.typacl::text,
         'acl_kind', 'T')
  FROM (SELECT t.*, format('%I.%I', n.nspname, t.typname) AS name
          FROM pg_type AS t JOIN space AS n ON n.oid = t.typnamespace) AS y
  JOIN pg_range AS r ON r.rngtypid = y.oid JOIN pg_opclass AS o ON o.oid = r.rngsubopc
  JOIN pg_namespace AS n ON n.oid = o.opcnamespace
UNION ALL
-- Which members there are differs from version to version.
SELECT 'collation', l.name, 'pg_collation'::regclass, l.oid, 0, jsonb_build_object(
         'create', format('CREATE COLLATION %s (%s)', l.name, concat_ws(', ',
                     'PROVIDER = ' || CASE l.f ->> 'collprovider' WHEN 'c' THEN 'libc' WHEN 'b' THEN 'builtin' ELSE 'icu' END,
                     'DETERMINISTIC = ' || (l.f ->> 'collisdeterministic'),
                     CASE WHEN where_is.locale IS NOT NULL THEN format('LOCALE = %L', where_is.locale)
                          WHEN l.f ->> 'collcollate' = l.f ->> 'collctype' THEN format('LOCALE = %L', l.f ->> 'collcollate')
                          ELSE format('LC_COLLATE = %L, LC_CTYPE = %L', l.f ->> 'collcollate', l.f ->> 'collctype') END,
                     'RULES = ' || quote_literal(l.f ->> 'collicurules'))),
         'drop', 'DROP COLLATION ' || l.name, 'naming', 'COLLATION ' || l.name, 'owner', l.collowner)
  FROM (SELECT c.*, to_jsonb(c) AS f, format('%I.%I', n.nspname, c.collname) AS name
          FROM pg_collation AS c JOIN space AS n ON n.oid = c.collnamespace) AS l,
  LATERAL (SELECT coalesce(l.f ->> 'colllocale', l.f ->> 'colliculocale') AS locale) AS where_is)sql";
}

}  // namespace pawl::schema
