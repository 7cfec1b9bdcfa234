// Cuts one backfill step into chunks that are checked one at a time, each in a short transaction,
// and checks on the way that the ledger's batches partition the table.
//
//     spans of round 1, in order     chunks of about kChunkRows rows changed, ending with a window
//     behind the last span           one chunk without batches
//     spans of later rounds          chunks of batches, without rows of their own
//     block order: then              chunks of blocks of the table as it is now
//
// The ledger is read in pages, without a snapshot that lasts: it does not change any more.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "db/session.h"
#include "schema/plan.h"
#include "verify/check_sql.h"
#include "verify/ledger_partition.h"
#include "verify/step_findings.h"

namespace pawl::verify {

// Enough that a statement's own cost vanishes, few enough that its snapshot lasts a second.
inline constexpr std::int64_t kChunkRows = 200'000;

// The batches of one window: the rows of its range that they changed.
struct Window {
  RowChunk rows;
  std::int64_t rows_changed = 0;
};

struct Chunk {
  std::optional<RowChunk> rows;  // The rows to look at; none where other chunks have them.
  std::string batch_ids;         // "12,13,14"; the batches whose records are to be looked at.
  std::vector<Window> windows;   // Of `rows`, in key order.
  bool is_tail = false;          // Behind the last span: no batch covered these rows.
};

// Thread safety: none. Whoever shares it has a lock.
class ChunkFeed {
 public:
  // Reads the spans. All must outlive it. Throws db::Error.
  ChunkFeed(db::Session& session, const schema::Backfill& backfill, std::int64_t run, int step,
            StepFindings& findings);

  // Returns the next chunk, nullopt at the end. Faults of the partition become findings. Throws
  // db::Error.
  std::optional<Chunk> Next();

 private:
  struct Batch {
    LedgerRange range;
    std::int64_t rows = 0;
    std::string snapshot;
  };
  struct RoundSpan {
    int round = 1;
    SpanBounds span;
  };

  void ReadSpans();
  void ReadPage();
  std::optional<Batch> NextBatch();
  void FinishSpan();
  void AddToChunk(const Batch& batch);
  void AddToWindow(const Batch& batch);
  bool ChunkIsFull() const;
  Chunk TakeChunk();
  std::optional<Chunk> Tail();
  std::optional<Chunk> NextBlocks();
  void PlanBlocks();
  void Fault(const std::string& where, const std::string& what);

  db::Session& session_;
  const schema::Backfill& backfill_;
  std::int64_t run_;
  int step_;
  StepFindings& findings_;
  bool block_order_;
  std::string start_snapshot_;

  std::vector<RoundSpan> spans_;
  std::size_t span_index_ = 0;
  std::optional<LedgerPartition> partition_;  // Of the span in progress.
  std::deque<Batch> page_;
  std::int64_t seq_read_ = 0;
  bool page_is_last_ = false;

  Chunk chunk_;
  std::int64_t chunk_rows_ = 0;
  Window window_;                        // In progress.
  std::optional<std::string> rows_end_;  // Up to where round 1 was handed out.
  bool tail_done_ = false;

  std::int64_t blocks_ = -1;  // Of the table; unknown yet.
  std::int64_t block_ = 0;
  std::int64_t blocks_per_chunk_ = 0;
  std::vector<Cover> block_covers_;
};

}  // namespace pawl::verify
