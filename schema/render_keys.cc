// Where batches may begin and end: questions about keys, which read no other column.
#include <fmt/format.h>

#include "db/error.h"
#include "db/quote.h"
#include "schema/render_parts.h"
#include "schema/render_slice.h"

namespace pawl::schema {

using db::QuoteLiteral;
using db::QuoteName;

Rendered RenderKeyAt(const Backfill& backfill, const Slice& slice, std::int64_t count) {
  PAWL_CHECK(count > 0);
  Binder binder;
  Texts outputs;
  // Qualified, or ORDER BY would mean the output columns: text, in text's order.
  const Texts columns = IsBlock(backfill) ? Texts{QuoteName(backfill.alias) + ".ctid"}
                                          : Qualified(backfill.alias, backfill.key);
  for (const std::string& column : columns) outputs.push_back(column + "::text");
  std::string sql = fmt::format("SELECT {} FROM {} WHERE {}", Joined(outputs), Walked(backfill),
                                InSlice(backfill, slice, binder));
  sql += fmt::format(" ORDER BY {} OFFSET {} LIMIT 1", Joined(columns), binder.Bind(count - 1));
  return {sql, binder.Take()};
}

std::string RenderLastKey(const Backfill& backfill) {
  Texts outputs;
  Texts descending;
  for (const std::string& column : Qualified(backfill.alias, backfill.key)) {
    outputs.push_back(column + "::text");
    descending.push_back(column + " DESC");
  }
  return fmt::format("SELECT {} FROM {} ORDER BY {} LIMIT 1", Joined(outputs), Walked(backfill),
                     Joined(descending));
}

Rendered RenderKeySample(const Backfill& backfill, const Range& range, double percent) {
  Binder binder;
  Texts outputs;
  const Texts columns = Qualified(backfill.alias, backfill.key);
  for (const std::string& column : columns) outputs.push_back(column + "::text");
  std::string sql = fmt::format(
      "SELECT {} FROM {} TABLESAMPLE SYSTEM ({}) WHERE {} ORDER BY {} LIMIT 20000", Joined(outputs),
      Walked(backfill), percent, InRange(backfill, range, binder), Joined(columns));
  return {sql, binder.Take()};
}

Rendered RenderRowKey(const Backfill& backfill, const Slice& slice) {
  Binder binder;
  Texts keys;
  for (const std::string& column : Qualified(backfill.alias, backfill.key)) {
    keys.push_back(column + "::text");
  }
  std::string from = Walked(backfill);
  if (!backfill.from_clause.empty()) from += ", " + backfill.from_clause;
  std::string sql =
      fmt::format("SELECT array_to_json(ARRAY[{}])::text FROM {} WHERE {}{} LIMIT 1", Joined(keys),
                  from, InSlice(backfill, slice, binder), AndWhere(backfill.where_clause));
  return {sql, binder.Take()};
}

std::string RenderRowsLeft(const Backfill& backfill, std::int64_t rows_max) {
  std::string from = Walked(backfill);
  if (!backfill.from_clause.empty()) from += ", " + backfill.from_clause;
  std::string condition = "true" + AndWhere(backfill.where_clause);
  // Behind CASE, because the expression may fail where the condition does not hold; and not where
  // rows were set aside, in which it does fail.
  if (backfill.kind == StatementKind::kUpdate && backfill.re_evaluable &&
      backfill.quarantine_max == 0) {
    Texts expected;
    for (const ChangedColumn& each : backfill.changed) {
      expected.push_back(fmt::format("(\n{}\n)::{}", *each.expression, each.column.type));
    }
    condition =
        fmt::format("CASE WHEN {} THEN NOT ({} *= {}) ELSE false END", condition,
                    Record(Qualified(backfill.alias, ChangedColumns(backfill))), Record(expected));
  }
  return fmt::format("SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT {}) AS pawl_left", from,
                     condition, rows_max);
}

std::string RenderBlockCount(const Backfill& backfill) {
  return fmt::format(
      "SELECT pg_relation_size({}::regclass) / current_setting('block_size')::bigint",
      QuoteLiteral(Table(backfill.walked)));
}

}  // namespace pawl::schema
