// Every statement by which a backfill step is checked. Pure functions of the plan; they share none
// with the statements that made the changes, so that one mistake is not made twice.
//
// A statement looks at one chunk: a range of the table, or the undo records of some batches. It
// sorts its rows into verdicts and counts them; ListOf names the rows of some verdicts.
//
// Which transaction wrote a row is its xmin, 32 bits; made whole with the next xid of the server.
// Visible "for certain" is an xmin below the oldest one that was under way in the snapshot: above
// it, pg_visible_in_snapshot takes a subtransaction that was under way for a finished one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "schema/plan.h"

namespace pawl::verify {

// Rows up to `hi` were covered by a batch that had `snapshot`.
struct Cover {
  std::string hi;
  std::string snapshot;  // A pg_snapshot's text.
};

// A range (lo, hi] of the walked table, nullopt is unbounded. `covers` ascend; rows beyond the last
// were covered by none, and `rest_snapshot` counts for them.
struct RowChunk {
  std::optional<std::string> lo;
  std::optional<std::string> hi;
  std::vector<Cover> covers;
  std::string rest_snapshot;
};

// What a check finds out about a row.
//
//   verified    it is as it should be
//   outside     it was never in scope
//   wrong       a batch of this step wrote it last, and it is not what it should be
//   missed      a batch saw that it should change, and did not change it
//   quarantine  it was set aside
//   newer       it should change, but was written after its batch
//   changed     it was changed after its batch
//   gone        it was deleted after its batch
//   again       deleted by its batch, a row of its key is there again
//   later       another batch of this run has written it since
//   altered     it was newer at first sight, but its batch had changed it
//   rewritten   it was newer at first sight, and may be one that its batch had changed
//   overwritten the same, and it does not match WHERE any more
//   disagrees   what was written is not what the expressions give for the old row
//   open        somebody else wrote it after its batch; not looked at yet
//   failing     the same, and the expressions or WHERE cannot be evaluated over it
//
// The names are the texts of the SQL.
class CheckSql {
 public:
  enum class Newer { kCounted, kLeftOut, kNotEvaluated };

  // `backfill` must outlive it.
  CheckSql(const schema::Backfill& backfill, std::int64_t run, int step);

  // One row: rows in scope, rows equal to their re-evaluated expressions. Requires re_evaluable.
  std::string CountEqual(const RowChunk& chunk) const;

  // A query of (key, verdict): the rows of the chunk that are not equal to their expressions.
  std::string UnequalRows(const RowChunk& chunk) const;

  // The same in three parts, for a chunk with rows over which the expressions fail. They are
  // evaluated over rows that this step wrote or that its batches saw, and so could evaluate.
  //
  // A query of (key, verdict): all rows of the chunk. Open ones are not evaluated.
  std::string SettledRows(const RowChunk& chunk) const;
  // (place, count of all): at most `rows_max` of the open rows.
  std::string OpenRows(const RowChunk& chunk, std::int64_t rows_max) const;
  // Queries of (key, verdict): the open rows at `places`, as "(0,1)"; with `evaluate` the WHERE
  // clause only: newer where it holds, else failing.
  std::string OpenVerdicts(std::span<const std::string> places) const;
  std::string FailingVerdicts(std::span<const std::string> places, bool evaluate) const;

  // A query of (key, verdict): the rows of the chunk that match WHERE: missed, quarantine, outside
  // where this step wrote them; newer ones too where they are to be counted. Newer ones that are
  // left out may be evaluated nevertheless, which is quicker.
  std::string RowsLeft(const RowChunk& chunk, Newer newer) const;

  // A query of (key, verdict): verified for each row of the chunk that this run's step or a later
  // one wrote last.
  std::string RowsWritten(const RowChunk& chunk) const;

  // Of the rows of the chunk: how many a batch of this step wrote last, a later step of this run
  // wrote last, anybody else wrote after their batch.
  std::string CountWriters(const RowChunk& chunk) const;

  // A query of (key, verdict): the rows of the chunk that somebody else wrote after their batch and
  // that were taken for newer (rewritten) or passed over (overwritten).
  std::string AlteredRows(const RowChunk& chunk) const;

  // The same from the undo records of a statement that is re-evaluable: gone, altered.
  std::string AlteredRecords(const std::string& batch_ids) const;

  // A query of (key, verdict): one row per undo record of the batches. With `derive`, what was
  // written is compared with the expressions evaluated over the old row.
  std::string UpdateRecords(const std::string& batch_ids, bool derive) const;
  std::string DeleteRecords(const std::string& batch_ids) const;

  // (batch id, ledger's rows, undo records) of the batches in which the two differ.
  std::string RecordCounts(const std::string& batch_ids) const;

  // The two sides of INSERT … SELECT as COPY statements of one column, the whole row as text, which
  // is its key: session settings make text exact. And queries of (key, verdict) that explain a
  // difference: the source's rows, outside (as they were when their batch ran), newer or
  // quarantine, where `keys`, an SQL array, is not empty only those; the undo records, verified
  // (ours still), changed, gone. These have a third column, the row's name for people: its key in
  // its own table.
  std::string CopySource(const RowChunk& chunk) const;
  std::string CopyTarget(const std::string& batch_ids) const;
  std::string SourceRows(const RowChunk& chunk, const std::string& keys) const;
  std::string TargetRows(const std::string& batch_ids) const;

  static std::string CountOf(const std::string& verdicts);
  static std::string ListOf(const std::string& verdicts, const std::string& names,
                            std::int64_t rows_max);

  // The text of the UPDATE whose functions decide whether what was written can be derived.
  std::string StatementText() const;

  // "pawl.undo_7_2"
  std::string undo_table() const;

 private:
  std::string Walked() const;
  std::string InRange(const RowChunk& chunk) const;
  std::string AtPlaces(std::span<const std::string> places) const;
  std::string BaseScope() const;
  std::string MatchesWhere() const;
  std::string EqualToExpressions() const;
  std::string CoverCase(const RowChunk& chunk, bool whole_snapshot) const;
  std::string Quarantined() const;
  std::string SourceFrom(const RowChunk& chunk) const;
  const schema::Column& InsertColumn(std::size_t index) const;
  std::string SourceItems() const;
  std::string SourceKey() const;
  std::string TargetKey() const;
  std::string TargetJoin(const std::string& batch_ids, const std::string& join) const;
  std::string Derived() const;
  std::string ChangedBy(const char* relation) const;

  const schema::Backfill& backfill_;
  std::int64_t run_;
  int step_;
  std::string alias_;  // Quoted.
};

}  // namespace pawl::verify
