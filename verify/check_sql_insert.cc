// INSERT … SELECT: the rows that the source gives against those that the target holds.
#include <algorithm>

#include <fmt/format.h>

#include "db/error.h"
#include "verify/check_sql.h"
#include "verify/check_texts.h"
#include "verify/row_version.h"

namespace pawl::verify {

using schema::Column;

std::string CheckSql::SourceFrom(const RowChunk& chunk) const {
  return fmt::format("{} {}\nWHERE {} AND {}", Walked(), backfill_.source_joins, InRange(chunk),
                     backfill_.where_clause.empty() ? "true" : Group(backfill_.where_clause));
}

const Column& CheckSql::InsertColumn(std::size_t index) const {
  if (backfill_.insert_columns.empty()) return backfill_.target_columns.at(index);
  const auto column = std::ranges::find(backfill_.target_columns,
                                        backfill_.insert_columns.at(index), &Column::name);
  PAWL_CHECK(column != backfill_.target_columns.end());
  return *column;
}

std::string CheckSql::SourceItems() const {
  Texts items;
  for (std::size_t i = 0; i < backfill_.select_items.size(); ++i) {
    items.push_back(Cast(Group(backfill_.select_items[i]), InsertColumn(i)));
  }
  return Joined(items);
}

std::string CheckSql::SourceKey() const { return fmt::format("ROW({})::text", SourceItems()); }

std::string CheckSql::TargetKey() const {
  Texts columns;
  for (std::size_t i = 0; i < backfill_.select_items.size(); ++i) {
    columns.push_back(Cast(In(kRow, InsertColumn(i)), InsertColumn(i)));
  }
  return fmt::format("ROW({})::text", Joined(columns));
}

std::string CheckSql::TargetJoin(const std::string& batch_ids, const std::string& join) const {
  Texts arrays, names;
  AppendArrays("k", backfill_.target_key.size(), arrays, names);
  return fmt::format(
      R"sql((SELECT l.xid::text::bigint AS xid, e.*
      FROM {} AS n JOIN pawl.ledger AS l USING (batch_id), unnest({}) AS e ({})
      WHERE n.batch_id = {}) AS {}
{} {} AS {} ON {})sql",
      undo_table(), Joined(arrays), Joined(names), Batches(batch_ids), kRecord, join,
      Table(backfill_.target), kRow, SameKey(backfill_.target_key));
}

std::string CheckSql::CopySource(const RowChunk& chunk) const {
  return fmt::format("COPY (SELECT {}\nFROM {}) TO STDOUT (FORMAT binary)", SourceKey(),
                     SourceFrom(chunk));
}

std::string CheckSql::CopyTarget(const std::string& batch_ids) const {
  return fmt::format("COPY (SELECT {}\nFROM {}) TO STDOUT (FORMAT binary)", TargetKey(),
                     TargetJoin(batch_ids, "JOIN"));
}

std::string CheckSql::SourceRows(const RowChunk& chunk, const std::string& keys) const {
  return fmt::format(
      R"sql(SELECT {key} AS key, CASE WHEN {quarantined} THEN 'quarantine'
  WHEN {xid} < {oldest} THEN 'outside' ELSE 'newer' END AS verdict, {name} AS name
FROM {from} AND {wanted})sql",
      fmt::arg("key", SourceKey()), fmt::arg("name", KeyText(alias_, backfill_.key)),
      fmt::arg("quarantined", Quarantined()), fmt::arg("xid", WholeXid(alias_)),
      fmt::arg("oldest", CoverCase(chunk, false)), fmt::arg("from", SourceFrom(chunk)),
      fmt::arg("wanted", keys.empty() ? "true" : fmt::format("{} = ANY ({})", SourceKey(), keys)));
}

std::string CheckSql::TargetRows(const std::string& batch_ids) const {
  return fmt::format(
      R"sql(SELECT CASE WHEN {row}.ctid IS NULL THEN '' ELSE {key} END AS key, CASE
  WHEN {row}.ctid IS NULL THEN 'gone'
  WHEN {short_xid} = {record}.xid % 4294967296 THEN 'verified'
  ELSE 'changed' END AS verdict, {name} AS name
FROM {join})sql",
      fmt::arg("row", kRow), fmt::arg("name", RecordKeyText(backfill_.target_key.size())),
      fmt::arg("key", TargetKey()), fmt::arg("short_xid", ShortXid(kRow)),
      fmt::arg("record", kRecord), fmt::arg("join", TargetJoin(batch_ids, "LEFT JOIN")));
}

}  // namespace pawl::verify
