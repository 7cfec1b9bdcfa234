// What stands beside the tables: schemas, extensions, foreign servers, publications, event triggers,
// text search; and what hangs on any object: its owner, comment and grants.
#include <fmt/format.h>

#include "schema/picture_sql.h"

namespace pawl::schema {
namespace {

// Options of a foreign server or wrapper, each an object of its own. `from` gives key, naming and
// options. Those of a user mapping are left out: not every role may see them, and they hold passwords.
std::string ForeignOptions(const char* from) {
  return fmt::format(R"sql(
SELECT 'server option', format('%s %s', x.naming, v.option_name), 0, 0, 0, jsonb_build_object(
         'create', format('ALTER %s OPTIONS (ADD %I %L)', x.naming, v.option_name, v.option_value),
         'change', format('ALTER %s OPTIONS (SET %I %L)', x.naming, v.option_name, v.option_value),
         'drop', format('ALTER %s OPTIONS (DROP %I)', x.naming, v.option_name), 'belongs_to', ARRAY[x.key])
  FROM ({}) AS x, pg_options_to_table(x.options) AS v WHERE v.option_name !~* 'pass|secret|token|key')sql",
                     from);
}

std::string ForeignServers() {
  return R"sql(
SELECT 'foreign data wrapper', format('%I', w.fdwname), 'pg_foreign_data_wrapper'::regclass::oid, w.oid, 0, jsonb_build_object(
         'create', format('CREATE FOREIGN DATA WRAPPER %I%s%s', w.fdwname,
                     CASE w.fdwhandler WHEN 0 THEN '' ELSE format(' HANDLER %s', w.fdwhandler::regproc) END,
                     CASE w.fdwvalidator WHEN 0 THEN '' ELSE format(' VALIDATOR %s', w.fdwvalidator::regproc) END),
         'drop', format('DROP FOREIGN DATA WRAPPER %I', w.fdwname), 'naming', format('FOREIGN DATA WRAPPER %I', w.fdwname),
         'owner', w.fdwowner, 'acl', w.fdwacl::text, 'acl_kind', 'F')
  FROM pg_foreign_data_wrapper AS w
UNION ALL
SELECT 'server', format('%I', s.srvname), 'pg_foreign_server'::regclass, s.oid, 0, jsonb_build_object(
         'create', format('CREATE SERVER %I%s%s FOREIGN DATA WRAPPER %I', s.srvname,
                          coalesce(' TYPE ' || quote_literal(s.srvtype), ''), coalesce(' VERSION ' || quote_literal(s.srvversion), ''),
                          w.fdwname),
         'drop', format('DROP SERVER %I', s.srvname), 'naming', format('SERVER %I', s.srvname), 'owner', s.srvowner,
         'acl', s.srvacl::text, 'acl_kind', 'S', 'acl_on', format('FOREIGN SERVER %I', s.srvname))
  FROM pg_foreign_server AS s JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
UNION ALL
SELECT 'user mapping', u.name, 0, 0, 0, jsonb_build_object(
         'create', 'CREATE USER MAPPING ' || u.name, 'drop', 'DROP USER MAPPING ' || u.name,
         'belongs_to', ARRAY[]::text[], 'needs', ARRAY[format('server %I', u.srvname)])
  FROM (SELECT m.*, format('FOR %s SERVER %I', CASE m.umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(m.usename) END,
                           m.srvname) AS name FROM pg_user_mappings AS m) AS u)sql" +
         (" UNION ALL " +
          ForeignOptions(
              "SELECT format('foreign data wrapper %I', fdwname) AS key, format('FOREIGN DATA WRAPPER %I', "
              "fdwname) AS naming, fdwoptions AS options FROM pg_foreign_data_wrapper")) +
         " UNION ALL " +
         ForeignOptions(
             "SELECT format('server %I', srvname) AS key, format('SERVER %I', srvname) AS naming, "
             "srvoptions AS options FROM pg_foreign_server");
}

std::string Publications(int server_version) {
  const bool has_lists = server_version >= 150000;
  std::string sql = fmt::format(
      R"sql(
SELECT 'publication', format('%I', p.pubname), 'pg_publication'::regclass::oid, p.oid, 0, jsonb_build_object(
         'definition', t.with_options || p.puballtables,
         'shape', p.puballtables::text,
         'create', format('CREATE PUBLICATION %I%s WITH (%s)', p.pubname,
                          CASE WHEN p.puballtables THEN ' FOR ALL TABLES' ELSE '' END, t.with_options),
         'change', format('ALTER PUBLICATION %I SET (%s)', p.pubname, t.with_options),
         'drop', format('DROP PUBLICATION %I', p.pubname), 'naming', format('PUBLICATION %I', p.pubname), 'owner', p.pubowner)
  FROM pg_publication AS p,
  LATERAL (SELECT concat_ws(', ', format('publish = %L', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END,
             CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END,
             CASE WHEN p.pubtruncate THEN 'truncate' END)), 'publish_via_partition_root = ' || p.pubviaroot,
             'publish_generated_columns = ' || CASE to_jsonb(p) ->> 'pubgencols' WHEN 'n' THEN 'none' WHEN 's' THEN 'stored' END)
           AS with_options) AS t
UNION ALL
SELECT 'publication table', format('%I %s', p.pubname, r.name), 'pg_publication_rel'::regclass, x.oid, 0, jsonb_build_object(
         'create', format('ALTER PUBLICATION %I ADD TABLE ONLY %s', p.pubname, r.name) || {},
         'drop', format('ALTER PUBLICATION %I DROP TABLE ONLY %s', p.pubname, r.name),
         'belongs_to', ARRAY[r.key, format('publication %I', p.pubname)])
  FROM pg_publication_rel AS x JOIN pg_publication AS p ON p.oid = x.prpubid JOIN rel AS r ON r.oid = x.prrelid)sql",
      has_lists
          ? R"sql(coalesce((SELECT ' (' || string_agg(c.col, ', ' ORDER BY c.attnum) || ')' FROM col AS c
                     WHERE c.attrelid = x.prrelid AND c.attnum = ANY (x.prattrs)), '')
                  || coalesce(' WHERE (' || pg_get_expr(x.prqual, x.prrelid) || ')', ''))sql"
          : "''");
  if (!has_lists) return sql;
  return sql + R"sql(
UNION ALL
SELECT 'publication schema', format('%I %I', p.pubname, n.nspname), 'pg_publication_namespace'::regclass, x.oid, 0,
       jsonb_build_object(
         'create', format('ALTER PUBLICATION %I ADD TABLES IN SCHEMA %I', p.pubname, n.nspname),
         'drop', format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %I', p.pubname, n.nspname),
         'belongs_to', ARRAY[format('schema %I', n.nspname), format('publication %I', p.pubname)])
  FROM pg_publication_namespace AS x JOIN pg_publication AS p ON p.oid = x.pnpubid JOIN space AS n ON n.oid = x.pnnspid)sql";
}

std::string Schemas() {
  return R"sql(
SELECT 'schema', format('%I', n.nspname), 'pg_namespace'::regclass::oid, n.oid, 0, jsonb_build_object(
         'create', format('CREATE SCHEMA %I', n.nspname), 'drop', format('DROP SCHEMA %I', n.nspname),
         'naming', format('SCHEMA %I', n.nspname), 'owner', n.nspowner, 'acl', n.nspacl::text, 'acl_kind', 'n')
  FROM space AS n
UNION ALL
SELECT 'extension', format('%I', e.extname), 'pg_extension'::regclass, e.oid, 0, jsonb_build_object(
         'create', format('CREATE EXTENSION %I SCHEMA %I VERSION %L', e.extname, n.nspname, e.extversion),
         'shape', n.nspname, 'change', format('ALTER EXTENSION %I UPDATE TO %L', e.extname, e.extversion),
         'drop', format('DROP EXTENSION %I', e.extname), 'naming', format('EXTENSION %I', e.extname))
  FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
UNION ALL
SELECT 'event trigger', format('%I', t.evtname), 'pg_event_trigger'::regclass, t.oid, 0, jsonb_build_object(
         'create', format('CREATE EVENT TRIGGER %I ON %s%s EXECUTE FUNCTION %s()', t.evtname, t.evtevent,
                     coalesce(' WHEN TAG IN (' || (SELECT string_agg(quote_literal(g), ', ') FROM unnest(t.evttags) AS g) || ')',
                              ''), t.evtfoid::regproc),
         'drop', format('DROP EVENT TRIGGER %I', t.evtname), 'naming', format('EVENT TRIGGER %I', t.evtname),
         'owner', t.evtowner)
  FROM pg_event_trigger AS t
UNION ALL
SELECT 'event trigger state', format('%I', t.evtname), 0, 0, 0, jsonb_build_object(
         'create', format('ALTER EVENT TRIGGER %I %s', t.evtname, mode.text),
         'change', format('ALTER EVENT TRIGGER %I %s', t.evtname, mode.text),
         'drop', format('ALTER EVENT TRIGGER %I ENABLE', t.evtname), 'belongs_to', ARRAY[format('event trigger %I', t.evtname)])
  FROM pg_event_trigger AS t, LATERAL (SELECT CASE t.evtenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                                              ELSE 'ENABLE ALWAYS' END AS text) AS mode WHERE t.evtenabled <> 'O'
UNION ALL
SELECT 'text search dictionary', format('%I.%I', n.nspname, d.dictname), 'pg_ts_dict'::regclass, d.oid, 0, jsonb_build_object(
         'create', format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s)', n.nspname, d.dictname, tn.nspname,
                          t.tmplname, coalesce(', ' || nullif(d.dictinitoption, ''), '')),
         'drop', format('DROP TEXT SEARCH DICTIONARY %I.%I', n.nspname, d.dictname),
         'naming', format('TEXT SEARCH DICTIONARY %I.%I', n.nspname, d.dictname), 'owner', d.dictowner)
  FROM pg_ts_dict AS d JOIN space AS n ON n.oid = d.dictnamespace JOIN pg_ts_template AS t ON t.oid = d.dicttemplate
  JOIN pg_namespace AS tn ON tn.oid = t.tmplnamespace
UNION ALL
SELECT 'text search configuration', format('%I.%I', n.nspname, c.cfgname), 'pg_ts_config'::regclass, c.oid, 0,
       jsonb_build_object(
         'create', format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', n.nspname, c.cfgname, pn.nspname, p.prsname),
         'drop', format('DROP TEXT SEARCH CONFIGURATION %I.%I', n.nspname, c.cfgname),
         'naming', format('TEXT SEARCH CONFIGURATION %I.%I', n.nspname, c.cfgname), 'owner', c.cfgowner)
  FROM pg_ts_config AS c JOIN space AS n ON n.oid = c.cfgnamespace JOIN pg_ts_parser AS p ON p.oid = c.cfgparser
  JOIN pg_namespace AS pn ON pn.oid = p.prsnamespace
UNION ALL
SELECT 'text search mapping', format('%I.%I %s', n.nspname, c.cfgname, k.alias), 0, 0, 0, jsonb_build_object(
         'create', format('ALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s', n.nspname, c.cfgname, k.alias, m.names),
         'change', format('ALTER TEXT SEARCH CONFIGURATION %I.%I ALTER MAPPING FOR %I WITH %s', n.nspname, c.cfgname, k.alias,
                          m.names),
         'drop', format('ALTER TEXT SEARCH CONFIGURATION %I.%I DROP MAPPING FOR %I', n.nspname, c.cfgname, k.alias),
         'belongs_to', ARRAY[format('text search configuration %I.%I', n.nspname, c.cfgname)],
         'after', ARRAY[m.key])
  FROM pg_ts_config AS c JOIN space AS n ON n.oid = c.cfgnamespace
  JOIN LATERAL (SELECT m.maptokentype, string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS names,
                       min('text search dictionary ' || m.mapdict::regdictionary::text) AS key
                  FROM pg_ts_config_map AS m WHERE m.mapcfg = c.oid GROUP BY m.maptokentype) AS m ON true
  JOIN LATERAL ts_token_type(c.cfgparser) AS k ON k.tokid = m.maptokentype
UNION ALL
SELECT 'default privilege', format('%s%s %s', p.scope, w.label, w.grantee), 0, 0, 0, jsonb_build_object(
         'create', format('ALTER DEFAULT PRIVILEGES %s%s %s ON %s %s %s%s', p.scope, w.verb, w.privilege, p.objects,
                          CASE w.verb WHEN 'GRANT' THEN 'TO' ELSE 'FROM' END, w.grantee,
                          CASE WHEN w.verb = 'GRANT' AND w.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END),
         'drop', format('ALTER DEFAULT PRIVILEGES %s%s %s ON %s %s %s', p.scope,
                        CASE w.verb WHEN 'GRANT' THEN 'REVOKE' ELSE 'GRANT' END, w.privilege, p.objects,
                        CASE w.verb WHEN 'GRANT' THEN 'FROM' ELSE 'TO' END, w.grantee),
         'belongs_to', CASE WHEN p.space IS NULL THEN ARRAY[]::text[] ELSE ARRAY['schema ' || p.space] END)
  FROM (SELECT d.*, quote_ident(n.nspname) AS space,
               format('FOR ROLE %s %s', d.defaclrole::regrole, coalesce('IN SCHEMA ' || quote_ident(n.nspname) || ' ', '')) AS scope,
               CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                    WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS objects,
               CASE WHEN d.defaclnamespace = 0 THEN acldefault(
                      CASE d.defaclobjtype WHEN 'S' THEN 's'::"char" ELSE d.defaclobjtype END, d.defaclrole)
                    END AS usual
          FROM pg_default_acl AS d LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace) AS p,
  LATERAL (
    SELECT 'GRANT' AS verb, g.privilege || ' ON ' || p.objects AS label, g.* FROM (
      SELECT a.privilege_type AS privilege, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee,
             a.is_grantable FROM aclexplode(p.defaclacl) AS a
      EXCEPT SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.is_grantable
               FROM aclexplode(p.usual) AS a) AS g
    UNION ALL
    SELECT 'REVOKE', g.privilege || ' ON ' || p.objects, g.* FROM (
      SELECT a.privilege_type AS privilege, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee,
             a.is_grantable FROM aclexplode(p.usual) AS a
      EXCEPT SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.is_grantable
               FROM aclexplode(p.defaclacl) AS a) AS g) AS w)sql";
}

}  // namespace

std::string PictureOfDatabase(int server_version) {
  return Schemas() + " UNION ALL " + ForeignServers() + " UNION ALL " +
         Publications(server_version);
}

// A grant is told by how it differs from what the owner's objects have anyhow, so that it says the
// same whoever the owner is.
std::string PictureOfFacets() {
  return R"sql(
SELECT 'owner', o.facts ->> 'naming', 0::oid, 0::oid, 0, jsonb_build_object(
         'create', own.text, 'change', own.text, 'belongs_to', ARRAY[o.kind || ' ' || o.name],
         'definition', CASE WHEN (o.facts ->> 'follows')::boolean THEN '' ELSE own.text END)
  FROM object AS o,
  LATERAL (SELECT format('ALTER %s OWNER TO %s', o.facts ->> 'naming', (o.facts ->> 'owner')::oid::regrole) AS text) AS own
 WHERE o.facts ? 'owner'
UNION ALL
SELECT 'comment', o.facts ->> 'naming', 0, 0, 0, jsonb_build_object(
         'create', format('COMMENT ON %s IS %L', o.facts ->> 'naming', d.description),
         'change', format('COMMENT ON %s IS %L', o.facts ->> 'naming', d.description),
         'drop', format('COMMENT ON %s IS NULL', o.facts ->> 'naming'), 'belongs_to', ARRAY[o.kind || ' ' || o.name])
  FROM object AS o JOIN pg_description AS d ON d.classoid = o.class AND d.objoid = o.object AND d.objsubid = o.sub
 WHERE o.facts ? 'naming'
UNION ALL
SELECT CASE w.verb WHEN 'GRANT' THEN 'grant' ELSE 'revoke' END, format('%s %s', t.target, w.grantee), 0, 0, 0,
       jsonb_build_object(
         'create', CASE w.verb WHEN 'GRANT' THEN t.granting || CASE WHEN w.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
                               ELSE t.revoking END,
         'drop', CASE w.verb WHEN 'GRANT' THEN t.revoking ELSE t.granting END, 'belongs_to', ARRAY[o.kind || ' ' || o.name])
  FROM object AS o,
  LATERAL (SELECT nullif(o.facts ->> 'acl', '{}')::aclitem[] AS given,
                  acldefault((o.facts ->> 'acl_kind')::"char",
                             coalesce(o.facts ->> 'acl_owner', o.facts ->> 'owner')::oid) AS usual) AS acl,
  LATERAL (
    SELECT 'GRANT' AS verb, g.* FROM (
      SELECT a.privilege_type AS privilege, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee,
             a.is_grantable FROM aclexplode(acl.given) AS a
      EXCEPT SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.is_grantable
               FROM aclexplode(acl.usual) AS a) AS g
    UNION ALL
    SELECT 'REVOKE', g.* FROM (
      SELECT a.privilege_type AS privilege, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee,
             a.is_grantable FROM aclexplode(acl.usual) AS a
      EXCEPT SELECT a.privilege_type, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.is_grantable
               FROM aclexplode(acl.given) AS a) AS g) AS w,
  LATERAL (SELECT CASE WHEN o.facts ->> 'acl_kind' = 'c' THEN w.privilege || ' ' || (o.facts ->> 'acl_on')
                       ELSE w.privilege || ' ON ' || CASE WHEN o.kind IN ('view', 'materialized view', 'foreign table')
                            THEN 'TABLE ' || o.name ELSE coalesce(o.facts ->> 'acl_on', o.facts ->> 'naming') END END AS target) AS n,
  LATERAL (SELECT format('GRANT %s TO %s', n.target, w.grantee) AS granting,
                  format('REVOKE %s FROM %s', n.target, w.grantee) AS revoking, n.target) AS t
 WHERE o.facts ->> 'acl' IS NOT NULL)sql";
}

}  // namespace pawl::schema
