#include "schema/render_parts.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/quote.h"

namespace pawl::schema {

using db::QuoteName;

std::string Binder::Bind(db::Value value, std::string_view type) {
  parameters_.push_back(std::move(value));
  return fmt::format("${}::{}", parameters_.size(), type);
}

std::string Binder::Bind(std::int64_t value, std::string_view type) {
  return Bind(db::Value(std::to_string(value)), type);
}

std::string Joined(const Texts& texts, std::string_view separator) {
  return fmt::format("{}", fmt::join(texts, separator));
}

Texts Numbered(std::string_view prefix, std::size_t count) {
  Texts names;
  for (std::size_t i = 1; i <= count; ++i) names.push_back(fmt::format("{}{}", prefix, i));
  return names;
}

Texts Of(std::string_view table, std::string_view prefix, std::size_t count) {
  Texts names;
  for (const std::string& name : Numbered(prefix, count)) {
    names.push_back(fmt::format("{}.{}", table, name));
  }
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

Texts Labelled(const Texts& expressions, std::string_view prefix) {
  Texts items;
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    items.push_back(fmt::format("{} AS {}{}", expressions[i], prefix, i + 1));
  }
  return items;
}

Texts Appended(Texts texts, const Texts& more) {
  texts.insert(texts.end(), more.begin(), more.end());
  return texts;
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

// Without the cast it would be a comparison element by element, with each type's own *=.
std::string Record(const Texts& values) { return fmt::format("ROW({})::record", Joined(values)); }

namespace {

// Equal values of these types have one image only. numeric, float and text under some collations
// have several.
bool HasOneImage(const Column& column) {
  static const std::set<std::string> kTypes = {"boolean", "uuid", "date", "oid", "bytea"};
  return column.is_integer || kTypes.contains(column.type) || column.type.starts_with("timestamp");
}

// One array or composite has many images: a slice of an array keeps room for NULLs that it has not,
// and a composite keeps its elements compressed or not. Their texts are told apart, and only those.
Texts Imaged(const std::vector<Column>& columns, Texts values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (IsPackedAsText(columns[i])) values[i] = fmt::format("({})::text", values[i]);
  }
  return values;
}

}  // namespace

std::string SameImage(const std::vector<Column>& columns, const Texts& left, const Texts& right) {
  if (!std::all_of(columns.begin(), columns.end(), HasOneImage)) {
    return fmt::format("{} *= {}", Record(Imaged(columns, left)), Record(Imaged(columns, right)));
  }
  Texts terms;
  for (std::size_t i = 0; i < left.size(); ++i) {
    terms.push_back(fmt::format("{} IS NOT DISTINCT FROM {}", left[i], right[i]));
  }
  return fmt::format("({})", Joined(terms, " AND "));
}

bool IsPackedAsText(const Column& column) { return column.is_array || column.is_composite; }

std::string Packed(const Column& column, const std::string& expression) {
  return IsPackedAsText(column) ? expression + "::text" : expression;
}

std::string Unpacked(const Column& column, const std::string& expression) {
  return IsPackedAsText(column) ? fmt::format("{}::{}", expression, column.type) : expression;
}

std::string PackedType(const Column& column) {
  return IsPackedAsText(column) ? "text[]" : column.type + "[]";
}

Texts UpdateArrays(const Backfill& backfill) {
  const std::size_t changed = backfill.changed.size();
  return Appended(Appended(Numbered("k", backfill.key.size()), Numbered("o", changed)),
                  Numbered("w", changed));
}

std::string AndWhere(const std::string& where) {
  return where.empty() ? std::string() : fmt::format("\n   AND (\n{}\n   )", where);
}

std::string FromList(const Backfill& backfill, std::string_view keyword) {
  return backfill.from_clause.empty() ? std::string()
                                      : fmt::format("\n  {} {}", keyword, backfill.from_clause);
}

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

std::string RowHash(const std::string& alias, const std::vector<Column>& columns) {
  return fmt::format("hashtextextended(ROW({})::text, 0)", Joined(Qualified(alias, columns)));
}

std::string LedgerInsert(const Slice& slice, const LedgerFacts& facts, const std::string& rows,
                         const std::string& digest, const std::string& from, Binder& binder,
                         db::Value reverts) {
  const char* kind = facts.round < 0 ? "revert" : "change";
  const db::Value lo = slice.range.lo ? db::Value(ToText(*slice.range.lo)) : db::Value();
  return fmt::format(
      R"sql(
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, digest, worker_id, reverts, duration_us)
SELECT pawl_batch.id, {}, {}, {}, {}, {}, '{}', {}, {}, {}, {}, {}, {}, {}, {},
       (extract(epoch FROM clock_timestamp() - now()) * 1000000)::bigint
  FROM {}
RETURNING batch_id, rows, duration_us)sql",
      binder.Bind(facts.run), binder.Bind(facts.step, "integer"),
      binder.Bind(facts.round, "integer"), binder.Bind(facts.span), binder.Bind(facts.seq), kind,
      binder.Bind(lo, "text"), binder.Bind(ToText(slice.range.hi), "text"),
      binder.Bind(slice.residue_lo, "integer"), binder.Bind(slice.residue_hi, "integer"), rows,
      digest, binder.Bind(facts.worker), binder.Bind(std::move(reverts), "bigint"), from);
}

std::string LedgerOfSummary(const Slice& slice, const LedgerFacts& facts, Binder& binder) {
  return LedgerInsert(slice, facts, "pawl_summary.n", "pawl_summary.digest",
                      "pawl_batch, pawl_summary", binder);
}

}  // namespace pawl::schema
