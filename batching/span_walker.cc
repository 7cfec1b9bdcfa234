#include "batching/span_walker.h"

#include <algorithm>

#include "db/error.h"

namespace pawl::batching {
namespace {

// Fewer sub-ranges than this a window, and a pass would come back to a page before the earlier
// version is out of every snapshot.
constexpr std::int64_t kSubRangesMin = 10;

}  // namespace

SpanWalker::SpanWalker(KeySource& keys, const schema::Backfill& backfill, schema::Position end,
                       Cursor cursor, std::int64_t window_rows, Passes passes,
                       std::shared_ptr<StrideWatch> watch)
    : keys_(keys),
      backfill_(backfill),
      end_(std::move(end)),
      cursor_(std::move(cursor)),
      window_rows_(window_rows),
      downward_(passes == Passes::kDownward),
      watch_(watch != nullptr
                 ? std::move(watch)
                 : std::make_shared<StrideWatch>(passes == Passes::kOne ? 1 : backfill.stride)) {}

std::optional<schema::Slice> SpanWalker::Next(std::int64_t rows, bool exact) {
  if (cursor_.in_window || opened_) return NextInWindow(rows, exact);
  if (cursor_.at && *cursor_.at == end_) return std::nullopt;
  if (!watch_->striding()) return NextPlain(rows, exact);
  OpenWindow(rows);
  return NextInWindow(rows, exact);
}

std::optional<schema::Slice> SpanWalker::NextPlain(std::int64_t rows, bool exact) {
  schema::Slice slice{{cursor_.at, end_}, 0, backfill_.stride};
  const auto boundary = exact ? keys_.KeyAt(slice, rows) : keys_.Ahead(slice.range, rows);
  if (boundary) slice.range.hi = *boundary;
  return slice;
}

void SpanWalker::OpenWindow(std::int64_t rows) {
  Cursor opened;
  opened.at = cursor_.at;
  opened.in_window = true;
  opened.window_lo = cursor_.at;
  opened.window_hi = keys_.Ahead({cursor_.at, end_}, window_rows_).value_or(end_);
  opened.residue_lo = 0;
  opened.residue_hi = 1;
  opened_ = opened;
  cuts_.clear();
  give_up_ = false;
  watch_->BeginWindow();
  CutPass(rows);
}

// Cuts what is left of the pass into sub-ranges that hold about `rows` rows of its residues each.
void SpanWalker::CutPass(std::int64_t rows) {
  const Cursor& cursor = opened_ ? *opened_ : cursor_;
  const std::int64_t classes = cursor.residue_hi - cursor.residue_lo;
  const std::int64_t rows_max = std::max<std::int64_t>(1, window_rows_ / kSubRangesMin);
  cut_rows_ = std::clamp<std::int64_t>(rows * backfill_.stride / classes, 1, rows_max);
  cuts_.clear();
  cut_ = 0;
  cuts_whole_ = cursor.at == cursor.window_lo;
  std::optional<schema::Position> at = cursor.at;
  while (true) {
    const auto next = keys_.Ahead({at, cursor.window_hi}, cut_rows_);
    if (!next || *next == cursor.window_hi) break;
    cuts_.push_back(*next);
    at = next;
  }
  cuts_.push_back(cursor.window_hi);
}

schema::Slice SpanWalker::NextInWindow(std::int64_t rows, bool exact) {
  const Cursor& cursor = opened_ ? *opened_ : cursor_;
  const std::int64_t wanted = rows * backfill_.stride / (cursor.residue_hi - cursor.residue_lo);
  // Cut anew too where batches have become much smaller: they took too long, or failed.
  if (cuts_.empty() || cut_rows_ > 2 * wanted) CutPass(rows);
  schema::Slice slice{{cursor.at, cuts_[cut_]}, cursor.residue_lo, cursor.residue_hi};
  if (downward_) {
    slice.residue_lo = backfill_.stride - cursor.residue_hi;
    slice.residue_hi = backfill_.stride - cursor.residue_lo;
  }
  const std::int64_t classes = cursor.residue_hi - cursor.residue_lo;
  slice.rows_expected = std::max<std::int64_t>(1, cut_rows_ * classes / backfill_.stride);
  if (exact) {
    if (const auto boundary = keys_.KeyAt(slice, rows)) slice.range.hi = *boundary;
  }
  return slice;
}

Cursor SpanWalker::After(const schema::Slice& slice) const {
  if (!cursor_.in_window && !opened_) {
    Cursor next;
    next.at = slice.range.hi;
    return next;
  }
  Cursor next = opened_ ? *opened_ : cursor_;
  next.at = slice.range.hi;
  if (slice.range.hi != next.window_hi) return next;
  if (next.residue_hi == backfill_.stride) {  // The last pass: the window is done.
    Cursor done;
    done.at = next.window_hi;
    return done;
  }
  next.at = next.window_lo;
  next.residue_lo = next.residue_hi;
  next.residue_hi = give_up_ ? backfill_.stride : next.residue_lo + 1;
  return next;
}

bool SpanWalker::Finishes(const Cursor& cursor) const {
  return !cursor.in_window && cursor.at && *cursor.at == end_;
}

void SpanWalker::Commit(const schema::Slice& slice, std::int64_t rows, std::int64_t updated,
                        std::int64_t hot) {
  const bool windowed = cursor_.in_window || opened_.has_value();
  const Cursor at = opened_ ? *opened_ : cursor_;
  const Cursor next = After(slice);
  const bool pass_ended = windowed && (!next.in_window || next.residue_lo != at.residue_lo);
  cursor_ = next;
  opened_.reset();
  if (!windowed) {
    watch_->VisitedPlain(rows);
    return;
  }
  if (!give_up_ && at.residue_hi - at.residue_lo == 1) {
    give_up_ = watch_->GiveUp(at.residue_lo, updated, hot, window_rows_);
  }
  if (pass_ended) {
    // The cuts serve every pass of one class; not the merged pass, and not when they began half
    // way.
    const bool reusable = cuts_whole_ && next.in_window && next.residue_hi - next.residue_lo == 1;
    if (!reusable) cuts_.clear();
    cut_ = 0;
  } else if (slice.range.hi == cuts_[cut_]) {
    ++cut_;
  }
}

void SpanWalker::MoveEnd(schema::Position end) {
  end_ = std::move(end);
  // A window that no batch has entered yet may reach past the new end.
  opened_.reset();
  if (!cursor_.in_window) cuts_.clear();
}

}  // namespace pawl::batching
