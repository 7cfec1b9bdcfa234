#include "schema/partition_parts.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/chosen_name.h"
#include "schema/form_steps.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

struct TableIndex {
  std::string name;
  std::string definition;
  // Alike for two indexes that PostgreSQL takes for the same (CompareIndexInfo), but for the table.
  std::string meaning;
  std::string columns;     // "a_b", for its name.
  char constraint = '\0';  // p, u or x where it belongs to one.
  std::string timing;      // " DEFERRABLE …" of that.
  bool is_valid = true;
  bool is_taken = false;
};

std::vector<TableIndex> IndexesOf(db::Session& session, std::int64_t table) {
  const db::Result found = session.Query(
      R"(
SELECT c.relname, pg_catalog.pg_get_indexdef(c.oid),
       pg_catalog.concat_ws('|', c.relam, i.indisunique, i.indnkeyatts, i.indisexclusion,
         (SELECT pg_catalog.string_agg(coalesce(a.attname, '()'), ',' ORDER BY k.place)
            FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(attnum, place)
            LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum),
         i.indcollation::text,
         (SELECT pg_catalog.string_agg(o.opcfamily::text, ',' ORDER BY k.place)
            FROM pg_catalog.unnest(i.indclass::pg_catalog.oid[]) WITH ORDINALITY AS k(class, place)
            JOIN pg_catalog.pg_opclass AS o ON o.oid = k.class),
         '(' || pg_catalog.pg_get_expr(i.indexprs, i.indrelid) || ')',
         'where ' || pg_catalog.pg_get_expr(i.indpred, i.indrelid),
         pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct'),
       (SELECT pg_catalog.string_agg(a.attname, '_' ORDER BY a.attnum)
          FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid),
       coalesce(k.contype::text, ''),
       CASE WHEN k.condeferrable THEN ' DEFERRABLE' ELSE '' END ||
       CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END, i.indisvalid
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid = c.oid AND k.conrelid = i.indrelid
                                         AND k.contype IN ('p', 'u', 'x')
 WHERE i.indrelid = $1::pg_catalog.oid ORDER BY c.oid)",
      {std::to_string(table)});
  std::vector<TableIndex> indexes;
  for (const db::Row& row : found.rows) {
    TableIndex index;
    index.name = db::ToText(row[0]);
    index.definition = db::ToText(row[1]);
    index.meaning = db::ToText(row[2]);
    index.columns = db::ToText(row[3]);
    if (!db::ToText(row[4]).empty()) index.constraint = db::ToText(row[4])[0];
    index.timing = row[5].value_or("");
    index.is_valid = db::ToBool(row[6]);
    indexes.push_back(std::move(index));
  }
  return indexes;
}

// As PostgreSQL does when it attaches: each of the partition's is taken once; where the parent's is a
// constraint, the partition's must be one as well.
std::vector<TableIndex> Missing(const std::vector<TableIndex>& wanted,
                                std::vector<TableIndex> present) {
  std::vector<TableIndex> missing;
  for (const TableIndex& index : wanted) {
    const auto match = std::find_if(present.begin(), present.end(), [&](const TableIndex& other) {
      return !other.is_taken && other.is_valid && other.meaning == index.meaning &&
             (index.constraint == '\0' || index.constraint == other.constraint);
    });
    if (match == present.end()) {
      missing.push_back(index);
    } else {
      match->is_taken = true;
    }
  }
  return missing;
}

std::string LabelOf(const TableIndex& index) {
  if (index.constraint == 'p') return "pkey";
  return index.constraint == 'u' ? "key" : "idx";
}

void RefuseIndex(const Place& place, const TableIndex& index, const TableShape& child,
                 const std::vector<TableIndex>& present) {
  if (index.constraint == 'x') {
    FailAt(place,
           fmt::format("{} has no exclusion constraint like {}, whose index cannot be built while "
                       "others write",
                       Readable(child.name), index.name),
           "Add it with psql in a quiet moment.");
  }
  if (child.kind == 'p') {
    FailAt(place,
           fmt::format("{} is partitioned itself and has no index like {}", Readable(child.name),
                       index.name),
           "Give it one by CREATE INDEX in a file of its own, which makes that of each partition "
           "while others write.");
  }
  const bool has_primary = std::any_of(present.begin(), present.end(), [](const TableIndex& other) {
    return other.constraint == 'p';
  });
  if (index.constraint == 'p' && has_primary) {
    FailAt(place,
           fmt::format("the primary key of {} is not that of the partitioned table",
                       Readable(child.name)),
           "Drop it first.");
  }
}

Step ConstraintStep(const TableName& table, const TableIndex& index, const std::string& name) {
  const bool is_primary = index.constraint == 'p';
  Step step =
      DdlStep(0, table,
              fmt::format("make it the {} of {}", is_primary ? "primary key" : "constraint " + name,
                          Readable(table)),
              kMoment, "The index is there: it changes the catalogue only.");
  step.sql = fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}", SqlName(table),
                         QuoteName(name), is_primary ? "PRIMARY KEY" : "UNIQUE", QuoteName(name),
                         index.timing);
  step.inverse = DropConstraint(table, name);
  return step;
}

struct ForeignKey {
  std::string name;
  std::string definition;  // Without NOT VALID.
  TableName other;
  bool is_validated = true;
};

std::vector<ForeignKey> KeysOf(db::Session& session, std::int64_t table) {
  const db::Result found = session.Query(
      R"(
SELECT k.conname, pg_catalog.pg_get_constraintdef(k.oid), k.convalidated, n.nspname, c.relname
  FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.conrelid = $1::pg_catalog.oid
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS whole
                    WHERE whole.oid = k.conparentid AND whole.conrelid = k.conrelid)
 ORDER BY k.oid)",
      {std::to_string(table)});
  std::vector<ForeignKey> keys;
  for (const db::Row& row : found.rows) {
    ForeignKey key;
    key.name = db::ToText(row[0]);
    key.definition = db::ToText(row[1]);
    key.is_validated = db::ToBool(row[2]);
    key.other = {db::ToText(row[3]), db::ToText(row[4])};
    const std::string end = " NOT VALID";
    if (key.definition.ends_with(end)) key.definition.resize(key.definition.size() - end.size());
    keys.push_back(std::move(key));
  }
  return keys;
}

}  // namespace

std::string DifferenceFrom(Planning& planning, const TableShape& parent, const TableShape& child) {
  const db::Result found = planning.reading.session().Query(
      R"(
WITH columns AS (
  SELECT attrelid, attname, atttypid, atttypmod, attcollation, attnotnull, attgenerated
    FROM pg_catalog.pg_attribute
   WHERE attrelid IN ($1::pg_catalog.oid, $2::pg_catalog.oid) AND attnum > 0 AND NOT attisdropped),
checks AS (
  SELECT conrelid, conname, pg_catalog.pg_get_constraintdef(oid) AS definition, convalidated, connoinherit
    FROM pg_catalog.pg_constraint
   WHERE conrelid IN ($1::pg_catalog.oid, $2::pg_catalog.oid) AND contype = 'c')
SELECT pg_catalog.format('it has no column %I', p.attname) FROM columns AS p
 WHERE p.attrelid = $1::pg_catalog.oid AND NOT EXISTS (
         SELECT FROM columns AS c WHERE c.attrelid = $2::pg_catalog.oid AND c.attname = p.attname)
UNION ALL
SELECT pg_catalog.format('the partitioned table has no column %I', c.attname) FROM columns AS c
 WHERE c.attrelid = $2::pg_catalog.oid AND NOT EXISTS (
         SELECT FROM columns AS p WHERE p.attrelid = $1::pg_catalog.oid AND p.attname = c.attname)
UNION ALL
SELECT CASE WHEN p.attnotnull AND NOT c.attnotnull
            THEN pg_catalog.format('its column %I is not NOT NULL', p.attname)
            ELSE pg_catalog.format('its column %I is of another type, collation or kind', p.attname) END
  FROM columns AS p JOIN columns AS c ON c.attname = p.attname
 WHERE p.attrelid = $1::pg_catalog.oid AND c.attrelid = $2::pg_catalog.oid
   AND ((p.atttypid, p.atttypmod, p.attcollation, p.attgenerated) <>
        (c.atttypid, c.atttypmod, c.attcollation, c.attgenerated) OR p.attnotnull AND NOT c.attnotnull)
UNION ALL
SELECT pg_catalog.format('it has no validated constraint %I, %s', p.conname, p.definition)
  FROM checks AS p
 WHERE p.conrelid = $1::pg_catalog.oid AND NOT p.connoinherit AND NOT EXISTS (
         SELECT FROM checks AS c
          WHERE c.conrelid = $2::pg_catalog.oid AND c.conname = p.conname AND NOT c.connoinherit
            AND c.definition = p.definition AND (c.convalidated OR NOT p.convalidated))
 LIMIT 1)",
      {std::to_string(parent.oid), std::to_string(child.oid)});
  return found.rows.empty() ? std::string() : db::ToText(found.rows[0][0]);
}

std::vector<Step> MissingIndexSteps(Planning& planning, const Place& place,
                                    const TableShape& parent, const TableShape& child) {
  db::Session& session = planning.reading.session();
  const std::vector<TableIndex> present = IndexesOf(session, child.oid);
  std::vector<Step> steps;
  std::set<std::string> names;
  for (const TableIndex& index : Missing(IndexesOf(session, parent.oid), present)) {
    RefuseIndex(place, index, child, present);
    const std::string name = ChosenIndexName(
        session, child.name, index.constraint == 'p' ? "" : index.columns, LabelOf(index), names);
    steps.push_back(IndexStep(0, child.name, name, IndexOn(index.definition, name, child.name),
                              "The partitioned table has one like it. ATTACH PARTITION would build "
                              "it under its lock; built CONCURRENTLY, it stops nobody."));
    if (index.constraint != '\0') steps.push_back(ConstraintStep(child.name, index, name));
  }
  for (Step& step : steps) step.line = place.line;
  return steps;
}

std::vector<Step> MissingKeySteps(Planning& planning, const Place& place, const TableShape& parent,
                                  const TableShape& child) {
  db::Session& session = planning.reading.session();
  std::vector<ForeignKey> present = KeysOf(session, child.oid);
  std::set<std::string> names;
  for (const ForeignKey& key : present) names.insert(key.name);
  std::vector<Step> steps;
  for (const ForeignKey& key : KeysOf(session, parent.oid)) {
    const auto match = std::find_if(present.begin(), present.end(), [&](const ForeignKey& other) {
      return other.definition == key.definition;
    });
    if (match != present.end()) {
      if (!match->is_validated)
        steps.push_back(ValidationStep(place.line, child.name, match->name));
      present.erase(match);
      continue;
    }
    if (child.kind == 'p') {
      FailAt(
          place,
          fmt::format("{} is partitioned itself and has no foreign key like {}, which PostgreSQL "
                      "cannot add to it without reading all rows under a lock",
                      Readable(child.name), key.name),
          "Add it with psql in a quiet moment.");
    }
    std::string name = key.name;
    if (names.contains(name)) name = ChosenConstraintName(session, child.name, "", "fkey", names);
    Step add =
        DdlStep(place.line, child.name,
                fmt::format("add foreign key {} to {}, for new rows", name, Readable(child.name)),
                "SHARE ROW EXCLUSIVE on both tables, milliseconds; retried with a short lock "
                "time-out",
                "The partitioned table has it. ATTACH PARTITION would prove it under its lock; "
                "NOT VALID, it reads no row.");
    add.sql = fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID", SqlName(child.name),
                          QuoteName(name), key.definition);
    add.inverse = DropConstraint(child.name, name);
    add.also = {key.other};
    steps.push_back(std::move(add));
    steps.push_back(ValidationStep(place.line, child.name, name));
  }
  return steps;
}

}  // namespace pawl::schema
