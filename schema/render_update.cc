#include "schema/render_update.h"

#include <utility>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/render_slice.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

// `k1, k2` of the walked key and `w1, w2` of the written values, out of RETURNING.
Texts Returning(const Backfill& backfill, std::string_view written_alias) {
  Texts items = Labelled(Qualified(backfill.alias, backfill.key), "k");
  return Appended(std::move(items),
                  Labelled(Qualified(written_alias, ChangedColumns(backfill)), "w"));
}

std::string UpdateDigest(const Backfill& backfill, int server_version) {
  std::vector<Column> columns = backfill.key;
  for (const Column& column : ChangedColumns(backfill)) columns.push_back(column);
  const Texts values =
      Appended(Numbered("k", backfill.key.size()), Numbered("w", backfill.changed.size()));
  return Digest(columns, values, !backfill.key.empty(), server_version);
}

std::string UpdateText(const Backfill& backfill, const Slice& slice, const Texts& returning,
                       Binder& binder) {
  return fmt::format("UPDATE {} SET {}{}\n WHERE {}{}\n RETURNING {}", Walked(backfill),
                     backfill.set_clause, FromList(backfill, "FROM"),
                     InSlice(backfill, slice, binder), AndWhere(backfill.where_clause),
                     Joined(returning));
}

// array_agg of each packed column: "array_agg(k1) AS k1, array_agg(o1::text) AS o1".
std::string Aggregated(const std::vector<Column>& columns, std::string_view prefix) {
  Texts items;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::string name = fmt::format("{}{}", prefix, i + 1);
    items.push_back(fmt::format("array_agg({}) AS {}", Packed(columns[i], name), name));
  }
  return Joined(items);
}

Rendered UpdateWithoutImages(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                             int server_version) {
  Binder binder;
  // What was taken back needs no digest: there is nothing left to prove it by.
  const bool back = facts.round < 0;
  const Texts returning = back ? Texts{"1"} : Returning(backfill, backfill.alias);
  std::string sql = fmt::format(
      R"sql({},
pawl_changed AS (
{}
),
pawl_summary AS (SELECT count(*) AS n, {} AS digest FROM pawl_changed))sql",
      kBatchId, UpdateText(backfill, slice, returning, binder),
      back ? "NULL::text" : UpdateDigest(backfill, server_version));
  sql += LedgerOfSummary(slice, facts, binder);
  return {sql, binder.Take()};
}

std::string UndoInsert(const Backfill& backfill, const LedgerFacts& facts, const std::string& keys,
                       const std::string& olds, const std::string& writtens,
                       const std::string& from) {
  return fmt::format(
      "pawl_undo AS (INSERT INTO {} (batch_id, {}) SELECT pawl_batch.id, {}, {}, {} FROM {})",
      UndoTable(facts.run, facts.step), Joined(UpdateArrays(backfill)), keys, olds, writtens, from);
}

// `update` returns k1.., w1.. and what `olds` makes o1.. of. One row of undo holds the batch: its
// keys, what they had, what they got.
Rendered UpdateKeepingOld(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                          const std::string& update, const std::string& olds, int server_version,
                          Binder& binder) {
  std::string sql = fmt::format(
      R"sql({},
pawl_changed AS (
{}
),
pawl_summary AS (SELECT count(*) AS n, {} AS digest, {}, {}, {} FROM pawl_changed),
)sql",
      kBatchId, update, UpdateDigest(backfill, server_version), Aggregated(backfill.key, "k"), olds,
      Aggregated(ChangedColumns(backfill), "w"));
#ifndef PAWL_MUTANT_undo_insert
  sql += UndoInsert(backfill, facts, Joined(Of("pawl_summary", "k", backfill.key.size())),
                    Joined(Of("pawl_summary", "o", backfill.changed.size())),
                    Joined(Of("pawl_summary", "w", backfill.changed.size())),
                    "pawl_batch, pawl_summary WHERE pawl_summary.n > 0");
#else
  sql += "pawl_undo AS (SELECT 1)";
#endif
  sql += LedgerOfSummary(slice, facts, binder);
  return {sql, binder.Take()};
}

// PostgreSQL 18 returns old and new values from the UPDATE itself: one scan, aligned by
// construction.
Rendered UpdateReturningOld(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                            int server_version) {
  Binder binder;
  const std::vector<Column> changed = ChangedColumns(backfill);
  Texts returning =
      Appended(Returning(backfill, "pawl_new"), Labelled(Qualified("pawl_old", changed), "o"));
  returning.front().insert(0, "WITH (OLD AS pawl_old, NEW AS pawl_new) ");
  return UpdateKeepingOld(backfill, slice, facts, UpdateText(backfill, slice, returning, binder),
                          Aggregated(changed, "o"), server_version, binder);
}

// Where the change is wanted only in rows that held NULL, the old values need not be read: the
// UPDATE itself tests them, on the version that it changes.
Rendered UpdateOfNulls(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                       int server_version) {
  Binder binder;
  const std::vector<Column> changed = ChangedColumns(backfill);
  Texts olds;
  for (std::size_t i = 0; i < changed.size(); ++i) {
    const std::string type = IsPackedAsText(changed[i]) ? "text" : changed[i].type;
    olds.push_back(
        fmt::format("array_fill(NULL::{}, ARRAY[count(*)::integer]) AS o{}", type, i + 1));
  }
  const std::string update =
      UpdateText(backfill, slice, Returning(backfill, backfill.alias), binder);
  return UpdateKeepingOld(backfill, slice, facts, update, Joined(olds), server_version, binder);
}

// Before 18: the UPDATE joins the table with itself by ctid, and returns the old values from the
// other side. REPEATABLE READ makes both sides one snapshot: a row that somebody changed since then
// is no longer at its ctid, and the UPDATE fails with 40001 instead of passing it over. Old and new
// values are aligned by construction. Sessions of such a step plan nested loops only: a hash join
// would read all of the table.
Rendered UpdateJoiningOld(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                          int server_version) {
  Binder binder;
  const std::vector<Column> changed = ChangedColumns(backfill);
  const std::string ctid = QuoteName(backfill.alias) + ".ctid";
  const Texts read =
      Appended({ctid + " AS pawl_ctid"}, Labelled(Qualified(backfill.alias, changed), "pawl_old"));
  const Texts returned = Appended(Returning(backfill, backfill.alias),
                                  Labelled(Of("pawl_before", "pawl_old", changed.size()), "o"));
  const std::string update = fmt::format(
      R"sql(UPDATE {} SET {}
  FROM (SELECT {} FROM {}
 WHERE {}{}) AS pawl_before
 WHERE {} = pawl_before.pawl_ctid
 RETURNING {})sql",
      Walked(backfill), backfill.set_clause, Joined(read), Walked(backfill),
      InSlice(backfill, slice, binder), AndWhere(backfill.where_clause), ctid, Joined(returned));
  return UpdateKeepingOld(backfill, slice, facts, update, Aggregated(changed, "o"), server_version,
                          binder);
}

// Before 18, with FROM or a sub-select: the old values are read first, under the snapshot of the
// whole transaction, and packed in key order; what the UPDATE wrote is packed in key order too; the
// two lists of keys must be the same.
//
// Accident without the comparison: a FROM that joins one row twice, or a trigger that suppresses a
// change, would shift one list against the other, and a revert would give rows their neighbours'
// values.
Rendered UpdatePackingOld(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                          int server_version) {
  Binder binder;
  const std::vector<Column> changed = ChangedColumns(backfill);
  const Texts keys = Numbered("k", backfill.key.size());
  const Texts before = Appended(Labelled(Qualified(backfill.alias, backfill.key), "k"),
                                Labelled(Qualified(backfill.alias, changed), "o"));
  std::string from = Walked(backfill);
  if (!backfill.from_clause.empty()) from += ", " + backfill.from_clause;
  std::string sql = fmt::format(
      R"sql({},
pawl_before AS MATERIALIZED (
SELECT {} FROM {}
 WHERE {}{}
),
pawl_packed AS MATERIALIZED (SELECT count(*) AS n, {}, {} FROM (SELECT * FROM pawl_before ORDER BY {}) AS s),
)sql",
      kBatchId, Joined(before), from, InSlice(backfill, slice, binder),
      AndWhere(backfill.where_clause), Aggregated(backfill.key, "k"), Aggregated(changed, "o"),
      Joined(keys));
  sql += fmt::format(
      R"sql(pawl_changed AS (
{}
),
pawl_written AS MATERIALIZED (
SELECT count(*) AS n, {} AS digest, {}, {} FROM (SELECT * FROM pawl_changed ORDER BY {}) AS s
),
)sql",
      UpdateText(backfill, slice, Returning(backfill, backfill.alias), binder),
      UpdateDigest(backfill, server_version), Aggregated(backfill.key, "k"),
      Aggregated(changed, "w"), Joined(keys));
  sql += UndoInsert(backfill, facts, Joined(Of("pawl_packed", "k", keys.size())),
                    Joined(Of("pawl_packed", "o", changed.size())),
                    Joined(Of("pawl_written", "w", changed.size())),
                    "pawl_batch, pawl_packed, pawl_written WHERE pawl_written.n > 0");
  const std::string agree = fmt::format("{} *= {}", Record(Of("pawl_packed", "k", keys.size())),
                                        Record(Of("pawl_written", "k", keys.size())));
  const std::string rows = fmt::format(
      "CASE WHEN {} THEN pawl_written.n ELSE ('{} ' || pawl_packed.n || ' ' || pawl_written.n)::bigint END",
      agree, kDisagree);
  sql += LedgerInsert(slice, facts, rows, "pawl_written.digest",
                      "pawl_batch, pawl_packed, pawl_written", binder);
  return {sql, binder.Take()};
}

// How an UPDATE keeps the old values. With FROM the packed form stays, whatever the server: only
// its count shows that a row was joined more than once.
enum class ImageForm { kNulls, kReturned, kJoined, kPacked };

ImageForm ImageFormOf(const Backfill& backfill, int server_version) {
  if (!backfill.from_clause.empty()) return ImageForm::kPacked;
  if (backfill.old_is_null) return ImageForm::kNulls;
  if (server_version >= 180000) return ImageForm::kReturned;
  return backfill.stands_alone ? ImageForm::kJoined : ImageForm::kPacked;
}

Rendered UpdateKeepingImages(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                             int server_version) {
  switch (ImageFormOf(backfill, server_version)) {
    case ImageForm::kNulls:
      return UpdateOfNulls(backfill, slice, facts, server_version);
    case ImageForm::kReturned:
      return UpdateReturningOld(backfill, slice, facts, server_version);
    case ImageForm::kJoined:
      return UpdateJoiningOld(backfill, slice, facts, server_version);
    case ImageForm::kPacked:
      break;
  }
  return UpdatePackingOld(backfill, slice, facts, server_version);
}

}  // namespace

bool NeedsRepeatableRead(const Backfill& backfill, int server_version) {
  if (backfill.kind != StatementKind::kUpdate || backfill.undo != UndoKind::kImage) return false;
  const ImageForm form = ImageFormOf(backfill, server_version);
  return form == ImageForm::kJoined || form == ImageForm::kPacked;
}

Rendered RenderUpdate(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                      int server_version) {
  return backfill.undo == UndoKind::kImage
             ? UpdateKeepingImages(backfill, slice, facts, server_version)
             : UpdateWithoutImages(backfill, slice, facts, server_version);
}

}  // namespace pawl::schema
