#include "schema/render.h"

#include <cstdlib>
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/error.h"
#include "db/quote.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;
using Texts = std::vector<std::string>;

std::string Joined(const Texts& texts, std::string_view separator = ", ") {
  return fmt::format("{}", fmt::join(texts, separator));
}

// A record whose image *= compares byte for byte, whatever its types (1.0 is not 1.00, NULL is NULL). Without
// the cast it would be a comparison element by element, with each type's own *=.
std::string Record(const Texts& values) { return fmt::format("ROW({})::record", Joined(values)); }

// Collects parameters while SQL is put together, so that numbers and values cannot drift apart.
class Binder {
 public:
  std::string Bind(db::Value value, std::string_view type) {
    parameters_.push_back(std::move(value));
    return fmt::format("${}::{}", parameters_.size(), type);
  }
  std::string Bind(std::int64_t value, std::string_view type = "bigint") {
    return Bind(db::Value(std::to_string(value)), type);
  }
  std::vector<db::Value> Take() { return std::move(parameters_); }

 private:
  std::vector<db::Value> parameters_;
};

bool IsBlock(const Backfill& backfill) {
  return backfill.order == Order::kBlock || backfill.order == Order::kBlockStrides;
}

Texts Numbered(std::string_view prefix, std::size_t count) {
  Texts names;
  for (std::size_t i = 1; i <= count; ++i) names.push_back(fmt::format("{}{}", prefix, i));
  return names;
}

Texts Names(const std::vector<Column>& columns) {
  Texts names;
  for (const Column& column : columns) names.push_back(QuoteName(column.name));
  return names;
}

Texts Qualified(std::string_view alias, const std::vector<Column>& columns) {
  Texts names;
  for (const Column& column : columns) {
    names.push_back(QuoteName(alias) + "." + QuoteName(column.name));
  }
  return names;
}

std::vector<Column> ChangedColumns(const Backfill& backfill) {
  std::vector<Column> columns;
  for (const ChangedColumn& changed : backfill.changed) columns.push_back(changed.column);
  return columns;
}

std::string Table(const TableName& name) { return QuoteName(name.schema, name.name); }

std::string Walked(const Backfill& backfill) {
  return fmt::format("ONLY {} AS {}", Table(backfill.walked), QuoteName(backfill.alias));
}

// A value of an array type cannot be an element of a packed array: it is packed as text.
std::string Packed(const Column& column, const std::string& expression) {
  return column.is_array ? expression + "::text" : expression;
}

std::string Unpacked(const Column& column, const std::string& expression) {
  return column.is_array ? fmt::format("{}::{}", expression, column.type) : expression;
}

std::string PackedType(const Column& column) {
  return column.is_array ? "text[]" : column.type + "[]";
}

// `key > lo` or `key <= hi`, as a row comparison where the key has several columns.
std::string Bound(const Backfill& backfill, const Position& position, std::string_view comparison,
                  Binder& binder) {
  if (IsBlock(backfill)) {
    return fmt::format("{}.ctid {} {}", QuoteName(backfill.alias), comparison,
                       binder.Bind(position.at(0), "tid"));
  }
  PAWL_CHECK(position.size() == backfill.key.size());
  Texts values;
  for (std::size_t i = 0; i < position.size(); ++i) {
    values.push_back(binder.Bind(position[i], backfill.key[i].type));
  }
  const Texts columns = Qualified(backfill.alias, backfill.key);
  if (columns.size() == 1) return fmt::format("{} {} {}", columns[0], comparison, values[0]);
  return fmt::format("({}) {} ({})", Joined(columns), comparison, Joined(values));
}

// The residue of a row's key: the same for as long as the key stays, wherever the row lies.
std::string Residue(const Backfill& backfill) {
  Texts parts;
  for (const Column& column : backfill.key) {
    const std::string name = QuoteName(backfill.alias) + "." + QuoteName(column.name);
    parts.push_back(column.is_integer ? name + "::bigint"
                                      : fmt::format("{}({})::bigint", column.hash_function, name));
  }
  return fmt::format("(({}) & {})", Joined(parts, " # "), backfill.stride - 1);
}

std::string InRange(const Backfill& backfill, const Range& range, Binder& binder) {
  const std::string upper = Bound(backfill, range.hi, "<=", binder);
  if (!range.lo) return upper;
  return Bound(backfill, *range.lo, ">", binder) + " AND " + upper;
}

// The keys of one residue class of (lo, hi], where they are few enough next to the rows they may find:
// sifting n classes n times out of the same pages costs more than n-th of the probes (docs/performance.md). Exact: every integer of the class in the range is listed.
std::string Probes(const Backfill& backfill, const Slice& slice, Binder& binder) {
  const bool fit = !IsBlock(backfill) && backfill.key.size() == 1 && backfill.key[0].is_integer &&
                   slice.range.lo && slice.residue_hi == slice.residue_lo + 1 &&
                   slice.rows_expected > 0;
  if (!fit) return {};
  // Unsigned, so that keys near either end of bigint cannot overflow.
  const auto above = static_cast<std::uint64_t>(
      std::strtoll(slice.range.lo->at(0).c_str(), nullptr, 10) + 1);
  const auto hi = static_cast<std::uint64_t>(
      std::strtoll(slice.range.hi.at(0).c_str(), nullptr, 10));
  const auto stride = static_cast<std::uint64_t>(backfill.stride);
  const std::uint64_t keys = hi - above;  // lo < hi, so above <= hi.
  if (keys / stride > 2 * static_cast<std::uint64_t>(slice.rows_expected)) return {};
  // The first key above lo with the residue; & sees negative numbers in two's complement, as PostgreSQL.
  const std::uint64_t skipped = (static_cast<std::uint64_t>(slice.residue_lo) - above) & (stride - 1);
  if (skipped > keys) return {};
  const Column& key = backfill.key[0];
  return fmt::format("{}.{} = ANY (ARRAY(SELECT generate_series({}, {}, {})::{}))",
                     QuoteName(backfill.alias), QuoteName(key.name),
                     binder.Bind(static_cast<std::int64_t>(above + skipped)),
                     binder.Bind(static_cast<std::int64_t>(hi)), binder.Bind(backfill.stride),
                     key.type);
}

std::string InSlice(const Backfill& backfill, const Slice& slice, Binder& binder) {
  if (std::string probes = Probes(backfill, slice, binder); !probes.empty()) return probes;
  std::string sql = InRange(backfill, slice.range, binder);
  if (slice.residue_lo == 0 && slice.residue_hi >= backfill.stride) return sql;
  const std::string residue = Residue(backfill);
  if (slice.residue_hi == slice.residue_lo + 1) {
    return sql + fmt::format("\n   AND {} = {}", residue, binder.Bind(slice.residue_lo));
  }
  return sql + fmt::format("\n   AND {} >= {} AND {} < {}", residue, binder.Bind(slice.residue_lo),
                           residue, binder.Bind(slice.residue_hi));
}

// The user's condition on its own lines, so that a trailing "--" comment in it ends before ours.
std::string AndWhere(const std::string& where) {
  return where.empty() ? std::string() : fmt::format("\n   AND (\n{}\n   )", where);
}

std::string FromList(const Backfill& backfill, std::string_view keyword) {
  return backfill.from_clause.empty() ? std::string()
                                      : fmt::format("\n  {} {}", keyword, backfill.from_clause);
}

// One number for the rows of a batch: xor of hashes, since keys within make rows distinct. It is a
// server-side hash, stable within a major version (docs/decisions/0003). Rows without a key may repeat,
// and equal pairs would cancel: they are summed.
std::string Digest(const std::vector<Column>& columns, const Texts& values, bool distinct,
                   int server_version) {
  bool hashable = server_version >= 140000;
  for (const Column& column : columns) hashable = hashable && column.has_hash;
  const std::string row = fmt::format("ROW({})", Joined(values));
  const std::string hash = hashable ? fmt::format("hash_record_extended({}, 0)", row)
                                    : fmt::format("hashtextextended({}::text, 0)", row);
  if (distinct && server_version >= 140000) return fmt::format("bit_xor({})::text", hash);
  return fmt::format("sum({}::numeric)::text", hash);
}

std::string LedgerInsert(const Slice& slice, const LedgerFacts& facts, std::string_view kind,
                         const std::string& rows, const std::string& digest,
                         const std::string& from, Binder& binder, db::Value reverts = {}) {
  const db::Value lo = slice.range.lo ? db::Value(ToText(*slice.range.lo)) : db::Value();
  return fmt::format(
      R"sql(INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT batch.id, {}, {}, {}, {}, {}, '{}', {}, {}, {}, {}, {}, {}, {}, {},
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM {}
RETURNING batch_id, rows, duration_us)sql",
      binder.Bind(facts.run), binder.Bind(facts.step, "integer"),
      binder.Bind(facts.round, "integer"), binder.Bind(facts.span), binder.Bind(facts.seq), kind,
      binder.Bind(lo, "text"), binder.Bind(ToText(slice.range.hi), "text"),
      binder.Bind(slice.residue_lo, "integer"), binder.Bind(slice.residue_hi, "integer"), rows, digest,
      binder.Bind(facts.worker), binder.Bind(std::move(reverts), "bigint"), from);
}

constexpr std::string_view kBatchId =
    "WITH batch AS MATERIALIZED (SELECT nextval('pawl.batch_id') AS id)";

// `k1, k2` of the walked key and `w1, w2` of the written values, out of RETURNING.
std::string Returning(const Backfill& backfill, std::string_view written_alias,
                      std::string_view written_prefix) {
  Texts items;
  const Texts keys = Qualified(backfill.alias, backfill.key);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    items.push_back(fmt::format("{} AS k{}", keys[i], i + 1));
  }
  const Texts values = Qualified(written_alias, ChangedColumns(backfill));
  for (std::size_t i = 0; i < values.size(); ++i) {
    items.push_back(fmt::format("{} AS {}{}", values[i], written_prefix, i + 1));
  }
  return Joined(items);
}

std::string UpdateDigest(const Backfill& backfill, int server_version) {
  std::vector<Column> columns = backfill.key;
  for (const Column& column : ChangedColumns(backfill)) columns.push_back(column);
  Texts values = Numbered("k", backfill.key.size());
  for (const std::string& name : Numbered("w", backfill.changed.size())) values.push_back(name);
  return Digest(columns, values, !backfill.key.empty(), server_version);
}

std::string UpdateText(const Backfill& backfill, const Slice& slice, const std::string& returning,
                       Binder& binder) {
  return fmt::format("UPDATE {} SET {}{}\n WHERE {}{}\n RETURNING {}", Walked(backfill),
                     backfill.set_clause, FromList(backfill, "FROM"),
                     InSlice(backfill, slice, binder), AndWhere(backfill.where_clause), returning);
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
  const std::string update =
      UpdateText(backfill, slice, Returning(backfill, backfill.alias, "w"), binder);
  std::string sql = fmt::format(
      "{},\nchanged AS (\n{}\n),\nsummary AS (SELECT count(*) AS n, {} AS digest FROM changed)\n",
      kBatchId, update, UpdateDigest(backfill, server_version));
  sql += LedgerInsert(slice, facts, "change", "summary.n", "summary.digest", "batch, summary", binder);
  return {sql, binder.Take()};
}

std::string UndoInsert(const Backfill& backfill, const LedgerFacts& facts, const std::string& keys,
                       const std::string& olds, const std::string& writtens,
                       const std::string& from) {
  Texts columns = {"batch_id"};
  for (const auto& [prefix, count] : {std::pair{"k", backfill.key.size()},
                                      std::pair{"o", backfill.changed.size()},
                                      std::pair{"w", backfill.changed.size()}}) {
    for (const std::string& name : Numbered(prefix, count)) columns.push_back(name);
  }
  return fmt::format("undo AS (INSERT INTO {} ({}) SELECT batch.id, {}, {}, {} FROM {})",
                     UndoTable(facts.run, facts.step), Joined(columns), keys, olds, writtens, from);
}

Texts Of(std::string_view table, std::string_view prefix, std::size_t count) {
  Texts names;
  for (const std::string& name : Numbered(prefix, count)) {
    names.push_back(fmt::format("{}.{}", table, name));
  }
  return names;
}

// `update` returns k1.., w1.. and what `olds` makes o1.. of. One row of undo holds the batch: its keys, what they
// had, what they got.
Rendered UpdateKeepingOld(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                          const std::string& update, const std::string& olds, int server_version,
                          Binder& binder) {
  std::string sql = fmt::format(
      "{},\nchanged AS (\n{}\n),\nsummary AS (SELECT count(*) AS n, {} AS digest, {}, {}, {} FROM "
      "changed),\n",
      kBatchId, update, UpdateDigest(backfill, server_version), Aggregated(backfill.key, "k"), olds,
      Aggregated(ChangedColumns(backfill), "w"));
#ifndef PAWL_MUTANT_undo_insert
  sql += UndoInsert(backfill, facts, Joined(Of("summary", "k", backfill.key.size())),
                    Joined(Of("summary", "o", backfill.changed.size())),
                    Joined(Of("summary", "w", backfill.changed.size())),
                    "batch, summary WHERE summary.n > 0");
#else
  sql += "undo AS (SELECT 1)";
#endif
  sql += "\n" + LedgerInsert(slice, facts, "change", "summary.n", "summary.digest",
                             "batch, summary", binder);
  return {sql, binder.Take()};
}

// PostgreSQL 18 returns old and new values from the UPDATE itself: one scan, aligned by construction.
Rendered UpdateReturningOld(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                            int server_version) {
  Binder binder;
  const std::vector<Column> changed = ChangedColumns(backfill);
  Texts returning = {"WITH (OLD AS pawl_old, NEW AS pawl_new) " +
                     Returning(backfill, "pawl_new", "w")};
  const Texts olds = Qualified("pawl_old", changed);
  for (std::size_t i = 0; i < olds.size(); ++i) {
    returning.push_back(fmt::format("{} AS o{}", olds[i], i + 1));
  }
  return UpdateKeepingOld(backfill, slice, facts, UpdateText(backfill, slice, Joined(returning), binder),
                          Aggregated(changed, "o"), server_version, binder);
}

// Where the change is wanted only in rows that held NULL, the old values need not be read: the UPDATE itself
// tests them, on the version that it changes.
Rendered UpdateOfNulls(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                       int server_version) {
  Binder binder;
  const std::vector<Column> changed = ChangedColumns(backfill);
  Texts olds;
  for (std::size_t i = 0; i < changed.size(); ++i) {
    const std::string type = changed[i].is_array ? "text" : changed[i].type;
    olds.push_back(fmt::format("array_fill(NULL::{}, ARRAY[count(*)::integer]) AS o{}", type, i + 1));
  }
  const std::string update =
      UpdateText(backfill, slice, Returning(backfill, backfill.alias, "w"), binder);
  return UpdateKeepingOld(backfill, slice, facts, update, Joined(olds), server_version, binder);
}

// Before 18: the UPDATE joins the table with itself by ctid, and returns the old values from the other side.
// REPEATABLE READ makes both sides one snapshot: a row that somebody changed since then is no longer
// at its ctid, and the UPDATE fails with 40001 instead of passing it over. Old and new values are aligned by
// construction. Sessions of such a step plan nested loops only: a hash join would read all of the table.
Rendered UpdateJoiningOld(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                          int server_version) {
  Binder binder;
  const std::vector<Column> changed = ChangedColumns(backfill);
  const std::string ctid = QuoteName(backfill.alias) + ".ctid";
  Texts read = {ctid + " AS pawl_ctid"};
  Texts returned = {Returning(backfill, backfill.alias, "w")};
  const Texts olds = Qualified(backfill.alias, changed);
  for (std::size_t i = 0; i < olds.size(); ++i) {
    read.push_back(fmt::format("{} AS pawl_old{}", olds[i], i + 1));
    returned.push_back(fmt::format("pawl_before.pawl_old{} AS o{}", i + 1, i + 1));
  }
  const std::string update = fmt::format(
      "UPDATE {} SET {}\n  FROM (SELECT {} FROM {}\n WHERE {}{}) AS pawl_before\n WHERE {} = "
      "pawl_before.pawl_ctid\n RETURNING {}",
      Walked(backfill), backfill.set_clause, Joined(read), Walked(backfill),
      InSlice(backfill, slice, binder), AndWhere(backfill.where_clause), ctid, Joined(returned));
  return UpdateKeepingOld(backfill, slice, facts, update, Aggregated(changed, "o"), server_version,
                          binder);
}

// Before 18, with FROM or a sub-select: the old values are read first, under the snapshot of the whole transaction, and packed in
// key order; what the UPDATE wrote is packed in key order too; the two lists of keys must be the same.
//
// Accident without the comparison: a FROM that joins one row twice, or a trigger that suppresses a
// change, would shift one list against the other, and a revert would give rows their neighbours' values.
Rendered UpdatePackingOld(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                          int server_version) {
  Binder binder;
  const std::vector<Column> changed = ChangedColumns(backfill);
  const Texts keys = Numbered("k", backfill.key.size());
  Texts before;
  const Texts key_names = Qualified(backfill.alias, backfill.key);
  for (std::size_t i = 0; i < key_names.size(); ++i) {
    before.push_back(fmt::format("{} AS k{}", key_names[i], i + 1));
  }
  const Texts old_names = Qualified(backfill.alias, changed);
  for (std::size_t i = 0; i < old_names.size(); ++i) {
    before.push_back(fmt::format("{} AS o{}", old_names[i], i + 1));
  }
  std::string from = Walked(backfill);
  if (!backfill.from_clause.empty()) from += ", " + backfill.from_clause;
  std::string sql = fmt::format(
      R"sql({},
before AS MATERIALIZED (
SELECT {} FROM {}
 WHERE {}{}
),
packed AS MATERIALIZED (SELECT count(*) AS n, {}, {} FROM (SELECT * FROM before ORDER BY {}) AS s),
)sql",
      kBatchId, Joined(before), from, InSlice(backfill, slice, binder),
      AndWhere(backfill.where_clause), Aggregated(backfill.key, "k"), Aggregated(changed, "o"),
      Joined(keys));
  sql += fmt::format(
      R"sql(changed AS (
{}
),
written AS MATERIALIZED (
SELECT count(*) AS n, {} AS digest, {}, {} FROM (SELECT * FROM changed ORDER BY {}) AS s
),
)sql",
      UpdateText(backfill, slice, Returning(backfill, backfill.alias, "w"), binder),
      UpdateDigest(backfill, server_version), Aggregated(backfill.key, "k"),
      Aggregated(changed, "w"), Joined(keys));
  sql += UndoInsert(backfill, facts, Joined(Of("packed", "k", keys.size())),
                    Joined(Of("packed", "o", changed.size())),
                    Joined(Of("written", "w", changed.size())),
                    "batch, packed, written WHERE written.n > 0");
  const std::string agree = fmt::format("{} *= {}", Record(Of("packed", "k", keys.size())),
                                        Record(Of("written", "k", keys.size())));
  const std::string rows = fmt::format(
      "CASE WHEN {} THEN written.n ELSE ('{} ' || packed.n || ' ' || written.n)::bigint END", agree,
      kDisagree);
  sql += "\n" + LedgerInsert(slice, facts, "change", rows, "written.digest",
                             "batch, packed, written", binder);
  return {sql, binder.Take()};
}

Rendered RenderDelete(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                      int server_version) {
  Binder binder;
  const bool images = backfill.undo == UndoKind::kImage;
  const std::vector<Column>& columns = images || backfill.key.empty() ? backfill.target_columns
                                                                      : backfill.key;
  Texts returning;
  const Texts names = Qualified(backfill.alias, columns);
  for (std::size_t i = 0; i < names.size(); ++i) {
    returning.push_back(fmt::format("{} AS c{}", names[i], i + 1));
  }
  const Texts outputs = Numbered("c", columns.size());
  std::string sql = fmt::format(
      "{},\nremoved AS (\nDELETE FROM {}{}\n WHERE {}{}\n RETURNING {}\n),\nsummary AS (SELECT "
      "count(*) AS n, {} AS digest FROM removed)",
      kBatchId, Walked(backfill), FromList(backfill, "USING"), InSlice(backfill, slice, binder),
      AndWhere(backfill.where_clause), Joined(returning),
      Digest(columns, outputs, !backfill.key.empty(), server_version));
  if (images) {
    sql += fmt::format(
        ",\nundo AS (INSERT INTO {} (batch_id, {}) SELECT batch.id, {} FROM batch, removed)",
        UndoTable(facts.run, facts.step), Joined(outputs), Joined(Of("removed", "c", columns.size())));
  }
  sql += "\n" + LedgerInsert(slice, facts, "change", "summary.n", "summary.digest",
                             "batch, summary", binder);
  return {sql, binder.Take()};
}

std::string RowHash(const std::string& alias, const std::vector<Column>& columns) {
  return fmt::format("hashtextextended(ROW({})::text, 0)", Joined(Qualified(alias, columns)));
}

Rendered RenderInsert(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts) {
  Binder binder;
  const std::string target = "pawl_target";
  Texts returning = {RowHash(target, backfill.target_columns) + " AS h"};
  const Texts keys = Qualified(target, backfill.target_key);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    returning.push_back(fmt::format("{} AS k{}", keys[i], i + 1));
  }
  std::string columns;
  if (!backfill.insert_columns.empty()) {
    Texts names;
    for (const std::string& name : backfill.insert_columns) names.push_back(QuoteName(name));
    columns = fmt::format(" ({})", Joined(names));
  }
  std::string sql = fmt::format(
      "{},\nadded AS (\nINSERT INTO {} AS {}{} {}\nSELECT {}\n  FROM {} {}\n WHERE {}{}\n RETURNING "
      "{}\n),\nsummary AS (SELECT count(*) AS n, sum(h::numeric)::text AS digest FROM added)",
      kBatchId, Table(backfill.target), target, columns, backfill.overriding,
      Joined(backfill.select_items), Walked(backfill), backfill.source_joins,
      InSlice(backfill, slice, binder), AndWhere(backfill.where_clause), Joined(returning));
  if (backfill.undo == UndoKind::kImage) {
    const Texts names = Numbered("k", backfill.target_key.size());
    sql += fmt::format(
        ",\nundo AS (INSERT INTO {} (batch_id, {}, h) SELECT batch.id, {}, array_agg(h) FROM batch, "
        "added GROUP BY batch.id)",
        UndoTable(facts.run, facts.step), Joined(names),
        [&] {
          Texts items;
          for (const std::string& name : names) items.push_back(fmt::format("array_agg({})", name));
          return Joined(items);
        }());
  }
  sql += "\n" + LedgerInsert(slice, facts, "change", "summary.n", "summary.digest",
                             "batch, summary", binder);
  return {sql, binder.Take()};
}

}  // namespace

std::string UndoTable(std::int64_t run, int step) { return fmt::format("pawl.undo_{}_{}", run, step); }

std::string RenderUndoTable(const Backfill& backfill, std::int64_t run, int step) {
  if (backfill.undo != UndoKind::kImage) return {};
  Texts columns;
  const auto add = [&](const std::vector<Column>& of, std::string_view prefix, bool packed) {
    for (std::size_t i = 0; i < of.size(); ++i) {
      columns.push_back(
          fmt::format("{}{} {}", prefix, i + 1, packed ? PackedType(of[i]) : of[i].type));
    }
  };
  if (backfill.kind == StatementKind::kDelete) {
    columns.push_back("batch_id bigint NOT NULL");
    add(backfill.target_columns, "c", false);
    const std::string table = UndoTable(run, step);
    return fmt::format("CREATE TABLE {} ({}); CREATE INDEX ON {} (batch_id)", table,
                       Joined(columns), table);
  }
  columns.push_back("batch_id bigint PRIMARY KEY");
  if (backfill.kind == StatementKind::kInsertSelect) {
    add(backfill.target_key, "k", true);
    columns.push_back("h bigint[]");
  } else {
    add(backfill.key, "k", true);
    add(ChangedColumns(backfill), "o", true);
    add(ChangedColumns(backfill), "w", true);
  }
  return fmt::format("CREATE TABLE {} ({})", UndoTable(run, step), Joined(columns));
}

namespace {

// How an UPDATE keeps the old values. With FROM the packed form stays, whatever the server: only its count
// shows that a row was joined more than once.
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

Rendered RenderChange(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                      int server_version) {
  if (backfill.kind == StatementKind::kDelete) {
    return RenderDelete(backfill, slice, facts, server_version);
  }
  if (backfill.kind == StatementKind::kInsertSelect) return RenderInsert(backfill, slice, facts);
  return backfill.undo == UndoKind::kImage
             ? UpdateKeepingImages(backfill, slice, facts, server_version)
             : UpdateWithoutImages(backfill, slice, facts, server_version);
}

Rendered RenderSkip(const Backfill&, const Slice& slice, const LedgerFacts& facts) {
  Binder binder;
  std::string sql(kBatchId);
  sql += "\n" + LedgerInsert(slice, facts, "change", "0", "NULL", "batch", binder);
  return {sql, binder.Take()};
}

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
  std::string sql =
      fmt::format("SELECT {} FROM {} TABLESAMPLE SYSTEM ({}) WHERE {} ORDER BY {} LIMIT 20000",
                  Joined(outputs), Walked(backfill), percent, InRange(backfill, range, binder),
                  Joined(columns));
  return {sql, binder.Take()};
}

std::string RenderBlockCount(const Backfill& backfill) {
  return fmt::format(
      "SELECT pg_relation_size({}::regclass) / current_setting('block_size')::bigint",
      QuoteLiteral(Table(backfill.walked)));
}

namespace {

// The records of one batch, one row each: rec(k1.., o1.., w1..).
std::string UpdateRecords(const Backfill& backfill, std::int64_t batch, const LedgerFacts& facts,
                          Binder& binder) {
  Texts arrays;
  for (const auto& [prefix, count] : {std::pair{"k", backfill.key.size()},
                                      std::pair{"o", backfill.changed.size()},
                                      std::pair{"w", backfill.changed.size()}}) {
    for (const std::string& name : Numbered(prefix, count)) arrays.push_back(name);
  }
  Texts qualified;
  for (const std::string& name : arrays) qualified.push_back("u." + name);
  return fmt::format(
      "rec AS MATERIALIZED (SELECT x.* FROM {} AS u, unnest({}) AS x({}) WHERE u.batch_id = {})",
      UndoTable(facts.run, facts.step), Joined(qualified),
      Joined(arrays), binder.Bind(batch));
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
  return fmt::format("array_to_json(ARRAY[{}])::text", [&] {
    Texts items;
    for (const std::string& name : Numbered(prefix, count)) {
      items.push_back(fmt::format("{}.{}::text", record, name));
    }
    return Joined(items);
  }());
}

std::string UnpackedRow(const std::vector<Column>& columns, std::string_view prefix) {
  Texts items;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    items.push_back(Unpacked(columns[i], fmt::format("rec.{}{}", prefix, i + 1)));
  }
  return Record(items);
}

// What a revert does to each record: `records` as CTE text, `conflict` lists (key, reason, forcible),
// `restore` is the data-modifying statement that returns a row per record restored.
struct RevertParts {
  std::string records;
  std::string conflicts;
  std::string restore;
};

RevertParts UpdateRevert(const Backfill& backfill, std::int64_t batch, const LedgerFacts& facts,
                         bool force, Binder& binder) {
  const std::vector<Column> changed = ChangedColumns(backfill);
  const std::string current = Record(Qualified(backfill.alias, changed));
  const std::string same_key = SameKey(backfill.alias, backfill.key, "rec", "k");
  Texts sets;
  for (std::size_t i = 0; i < changed.size(); ++i) {
    sets.push_back(fmt::format("{} = {}", QuoteName(changed[i].name),
                               Unpacked(changed[i], fmt::format("rec.o{}", i + 1))));
  }
  RevertParts parts;
  parts.records = UpdateRecords(backfill, batch, facts, binder);
#ifndef PAWL_MUTANT_conflict_check
  const std::string still = fmt::format(" AND {} *= {}", current, UnpackedRow(changed, "w"));
#else
  const std::string still;
#endif
  parts.restore = fmt::format("UPDATE {} SET {} FROM rec WHERE {}{} RETURNING 1", Walked(backfill),
                              Joined(sets), same_key, force ? std::string() : still);
  parts.conflicts = fmt::format(
      R"sql(SELECT {} AS key, CASE WHEN {}.{} IS NULL THEN 'the row no longer exists'
            ELSE 'the row holds another value than the migration wrote' END AS reason,
            {}.{} IS NOT NULL AS forcible
  FROM rec LEFT JOIN {} ON {}
 WHERE ({}.{} IS NULL OR NOT {} *= {}) AND NOT ({}.{} IS NOT NULL AND {} *= {}))sql",
      KeyText("rec", "k", backfill.key.size()), QuoteName(backfill.alias),
      QuoteName(backfill.key[0].name), QuoteName(backfill.alias), QuoteName(backfill.key[0].name),
      Walked(backfill), same_key, QuoteName(backfill.alias), QuoteName(backfill.key[0].name), current,
      UnpackedRow(changed, "w"), QuoteName(backfill.alias), QuoteName(backfill.key[0].name), current,
      UnpackedRow(changed, "o"));
  return parts;
}

RevertParts DeleteRevert(const Backfill& backfill, std::int64_t batch, const LedgerFacts& facts,
                         Binder& binder) {
  const Texts outputs = Numbered("c", backfill.target_columns.size());
  RevertParts parts;
  parts.records = fmt::format("rec AS MATERIALIZED (SELECT {} FROM {} WHERE batch_id = {})",
                              Joined(outputs), UndoTable(facts.run, facts.step), binder.Bind(batch));
  std::string exists = "false";
  std::string key = "''";
  if (!backfill.key.empty()) {
    Texts terms;
    Texts keys;
    for (const Column& column : backfill.key) {
      for (std::size_t i = 0; i < backfill.target_columns.size(); ++i) {
        if (backfill.target_columns[i].name != column.name) continue;
        terms.push_back(fmt::format("held.{} = rec.c{}", QuoteName(column.name), i + 1));
        keys.push_back(fmt::format("rec.c{}::text", i + 1));
      }
    }
    exists = fmt::format("EXISTS (SELECT FROM ONLY {} AS held WHERE {})", Table(backfill.target),
                         Joined(terms, " AND "));
    key = fmt::format("array_to_json(ARRAY[{}])::text", Joined(keys));
  }
  parts.restore = fmt::format(
      "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM rec WHERE NOT {} RETURNING 1",
      Table(backfill.target), Joined(Names(backfill.target_columns)), Joined(outputs), exists);
  parts.conflicts = fmt::format(
      "SELECT {} AS key, 'a row with this key exists again'::text AS reason, false AS forcible FROM "
      "rec WHERE {}",
      key, exists);
  return parts;
}

RevertParts InsertRevert(const Backfill& backfill, std::int64_t batch, const LedgerFacts& facts,
                         bool force, Binder& binder) {
  const Texts keys = Numbered("k", backfill.target_key.size());
  Texts arrays = keys;
  arrays.push_back("h");
  Texts qualified;
  for (const std::string& name : arrays) qualified.push_back("u." + name);
  const std::string target = "pawl_target";
  const std::string same_key = SameKey(target, backfill.target_key, "rec", "k");
  const std::string hash = RowHash(target, backfill.target_columns);
  RevertParts parts;
  parts.records = fmt::format(
      "rec AS MATERIALIZED (SELECT x.* FROM {} AS u, unnest({}) AS x({}) WHERE u.batch_id = {})",
      UndoTable(facts.run, facts.step), Joined(qualified), Joined(arrays), binder.Bind(batch));
  parts.restore =
      fmt::format("DELETE FROM {} AS {} USING rec WHERE {}{} RETURNING 1", Table(backfill.target),
                  target, same_key, force ? std::string() : fmt::format(" AND {} = rec.h", hash));
  parts.conflicts = fmt::format(
      "SELECT {} AS key, 'the row was changed since it was inserted'::text AS reason, true AS forcible "
      "FROM rec JOIN {} AS {} ON {} WHERE {} <> rec.h",
      KeyText("rec", "k", keys.size()), Table(backfill.target), target, same_key, hash);
  return parts;
}

// The user's inverse on the rows that are still the version the batch wrote. A later version's old value
// cannot be known: such rows are conflicts.
RevertParts InverseRevert(const Backfill& backfill, const Slice& slice, std::int64_t batch, bool force,
                          Binder& binder) {
  const std::string alias = QuoteName(backfill.alias);
  const std::string slice_text = InSlice(backfill, slice, binder);
  RevertParts parts;
  parts.records = fmt::format(
      "rec AS MATERIALIZED (SELECT (xid::text::bigint % 4294967296)::text::xid AS xid, snapshot FROM "
      "pawl.ledger WHERE batch_id = {})",
      binder.Bind(batch));
  parts.restore = fmt::format("UPDATE {} SET {} FROM rec WHERE {}{} RETURNING 1", Walked(backfill),
                              backfill.inverse, slice_text,
                              force ? std::string() : fmt::format(" AND {}.xmin = rec.xid", alias));
  Texts keys;
  for (const std::string& name : Qualified(backfill.alias, backfill.key)) keys.push_back(name + "::text");
  parts.conflicts = fmt::format(
      "SELECT array_to_json(ARRAY[{}])::text AS key, 'the row was changed after its batch'::text AS "
      "reason, true AS forcible FROM rec, {} WHERE {} AND {}.xmin <> rec.xid AND NOT "
      "pg_visible_in_snapshot((({}.xmin::text::bigint - (pg_snapshot_xmax(rec.snapshot)::text::bigint "
      "% 4294967296)) + pg_snapshot_xmax(rec.snapshot)::text::bigint)::text::xid8, rec.snapshot)",
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

Rendered RenderRevert(const Backfill& backfill, const Slice& slice, std::int64_t batch,
                      const LedgerFacts& facts, OnConflict on_conflict) {
  Binder binder;
  const bool force = on_conflict == OnConflict::kForce;
  const RevertParts parts = PartsOf(backfill, slice, batch, facts, force, binder);
  const std::string rows =
      on_conflict != OnConflict::kStop
          ? "summary.n"
          : fmt::format("CASE WHEN summary.conflicts = 0 THEN summary.n ELSE ('{} ' || "
                        "summary.conflicts)::bigint END",
                        kConflict);
  std::string sql = fmt::format(
      R"sql({},
{},
conflicts AS MATERIALIZED (
{}
),
restored AS (
{}
),
listed AS (
INSERT INTO pawl.conflict (run_id, step, batch_id, key, reason, forced)
SELECT {}, {}, {}, key, reason, forcible AND {} FROM conflicts RETURNING forced
),
summary AS (
SELECT (SELECT count(*) FROM restored) AS n, (SELECT count(*) FROM listed WHERE NOT forced) AS conflicts
)
)sql",
      kBatchId, parts.records, parts.conflicts, parts.restore, binder.Bind(facts.run),
      binder.Bind(facts.step, "integer"), binder.Bind(batch), force);
  sql += LedgerInsert(slice, facts, "revert", rows, "summary.conflicts::text",
                      "batch, summary", binder, std::to_string(batch));
  sql += ", digest";
  return {sql, binder.Take()};
}

Backfill ImplicitRevert(const Backfill& backfill, bool force) {
  Backfill revert = backfill;
  Texts sets;
  Texts held;
  Texts current;
  Texts expected;
  for (const ChangedColumn& changed : backfill.changed) {
    const std::string name = QuoteName(changed.column.name);
    sets.push_back(name + " = NULL");
    current.push_back(QuoteName(backfill.alias) + "." + name);
    held.push_back(current.back() + " IS NOT NULL");
    PAWL_CHECK(changed.expression.has_value());
    expected.push_back(fmt::format("(\n{}\n)::{}", *changed.expression, changed.column.type));
  }
  revert.set_clause = Joined(sets);
  revert.where_clause = fmt::format("({})", Joined(held, " OR "));
  if (!force) {
    revert.where_clause += fmt::format(" AND {} *= {}", Record(current), Record(expected));
  }
  revert.base_where.clear();
  revert.undo = UndoKind::kNone;
  revert.quarantine_max = 0;
  return revert;
}

std::string RenderImplicitConflicts(const Backfill& backfill) {
  const Backfill forced = ImplicitRevert(backfill, true);
  const Backfill matching = ImplicitRevert(backfill, false);
  Texts keys;
  for (const std::string& name : Qualified(backfill.alias, backfill.key)) keys.push_back(name + "::text");
  return fmt::format("SELECT {} FROM {} WHERE {} AND NOT ({}) LIMIT 1000",
                     keys.empty() ? "'no key'" : fmt::format("concat_ws(', ', {})", Joined(keys)),
                     Walked(backfill), forced.where_clause, matching.where_clause);
}

Rendered RenderRevertPreview(const Backfill& backfill, const Slice& slice, std::int64_t batch,
                             const LedgerFacts& facts) {
  Binder binder;
  const RevertParts parts = PartsOf(backfill, slice, batch, facts, false, binder);
  return {fmt::format("WITH {},\nconflicts AS (\n{}\n)\nSELECT key, reason FROM conflicts",
                      parts.records, parts.conflicts),
          binder.Take()};
}

}  // namespace pawl::schema
