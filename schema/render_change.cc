// The batches of DELETE and INSERT … SELECT, and the choice between the three kinds of statements.
#include <fmt/format.h>

#include "db/quote.h"
#include "schema/render_parts.h"
#include "schema/render_slice.h"
#include "schema/render_update.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

Rendered RenderDelete(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                      int server_version) {
  Binder binder;
  const bool images = backfill.undo == UndoKind::kImage;
  const std::vector<Column>& columns =
      images || backfill.key.empty() ? backfill.target_columns : backfill.key;
  const Texts returning = Labelled(Qualified(backfill.alias, columns), "c");
  const Texts outputs = Numbered("c", columns.size());
  std::string sql = fmt::format(
      R"sql({},
pawl_removed AS (
DELETE FROM {}{}
 WHERE {}{}
 RETURNING {}
),
pawl_summary AS (SELECT count(*) AS n, {} AS digest FROM pawl_removed))sql",
      kBatchId, Walked(backfill), FromList(backfill, "USING"), InSlice(backfill, slice, binder),
      AndWhere(backfill.where_clause), Joined(returning),
      Digest(columns, outputs, !backfill.key.empty(), server_version));
  if (images) {
    sql += fmt::format(
        ",\npawl_undo AS (INSERT INTO {} (batch_id, {}) SELECT pawl_batch.id, {} FROM pawl_batch, pawl_removed)",
        UndoTable(facts.run, facts.step), Joined(outputs),
        Joined(Of("pawl_removed", "c", columns.size())));
  }
  sql += LedgerOfSummary(slice, facts, binder);
  return {sql, binder.Take()};
}

std::string InsertUndo(const Backfill& backfill, const LedgerFacts& facts) {
  const Texts names = Numbered("k", backfill.target_key.size());
  Texts packed;
  for (std::size_t i = 0; i < names.size(); ++i) {
    packed.push_back(fmt::format("array_agg({})", Packed(backfill.target_key[i], names[i])));
  }
  return fmt::format(
      "pawl_undo AS (INSERT INTO {} (batch_id, {}, h) SELECT pawl_batch.id, {}, array_agg(h) FROM pawl_batch, "
      "pawl_added GROUP BY pawl_batch.id)",
      UndoTable(facts.run, facts.step), Joined(names), Joined(packed));
}

Rendered RenderInsert(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts) {
  Binder binder;
  const std::string target = "pawl_target";
  const Texts returning = Appended({RowHash(target, backfill.target_columns) + " AS h"},
                                   Labelled(Qualified(target, backfill.target_key), "k"));
  std::string columns;
  if (!backfill.insert_columns.empty()) {
    Texts names;
    for (const std::string& name : backfill.insert_columns) names.push_back(QuoteName(name));
    columns = fmt::format(" ({})", Joined(names));
  }
  std::string sql = fmt::format(
      R"sql({},
pawl_added AS (
INSERT INTO {} AS {}{} {}
SELECT {}
  FROM {} {}
 WHERE {}{}
 RETURNING {}
),
pawl_summary AS (SELECT count(*) AS n, sum(h::numeric)::text AS digest FROM pawl_added))sql",
      kBatchId, Table(backfill.target), target, columns, backfill.overriding,
      Joined(backfill.select_items), Walked(backfill), backfill.source_joins,
      InSlice(backfill, slice, binder), AndWhere(backfill.where_clause), Joined(returning));
  if (backfill.undo == UndoKind::kImage) sql += ",\n" + InsertUndo(backfill, facts);
  sql += LedgerOfSummary(slice, facts, binder);
  return {sql, binder.Take()};
}

}  // namespace

Rendered RenderChange(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                      int server_version) {
  if (backfill.kind == StatementKind::kDelete) {
    return RenderDelete(backfill, slice, facts, server_version);
  }
  if (backfill.kind == StatementKind::kInsertSelect) return RenderInsert(backfill, slice, facts);
  return RenderUpdate(backfill, slice, facts, server_version);
}

Rendered RenderSkip(const Backfill&, const Slice& slice, const LedgerFacts& facts) {
  Binder binder;
  std::string sql(kBatchId);
  sql += LedgerInsert(slice, facts, "0", "NULL", "pawl_batch", binder);
  return {sql, binder.Take()};
}

}  // namespace pawl::schema
