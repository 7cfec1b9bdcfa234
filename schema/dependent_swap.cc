#include "schema/dependent_swap.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/column_definitions.h"
#include "schema/shape_trigger.h"
#include "schema/standing_guard.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;

std::string Sql(const TableName& name) { return QuoteName(name.schema, name.name); }

std::string TextArray(const std::vector<std::string>& items) {
  std::string list;
  for (const std::string& item : items) list += (list.empty() ? "" : ", ") + QuoteLiteral(item);
  return "ARRAY[" + list + "]::text[]";
}

// What is dropped, by kind: a view that is replaced where it stands keeps all that it has.
std::vector<std::string> Dropped(const DependentSwap& swap, DependentKind kind) {
  std::vector<std::string> names;
  if (kind == DependentKind::kView && swap.is_new_name) return names;
  for (const Dependent& dependent : swap.dependents) {
    if (dependent.kind != kind) continue;
    names.push_back(kind == DependentKind::kView ? Sql(dependent.name) : dependent.name.name);
  }
  return names;
}

std::string DropSql(const DependentSwap& swap, const Dependent& dependent) {
  const char* kind = dependent.kind == DependentKind::kPolicy ? "POLICY" : "TRIGGER";
  if (dependent.kind == DependentKind::kView) return "DROP VIEW " + Sql(dependent.name) + ";\n";
  return fmt::format("DROP {} {} ON {};\n", kind, QuoteName(dependent.name.name), Sql(swap.table));
}

// All that hangs on the dropped ones and is in no definition, as statements that make it again: place,
// phase and statement. A grant that another role than the owner has made says so, and is therefore not
// found again by the comparison at the end.
constexpr const char* kAttributesSql = R"sql(WITH v AS (
  SELECT w.place, c.oid, c.relacl, c.relowner, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner)) AS owner,
         w.view AS name
    FROM pg_catalog.unnest({views}) WITH ORDINALITY AS w (view, place)
    JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(w.view)
), acl AS (
  SELECT v.place, v.name, v.relowner, v.relacl AS list, '' AS columns FROM v
   UNION ALL
  SELECT v.place, v.name, v.relowner, a.attacl, pg_catalog.format(' (%I)', a.attname)
    FROM v JOIN pg_catalog.pg_attribute AS a ON a.attrelid = v.oid
), t AS (
  SELECT t.oid, t.tgname, t.tgenabled FROM pg_catalog.pg_trigger AS t
   WHERE t.tgrelid = pg_catalog.to_regclass({table}) AND t.tgname = ANY ({triggers})
)
SELECT v.place, 1 AS phase, pg_catalog.format('ALTER VIEW %s OWNER TO %s', v.name, v.owner) AS statement FROM v
 UNION ALL
SELECT v.place, 2, pg_catalog.format('REVOKE ALL ON %s FROM %s', v.name, v.owner) FROM v WHERE v.relacl IS NOT NULL
 UNION ALL
SELECT acl.place, 3, pg_catalog.format('GRANT %s%s ON %s TO %s%s%s', g.privilege_type, acl.columns, acl.name,
         CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END,
         CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END,
         CASE WHEN g.grantor <> acl.relowner THEN ' /* by ' || pg_catalog.pg_get_userbyid(g.grantor) || ' */' ELSE '' END)
  FROM acl CROSS JOIN LATERAL pg_catalog.aclexplode(acl.list) AS g
 UNION ALL
SELECT v.place, 4, pg_catalog.format('COMMENT ON VIEW %s IS %L', v.name, pg_catalog.obj_description(v.oid, 'pg_class'))
  FROM v WHERE pg_catalog.obj_description(v.oid, 'pg_class') IS NOT NULL
 UNION ALL
SELECT v.place, 4, pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', v.name, a.attname, pg_catalog.col_description(v.oid, a.attnum))
  FROM v JOIN pg_catalog.pg_attribute AS a ON a.attrelid = v.oid
 WHERE pg_catalog.col_description(v.oid, a.attnum) IS NOT NULL
 UNION ALL
SELECT v.place, 5, pg_catalog.format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', v.name, a.attname,
                                     pg_catalog.pg_get_expr(e.adbin, e.adrelid))
  FROM v JOIN pg_catalog.pg_attrdef AS e ON e.adrelid = v.oid
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = v.oid AND a.attnum = e.adnum
 UNION ALL
SELECT v.place + 1000, 5, pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), ';')
  FROM v JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = v.oid AND r.rulename <> '_RETURN'
 UNION ALL
SELECT v.place + 1000, 6, pg_catalog.format('COMMENT ON RULE %I ON %s IS %L', r.rulename, v.name,
                                     pg_catalog.obj_description(r.oid, 'pg_rewrite'))
  FROM v JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = v.oid
 WHERE pg_catalog.obj_description(r.oid, 'pg_rewrite') IS NOT NULL
 UNION ALL
SELECT v.place, 5, pg_catalog.pg_get_triggerdef(g.oid)
  FROM v JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = v.oid AND NOT g.tgisinternal
 UNION ALL
SELECT v.place, 6, pg_catalog.format('COMMENT ON TRIGGER %I ON %s IS %L', g.tgname, v.name,
                                     pg_catalog.obj_description(g.oid, 'pg_trigger'))
  FROM v JOIN pg_catalog.pg_trigger AS g ON g.tgrelid = v.oid
 WHERE pg_catalog.obj_description(g.oid, 'pg_trigger') IS NOT NULL
 UNION ALL
SELECT 2000, 1, pg_catalog.format('ALTER TABLE %s %s TRIGGER %I', {table}, CASE t.tgenabled WHEN 'D' THEN 'DISABLE'
         WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, t.tgname) FROM t
 UNION ALL
SELECT 2000, 2, pg_catalog.format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, {table},
                                  pg_catalog.obj_description(t.oid, 'pg_trigger'))
  FROM t WHERE pg_catalog.obj_description(t.oid, 'pg_trigger') IS NOT NULL
 UNION ALL
SELECT 2000, 3, pg_catalog.format('COMMENT ON POLICY %I ON %s IS %L', p.polname, {table},
                                  pg_catalog.obj_description(p.oid, 'pg_policy'))
  FROM pg_catalog.pg_policy AS p
 WHERE p.polrelid = pg_catalog.to_regclass({table}) AND p.polname = ANY ({policies})
   AND pg_catalog.obj_description(p.oid, 'pg_policy') IS NOT NULL)sql";

std::string AttributesSql(const DependentSwap& swap) {
  return fmt::format(fmt::runtime(kAttributesSql), fmt::arg("table", QuoteLiteral(Sql(swap.table))),
                     fmt::arg("views", TextArray(Dropped(swap, DependentKind::kView))),
                     fmt::arg("policies", TextArray(Dropped(swap, DependentKind::kPolicy))),
                     fmt::arg("triggers", TextArray(Dropped(swap, DependentKind::kTrigger))));
}

// Phase 5 alone may be said in other words afterwards, those of another type.
constexpr const char* kComparable =
    "coalesce(pg_catalog.string_agg(statement, E';\\n' ORDER BY place, phase, statement) FILTER "
    "(WHERE phase <> 5), '')";

std::string AttributesNoted(const DependentSwap& swap) {
  return fmt::format(
      R"sql(SELECT pg_catalog.set_config('pawl.noted', coalesce(pg_catalog.string_agg(
         statement, E';\n' ORDER BY place, phase, statement), ''), true),
       pg_catalog.set_config('pawl.noted_comparable', {}, true)
  FROM (
{}
) AS attributes;
)sql",
      kComparable, AttributesSql(swap));
}

// PostgreSQL itself knows best how a definition reads with another name of the column. So for a moment
// the outgoing column has the incoming one's name, as after a plain rename; nobody sees it.
std::string NotedUnderTheNewName(const DependentSwap& swap) {
  const std::string table = Sql(swap.table);
  const std::string outgoing = QuoteName(swap.outgoing);
  const std::string incoming = QuoteName(swap.incoming);
  const std::string aside = QuoteName(SuffixedName(swap.incoming, "_pawl_aside"));
  const auto rename = [&](const std::string& from, const std::string& to) {
    return fmt::format("ALTER TABLE {} RENAME COLUMN {} TO {};\n", table, from, to);
  };
  return rename(incoming, aside) + rename(outgoing, incoming) +
         fmt::format(
             R"sql(SELECT pg_catalog.set_config('pawl.made_anew', coalesce(pg_catalog.string_agg(
         making, E';\n' ORDER BY place, schema, name), ''), true)
  FROM (
{}
) AS dependents;
)sql",
             DependentsSql(swap.table, swap.incoming, ColumnFate::kNewName)) +
         rename(incoming, outgoing) + rename(aside, incoming);
}

// The role's default privileges have granted what the view may not have had.
std::string GrantsRemoved(const DependentSwap& swap) {
  const std::vector<std::string> views = Dropped(swap, DependentKind::kView);
  if (views.empty()) return {};
  return "DO " +
         DollarQuoted(fmt::format(
             R"(
DECLARE
  pawl_revoke text;
BEGIN
  FOR pawl_revoke IN
    SELECT DISTINCT pg_catalog.format('REVOKE ALL ON %s FROM %s', v, CASE WHEN g.grantee = 0 THEN 'PUBLIC'
             ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END)
      FROM pg_catalog.unnest({}) AS v
      JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(v)
     CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS g
     WHERE g.grantee <> c.relowner
  LOOP
    EXECUTE pawl_revoke;
  END LOOP;
END
)",
             TextArray(views))) +
         ";\n";
}

// The last look: all is as it was, and nothing reads the old column any more.
std::string Compared(const DependentSwap& swap) {
  return "DO " +
         DollarQuoted(fmt::format(
             R"(
DECLARE
  pawl_noted text[] := pg_catalog.string_to_array(pg_catalog.current_setting('pawl.noted_comparable'), E';\n');
  pawl_found text[] := pg_catalog.string_to_array((
SELECT {} FROM (
{}
) AS attributes), E';\n');
  pawl_left text := ({});
BEGIN
  IF pawl_found IS DISTINCT FROM pawl_noted THEN
    RAISE EXCEPTION 'What reads the column could not be made again as it was. Then, and not now: %. Now, and not then: %. Nothing was changed: take away what is special about it, then resume.',
      (SELECT coalesce(pg_catalog.string_agg(line, '; '), 'nothing')
         FROM pg_catalog.unnest(pawl_noted) AS line WHERE line <> ALL (pawl_found)),
      (SELECT coalesce(pg_catalog.string_agg(line, '; '), 'nothing')
         FROM pg_catalog.unnest(pawl_found) AS line WHERE line <> ALL (pawl_noted));
  END IF;
  IF pawl_left IS NOT NULL THEN
    RAISE EXCEPTION 'The % would be left reading the old column %. Nothing was changed: drop it, then resume.',
      pawl_left, {};
  END IF;
END
)",
             kComparable, AttributesSql(swap), ReaderSql(swap.table, swap.outgoing_after),
             QuoteLiteral(swap.outgoing_after))) +
         ";\n";
}

// Several statements in one text; none, where it is empty.
std::string Executed(const char* setting) {
  return fmt::format(
      "DO $pawl$ BEGIN EXECUTE pg_catalog.current_setting('{}') || ';'; END $pawl$;\n", setting);
}

}  // namespace

// To say again who owns it takes the lock on the view alone: LOCK TABLE would take every table that it
// reads as well.
std::string RenderViewLocks(const DependentSwap& swap) {
  std::vector<std::string> views;
  for (const TableName& view : ViewsLocked(swap.dependents)) views.push_back(Sql(view));
  if (views.empty()) return {};
  return "DO " +
         DollarQuoted(fmt::format(
             R"(
DECLARE
  pawl_view text;
  pawl_lock text;
BEGIN
  FOREACH pawl_view IN ARRAY {} LOOP
    SELECT pg_catalog.format('ALTER VIEW %s OWNER TO %I', pawl_view, pg_catalog.pg_get_userbyid(c.relowner))
      INTO pawl_lock
      FROM pg_catalog.pg_class AS c
     WHERE c.oid = pg_catalog.to_regclass(pawl_view) AND c.relkind = 'v';
    IF FOUND THEN
      EXECUTE pawl_lock;
    END IF;
  END LOOP;
END
)",
             TextArray(views))) +
         ";\n";
}

std::string RenderTakenDown(const DependentSwap& swap) {
  if (swap.dependents.empty()) return {};
  std::string sql = swap.is_new_name ? NotedUnderTheNewName(swap) : "";
  sql += AttributesNoted(swap);
  for (auto dependent = swap.dependents.rbegin(); dependent != swap.dependents.rend();
       ++dependent) {
    if (swap.is_new_name && dependent->kind == DependentKind::kView) continue;
    sql += DropSql(swap, *dependent);
  }
  return sql;
}

std::string RenderPutUp(const DependentSwap& swap) {
  if (swap.dependents.empty()) return {};
  std::string sql;
  if (swap.is_new_name) {
    sql = Executed("pawl.made_anew");
  } else {
    for (const Dependent& dependent : swap.dependents) sql += dependent.making + ";\n";
  }
  return sql + GrantsRemoved(swap) + Executed("pawl.noted") + Compared(swap);
}

std::string RenderAround(const DependentSwap& swap, const std::string& guards,
                         const std::string& change) {
  return RenderViewLocks(swap) +
         fmt::format("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE;\n{};\n", Sql(swap.table), guards) +
         RenderTakenDown(swap) + change + "\n;\n" + RenderPutUp(swap);
}

void AddDependentNotes(const std::vector<Dependent>& dependents, bool is_new_name,
                       std::vector<std::string>& notes) {
  for (const Dependent& dependent : dependents) {
    std::string note = fmt::format("The {} is dropped and made again in the same transaction",
                                   Readable(dependent));
    if (dependent.kind == DependentKind::kView) {
      note += ", with its owner, grants, comments, defaults, triggers and rules";
      if (is_new_name) {
        note = fmt::format("The {} reads the new name from then on; its own columns keep theirs",
                           Readable(dependent));
      }
    }
    if (dependent.kind == DependentKind::kTrigger && !is_new_name) {
      note += "; until the contract it does not look at what is written to the old column only";
    }
    notes.push_back(note + ".");
  }
}

std::vector<TableName> ViewsLocked(const std::vector<Dependent>& dependents) {
  std::vector<TableName> views;
  for (auto dependent = dependents.rbegin(); dependent != dependents.rend(); ++dependent) {
    if (dependent->kind == DependentKind::kView) views.push_back(dependent->name);
  }
  return views;
}

}  // namespace pawl::schema
