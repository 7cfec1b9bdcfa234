#include "schema/render_slice.h"

#include <bit>
#include <cstdint>
#include <cstdlib>

#include <fmt/format.h>

#include "db/error.h"
#include "db/quote.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

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

std::int64_t StrideBits(const Backfill& backfill) {
  return std::countr_zero(static_cast<std::uint64_t>(backfill.stride));
}

// The residue of a row's key: the same for as long as the key stays, wherever the row lies. See
// Backfill::salt.
std::string Residue(const Backfill& backfill) {
  const std::int64_t mask = backfill.stride - 1;
  Texts parts;
  bool integers = true;
  for (const Column& column : backfill.key) {
    const std::string name = QuoteName(backfill.alias) + "." + QuoteName(column.name);
    parts.push_back(column.is_integer ? name + "::bigint"
                                      : fmt::format("{}({})::bigint", column.hash_function, name));
    integers = integers && column.is_integer;
  }
  const std::string whole = Joined(parts, " # ");
  if (backfill.salt == 0) return fmt::format("(({}) & {})", whole, mask);
  // Other bits of a hash make other classes; integers in sequence have their order in the low bits.
  if (!integers) return fmt::format("((({}) >> {}) & {})", whole, backfill.salt, mask);
  return fmt::format("(((({0}) & {1}) + {2} * ((({0}) >> {3}) & {1})) & {1})", whole, mask,
                     backfill.salt, StrideBits(backfill));
}

// The keys of one residue class of (lo, hi], where they are few enough next to the rows they may
// find: sifting n classes n times out of the same pages costs more than n-th of the probes
// (docs/performance.md). Exact: of n integers in sequence, from a multiple of n on, one is of the
// class.
std::string Probes(const Backfill& backfill, const Slice& slice, Binder& binder) {
  const bool fit = !IsBlock(backfill) && backfill.key.size() == 1 && backfill.key[0].is_integer &&
                   slice.range.lo && slice.residue_hi == slice.residue_lo + 1 &&
                   slice.rows_expected > 0;
  if (!fit) return {};
  const std::int64_t lo = std::strtoll(slice.range.lo->at(0).c_str(), nullptr, 10);
  const std::int64_t hi = std::strtoll(slice.range.hi.at(0).c_str(), nullptr, 10);
  // Rounded down for negative keys too, as >> does in PostgreSQL. lo < hi.
  const std::int64_t bits = StrideBits(backfill);
  const std::int64_t first = lo >> bits;
  const std::int64_t last = hi >> bits;
  if (last - first > 2 * slice.rows_expected) return {};
  const Column& key = backfill.key[0];
  return fmt::format(
      "{}.{} = ANY (ARRAY(SELECT pawl_key::{} FROM (SELECT (pawl_n << {}) + (({} - {} * (pawl_n & "
      "{})) & {}) AS pawl_key FROM generate_series({}, {}) AS pawl_n) AS pawl_keys WHERE pawl_key "
      "> {} AND pawl_key <= {}))",
      QuoteName(backfill.alias), QuoteName(key.name), key.type, bits, binder.Bind(slice.residue_lo),
      backfill.salt, backfill.stride - 1, backfill.stride - 1, binder.Bind(first),
      binder.Bind(last), binder.Bind(lo), binder.Bind(hi));
}

}  // namespace

bool IsBlock(const Backfill& backfill) {
  return backfill.order == Order::kBlock || backfill.order == Order::kBlockStrides;
}

std::string InRange(const Backfill& backfill, const Range& range, Binder& binder) {
  const std::string upper = Bound(backfill, range.hi, "<=", binder);
  if (!range.lo) return upper;
  return Bound(backfill, *range.lo, ">", binder) + " AND " + upper;
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

}  // namespace pawl::schema
