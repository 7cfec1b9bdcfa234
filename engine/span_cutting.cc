#include "engine/span_cutting.h"

#include <algorithm>

#include <fmt/format.h>

#include "batching/cursor.h"
#include "db/error.h"
#include "engine/sql_keys.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

constexpr std::int64_t kSpansMax = 64;
// BlockNumber is 32 bits wide, and its largest value is none.
constexpr std::int64_t kBlocksMax = 4'294'967'294;
constexpr std::int64_t kWindowPages = 5'000;  // 40 MB.
// Pages read to find the quantiles of the keys: 64 spans get 5 sampled pages each.
constexpr std::int64_t kSamplePages = 320;
// A tail shorter than this is finished sooner than handed over.
constexpr std::int64_t kSplitRowsMin = 20'000;

checkpoints::SpanSeed Seed(const std::optional<schema::Position>& begin,
                           const schema::Position& end, std::int64_t rows) {
  batching::Cursor cursor;
  cursor.at = begin;
  return {begin ? db::Value(schema::ToText(*begin)) : db::Value(), schema::ToText(end),
          batching::ToText(cursor), rows};
}

schema::Position ToPosition(const db::Row& row) {
  schema::Position position;
  for (const db::Value& value : row) position.push_back(db::ToText(value));
  return position;
}

std::int64_t SpanCount(const schema::Backfill& backfill, std::int64_t pages) {
  const bool strides = backfill.stride > 1;
  // Two windows a span at least: what a window gains must not be lost at a span's edge.
  const std::int64_t pages_min = strides ? 2 * kWindowPages / 2 : 256;
  return std::clamp<std::int64_t>(pages / pages_min, 1, kSpansMax);
}

std::vector<checkpoints::SpanSeed> CutBlocks(const schema::Backfill& backfill, std::int64_t pages) {
  std::vector<checkpoints::SpanSeed> spans;
  const std::int64_t count = SpanCount(backfill, pages);
  std::optional<schema::Position> begin;
  for (std::int64_t i = 1; i <= count; ++i) {
    const schema::Position end = EndOfBlock(pages * i / count);
    spans.push_back(Seed(begin, end, backfill.rows_in_table / count));
    begin = end;
  }
  return spans;
}

std::vector<schema::Position> Quantiles(const std::vector<db::Row>& sample, std::int64_t count) {
  std::vector<schema::Position> keys;
  const auto size = static_cast<std::int64_t>(sample.size());
  for (std::int64_t i = 1; i < count && size > 0; ++i) {
    schema::Position key = ToPosition(sample[static_cast<std::size_t>(size * i / count)]);
    if (keys.empty() || keys.back() != key) keys.push_back(std::move(key));
  }
  return keys;
}

double SamplePercent(std::int64_t pages) {
  return std::min(100.0, 100.0 * static_cast<double>(kSamplePages) /
                             static_cast<double>(std::max<std::int64_t>(pages, 1)));
}

std::int64_t Pages(const db::Result& counted) { return db::ToInt(counted.rows.at(0).at(0)); }

}  // namespace

std::int64_t WindowRows(const schema::Backfill& backfill) {
  return std::max<std::int64_t>(backfill.stride * 200, kWindowPages * RowsPerPage(backfill));
}

std::vector<checkpoints::SpanSeed> CutSpans(db::Session& session, const schema::Backfill& backfill,
                                            bool closing) {
  const std::int64_t pages = Pages(session.Query(schema::RenderBlockCount(backfill)));
  if (pages == 0) return {};
  if (closing) return {Seed(std::nullopt, EndOfBlock(kBlocksMax), 0)};
  if (IsBlockOrder(backfill)) return CutBlocks(backfill, pages);
  const db::Result last = session.Query(schema::RenderLastKey(backfill));
  if (last.rows.empty()) return {};
  const schema::Position end = ToPosition(last.rows[0]);
  const std::int64_t count = SpanCount(backfill, pages);
  std::vector<schema::Position> cuts;
  if (count > 1) {
    const schema::Rendered sample =
        schema::RenderKeySample(backfill, {std::nullopt, end}, SamplePercent(pages));
    cuts = Quantiles(session.Query(sample.sql, sample.parameters).rows, count);
  }
  std::vector<checkpoints::SpanSeed> spans;
  std::optional<schema::Position> begin;
  const std::int64_t rows = backfill.rows_in_table / static_cast<std::int64_t>(cuts.size() + 1);
  for (const schema::Position& cut : cuts) {
    if (cut == end) continue;
    spans.push_back(Seed(begin, cut, rows));
    begin = cut;
  }
  spans.push_back(Seed(begin, end, rows));
  return spans;
}

namespace {

// The last position that the owner of a span may be touching.
std::optional<schema::Position> Reach(const batching::Cursor& cursor) {
  return cursor.in_window ? std::optional(cursor.window_hi) : cursor.at;
}

std::optional<schema::Position> MiddleOf(db::Pipeline& pipeline, const schema::Backfill& backfill,
                                         const std::optional<schema::Position>& from,
                                         const schema::Position& end) {
  if (IsBlockOrder(backfill)) {
    const std::int64_t first = from ? BlocksUpTo(*from) : 0;
    const std::int64_t middle = (first + BlocksUpTo(end)) / 2;
    if (middle - first < 64) return std::nullopt;
    return EndOfBlock(middle);
  }
  const std::int64_t pages = Pages(pipeline.Run({{schema::RenderBlockCount(backfill), {}}})[0]);
  const schema::Rendered query =
      schema::RenderKeySample(backfill, {from, end}, SamplePercent(pages));
  const db::Result sample = pipeline.Run({{query.sql, query.parameters}})[0];
  if (sample.rows.size() < 20) return std::nullopt;
  return ToPosition(sample.rows[sample.rows.size() / 2]);
}

// True if the owner stands before `middle` for certain: (middle) > (reach), in the keys' own order.
bool StillAhead(db::Pipeline& pipeline, const schema::Backfill& backfill,
                const std::optional<schema::Position>& reach, const schema::Position& middle) {
  if (!reach) return true;
  if (IsBlockOrder(backfill)) return BlocksUpTo(*reach) < BlocksUpTo(middle);
  const schema::Rendered query =
      schema::RenderKeyAt(backfill, {{reach, middle}, 0, backfill.stride}, 1);
  return !pipeline.Run({{query.sql, query.parameters}})[0].rows.empty();
}

}  // namespace

bool SplitLargest(db::Pipeline& pipeline, const schema::Backfill& backfill,
                  const checkpoints::Round& round) {
  std::int64_t rows_left = 0;
  std::optional<checkpoints::SpanLease> span = LargestSpan(pipeline, round, &rows_left);
  if (!span || rows_left < kSplitRowsMin) return false;
  const schema::Position end = schema::PositionFrom(span->end_key);
  const auto reach = Reach(batching::CursorFrom(span->cursor));
  if (reach && *reach == end) return false;
  const auto middle = MiddleOf(pipeline, backfill, reach, end);
  if (!middle || *middle == end) return false;
  // The owner has moved while the middle was looked for. A few quick tries meet it between two
  // batches.
  for (int attempt = 0; attempt < 5; ++attempt) {
    span = LargestSpan(pipeline, round, &rows_left);
    if (!span || schema::PositionFrom(span->end_key) != end) return false;
    if (!StillAhead(pipeline, backfill, Reach(batching::CursorFrom(span->cursor)), *middle)) {
      return false;
    }
    if (SplitSpan(pipeline, *span, schema::ToText(*middle), Seed(*middle, end, rows_left / 2))) {
      return true;
    }
  }
  return false;
}

}  // namespace pawl::engine
