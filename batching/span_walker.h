// Walks one span: yields slices, each the rows of one batch, in an order that covers every row of
// the span exactly once, and says which cursor stands behind each.
//
//   plain      (begin ─ b1](b1 ─ b2](b2 ─ … ─ end]              every residue at once
//   strides    window 1: sub-ranges × residue 0, sub-ranges × residue 1, … ; window 2: …
//
// A walker computes boundaries only: it reads keys, never rows, and writes nothing. Nothing moves
// until Commit: a slice that failed is simply asked for again, perhaps smaller.
//
// Thread safety: none. Owned by the worker that holds the span's lease.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "batching/cursor.h"
#include "batching/stride_watch.h"
#include "schema/plan.h"
#include "schema/render.h"

namespace pawl::batching {

// Finds keys ahead. Production asks PostgreSQL; tests use a vector.
class KeySource {
 public:
  virtual ~KeySource() = default;

  // The key of the `count`-th row of the slice, or nullopt if it holds no more than `count` rows.
  // Requires count > 0. Throws db::Error.
  virtual std::optional<schema::Position> KeyAt(const schema::Slice& slice, std::int64_t count) = 0;

  // A boundary about `count` rows ahead, or nullopt if the range ends before. May be rough: in
  // block order it is arithmetic.
  virtual std::optional<schema::Position> Ahead(const schema::Range& range, std::int64_t count) = 0;
};

// Downward takes the residues from the last to the first. A way back goes so: the rows that the
// first pass of the way forward moved out are packed elsewhere now; changed first, they would fill
// the room that it left to the others, and nothing after them would be HOT (5 % measured, and twice
// the table).
enum class Passes { kOne, kUpward, kDownward };

class SpanWalker {
 public:
  // `keys` and `backfill` must outlive the walker. `window_rows` is how many rows a stride window
  // spans. `watch` is what earlier spans have taught, so that where strides do not pay not every
  // span tries them anew; null: nothing yet.
  SpanWalker(KeySource& keys, const schema::Backfill& backfill, schema::Position end, Cursor cursor,
             std::int64_t window_rows, Passes passes, std::shared_ptr<StrideWatch> watch = nullptr);

  // The next slice of about `rows` rows, or nullopt at the end. `exact`: count rows, not estimates.
  // Throws what the key source throws, and has then changed nothing.
  std::optional<schema::Slice> Next(std::int64_t rows, bool exact);

  // The cursor to be stored in the transaction that changes `slice`, the last result of Next.
  Cursor After(const schema::Slice& slice) const;

  // True if nothing is left behind `cursor`.
  bool Finishes(const Cursor& cursor) const;

  // The transaction of `slice` committed. `updated` and `hot` are what it changed.
  void Commit(const schema::Slice& slice, std::int64_t rows, std::int64_t updated,
              std::int64_t hot);

  // The span's end moved: another worker took its tail.
  void MoveEnd(schema::Position end);

  const Cursor& cursor() const { return cursor_; }
  double hot_share() const { return watch_->hot_share(); }
  bool striding() const { return cursor_.in_window; }

 private:
  std::optional<schema::Slice> NextPlain(std::int64_t rows, bool exact);
  schema::Slice NextInWindow(std::int64_t rows, bool exact);
  void OpenWindow(std::int64_t rows);
  void CutPass(std::int64_t rows);

  KeySource& keys_;
  const schema::Backfill& backfill_;
  schema::Position end_;
  Cursor cursor_;
  std::int64_t window_rows_;
  bool downward_;
  std::shared_ptr<StrideWatch> watch_;
  // The sub-ranges of the pass in progress: their upper ends, the last one the window's. A window
  // that was opened but has no committed batch yet exists in `opened_` only.
  std::optional<Cursor> opened_;
  std::vector<schema::Position> cuts_;
  std::int64_t cut_rows_ = 0;  // Rows of all classes in one of them.
  std::size_t cut_ = 0;
  bool cuts_whole_ = false;  // They begin where the window does.
  bool give_up_ = false;
};

}  // namespace pawl::batching
