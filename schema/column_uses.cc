#include "schema/column_uses.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/standing_guard.h"

namespace pawl::schema {
namespace {

using db::QuoteName;
using db::ToBool;
using db::ToInt;
using db::ToText;

std::string OrEmpty(const db::Value& value) { return value.value_or(""); }

// Thread safety: none. Lives for one reading.
class Reading {
 public:
  Reading(db::Session& session, const TableShape& table, const std::string& column, ColumnFate fate)
      : session_(session),
        table_(table),
        column_(column),
        fate_(fate),
        oid_(std::to_string(table.oid)) {}

  ColumnUses Read() {
    ReadColumn();
    ReadTableObstacles();
    ReadOtherDependents();
    ReadSequence();
    ReadIndexes();
    ReadConstraints();
    ReadStatistics();
    ReadGrants();
    uses_.standing = ToText(session_.Query(StandingSql(table_.name, column_, fate_)).rows.at(0)[0]);
    return std::move(uses_);
  }

 private:
  db::Result Ask(const std::string& sql) { return session_.Query(sql, {oid_, attnum_}); }

  void Obstruct(const std::string& obstacle) {
    if (uses_.obstacle.empty()) uses_.obstacle = obstacle;
  }

  void ObstructMove(const std::string& obstacle) {
    if (uses_.move_obstacle.empty()) uses_.move_obstacle = obstacle;
  }

  void ReadColumn() {
    const db::Row row = session_
                            .Query(
                                R"(
SELECT a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
       CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
       a.attidentity, a.attgenerated <> '', coalesce(a.attstattarget, -1),
       -- What begins with pg_ is the server's own mark, and nobody's to set.
       (SELECT pg_catalog.string_agg(o, ', ') FROM pg_catalog.unnest(a.attoptions) AS o
         WHERE NOT pg_catalog.starts_with(o, 'pg_')),
       pg_catalog.col_description(a.attrelid, a.attnum), t.typtype = 'd',
       a.attcollation <> t.typcollation,
       (SELECT n.conname FROM pg_catalog.pg_constraint AS n
         WHERE n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum])
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = $2)",
                                {oid_, column_})
                            .rows.at(0);
    attnum_ = ToText(row[0]);
    uses_.type = ToText(row[1]);
    uses_.not_null = ToBool(row[2]);
    uses_.not_null_name = OrEmpty(row[11]);
    if (const auto unproved = UnprovedNotNull(session_, table_.oid, column_)) {
      Obstruct(
          fmt::format("its NOT NULL, constraint {}, is NOT VALID: validate it first", *unproved));
    }
    uses_.default_value = OrEmpty(row[3]);
    if (!OrEmpty(row[4]).empty()) uses_.identity = ToText(row[4])[0];
    if (ToBool(row[5])) Obstruct("it is a generated column");
    if (ToInt(row[6]) >= 0) {
      uses_.settings.push_back(fmt::format("SET STATISTICS {}", ToText(row[6])));
    }
    if (!OrEmpty(row[7]).empty()) uses_.settings.push_back(fmt::format("SET ({})", *row[7]));
    uses_.comment = OrEmpty(row[8]);
    uses_.has_own_collation = ToBool(row[10]);
    if (ToBool(row[9])) {
      ObstructMove("its type is a domain, whose rules would hold for the old values too");
    }
  }

  void ReadTableObstacles() {
    // A list of columns sends no other; one that names the column is tied to it, and refused by name.
    const char* listed =
        session_.server_version() >= 150000
            ? " AND (SELECT a.attname FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND "
              "a.attnum = $2::integer) = ANY (p.attnames)"
            : "";
    const db::Row row = Ask(fmt::format(R"(
SELECT c.reloftype <> 0,
       (SELECT i.inhrelid::pg_catalog.regclass::text FROM pg_catalog.pg_inherits AS i
         WHERE i.inhparent = c.oid LIMIT 1),
       (SELECT i.inhparent::pg_catalog.regclass::text FROM pg_catalog.pg_inherits AS i
         WHERE i.inhrelid = c.oid LIMIT 1),
       (SELECT u.attrelid::pg_catalog.regclass::text FROM pg_catalog.pg_attribute AS u
          JOIN pg_catalog.pg_type AS t ON t.oid = u.atttypid
         WHERE (u.atttypid = c.reltype OR t.typelem = c.reltype AND c.reltype <> 0)
           AND NOT u.attisdropped LIMIT 1),
       (SELECT p.pubname FROM pg_catalog.pg_publication_tables AS p
         WHERE p.schemaname = n.nspname AND p.tablename = c.relname{} ORDER BY 1 LIMIT 1),
       c.relreplident = 'i', $2::text
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.oid = $1::pg_catalog.oid)",
                                        listed))
                            .rows.at(0);
    const std::string name = Readable(table_.name);
    if (table_.kind == 'p') ObstructMove(fmt::format("{} is partitioned", name));
    if (ToBool(row[0])) ObstructMove(fmt::format("{} is a table of a type", name));
    if (row[1]) ObstructMove(fmt::format("{} inherits from {}", *row[1], name));
    if (row[2]) ObstructMove(fmt::format("{} belongs to {}", name, *row[2]));
    if (row[3]) ObstructMove(fmt::format("{} has a column of its row type", *row[3]));
    uses_.publication = OrEmpty(row[4]);
    if (row[4] && fate_ == ColumnFate::kDropped) {
      ObstructMove(fmt::format(
          "publication {} publishes {}, and its subscribers would lack the column", *row[4], name));
    }
    if (ToBool(row[5])) {
      ObstructMove(fmt::format("the replica identity of {} is an index of its own", name));
    }
  }

  // Everything that PostgreSQL's books tie to the column, but what can be moved.
  void ReadOtherDependents() {
    uses_.dependents = ReadDependents(session_, table_.name, column_, fate_);
    Obstruct(DependentsObstacle(session_, table_.name, column_, fate_, uses_.dependents));
    const db::Result found = Ask(std::string(R"(
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_catalog.pg_depend AS d
 WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refobjid = $1::pg_catalog.oid AND d.refobjsubid = $2::integer
   AND NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND EXISTS (
              SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = d.objid
                 AND (c.relkind = 'i' OR c.relkind = 'S' AND d.deptype IN ('a', 'i'))))
   AND NOT (d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND EXISTS (
              SELECT FROM pg_catalog.pg_constraint AS c
               WHERE c.oid = d.objid AND c.contype IN ('c', 'f', 'p', 'u', 'n')))
   AND NOT (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND EXISTS (
              SELECT FROM pg_catalog.pg_attrdef AS a
               WHERE a.oid = d.objid AND a.adrelid = d.refobjid AND a.adnum = d.refobjsubid)))") +
                                 NotCarriedSql() + "\n ORDER BY 1");
    if (found.rows.empty()) return;
    Obstruct(fmt::format("{} depends on it", ToText(found.rows[0][0])));
  }

  // The rules of a view that is dropped go and come with it; of one that stays, its own words only.
  std::string NotCarriedSql() const {
    if (fate_ == ColumnFate::kDropped) return {};
    return fmt::format(
        R"(
   AND d.classid <> 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
   AND NOT EXISTS (
         SELECT FROM ({}) AS c
          WHERE CASE c.kind
                WHEN 'policy' THEN d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND d.objid = c.oid
                WHEN 'trigger' THEN d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND d.objid = c.oid
                ELSE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND EXISTS (
                       SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.oid = d.objid AND r.ev_class = c.oid
                          AND (r.rulename = '_RETURN' OR {})) END))",
        DependentsSql(table_.name, column_, fate_), fate_ == ColumnFate::kNewType);
  }

  void ReadSequence() {
    const db::Result found = Ask(R"(
SELECT n.nspname, c.relname, d.deptype = 'i', s.seqstart, s.seqincrement, s.seqcache, s.seqcycle,
       s.seqmin, s.seqmax, pg_catalog.format_type(s.seqtypid, NULL),
       pg_catalog.obj_description(c.oid, 'pg_class'), c.oid,
       (SELECT pg_catalog.pg_describe_object(o.classid, o.objid, o.objsubid)
          FROM pg_catalog.pg_depend AS o
         WHERE o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.refobjid = c.oid
           AND o.deptype = 'n'
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_attrdef AS a WHERE a.oid = o.objid
                              AND a.adrelid = d.refobjid AND a.adnum = d.refobjsubid) LIMIT 1)
  FROM pg_catalog.pg_depend AS d
  JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_sequence AS s ON s.seqrelid = c.oid
 WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refobjid = $1::pg_catalog.oid AND d.refobjsubid = $2::integer
   AND d.deptype IN ('a', 'i'))");
    if (found.rows.size() > 1) ObstructMove("it owns several sequences");
    if (found.rows.size() != 1) return;
    const db::Row& row = found.rows[0];
    SequenceUse& sequence = uses_.sequence;
    sequence.name = {ToText(row[0]), ToText(row[1])};
    sequence.is_identity = ToBool(row[2]);
    sequence.options = fmt::format("START {} INCREMENT {} CACHE {}{}", ToText(row[3]),
                                   ToText(row[4]), ToText(row[5]), ToBool(row[6]) ? " CYCLE" : "");
    sequence.minimum = ToText(row[7]);
    sequence.maximum = ToText(row[8]);
    sequence.type = ToText(row[9]);
    sequence.comment = OrEmpty(row[10]);
    if (!sequence.is_identity) return;
    if (row[12]) ObstructMove(fmt::format("{} depends on its sequence", *row[12]));
    const std::string name = QuoteName(sequence.name.schema, sequence.name.name);
    for (const db::Row& grant :
         Grants("c.relacl", "pg_class AS c WHERE c.oid = $1", ToText(row[11]))) {
      sequence.grants.push_back(fmt::format("GRANT {} ON SEQUENCE {} TO {}{}", ToText(grant[0]),
                                            name, ToText(grant[1]), ToText(grant[2])));
    }
  }

  // Privilege, grantee and the end of the GRANT, without the owner's own.
  std::vector<db::Row> Grants(const char* list, const std::string& from, const std::string& oid) {
    return session_
        .Query(fmt::format(R"(
SELECT g.privilege_type,
       CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END,
       CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
  FROM (SELECT {} AS list, c.relowner FROM pg_catalog.{}::pg_catalog.oid) AS acl
 CROSS JOIN LATERAL pg_catalog.aclexplode(acl.list) AS g
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee
 WHERE g.grantee <> acl.relowner ORDER BY 1, 2)",
                           list, from),
               {oid})
        .rows;
  }

  void ReadIndexes() {
    const db::Result found = Ask(fmt::format(R"(
SELECT c.relname, pg_catalog.pg_get_indexdef(c.oid), s.spcname, i.indisunique,
       i.indexprs IS NOT NULL OR i.indpred IS NOT NULL, i.indisclustered,
       -- A key WITHOUT OVERLAPS is an exclusion constraint by its index.
       CASE WHEN i.indisexclusion THEN 'x' ELSE k.contype END,
       coalesce(k.condeferrable, false),
       pg_catalog.obj_description(c.oid, 'pg_class'),
       pg_catalog.obj_description(k.oid, 'pg_constraint'), i.indisvalid,
       EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid
                  AND a.attstattarget >= {}),
       EXISTS (SELECT FROM pg_catalog.unnest(i.indclass) AS u(class)
                 JOIN pg_catalog.pg_opclass AS o ON o.oid = u.class WHERE NOT o.opcdefault),
       $2::smallint = ANY (i.indkey)
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                           JOIN pg_catalog.pg_attribute AS own ON own.attrelid = i.indrelid
                            AND own.attnum = $2::smallint
                          WHERE a.attrelid = c.oid AND i.indkey[a.attnum - 1] = 0
                            AND pg_catalog.starts_with(a.attname::text, own.attname::text))
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  LEFT JOIN pg_catalog.pg_tablespace AS s ON s.oid = c.reltablespace
  LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x')
 WHERE i.indrelid = $1::pg_catalog.oid
   AND ($2::integer = ANY (i.indkey) OR EXISTS (
         SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.refobjid = i.indrelid AND d.refobjsubid = $2::integer))
 ORDER BY c.relname)",
                                             session_.server_version() >= 170000 ? 0 : 1));
    for (const db::Row& row : found.rows) {
      IndexUse index;
      index.name = ToText(row[0]);
      index.definition = ToText(row[1]);
      index.tablespace = OrEmpty(row[2]);
      index.is_unique = ToBool(row[3]);
      index.is_computed = ToBool(row[4]);
      index.is_clustered = ToBool(row[5]);
      index.names_column = ToBool(row[13]);
      index.constraint_type = OrEmpty(row[6]);
      index.comment = OrEmpty(row[8]);
      index.constraint_comment = OrEmpty(row[9]);
      // The index that is built beside it cannot be: a statement that has two rows alike until its
      // end, or its commit, would be refused.
      if (ToBool(row[7])) {
        ObstructMove(
            fmt::format("constraint {} is deferrable, and an index beside it cannot be: "
                        "what relies on that would be refused",
                        index.name));
      }
      if (index.constraint_type == "x") {
        ObstructMove(
            fmt::format("the index of exclusion constraint {} cannot be built while others "
                        "write",
                        index.name));
      }
      if (!ToBool(row[10]))
        ObstructMove(fmt::format("index {} is invalid: drop it first", index.name));
      if (ToBool(row[11])) {
        ObstructMove(fmt::format("index {} has a statistics target of its own", index.name));
      }
      if (ToBool(row[12])) {
        ObstructMove(fmt::format("index {} uses an operator class that is not its type's default",
                                 index.name));
      }
      uses_.indexes.push_back(std::move(index));
    }
  }

  void ReadConstraints() {
    const db::Result found = Ask(R"(
SELECT k.contype, k.conname, tn.nspname, t.relname, f.relname IS NOT NULL, fn.nspname, f.relname,
       k.conrelid = $1::pg_catalog.oid AND $2::smallint = ANY (k.conkey),
       coalesce(k.confrelid = $1::pg_catalog.oid AND $2::smallint = ANY (k.confkey), false),
       pg_catalog.pg_get_constraintdef(k.oid), k.convalidated,
       pg_catalog.obj_description(k.oid, 'pg_constraint'), t.relkind = 'p' OR f.relkind = 'p',
       pg_catalog.pg_has_role(t.relowner, 'USAGE')
  FROM pg_catalog.pg_constraint AS k
  JOIN pg_catalog.pg_class AS t ON t.oid = k.conrelid
  JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_class AS f ON f.oid = k.confrelid
  LEFT JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.relnamespace
 WHERE k.contype IN ('c', 'f')
   AND (k.conrelid = $1::pg_catalog.oid AND $2::smallint = ANY (k.conkey)
        OR k.confrelid = $1::pg_catalog.oid AND $2::smallint = ANY (k.confkey))
   AND k.conparentid = 0
 ORDER BY k.conname)");
    for (const db::Row& row : found.rows) {
      const std::string name = ToText(row[1]);
      if (ToText(row[0]) == "c") {
        uses_.checks.push_back({name, ToText(row[9]), ToBool(row[10]), OrEmpty(row[11])});
        continue;
      }
      ForeignKeyUse key;
      key.name = name;
      key.table = {ToText(row[2]), ToText(row[3])};
      key.other = {OrEmpty(row[5]), OrEmpty(row[6])};
      key.is_referring = ToBool(row[7]);
      key.is_referenced = ToBool(row[8]);
      key.definition = ToText(row[9]);
      key.is_validated = ToBool(row[10]);
      key.comment = OrEmpty(row[11]);
      if (ToBool(row[12])) {
        ObstructMove(fmt::format("foreign key {} of {} has a partitioned table on one side", name,
                                 Readable(key.table)));
      }
      if (!ToBool(row[13])) {
        ObstructMove(fmt::format("foreign key {} is that of {}, whose owner this role is not", name,
                                 Readable(key.table)));
      }
      uses_.foreign_keys.push_back(std::move(key));
    }
  }

  void ReadStatistics() {
    if (fate_ == ColumnFate::kDropped) return;
    const db::Result found = Ask(R"(
SELECT n.nspname, s.stxname, pg_catalog.pg_get_statisticsobjdef(s.oid),
       pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(s.stxowner)),
       CASE WHEN s.stxstattarget >= 0 THEN s.stxstattarget::text END,
       pg_catalog.obj_description(s.oid, 'pg_statistic_ext'),
       pg_catalog.pg_has_role(s.stxowner, 'USAGE')
  FROM pg_catalog.pg_statistic_ext AS s
  JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace
 WHERE s.stxrelid = $1::pg_catalog.oid AND EXISTS (
         SELECT FROM pg_catalog.pg_depend AS d
          WHERE d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND d.objid = s.oid
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.refobjid = s.stxrelid AND d.refobjsubid = $2::integer)
 ORDER BY 1, 2)");
    for (const db::Row& row : found.rows) {
      uses_.statistics.push_back({{ToText(row[0]), ToText(row[1])},
                                  ToText(row[2]),
                                  ToText(row[3]),
                                  OrEmpty(row[4]),
                                  OrEmpty(row[5])});
      if (ToBool(row[6])) continue;
      ObstructMove(fmt::format("statistics object {} belongs to {}, which this role may not act as",
                               ToText(row[1]), ToText(row[3])));
    }
  }

  void ReadGrants() {
    const std::string from = fmt::format(
        "pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid WHERE "
        "a.attnum = {} AND a.attrelid = $1",
        attnum_);
    for (const db::Row& grant : Grants("a.attacl", from, oid_)) {
      uses_.grants.push_back(fmt::format("GRANT {} (%) ON {} TO {}{}", ToText(grant[0]),
                                         QuoteName(table_.name.schema, table_.name.name),
                                         ToText(grant[1]), ToText(grant[2])));
    }
  }

  db::Session& session_;
  const TableShape& table_;
  const std::string& column_;
  const ColumnFate fate_;
  const std::string oid_;
  std::string attnum_;
  ColumnUses uses_;
};

}  // namespace

ColumnUses ReadColumnUses(db::Session& session, const TableShape& table, const std::string& column,
                          ColumnFate fate) {
  return Reading(session, table, column, fate).Read();
}

}  // namespace pawl::schema
