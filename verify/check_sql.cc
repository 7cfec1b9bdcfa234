#include "verify/check_sql.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "db/error.h"
#include "db/quote.h"
#include "schema/position.h"

namespace pawl::verify {
namespace {

using db::QuoteLiteral;
using db::QuoteName;
using schema::Column;
using Texts = std::vector<std::string>;

// Names that no statement of a user has, because its unqualified names are looked up beside ours.
constexpr const char* kRecord = "\"pawl record\"";
constexpr const char* kRow = "\"pawl row\"";

std::string Joined(const Texts& texts, std::string_view separator = ", ") {
  return fmt::format("{}", fmt::join(texts, separator));
}

// Text of a user's in parentheses. It may end in a comment.
std::string Group(const std::string& text) { return "(" + text + "\n)"; }

std::string Table(const schema::TableName& table) { return QuoteName(table.schema, table.name); }

std::string In(const std::string& quoted_table, const Column& column) {
  return quoted_table + "." + QuoteName(column.name);
}

std::string Cast(const std::string& expression, const Column& column) {
  return fmt::format("({})::{}", expression, column.type);
}

// "17" or "(a, 2021-01-01)".
std::string KeyText(const std::string& quoted_table, const std::vector<Column>& key) {
  if (key.empty()) return quoted_table + ".ctid::text";
  if (key.size() == 1) return In(quoted_table, key[0]) + "::text";
  Texts marks(key.size(), "%s");
  Texts values;
  for (const Column& column : key) values.push_back(In(quoted_table, column));
  return fmt::format("format('({})', {})", Joined(marks), Joined(values));
}

// The key, or the place in block order, as something that compares with a bound.
bool IsBlockOrder(const schema::Backfill& backfill) {
  return backfill.order == schema::Order::kBlock || backfill.order == schema::Order::kBlockStrides;
}

std::string Place(const schema::Backfill& backfill, const std::string& quoted_table) {
  if (IsBlockOrder(backfill)) return quoted_table + ".ctid";
  Texts values;
  for (const Column& column : backfill.key) values.push_back(In(quoted_table, column));
  return values.size() == 1 ? values[0] : "(" + Joined(values) + ")";
}

std::string Bound(const schema::Backfill& backfill, const std::string& text) {
  const schema::Position position = schema::PositionFrom(text);
  if (IsBlockOrder(backfill)) return QuoteLiteral(position.at(0)) + "::tid";
  Texts values;
  for (std::size_t i = 0; i < backfill.key.size(); ++i) {
    values.push_back(QuoteLiteral(position.at(i)) + "::" + backfill.key[i].type);
  }
  return values.size() == 1 ? values[0] : "(" + Joined(values) + ")";
}

// Types whose IS NOT DISTINCT FROM is as strict as comparing bytes, and faster. Text is so under
// collation C. Not float (0 and -0), numeric (1.0 and 1.00), interval, bpchar.
bool IsExact(std::string type) {
  if (const std::size_t modifier = type.find('('); modifier != std::string::npos) {
    // "timestamp(3) without time zone"
    const std::size_t end = type.find(')', modifier);
    if (end != std::string::npos) type.erase(modifier, end - modifier + 1);
  }
  constexpr std::array kTypes = {
      "smallint", "integer", "bigint", "boolean", "oid", "uuid", "date", "bytea",
      "timestamp without time zone", "timestamp with time zone", "text", "character varying"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

std::string Collated(const Column& column, const std::string& expression) {
  const bool is_text = column.type == "text" || column.type.starts_with("character varying");
  return is_text && IsExact(column.type) ? expression + " COLLATE \"C\"" : expression;
}

struct Pair {
  const Column* column;
  std::string left;
  std::string right;
};

// Byte-exact equality in which NULL equals NULL; never NULL.
std::string Equal(const std::vector<Pair>& pairs) {
  Texts tests, left, right;
  for (const Pair& pair : pairs) {
    const std::string left_value = Cast(pair.left, *pair.column);
    const std::string right_value = Cast(pair.right, *pair.column);
    if (IsExact(pair.column->type)) {
      tests.push_back(fmt::format("{} IS NOT DISTINCT FROM {}", Collated(*pair.column, left_value),
                                  Collated(*pair.column, right_value)));
    } else {
      left.push_back(left_value);
      right.push_back(right_value);
    }
  }
  // Without the casts it would be a comparison of the rows' elements, with their types' *=.
  if (!left.empty()) {
    tests.push_back(
        fmt::format("ROW({})::record *= ROW({})::record", Joined(left), Joined(right)));
  }
  return "(" + Joined(tests, " AND ") + ")";
}

// xmin as a number of 32 bits, and whole.
std::string ShortXid(const std::string& quoted_table) { return quoted_table + ".xmin::text::bigint"; }

// Below 3 are the xids of rows that were always there. One subtraction: the distance to the next
// xid, modulo 2^32. A cast to xid8 would not go through bigint, hence the texts.
std::string WholeXid(const std::string& quoted_table) {
  // A sub-select, so that it is asked once a statement and not once a row.
  constexpr const char* kNext = "(SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint)";
  const std::string xid = ShortXid(quoted_table);
  return fmt::format(
      "(CASE WHEN {0} < 3 THEN 0 ELSE {1} - ((({1} - {0}) % 4294967296 + 4294967296) % 4294967296) "
      "END)",
      xid, kNext);
}

std::string IsVisible(const std::string& quoted_table, const std::string& snapshot) {
  const std::string xid = WholeXid(quoted_table);
  return fmt::format("({0} < 3 OR pg_visible_in_snapshot(({0})::text::xid8, {1}))", xid, snapshot);
}

std::string OldestUnderWay(const std::string& snapshot) {
  return snapshot.substr(0, snapshot.find(':'));
}

// Whether a batch wrote the row version, by 32 bits. `condition` picks the batches.
std::string WrittenBy(const std::string& quoted_table, std::int64_t run,
                      const std::string& condition) {
  return fmt::format(
      "{} IN (SELECT l.xid::text::bigint % 4294967296 FROM pawl.ledger AS l WHERE l.run_id = {} AND "
      "{})",
      ShortXid(quoted_table), run, condition);
}

std::string Batches(const std::string& batch_ids) {
  return fmt::format("ANY ('{{{}}}'::bigint[])", batch_ids);
}

// Arrays of an undo record, one per column: k1, k2, …
void AppendArrays(const char* prefix, std::size_t count, Texts& qualified, Texts& names) {
  for (std::size_t i = 1; i <= count; ++i) {
    names.push_back(fmt::format("{}{}", prefix, i));
    qualified.push_back(fmt::format("n.{}{}", prefix, i));
  }
}

std::string SameKey(const std::vector<Column>& key) {
  Texts tests;
  for (std::size_t i = 0; i < key.size(); ++i) {
    tests.push_back(fmt::format("{} = ({}.k{})::{}", In(kRow, key[i]), kRecord, i + 1, key[i].type));
  }
  return Joined(tests, " AND ");
}

std::string RecordKeyText(std::size_t count) {
  if (count == 1) return fmt::format("{}.k1::text", kRecord);
  Texts marks(count, "%s"), values;
  for (std::size_t i = 1; i <= count; ++i) values.push_back(fmt::format("{}.k{}", kRecord, i));
  return fmt::format("format('({})', {})", Joined(marks), Joined(values));
}

}  // namespace

CheckSql::CheckSql(const schema::Backfill& backfill, std::int64_t run, int step)
    : backfill_(backfill), run_(run), step_(step), alias_(QuoteName(backfill.alias)) {}

std::string CheckSql::undo_table() const { return fmt::format("pawl.undo_{}_{}", run_, step_); }

std::string CheckSql::Walked() const {
  return fmt::format("ONLY {} AS {}", Table(backfill_.walked), alias_);
}

std::string CheckSql::InRange(const RowChunk& chunk) const {
  Texts tests;
  const std::string place = Place(backfill_, alias_);
  if (chunk.lo) tests.push_back(place + " > " + Bound(backfill_, *chunk.lo));
  if (chunk.hi) tests.push_back(place + " <= " + Bound(backfill_, *chunk.hi));
  return tests.empty() ? "true" : Joined(tests, " AND ");
}

// A changed row may no longer match a conjunct that mentions a changed column: then all rows are
// looked at, and those that never were in scope sorted out afterwards.
std::string CheckSql::BaseScope() const {
  const auto is_mentioned = [&](const schema::ChangedColumn& changed) {
    return backfill_.base_where.find(changed.column.name) != std::string::npos;
  };
  if (backfill_.base_where.empty() || std::ranges::any_of(backfill_.changed, is_mentioned)) {
    return "true";
  }
  return Group(backfill_.base_where);
}

std::string CheckSql::MatchesWhere() const {
  const std::string where = backfill_.where_clause.empty() ? "true" : Group(backfill_.where_clause);
  if (backfill_.from_clause.empty()) return "(" + where + " IS TRUE)";
  return fmt::format("EXISTS (SELECT FROM {}\n WHERE {})", backfill_.from_clause, where);
}

std::string CheckSql::EqualToExpressions() const {
  std::vector<Pair> pairs;
  for (const schema::ChangedColumn& changed : backfill_.changed) {
    PAWL_CHECK(changed.expression);
    pairs.push_back({&changed.column, In(alias_, changed.column), Group(*changed.expression)});
  }
  return Equal(pairs);
}

std::string CheckSql::CoverCase(const RowChunk& chunk, bool whole_snapshot) const {
  const auto value = [&](const std::string& snapshot) {
    return whole_snapshot ? QuoteLiteral(snapshot) + "::pg_snapshot" : OldestUnderWay(snapshot);
  };
  // Neighbours that agree share a branch.
  std::string branches;
  for (std::size_t i = 0; i < chunk.covers.size(); ++i) {
    const bool last = i + 1 == chunk.covers.size();
    if (!last && value(chunk.covers[i].snapshot) == value(chunk.covers[i + 1].snapshot)) continue;
    branches += fmt::format(" WHEN {} <= {} THEN {}", Place(backfill_, alias_),
                            Bound(backfill_, chunk.covers[i].hi), value(chunk.covers[i].snapshot));
  }
  if (branches.empty()) return value(chunk.rest_snapshot);
  return fmt::format("(CASE{} ELSE {} END)", branches, value(chunk.rest_snapshot));
}

std::string CheckSql::Quarantined() const {
  if (backfill_.key.empty()) return "false";
  Texts values;
  for (const Column& column : backfill_.key) values.push_back(In(alias_, column) + "::text");
  return fmt::format(
      "jsonb_build_array({}) IN (SELECT q.key::jsonb FROM pawl.quarantine AS q WHERE q.run_id = {} "
      "AND q.step = {})",
      Joined(values), run_, step_);
}

std::string CheckSql::CountEqual(const RowChunk& chunk) const {
  return fmt::format(
      R"sql(SELECT count(*), count(*) FILTER (WHERE {})
FROM {}
WHERE {} AND {})sql",
      EqualToExpressions(), Walked(), InRange(chunk), BaseScope());
}

std::string CheckSql::UnequalRows(const RowChunk& chunk) const {
  const std::string oldest = CoverCase(chunk, false);
  const std::string this_step = fmt::format("l.step = {}", step_);
  const std::string later_step = fmt::format("l.step > {}", step_);
  return fmt::format(
      R"sql(SELECT {key} AS key, CASE
  WHEN {xid} < {oldest} AND NOT {matches} THEN 'outside'
  WHEN {ours} THEN 'wrong'
  WHEN {later} THEN 'later'
  WHEN {matches} THEN CASE
    WHEN {quarantined} THEN 'quarantine'
    WHEN {xid} < {oldest} THEN 'missed'
    ELSE 'newer' END
  WHEN {visible} THEN 'outside'
  ELSE 'changed' END AS verdict
FROM {walked}
WHERE {range} AND {scope} AND NOT {equal})sql",
      fmt::arg("key", KeyText(alias_, backfill_.key)), fmt::arg("xid", WholeXid(alias_)),
      fmt::arg("oldest", oldest), fmt::arg("matches", MatchesWhere()),
      fmt::arg("ours", WrittenBy(alias_, run_, this_step)),
      fmt::arg("later", WrittenBy(alias_, run_, later_step)),
      fmt::arg("quarantined", Quarantined()),
      fmt::arg("visible", IsVisible(alias_, CoverCase(chunk, true))), fmt::arg("walked", Walked()),
      fmt::arg("range", InRange(chunk)), fmt::arg("scope", BaseScope()),
      fmt::arg("equal", EqualToExpressions()));
}

// Matching rows that this step wrote are as they should be: an expression gave NULL, or the WHERE
// clause does not look at what was changed. Their batch sees none of them: only where blocks are
// walked in rounds are they older than the snapshot they are measured by.
std::string CheckSql::RowsLeft(const RowChunk& chunk, bool with_newer) const {
  const std::string xid = WholeXid(alias_);
  const std::string oldest = CoverCase(chunk, false);
  return fmt::format(
      R"sql(SELECT {key} AS key, CASE
  WHEN {ours} THEN 'outside'
  WHEN {quarantined} THEN 'quarantine'
  WHEN {xid} < {oldest} THEN 'missed'
  ELSE 'newer' END AS verdict
FROM {walked}
WHERE {range} AND {old_enough} AND {matches})sql",
      fmt::arg("key", KeyText(alias_, backfill_.key)), fmt::arg("quarantined", Quarantined()),
      fmt::arg("ours", WrittenBy(alias_, run_, fmt::format("l.step = {}", step_))),
      fmt::arg("xid", xid), fmt::arg("oldest", oldest), fmt::arg("walked", Walked()),
      fmt::arg("range", InRange(chunk)),
      fmt::arg("old_enough", with_newer ? "true" : fmt::format("{} < {}", xid, oldest)),
      fmt::arg("matches", MatchesWhere()));
}

std::string CheckSql::RowsWritten(const RowChunk& chunk) const {
  return fmt::format("SELECT {} AS key, 'verified' AS verdict\nFROM {}\nWHERE {} AND {}",
                     KeyText(alias_, backfill_.key), Walked(), InRange(chunk),
                     WrittenBy(alias_, run_, fmt::format("l.step >= {}", step_)));
}

// The expressions over the row as it was. Generated columns are left out on purpose: one that
// depends on a changed column has its new value, and an expression that reads it must fail.
std::string CheckSql::Derived() const {
  Texts columns;
  for (const Column& column : backfill_.target_columns) {
    const auto changed = std::ranges::find_if(backfill_.changed, [&](const auto& candidate) {
      return candidate.column.name == column.name;
    });
    const auto number = changed - backfill_.changed.begin() + 1;
    const std::string value =
        changed == backfill_.changed.end()
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
      sizes.empty() ? fmt::format("(SELECT count(*) AS least, count(*) AS most FROM {} AS n WHERE "
                                  "n.batch_id = l.batch_id)", undo_table())
                    : fmt::format("(SELECT coalesce(sum(least({0})), 0) AS least, "
                                  "coalesce(sum(greatest({0})), 0) AS most FROM {1} AS n WHERE "
                                  "n.batch_id = l.batch_id)", Joined(sizes), undo_table());
  return fmt::format(
      R"sql(SELECT l.batch_id, l.rows, CASE WHEN r.least = l.rows THEN r.most ELSE r.least END
FROM pawl.ledger AS l CROSS JOIN LATERAL {} AS r
WHERE l.batch_id = {} AND (r.least <> l.rows OR r.most <> l.rows)
ORDER BY l.batch_id)sql",
      records, Batches(batch_ids));
}

// ---- INSERT … SELECT ----

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
{} ONLY {} AS {} ON {})sql",
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
  WHEN {xid} < {oldest} THEN 'outside' ELSE 'newer' END AS verdict
FROM {from} AND {wanted})sql",
      fmt::arg("key", SourceKey()), fmt::arg("quarantined", Quarantined()),
      fmt::arg("xid", WholeXid(alias_)), fmt::arg("oldest", CoverCase(chunk, false)),
      fmt::arg("from", SourceFrom(chunk)),
      fmt::arg("wanted", keys.empty() ? "true" : fmt::format("{} = ANY ({})", SourceKey(), keys)));
}

std::string CheckSql::TargetRows(const std::string& batch_ids) const {
  return fmt::format(
      R"sql(SELECT CASE WHEN {row}.ctid IS NULL THEN '' ELSE {key} END AS key, CASE
  WHEN {row}.ctid IS NULL THEN 'gone'
  WHEN {short_xid} = {record}.xid % 4294967296 THEN 'verified'
  ELSE 'changed' END AS verdict
FROM {join})sql",
      fmt::arg("row", kRow), fmt::arg("key", TargetKey()), fmt::arg("short_xid", ShortXid(kRow)),
      fmt::arg("record", kRecord), fmt::arg("join", TargetJoin(batch_ids, "LEFT JOIN")));
}

// ---- Verdicts ----

std::string CheckSql::CountOf(const std::string& verdicts) {
  return fmt::format("SELECT verdict, count(*)\nFROM (\n{}\n) AS verdicts\nGROUP BY verdict",
                     verdicts);
}

std::string CheckSql::ListOf(const std::string& verdicts, const std::string& names,
                             std::int64_t rows_max) {
  return fmt::format(
      "SELECT key, verdict\nFROM (\n{}\n) AS verdicts\nWHERE verdict IN ({})\nLIMIT {}", verdicts,
      names, rows_max);
}

std::string CheckSql::StatementText() const {
  return fmt::format("UPDATE {} AS {} SET {}\n", Table(backfill_.target), alias_,
                     backfill_.set_clause);
}

}  // namespace pawl::verify
