// Batches taken back: from the undo records, or by the user's inverse.
#include <utility>

#include <fmt/format.h>

#include "db/error.h"
#include "db/quote.h"
#include "schema/render_parts.h"
#include "schema/render_slice.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

// The packed records of one batch, one row each: rec(k1, …), as CTE text.
std::string UnpackedRecords(const Texts& arrays, std::int64_t batch, const LedgerFacts& facts,
                            Binder& binder) {
  Texts qualified;
  for (const std::string& name : arrays) qualified.push_back("u." + name);
  return fmt::format(
      "pawl_rec AS MATERIALIZED (SELECT x.* FROM {} AS u, unnest({}) AS x({}) WHERE u.batch_id = {})",
      UndoTable(facts.run, facts.step), Joined(qualified), Joined(arrays), binder.Bind(batch));
}

std::string SameKey(const std::string& alias, const std::vector<Column>& key,
                    std::string_view record, std::string_view prefix) {
  Texts terms;
  for (std::size_t i = 0; i < key.size(); ++i) {
    terms.push_back(fmt::format("{}.{} = {}", QuoteName(alias), QuoteName(key[i].name),
                                Unpacked(key[i], fmt::format("{}.{}{}", record, prefix, i + 1))));
  }
  return Joined(terms, " AND ");
}

std::string KeyText(std::string_view record, std::string_view prefix, std::size_t count) {
  Texts items;
  for (const std::string& name : Of(record, prefix, count)) items.push_back(name + "::text");
  return fmt::format("array_to_json(ARRAY[{}])::text", Joined(items));
}

Texts UnpackedRow(const std::vector<Column>& columns, std::string_view prefix) {
  Texts items;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    items.push_back(Unpacked(columns[i], fmt::format("pawl_rec.{}{}", prefix, i + 1)));
  }
  return items;
}

// What a revert does to each record: `records` as CTE text, `conflicts` lists (key, reason,
// forcible), `restore` is the data-modifying statement that returns a row per record restored.
//
// A trigger may have its own mind about what is restored. So `altered` says whether what was
// restored is not what was kept, and `settled` counts the records that were neither restored nor
// conflicts, because there is nothing to do: all others must be one or the other. Empty: not known.
struct RevertParts {
  std::string records;
  std::string conflicts;
  std::string restore;
  std::string altered;
  std::string settled;
};

RevertParts UpdateRevert(const Backfill& backfill, std::int64_t batch, const LedgerFacts& facts,
                         bool force, Binder& binder) {
  const std::vector<Column> changed = ChangedColumns(backfill);
  const Texts current = Qualified(backfill.alias, changed);
  const std::string is_written = SameImage(changed, current, UnpackedRow(changed, "w"));
  const std::string is_old = SameImage(changed, current, UnpackedRow(changed, "o"));
  const std::string same_key = SameKey(backfill.alias, backfill.key, "pawl_rec", "k");
  Texts sets;
  for (std::size_t i = 0; i < changed.size(); ++i) {
    sets.push_back(fmt::format("{} = {}", QuoteName(changed[i].name),
                               Unpacked(changed[i], fmt::format("pawl_rec.o{}", i + 1))));
  }
  RevertParts parts;
  parts.records = UnpackedRecords(UpdateArrays(backfill), batch, facts, binder);
#ifndef PAWL_MUTANT_conflict_check
  const std::string still = " AND " + is_written;
#else
  const std::string still;
#endif
  parts.restore =
      fmt::format("UPDATE {} SET {} FROM pawl_rec WHERE {}{} RETURNING {} AS is_same",
                  Walked(backfill), Joined(sets), same_key, force ? std::string() : still, is_old);
  parts.altered = "EXISTS (SELECT FROM pawl_restored WHERE NOT is_same)";
  parts.settled = fmt::format("SELECT count(*) FROM pawl_rec JOIN {} ON {} WHERE {} AND NOT {}",
                              Walked(backfill), same_key, is_old, is_written);
  parts.conflicts = fmt::format(
      R"sql(SELECT {key} AS key, CASE WHEN {held} IS NULL THEN 'the row no longer exists'
            ELSE 'the row holds another value than the migration wrote' END AS reason,
            {held} IS NOT NULL AS forcible
  FROM pawl_rec LEFT JOIN {walked} ON {same_key}
 WHERE ({held} IS NULL OR NOT {is_written})
   AND NOT ({held} IS NOT NULL AND {is_old}))sql",
      fmt::arg("key", KeyText("pawl_rec", "k", backfill.key.size())),
      fmt::arg("held", Qualified(backfill.alias, backfill.key)[0]),
      fmt::arg("walked", Walked(backfill)), fmt::arg("same_key", same_key),
      fmt::arg("is_written", is_written), fmt::arg("is_old", is_old));
  return parts;
}

RevertParts DeleteRevert(const Backfill& backfill, std::int64_t batch, const LedgerFacts& facts,
                         Binder& binder) {
  const Texts outputs = Numbered("c", backfill.target_columns.size());
  RevertParts parts;
  parts.records =
      fmt::format("pawl_rec AS MATERIALIZED (SELECT {} FROM {} WHERE batch_id = {})",
                  Joined(outputs), UndoTable(facts.run, facts.step), binder.Bind(batch));
  std::string exists = "false";
  std::string key = "''";
  if (!backfill.key.empty()) {
    Texts terms;
    Texts keys;
    for (const Column& column : backfill.key) {
      for (std::size_t i = 0; i < backfill.target_columns.size(); ++i) {
        if (backfill.target_columns[i].name != column.name) continue;
        terms.push_back(fmt::format("pawl_held.{} = pawl_rec.c{}", QuoteName(column.name), i + 1));
        keys.push_back(fmt::format("pawl_rec.c{}::text", i + 1));
      }
    }
    exists = fmt::format("EXISTS (SELECT FROM ONLY {} AS pawl_held WHERE {})",
                         Table(backfill.target), Joined(terms, " AND "));
    key = fmt::format("array_to_json(ARRAY[{}])::text", Joined(keys));
  }
  const auto hash = [](const Texts& values) {
    return fmt::format("hashtextextended(ROW({})::text, 0)", Joined(values));
  };
  parts.restore = fmt::format(
      "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM pawl_rec WHERE NOT {} RETURNING "
      "{} AS h",
      Table(backfill.target), Joined(Names(backfill.target_columns)), Joined(outputs), exists,
      hash(Names(backfill.target_columns)));
  parts.altered = fmt::format(
      "(SELECT sum(h::numeric) FROM pawl_restored) IS DISTINCT FROM (SELECT sum({}::numeric) FROM "
      "pawl_rec WHERE NOT {})",
      hash(outputs), exists);
  parts.settled = "SELECT 0";
  parts.conflicts = fmt::format(
      "SELECT {} AS key, 'a row with this key exists again'::text AS reason, false AS forcible "
      "FROM pawl_rec WHERE {}",
      key, exists);
  return parts;
}

RevertParts InsertRevert(const Backfill& backfill, std::int64_t batch, const LedgerFacts& facts,
                         bool force, Binder& binder) {
  const Texts keys = Numbered("k", backfill.target_key.size());
  const std::string target = "pawl_target";
  const std::string same_key = SameKey(target, backfill.target_key, "pawl_rec", "k");
  const std::string hash = RowHash(target, backfill.target_columns);
  RevertParts parts;
  parts.records = UnpackedRecords(Appended(keys, {"h"}), batch, facts, binder);
  parts.restore = fmt::format("DELETE FROM {} AS {} USING pawl_rec WHERE {}{} RETURNING 1",
                              Table(backfill.target), target, same_key,
                              force ? std::string() : fmt::format(" AND {} = pawl_rec.h", hash));
  parts.conflicts = fmt::format(
      "SELECT {} AS key, 'the row was changed since it was inserted'::text AS reason, true AS "
      "forcible FROM pawl_rec JOIN {} AS {} ON {} WHERE {} <> pawl_rec.h",
      KeyText("pawl_rec", "k", keys.size()), Table(backfill.target), target, same_key, hash);
  // The application has deleted it already.
  parts.settled =
      fmt::format("SELECT count(*) FROM pawl_rec WHERE NOT EXISTS (SELECT FROM {} AS {} WHERE {})",
                  Table(backfill.target), target, same_key);
  return parts;
}

// The user's inverse on the rows that are still the version the batch wrote. A later version's old
// value cannot be known: such rows are conflicts.
RevertParts InverseRevert(const Backfill& backfill, const Slice& slice, std::int64_t batch,
                          bool force, Binder& binder) {
  const std::string alias = QuoteName(backfill.alias);
  const std::string slice_text = InSlice(backfill, slice, binder);
  RevertParts parts;
  parts.records = fmt::format(
      "pawl_rec AS MATERIALIZED (SELECT (xid::text::bigint % 4294967296)::text::xid AS pawl_xid, "
      "snapshot AS pawl_snapshot "
      "FROM pawl.ledger WHERE batch_id = {})",
      binder.Bind(batch));
  parts.restore = fmt::format(
      "UPDATE {} SET {} FROM pawl_rec WHERE {}{} RETURNING 1", Walked(backfill), backfill.inverse,
      slice_text, force ? std::string() : fmt::format(" AND {}.xmin = pawl_rec.pawl_xid", alias));
  Texts keys;
  for (const std::string& name : Qualified(backfill.alias, backfill.key)) {
    keys.push_back(name + "::text");
  }
  parts.conflicts = fmt::format(
      "SELECT array_to_json(ARRAY[{}])::text AS key, 'the row was changed after its batch'::text "
      "AS reason, true AS forcible FROM pawl_rec, {} WHERE {} AND {}.xmin <> pawl_rec.pawl_xid AND NOT "
      "pg_visible_in_snapshot((({}.xmin::text::bigint - "
      "(pg_snapshot_xmax(pawl_rec.pawl_snapshot)::text::bigint % 4294967296)) + "
      "pg_snapshot_xmax(pawl_rec.pawl_snapshot)::text::bigint)::text::xid8, pawl_rec.pawl_snapshot)",
      Joined(keys), Walked(backfill), slice_text, alias, alias);
  return parts;
}

RevertParts PartsOf(const Backfill& backfill, const Slice& slice, std::int64_t batch,
                    const LedgerFacts& facts, bool force, Binder& binder) {
  if (backfill.undo == UndoKind::kInverse) {
    return InverseRevert(backfill, slice, batch, force, binder);
  }
  PAWL_CHECK(backfill.undo == UndoKind::kImage);
  if (backfill.kind == StatementKind::kDelete) return DeleteRevert(backfill, batch, facts, binder);
  if (backfill.kind == StatementKind::kInsertSelect) {
    return InsertRevert(backfill, batch, facts, force, binder);
  }
  return UpdateRevert(backfill, batch, facts, force, binder);
}

}  // namespace

namespace {

// Where every record was restored there is nothing to look for, and the rows are not read a second
// time. A forced revert restores the conflicts too, and an inverse has no records to count.
std::string ConflictsOf(const Backfill& backfill, const RevertParts& parts, bool force) {
  if (force || backfill.undo == UndoKind::kInverse) return parts.conflicts;
  return fmt::format(
      "SELECT * FROM (\n{}\n) AS c\n WHERE (SELECT count(*) FROM pawl_restored) < (SELECT count(*) FROM pawl_rec)",
      parts.conflicts);
}

// The number of rows restored, or an error in its place.
std::string RowsOrError(const RevertParts& parts, OnConflict on_conflict) {
  std::string errors;
  const auto fail = [&](const std::string& condition, const char* message) {
    errors += fmt::format(" WHEN {} THEN ('{} ' || pawl_summary.n)::bigint", condition, message);
  };
  if (on_conflict == OnConflict::kStop) fail("pawl_summary.conflicts > 0", kConflict);
#ifndef PAWL_MUTANT_not_restored
  if (!parts.settled.empty()) {
    const std::string fewer =
        "pawl_summary.n + pawl_summary.conflicts{} < (SELECT count(*) FROM pawl_rec)";
    fail(fmt::format(fmt::runtime(fewer), "") + " AND " +
             fmt::format(fmt::runtime(fewer), " + (" + parts.settled + ")"),
         kNotRestored);
  }
  if (!parts.altered.empty()) fail(parts.altered, kNotRestored);
#endif
  return errors.empty() ? "pawl_summary.n" : fmt::format("CASE{} ELSE pawl_summary.n END", errors);
}

}  // namespace

Rendered RenderRevert(const Backfill& backfill, const Slice& slice, std::int64_t batch,
                      const LedgerFacts& facts, OnConflict on_conflict) {
  Binder binder;
  const bool force = on_conflict == OnConflict::kForce;
  const RevertParts parts = PartsOf(backfill, slice, batch, facts, force, binder);
  const std::string rows = RowsOrError(parts, on_conflict);
  std::string sql = fmt::format(
      R"sql({},
{},
pawl_restored AS (
{}
),
pawl_conflicts AS MATERIALIZED (
{}
),
pawl_listed AS (
INSERT INTO pawl.conflict (run_id, step, batch_id, key, reason, forced)
SELECT {}, {}, {}, key, reason, forcible AND {} FROM pawl_conflicts RETURNING forced
),
pawl_summary AS (
SELECT (SELECT count(*) FROM pawl_restored) AS n,
       (SELECT count(*) FROM pawl_listed WHERE NOT forced) AS conflicts
))sql",
      kBatchId, parts.records, parts.restore, ConflictsOf(backfill, parts, force),
      binder.Bind(facts.run), binder.Bind(facts.step, "integer"), binder.Bind(batch), force);
  sql += LedgerInsert(slice, facts, rows, "pawl_summary.conflicts::text",
                      "pawl_batch, pawl_summary", binder, std::to_string(batch));
  sql += ", digest";
  return {sql, binder.Take()};
}

Rendered RenderRevertPreview(const Backfill& backfill, const Slice& slice, std::int64_t batch,
                             const LedgerFacts& facts) {
  Binder binder;
  const RevertParts parts = PartsOf(backfill, slice, batch, facts, false, binder);
  return {
      fmt::format("WITH {},\npawl_conflicts AS (\n{}\n)\nSELECT key, reason FROM pawl_conflicts",
                  parts.records, parts.conflicts),
      binder.Take()};
}

}  // namespace pawl::schema
