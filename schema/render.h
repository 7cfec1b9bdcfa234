// Every statement of a backfill, rendered from the plan alone. Pure functions; golden-tested.
//
// A batch is one transaction, and the statement made by RenderChange is its middle: it changes the
// rows of a range, keeps what is needed to take them back, and writes the ledger row, all under one
// snapshot:
//
//     BEGIN · fence (checkpoints/) · change + undo + ledger · COMMIT
//
// Parameters are numbered and all of type text; casts give them their types, so that indexes are
// used. The statements are made in render_change.cc (with render_update.cc), render_revert.cc (with
// render_implicit_revert.cc), render_keys.cc and render_undo.cc.
#pragma once

#include <string>
#include <vector>

#include "db/value.h"
#include "schema/plan.h"
#include "schema/position.h"

namespace pawl::schema {

// Which rows of a range: all, or the residue classes [residue_lo, residue_hi) of the plan's stride.
struct Slice {
  Range range;
  std::int64_t residue_lo = 0;
  std::int64_t residue_hi = 1;
  // About how many rows it holds; 0 if unknown. Where an integer key is dense enough for it, the
  // keys of one residue class are probed one by one instead of being sifted out of all rows of the
  // range.
  std::int64_t rows_expected = 0;
};

// One statement with its parameters, ready to be prepared.
struct Rendered {
  std::string sql;
  std::vector<db::Value> parameters;
};

// Facts about the ledger row that the worker knows before the batch runs.
struct LedgerFacts {
  std::int64_t run = 0;
  int step = 0;
  int round = 1;  // Negative: the ledger row is of kind 'revert', else 'change'.
  std::int64_t span = 0;
  std::int64_t seq = 0;
  std::int64_t worker = 0;
};

// "pawl"."undo_7_2"
std::string UndoTable(std::int64_t run, int step);

// CREATE TABLE for the undo records of the step; empty where the plan keeps none there.
std::string RenderUndoTable(const Backfill& backfill, std::int64_t run, int step);

// The change of one slice with its undo record and ledger row. Returns one row: batch id, rows
// changed, duration in microseconds. Where the undo record and the change disagree (one row joined
// several times, a trigger that suppressed a change) the statement fails with a message that begins
// with kDisagree.
inline constexpr const char* kDisagree = "pawl: undo and change disagree";
Rendered RenderChange(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts,
                      int server_version);

// The isolation that RenderChange needs. Before PostgreSQL 18 an UPDATE with images reads old
// values by a scan of its own. At READ COMMITTED another session could change a row between that
// scan and the row lock: the image would be stale and a revert would lose that change. At
// REPEATABLE READ such a row raises 40001 and the batch is tried again.
bool NeedsRepeatableRead(const Backfill& backfill, int server_version);

// A batch that changes nothing: it moves the cursor past a row that was set aside. Same result
// columns.
Rendered RenderSkip(const Backfill& backfill, const Slice& slice, const LedgerFacts& facts);

// The key of the `count`-th row of the slice in order; no row where it holds fewer.
Rendered RenderKeyAt(const Backfill& backfill, const Slice& slice, std::int64_t count);

// The last key of the table; no row where it is empty. Key orders only.
std::string RenderLastKey(const Backfill& backfill);

// Some keys of the range in order, from a sample of `percent` of the blocks. Key orders only.
Rendered RenderKeySample(const Backfill& backfill, const Range& range, double percent);

// The key, as a position, of a row in `slice` that the statement would change.
Rendered RenderRowKey(const Backfill& backfill, const Slice& slice);

// Counts the rows that the statement would still change, as one snapshot sees them, up to
// `rows_max`. Rows that hold already what they would get are left out where that can be told.
std::string RenderRowsLeft(const Backfill& backfill, std::int64_t rows_max);

// Number of blocks of the walked table now.
std::string RenderBlockCount(const Backfill& backfill);

// What a revert does with rows that no longer hold what the migration wrote. kStop: the statement
// fails with a message that begins with kConflict, so that nothing of the batch is taken back.
// kSkip: they are left alone and listed. kForce: they get their old values all the same, and are
// listed as forced.
enum class OnConflict { kStop, kSkip, kForce };
inline constexpr const char* kConflict = "pawl: conflict";
// And with kNotRestored where a trigger suppressed or altered what was to be restored.
inline constexpr const char* kNotRestored = "pawl: not restored";

// Takes back one batch with its ledger row of kind 'revert'. Returns one row: batch id, rows
// restored, duration in microseconds, conflicts left. Runs at REPEATABLE READ: the row that is
// compared is the row that is changed, or the batch fails with 40001 and is tried again.
Rendered RenderRevert(const Backfill& backfill, const Slice& slice, std::int64_t batch,
                      const LedgerFacts& facts, OnConflict on_conflict);

// The backfill that takes back one with kImplicit undo, by walking again: the columns become NULL
// wherever they hold what the expression gives. Where they hold something else, kSkip passes over
// the row, kStop fails as RenderRevert does, and kForce empties them all the same.
Backfill ImplicitRevert(const Backfill& backfill, OnConflict on_conflict);

// Keys, as text for people, of at most 1,000 rows that the implicit revert would leave alone.
std::string RenderImplicitConflicts(const Backfill& backfill);

// Lists what would keep RenderRevert from taking a row back: key as text, reason.
Rendered RenderRevertPreview(const Backfill& backfill, const Slice& slice, std::int64_t batch,
                             const LedgerFacts& facts);

}  // namespace pawl::schema
