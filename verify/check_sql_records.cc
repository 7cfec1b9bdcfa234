// The undo records of batches against the rows as they are now.
#include <algorithm>

#include <fmt/format.h>

#include "db/error.h"
#include "db/quote.h"
#include "verify/check_sql.h"
#include "verify/check_texts.h"
#include "verify/row_version.h"

namespace pawl::verify {

using db::QuoteName;
using schema::Column;

// The expressions over the row as it was. Generated columns are left out on purpose: one that
// depends on a changed column has its new value, and an expression that reads it must fail.
std::string CheckSql::Derived() const {
  Texts columns;
  for (const Column& column : backfill_.target_columns) {
    const auto changed = std::ranges::find_if(backfill_.changed, [&](const auto& candidate) {
      return candidate.column.name == column.name;
    });
    const auto number = changed - backfill_.changed.begin() + 1;
    const std::string value = changed == backfill_.changed.end()
                                  ? In(kRow, column)
                                  : fmt::format("({}.o{})::{}", kRecord, number, column.type);
    columns.push_back(fmt::format("{} AS {}", value, QuoteName(column.name)));
  }
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < backfill_.changed.size(); ++i) {
    const schema::ChangedColumn& changed = backfill_.changed[i];
    pairs.push_back({&changed.column, fmt::format("{}.w{}", kRecord, i + 1),
                     Group(changed.expression.value_or("NULL"))});
  }
  return fmt::format("(SELECT {} FROM (SELECT {}) AS {})", Equal(pairs), Joined(columns), alias_);
}

std::string CheckSql::UpdateRecords(const std::string& batch_ids, bool derive) const {
  Texts arrays, names;
  AppendArrays("k", backfill_.key.size(), arrays, names);
  AppendArrays("o", backfill_.changed.size(), arrays, names);
  AppendArrays("w", backfill_.changed.size(), arrays, names);
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < backfill_.changed.size(); ++i) {
    const Column& column = backfill_.changed[i].column;
    pairs.push_back({&column, In(kRow, column), fmt::format("{}.w{}", kRecord, i + 1)});
  }
  return fmt::format(
      R"sql(SELECT {key} AS key, CASE
  WHEN {row}.ctid IS NULL THEN 'gone'
  WHEN {short_xid} = {record}.xid % 4294967296 THEN CASE
    WHEN NOT {same} THEN 'wrong'
    WHEN NOT {derived} THEN 'disagrees'
    ELSE 'verified' END
  WHEN {same} THEN 'verified'
  WHEN {xid} > {record}.xid AND {of_run} THEN 'later'
  WHEN {xid} < {record}.oldest THEN 'wrong'
  ELSE 'changed' END AS verdict
FROM (SELECT l.xid::text::bigint AS xid, pg_snapshot_xmin(l.snapshot)::text::bigint AS oldest, e.*
      FROM {undo} AS n JOIN pawl.ledger AS l USING (batch_id), unnest({arrays}) AS e ({names})
      WHERE n.batch_id = {batches}) AS {record}
LEFT JOIN ONLY {target} AS {row} ON {same_key})sql",
      fmt::arg("key", RecordKeyText(backfill_.key.size())), fmt::arg("row", kRow),
      fmt::arg("short_xid", ShortXid(kRow)), fmt::arg("record", kRecord),
      fmt::arg("same", Equal(pairs)), fmt::arg("derived", derive ? Derived() : "true"),
      fmt::arg("xid", WholeXid(kRow)), fmt::arg("of_run", WrittenBy(kRow, run_, "true")),
      fmt::arg("undo", undo_table()), fmt::arg("arrays", Joined(arrays)),
      fmt::arg("names", Joined(names)), fmt::arg("batches", Batches(batch_ids)),
      fmt::arg("target", Table(backfill_.target)), fmt::arg("same_key", SameKey(backfill_.key)));
}

// A row that does not match WHERE any more was told apart at first sight. The statement's own names
// are looked up inside, where the record's columns do not come between.
std::string CheckSql::AlteredRecords(const std::string& batch_ids) const {
  Texts arrays, names;
  AppendArrays("k", backfill_.key.size(), arrays, names);
  return fmt::format(
      R"sql(SELECT {key} AS key, CASE
  WHEN {row}.ctid IS NULL THEN 'gone'
  WHEN {short_xid} = {record}.xid % 4294967296 OR {xid} < {record}.xid THEN 'outside'
  WHEN {later} THEN 'outside'
  WHEN (SELECT CASE WHEN {matches} THEN NOT {equal} END FROM (SELECT {row}.*) AS {alias})
  THEN 'altered'
  ELSE 'outside' END AS verdict
FROM (SELECT l.xid::text::bigint AS xid, e.*
      FROM {undo} AS n JOIN pawl.ledger AS l USING (batch_id), unnest({arrays}) AS e ({names})
      WHERE n.batch_id = {batches}
        AND NOT EXISTS (SELECT FROM pawl.ledger AS r WHERE r.reverts = l.batch_id)) AS {record}
LEFT JOIN ONLY {target} AS {row} ON {same_key})sql",
      fmt::arg("key", RecordKeyText(backfill_.key.size())), fmt::arg("row", kRow),
      fmt::arg("short_xid", ShortXid(kRow)), fmt::arg("xid", WholeXid(kRow)),
      fmt::arg("record", kRecord),
      fmt::arg("later", WrittenBy(kRow, run_, fmt::format("l.step > {}", step_))),
      fmt::arg("equal", EqualToExpressions()), fmt::arg("matches", MatchesWhere()),
      fmt::arg("alias", alias_), fmt::arg("undo", undo_table()), fmt::arg("arrays", Joined(arrays)),
      fmt::arg("names", Joined(names)), fmt::arg("batches", Batches(batch_ids)),
      fmt::arg("target", Table(backfill_.target)), fmt::arg("same_key", SameKey(backfill_.key)));
}

std::string CheckSql::DeleteRecords(const std::string& batch_ids) const {
  // Without a key nothing can come back under it.
  Texts values, tests;
  for (const Column& column : backfill_.key) {
    const auto found = std::ranges::find(backfill_.target_columns, column.name, &Column::name);
    PAWL_CHECK(found != backfill_.target_columns.end());
    const auto number = found - backfill_.target_columns.begin() + 1;
    values.push_back(fmt::format("n.c{} AS k{}", number, values.size() + 1));
  }
  const std::string same_key = backfill_.key.empty() ? "false" : SameKey(backfill_.key);
  const std::string key = backfill_.key.empty() ? "''" : RecordKeyText(backfill_.key.size());
  return fmt::format(
      R"sql(SELECT {key} AS key, CASE
  WHEN {row}.ctid IS NULL THEN 'verified'
  WHEN {xid} < {record}.oldest THEN 'wrong'
  ELSE 'again' END AS verdict
FROM (SELECT pg_snapshot_xmin(l.snapshot)::text::bigint AS oldest{values}
      FROM {undo} AS n JOIN pawl.ledger AS l USING (batch_id)
      WHERE n.batch_id = {batches}) AS {record}
LEFT JOIN ONLY {target} AS {row} ON {same_key})sql",
      fmt::arg("key", key), fmt::arg("row", kRow), fmt::arg("xid", WholeXid(kRow)),
      fmt::arg("record", kRecord), fmt::arg("values", values.empty() ? "" : ", " + Joined(values)),
      fmt::arg("undo", undo_table()), fmt::arg("batches", Batches(batch_ids)),
      fmt::arg("target", Table(backfill_.target)), fmt::arg("same_key", same_key));
}

std::string CheckSql::RecordCounts(const std::string& batch_ids) const {
  // An array that is shorter than the others would be filled up with NULL by unnest.
  Texts sizes;
  const auto append = [&](const char* prefix, std::size_t count) {
    for (std::size_t i = 1; i <= count; ++i) {
      sizes.push_back(fmt::format("coalesce(cardinality(n.{}{}), 0)", prefix, i));
    }
  };
  if (backfill_.kind == schema::StatementKind::kUpdate) {
    append("k", backfill_.key.size());
    append("o", backfill_.changed.size());
    append("w", backfill_.changed.size());
  } else if (backfill_.kind == schema::StatementKind::kInsertSelect) {
    append("k", backfill_.target_key.size());
    sizes.push_back("coalesce(cardinality(n.h), 0)");
  }
  const std::string records =
      sizes.empty() ? fmt::format(
                          "(SELECT count(*) AS least, count(*) AS most FROM {} AS n WHERE "
                          "n.batch_id = l.batch_id)",
                          undo_table())
                    : fmt::format(
                          "(SELECT coalesce(sum(least({0})), 0) AS least, "
                          "coalesce(sum(greatest({0})), 0) AS most FROM {1} AS n WHERE n.batch_id "
                          "= l.batch_id)",
                          Joined(sizes), undo_table());
  return fmt::format(
      R"sql(SELECT l.batch_id, l.rows, CASE WHEN r.least = l.rows THEN r.most ELSE r.least END
FROM pawl.ledger AS l CROSS JOIN LATERAL {} AS r
WHERE l.batch_id = {} AND (r.least <> l.rows OR r.most <> l.rows)
ORDER BY l.batch_id)sql",
      records, Batches(batch_ids));
}

}  // namespace pawl::verify
