#include "schema/dependents.h"

#include <fmt/format.h>

#include <algorithm>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/catalog.h"
#include "schema/shape_trigger.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;
using db::ToText;

std::string Sql(const TableName& name) { return QuoteName(name.schema, name.name); }

// The column, and the relations that read it: which ones directly, and how far away at most. A view can
// be replaced by one that reads itself by way of others; so there is an end to it.
std::string ReadersSql(const TableName& table, const std::string& column) {
  return fmt::format(R"sql(WITH RECURSIVE moved AS (
  SELECT a.attrelid AS relation, a.attnum AS number FROM pg_catalog.pg_attribute AS a
   WHERE a.attrelid = pg_catalog.to_regclass({}) AND a.attname = {}
), reads (reader, distance) AS (
  SELECT r.ev_class, 1
    FROM moved AS m
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
     AND d.refobjid = m.relation AND d.refobjsubid = m.number
     AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    JOIN pg_catalog.pg_rewrite AS r ON r.oid = d.objid AND r.rulename = '_RETURN'
   UNION
  SELECT r.ev_class, p.distance + 1
    FROM reads AS p
    JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
     AND d.refobjid = p.reader AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    JOIN pg_catalog.pg_rewrite AS r
      ON r.oid = d.objid AND r.rulename = '_RETURN' AND r.ev_class <> p.reader
   WHERE p.distance < 100
), readers AS (
  SELECT reader, max(distance) AS place, min(distance) = 1 AS is_direct FROM reads GROUP BY reader
))sql",
                     QuoteLiteral(Sql(table)), QuoteLiteral(column));
}

constexpr const char* kViewsSql = R"sql(
SELECT v.place, 'view' AS kind, n.nspname::text AS schema, c.relname::text AS name,
       pg_catalog.format('CREATE OR REPLACE VIEW %I.%I%s AS %s', n.nspname, c.relname,
         ' WITH (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')', w.words) AS making,
       w.words AS asking, c.oid
  FROM readers AS v
  JOIN pg_catalog.pg_class AS c ON c.oid = v.reader AND c.relkind = 'v'
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (SELECT pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';') AS words) AS w
 WHERE v.is_direct OR NOT {is_name})sql";

// Those of other tables stay as they are, and are refused.
constexpr const char* kPoliciesSql = R"sql(
SELECT 1001, 'policy', '', p.polname::text,
       pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, {table},
         CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
         CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                       WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
         (SELECT pg_catalog.string_agg(CASE WHEN g.grantee = 0 THEN 'PUBLIC'
                                            ELSE pg_catalog.quote_ident(r.rolname) END, ', '
                                       ORDER BY r.rolname)
            FROM pg_catalog.unnest(p.polroles) AS g(grantee)
            LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee),
         ' USING (' || w.seen || ')', ' WITH CHECK (' || w.written || ')'),
       pg_catalog.format('SELECT FROM %I WHERE (%s) AND (%s)', c.relname, coalesce(w.seen, 'true'),
                         coalesce(w.written, 'true')), p.oid
  FROM moved AS m
  JOIN pg_catalog.pg_class AS c ON c.oid = m.relation
  JOIN pg_catalog.pg_policy AS p ON p.polrelid = m.relation
 CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS seen,
                            pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS written) AS w
 WHERE EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                WHERE d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = p.oid
                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.refobjid = m.relation AND d.refobjsubid = m.number))sql";

// Under two names of one column, a statement may write by the other one. UPDATE OF would not see that,
// and a condition asked BEFORE would be asked before the one has followed the other.
constexpr const char* kTriggersSql = R"sql(
SELECT 1002, 'trigger', '', t.tgname::text, w.words,
       pg_catalog.format('SELECT FROM %1$I AS new, %1$I AS old WHERE %2$s', c.relname,
         coalesce(pg_catalog."substring"(w.words, ' WHEN (\(.*\)) EXECUTE (?:FUNCTION|PROCEDURE) '),
                  'true')), t.oid
  FROM moved AS m
  JOIN pg_catalog.pg_class AS c ON c.oid = m.relation
  JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = m.relation
 CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_triggerdef(t.oid) AS words) AS w
 WHERE NOT t.tgisinternal AND t.tgconstraint = 0
   AND NOT pg_catalog.starts_with(t.tgname::text, {prefix})
   AND pg_catalog.has_function_privilege(t.tgfoid, 'EXECUTE')
   AND NOT ({is_name} AND (t.tgtype & 2 <> 0 OR m.number = ANY (t.tgattr)))
   AND EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND d.objid = t.oid
                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.refobjid = m.relation AND d.refobjsubid = m.number))sql";

DependentKind KindOf(const std::string& word) {
  if (word == "policy") return DependentKind::kPolicy;
  return word == "trigger" ? DependentKind::kTrigger : DependentKind::kView;
}

// Whether the words say which column is meant by its place, or would find another one by its name.
std::string PlaceObstacle(const Dependent& view, const TableName& table, const std::string& column,
                          ColumnFate fate) {
  const std::optional<AstValue> tree = ParseOneStatement(view.making);
  if (!tree) return "the definition of " + Readable(view) + " is not understood";
  std::string obstacle;
  Walk(*tree, [&](std::string_view type, const AstObject& body) {
    const AstObject* alias = ObjectMember(body, "alias");
    if (type == "RangeVar" && RelationOf(body).name == table.name && alias != nullptr &&
        !ArrayMember(*alias, "colnames").empty()) {
      obstacle =
          fmt::format("{} names the columns of {} by their place", Readable(view), Readable(table));
    }
    if (type == "JoinExpr" && fate == ColumnFate::kNewName) {
      for (const AstValue& name : ArrayMember(body, "usingClause")) {
        if (StringOf(name) != column) continue;
        obstacle = fmt::format("{} joins with USING ({})", Readable(view), column);
      }
    }
    return true;
  });
  return obstacle;
}

// What stands in the way of dropping the views and making them again, or of replacing them.
std::string ViewsObstacle(db::Session& session, const TableName& table, const std::string& column,
                          ColumnFate fate) {
  const bool is_new_role_model = session.server_version() >= 160000;
  const db::Result found =
      session.Query(ReadersSql(table, column) +
                    fmt::format(
                        R"sql(, touched AS (
  SELECT c.*, n.nspname, v.place FROM readers AS v
    JOIN pg_catalog.pg_class AS c ON c.oid = v.reader
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE v.is_direct OR NOT {is_name}
)
SELECT t.nspname, t.relname, o.why FROM touched AS t
 CROSS JOIN LATERAL (
  SELECT 1 AS rank, 'is a materialized view, which would have to be filled anew' AS why
   WHERE t.relkind = 'm'
   UNION ALL
  SELECT 2, 'is a temporary view' WHERE t.relpersistence = 't'
   UNION ALL
  SELECT 3, 'belongs to ' || pg_catalog.pg_get_userbyid(t.relowner) || ', which this role may not act as'
   WHERE NOT (pg_catalog.pg_has_role(t.relowner, 'USAGE') AND pg_catalog.pg_has_role(t.relowner, '{member}'))
   UNION ALL
  SELECT 4, 'belongs to an extension' FROM pg_catalog.pg_depend AS d
   WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype = 'e'
   UNION ALL
  SELECT 5, 'lies in a schema in which its owner, or this role, may not create' WHERE NOT {is_name}
     AND NOT (pg_catalog.has_schema_privilege(t.relnamespace, 'CREATE')
              AND pg_catalog.has_schema_privilege(t.relowner, t.relnamespace, 'CREATE'))
   UNION ALL
  SELECT 6, 'has a security label' FROM pg_catalog.pg_seclabel AS s
   WHERE NOT {is_name} AND s.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND s.objoid = t.oid
   UNION ALL
  SELECT 7, 'has grants that another role than its owner has made'
    FROM (SELECT t.relacl AS list UNION ALL
          SELECT a.attacl FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = t.oid) AS acl
   CROSS JOIN LATERAL pg_catalog.aclexplode(acl.list) AS g
   WHERE NOT {is_name} AND g.grantor <> t.relowner
   UNION ALL
  SELECT 8, 'groups by a key, which goes with the old column' FROM pg_catalog.pg_rewrite AS r
    JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
     AND d.objid = r.oid AND d.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
   WHERE {is_name} AND r.ev_class = t.oid
   UNION ALL
  SELECT 9, 'is used by ' || pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_catalog.pg_depend AS d
   WHERE NOT {is_name} AND d.deptype = 'n'
     AND (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = t.oid
          OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (
               SELECT y.oid FROM pg_catalog.pg_type AS y
                WHERE t.reltype <> 0 AND t.reltype IN (y.oid, y.typelem)))
     AND NOT (d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND EXISTS (
                SELECT FROM pg_catalog.pg_rewrite AS r
                 WHERE r.oid = d.objid AND r.ev_class IN (SELECT oid FROM touched)))
 ) AS o
 ORDER BY t.place, t.relname, o.rank, o.why LIMIT 1)sql",
                        fmt::arg("is_name", fate == ColumnFate::kNewName ? "true" : "false"),
                        fmt::arg("member", is_new_role_model ? "SET" : "MEMBER")));
  if (found.rows.empty()) return {};
  const db::Row& row = found.rows[0];
  return fmt::format("{} reads it and {}", Readable({ToText(row[0]), ToText(row[1])}),
                     ToText(row[2]));
}

}  // namespace

std::string DependentsSql(const TableName& table, const std::string& column, ColumnFate fate) {
  const auto filled = [&](const char* sql) {
    return fmt::format(fmt::runtime(sql),
                       fmt::arg("is_name", fate == ColumnFate::kNewName ? "true" : "false"),
                       fmt::arg("table", QuoteLiteral(Sql(table))),
                       fmt::arg("prefix", QuoteLiteral(kShapeTriggerPrefix)));
  };
  return ReadersSql(table, column) + filled(kViewsSql) + "\nUNION ALL" + filled(kPoliciesSql) +
         "\nUNION ALL" + filled(kTriggersSql);
}

std::vector<Dependent> ReadDependents(db::Session& session, const TableName& table,
                                      const std::string& column, ColumnFate fate) {
  std::vector<Dependent> dependents;
  if (fate == ColumnFate::kDropped) return dependents;
  const db::Result found =
      session.Query(DependentsSql(table, column, fate) + "\n ORDER BY 1, 2, 3, 4");
  for (const db::Row& row : found.rows) {
    dependents.push_back(
        {KindOf(ToText(row[1])), {ToText(row[2]), ToText(row[3])}, ToText(row[4]), ToText(row[5])});
  }
  return dependents;
}

std::string DependentsObstacle(db::Session& session, const TableName& table,
                               const std::string& column, ColumnFate fate,
                               const std::vector<Dependent>& dependents) {
  if (fate == ColumnFate::kDropped) return {};
  std::string obstacle = ViewsObstacle(session, table, column, fate);
  for (const Dependent& dependent : dependents) {
    if (!obstacle.empty() || dependent.kind != DependentKind::kView) continue;
    obstacle = PlaceObstacle(dependent, table, column, fate);
  }
  return obstacle;
}

std::string Readable(const Dependent& dependent) {
  if (dependent.kind == DependentKind::kPolicy) return "policy " + dependent.name.name;
  if (dependent.kind == DependentKind::kTrigger) return "trigger " + dependent.name.name;
  return "view " + Readable(dependent.name);
}

}  // namespace pawl::schema
