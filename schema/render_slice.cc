#include "schema/render_slice.h"

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

// The keys of one residue class of (lo, hi], where they are few enough next to the rows they may
// find: sifting n classes n times out of the same pages costs more than n-th of the probes
// (docs/performance.md). Exact: every integer of the class in the range is listed.
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
  // The first key above lo with the residue; & sees negative numbers in two's complement, as
  // PostgreSQL.
  const std::uint64_t skipped =
      (static_cast<std::uint64_t>(slice.residue_lo) - above) & (stride - 1);
  if (skipped > keys) return {};
  const Column& key = backfill.key[0];
  return fmt::format("{}.{} = ANY (ARRAY(SELECT generate_series({}, {}, {})::{}))",
                     QuoteName(backfill.alias), QuoteName(key.name),
                     binder.Bind(static_cast<std::int64_t>(above + skipped)),
                     binder.Bind(static_cast<std::int64_t>(hi)), binder.Bind(backfill.stride),
                     key.type);
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
