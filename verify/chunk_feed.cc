#include "verify/chunk_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "db/quote.h"

namespace pawl::verify {
namespace {

constexpr int kPageRows = 5'000;
// The change and its closing sweeps, of which there are at most a handful.
constexpr int kRoundsMax = 20;
// A chunk's statement names each of its windows; one of many small windows stays readable.
constexpr std::size_t kCoversMax = 200;
constexpr std::size_t kBatchIdsBytesMax = 100'000;

std::string Tid(std::int64_t block) { return fmt::format(R"t(["({},65535)"])t", block); }

}  // namespace

ChunkFeed::ChunkFeed(db::Session& session, const schema::Backfill& backfill, std::int64_t run,
                     int step, StepFindings& findings)
    : session_(session), backfill_(backfill), run_(run), step_(step), findings_(findings) {
  block_order_ =
      backfill.order == schema::Order::kBlock || backfill.order == schema::Order::kBlockStrides;
  start_snapshot_ = db::ToText(
      session_.Query(fmt::format("SELECT start_snapshot FROM pawl.run WHERE run_id = {}", run))
          .rows.at(0)[0]);
  ReadSpans();
}

void ChunkFeed::ReadSpans() {
  const db::Result rounds = session_.Query(fmt::format(
      "SELECT greatest(1, (SELECT round FROM pawl.step WHERE run_id = {0} AND step = {1}), "
      "max(round)) FROM pawl.span WHERE run_id = {0} AND step = {1}",
      run_, step_));
  // A round is a sweep over the table, and there are a few; a number that a hand wrote may be any.
  const std::int64_t round_last = db::ToInt(rounds.rows.at(0)[0]);
  if (round_last > kRoundsMax) {
    Fault(fmt::format("round {}", round_last), "The step counts more rounds than any run has.");
  }
  const int round_count = static_cast<int>(std::min<std::int64_t>(round_last, kRoundsMax));
  for (int round = 1; round <= round_count; ++round) {
    const db::Result found = session_.Query(fmt::format(
        "SELECT span_id, begin_key, end_key FROM pawl.span WHERE run_id = {} AND step = {} AND "
        "round = {} ORDER BY span_id",
        run_, step_, round));
    std::vector<SpanBounds> spans;
    for (const db::Row& row : found.rows) {
      spans.push_back({db::ToInt(row[0]), row[1], db::ToText(row[2])});
    }
    // The rows of a table that was empty are behind its last span, and looked at there.
    if (spans.empty()) findings_.AddNote(fmt::format("Round {} has no span.", round));
    SpanChain chain = ChainSpans(std::move(spans));
    for (const std::string& fault : chain.faults) Fault(fmt::format("round {}", round), fault);
    for (SpanBounds& span : chain.spans) spans_.push_back({round, std::move(span)});
  }
  const db::Result strays = session_.Query(
      fmt::format("SELECT l.batch_id FROM pawl.ledger AS l LEFT JOIN pawl.span AS s ON s.span_id = "
                  "l.span_id AND s.run_id = l.run_id AND s.step = l.step AND s.round = l.round "
                  "WHERE l.run_id = {} AND l.step = {} AND l.kind = 'change' AND s.span_id IS NULL "
                  "ORDER BY l.batch_id LIMIT 100",
                  run_, step_));
  for (const db::Row& row : strays.rows) {
    Fault("batch " + db::ToText(row[0]), "The batch belongs to no span of its step and round.");
  }
}

void ChunkFeed::ReadPage() {
  const db::Result found = session_.Query(fmt::format(
      R"sql(SELECT batch_id, seq, range_lo, range_hi, residue_lo, residue_hi, rows, snapshot
FROM pawl.ledger
WHERE run_id = {} AND step = {} AND span_id = {} AND seq > {} AND kind = 'change'
ORDER BY seq
LIMIT {})sql",
      run_, step_, spans_[span_index_].span.span_id, seq_read_, kPageRows));
  for (const db::Row& row : found.rows) {
    page_.push_back({.range = {.batch_id = db::ToInt(row[0]),
                               .seq = db::ToInt(row[1]),
                               .lo = row[2],
                               .hi = db::ToText(row[3]),
                               .residue_lo = db::ToInt(row[4]),
                               .residue_hi = db::ToInt(row[5])},
                     .rows = db::ToInt(row[6]),
                     .snapshot = db::ToText(row[7])});
    seq_read_ = page_.back().range.seq;
  }
  page_is_last_ = found.rows.size() < kPageRows;
}

// The next batch of the span in progress; nullopt at its end.
std::optional<ChunkFeed::Batch> ChunkFeed::NextBatch() {
  if (page_.empty() && !page_is_last_) ReadPage();
  if (page_.empty()) return std::nullopt;
  Batch batch = std::move(page_.front());
  page_.pop_front();
  return batch;
}

void ChunkFeed::Fault(const std::string& where, const std::string& what) {
  findings_.AddDifferences(1);
  findings_.AddFinding(where, what);
}

void ChunkFeed::FinishSpan() {
  const SpanBounds& span = spans_[span_index_].span;
  if (const auto fault = partition_->Finish()) Fault(fmt::format("span {}", span.span_id), *fault);
  partition_.reset();
  page_is_last_ = false;
  seq_read_ = 0;
  ++span_index_;
}

void ChunkFeed::AddToChunk(const Batch& batch) {
  chunk_.batch_ids += (chunk_.batch_ids.empty() ? "" : ",") + std::to_string(batch.range.batch_id);
  chunk_rows_ += batch.rows;
  if (block_order_ || spans_[span_index_].round > 1) return;
  // A window's first pass has its oldest snapshots.
  if (!chunk_.rows) {
    chunk_.rows =
        RowChunk{.lo = rows_end_, .hi = {}, .covers = {}, .rest_snapshot = start_snapshot_};
  }
  if (window_.rows.covers.empty()) window_.rows.lo = rows_end_;
  if (batch.range.residue_lo == 0) {
    chunk_.rows->covers.push_back({batch.range.hi, batch.snapshot});
    rows_end_ = batch.range.hi;
  }
  AddToWindow(batch);
}

void ChunkFeed::AddToWindow(const Batch& batch) {
  if (batch.range.residue_lo == 0) {
    window_.rows.covers.push_back({batch.range.hi, batch.snapshot});
  }
  window_.rows_changed += batch.rows;
  if (!partition_->window_done()) return;
  window_.rows.hi = rows_end_;
  window_.rows.rest_snapshot = start_snapshot_;
  chunk_.windows.push_back(std::exchange(window_, {}));
}

bool ChunkFeed::ChunkIsFull() const {
  return partition_->window_done() &&
         (chunk_rows_ >= kChunkRows || chunk_.batch_ids.size() >= kBatchIdsBytesMax ||
          (chunk_.rows && chunk_.rows->covers.size() >= kCoversMax));
}

Chunk ChunkFeed::TakeChunk() {
  if (chunk_.rows) chunk_.rows->hi = rows_end_;
  chunk_rows_ = 0;
  return std::exchange(chunk_, {});
}

std::optional<Chunk> ChunkFeed::Next() {
  while (span_index_ < spans_.size()) {
    if (!partition_) partition_.emplace(spans_[span_index_].span, backfill_.stride);
    while (std::optional<Batch> batch = NextBatch()) {
      if (const auto fault = partition_->Add(batch->range)) {
        Fault(fmt::format("batch {}", batch->range.batch_id), *fault);
      }
      AddToChunk(*batch);
      if (ChunkIsFull()) return TakeChunk();
    }
    FinishSpan();
    if (!chunk_.batch_ids.empty()) return TakeChunk();
  }
  return block_order_ ? NextBlocks() : Tail();
}

std::optional<Chunk> ChunkFeed::Tail() {
  if (std::exchange(tail_done_, true)) return std::nullopt;
  Chunk chunk;
  chunk.rows = RowChunk{.lo = rows_end_, .hi = {}, .covers = {}, .rest_snapshot = start_snapshot_};
  chunk.is_tail = true;
  return chunk;
}

// The last round walked all blocks up to its end, beginning with its oldest snapshot: a row version
// that this one sees lay still all the while. Behind its end only what the run saw at its start.
void ChunkFeed::PlanBlocks() {
  const db::Result size = session_.Query(
      fmt::format("SELECT pg_relation_size({}::regclass) / current_setting('block_size')::bigint",
                  db::QuoteLiteral(db::QuoteName(backfill_.walked.schema, backfill_.walked.name))));
  blocks_ = db::ToInt(size.rows.at(0)[0]);
  const std::int64_t rows_per_block = std::clamp<std::int64_t>(
      backfill_.rows_in_table / std::max<std::int64_t>(backfill_.pages_in_table, 1), 1, 200);
  blocks_per_chunk_ = kChunkRows / rows_per_block;
  if (spans_.empty()) return;
  const db::Result oldest = session_.Query(fmt::format(
      "SELECT snapshot FROM pawl.ledger WHERE run_id = {} AND step = {} AND round = {} AND kind = "
      "'change' ORDER BY pg_snapshot_xmin(snapshot)::text::bigint, batch_id LIMIT 1",
      run_, step_, spans_.back().round));
  if (oldest.rows.empty()) return;
  block_covers_.push_back({spans_.back().span.end, db::ToText(oldest.rows[0][0])});
}

std::optional<Chunk> ChunkFeed::NextBlocks() {
  if (blocks_ < 0) PlanBlocks();
  if (std::exchange(tail_done_, tail_done_ || block_ + blocks_per_chunk_ >= blocks_)) {
    return std::nullopt;
  }
  Chunk chunk;
  chunk.rows =
      RowChunk{.lo = {}, .hi = {}, .covers = block_covers_, .rest_snapshot = start_snapshot_};
  if (block_ > 0) chunk.rows->lo = Tid(block_ - 1);
  block_ += blocks_per_chunk_;
  if (!tail_done_) chunk.rows->hi = Tid(block_ - 1);
  return chunk;
}

}  // namespace pawl::verify
