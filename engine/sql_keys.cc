#include "engine/sql_keys.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>

#include <fmt/format.h>

namespace pawl::engine {
namespace {

// "(block,offset)", as PostgreSQL writes it.
bool IsTid(const std::string& text) {
  const char* end = text.data() + text.size();
  std::uint32_t block = 0;
  std::uint16_t offset = 0;
  if (!text.starts_with('(')) return false;
  const auto [comma, block_error] = std::from_chars(text.data() + 1, end, block);
  if (block_error != std::errc() || comma == end || *comma != ',') return false;
  const auto [close, offset_error] = std::from_chars(comma + 1, end, offset);
  return offset_error == std::errc() && close + 1 == end && *close == ')';
}

}  // namespace

bool IsBlockOrder(const schema::Backfill& backfill) {
  return backfill.order == schema::Order::kBlock || backfill.order == schema::Order::kBlockStrides;
}

schema::Position EndOfBlock(std::int64_t blocks) {
  // No page holds 65,535 rows, so this tid stands behind every row of the last block.
  return {fmt::format("({},65535)", std::max<std::int64_t>(blocks, 1) - 1)};
}

std::int64_t BlocksUpTo(const schema::Position& tid) {
  if (tid.size() != 1 || !IsTid(tid[0])) schema::FailDamaged("block", schema::ToText(tid));
  return std::strtoll(tid.at(0).c_str() + 1, nullptr, 10) + 1;
}

std::int64_t RowsPerPage(const schema::Backfill& backfill) {
  if (backfill.pages_in_table <= 0) return 1;
  return std::max<std::int64_t>(1, backfill.rows_in_table / backfill.pages_in_table);
}

std::optional<schema::Position> SqlKeys::KeyAt(const schema::Slice& slice, std::int64_t count) {
  const schema::Rendered query = schema::RenderKeyAt(backfill_, slice, count);
  const db::Result found = pipeline_.Run({{query.sql, query.parameters}})[0];
  if (found.rows.empty()) return std::nullopt;
  schema::Position position;
  for (const db::Value& value : found.rows[0]) position.push_back(db::ToText(value));
  return position;
}

std::optional<schema::Position> SqlKeys::Ahead(const schema::Range& range, std::int64_t count) {
  if (!IsBlockOrder(backfill_)) return KeyAt({range, 0, backfill_.stride}, count);
  std::int64_t from = 0;
  if (range.lo) {
    // A cursor in the middle of a block (after a row was cornered) goes to that block's end first.
    const bool whole = range.lo->at(0).ends_with(",65535)");
    from = BlocksUpTo(*range.lo) - (whole ? 0 : 1);
  }
  const std::int64_t blocks = std::max<std::int64_t>(1, count / RowsPerPage(backfill_));
  if (from + blocks >= BlocksUpTo(range.hi)) return std::nullopt;
  return EndOfBlock(from + blocks);
}

}  // namespace pawl::engine
