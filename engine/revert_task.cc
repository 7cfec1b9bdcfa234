#include "engine/revert_task.h"

#include <deque>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pawl::engine {
namespace {

// Ledger rows read ahead in one go.
constexpr int kReadAhead = 200;

// A revert's spans are not split on the way, so they are small enough from the start for workers to
// end together: a span of the way forward is cut where a further 1/16 of all rows has come up.
constexpr int kPieces = 16;

struct LedgerBatch {
  std::int64_t batch = 0;
  std::int64_t seq = 0;
  std::int64_t rows = 0;
  schema::Slice slice;
};

LedgerBatch FromRow(const db::Row& row) {
  LedgerBatch batch;
  batch.batch = db::ToInt(row[0]);
  batch.seq = db::ToInt(row[1]);
  batch.rows = db::ToInt(row[2]);
  if (row[3]) batch.slice.range.lo = schema::PositionFrom(*row[3]);
  batch.slice.range.hi = schema::PositionFrom(db::ToText(row[4]));
  batch.slice.residue_lo = db::ToInt(row[5]);
  batch.slice.residue_hi = db::ToInt(row[6]);
  return batch;
}

class RevertTask : public SpanTask {
 public:
  RevertTask(const schema::Backfill& backfill, const checkpoints::Round& round,
             schema::OnConflict on_conflict, db::Pipeline& pipeline,
             const checkpoints::SpanLease& lease, std::int64_t worker)
      : backfill_(backfill),
        round_(round),
        on_conflict_(on_conflict),
        pipeline_(pipeline),
        span_(lease.span),
        own_seq_(lease.seq),
        worker_(worker) {
    const schema::Position cursor = schema::PositionFrom(lease.cursor);
    if (cursor.size() != 2 || schema::PositionFrom(lease.end_key).size() != 2) {
      throw db::Error(
          db::Action::kStop,
          fmt::format("The control schema holds the position {}, which is no place in the ledger: "
                      "it was changed by hand. Put it back.",
                      lease.cursor));
    }
    forward_span_ = cursor.at(0);
    seq_ = cursor.at(1);
    stop_ = schema::PositionFrom(lease.end_key).at(1);
  }

  std::optional<Batch> Next(std::int64_t, bool) override {
    if (ahead_.size() < 2 && !exhausted_) ReadAhead();
    if (ahead_.empty()) return std::nullopt;
    const LedgerBatch& batch = ahead_.front();
    const schema::LedgerFacts facts{round_.run, round_.step,  round_.round,
                                    span_,      own_seq_ + 1, worker_};
    schema::Rendered revert =
        schema::RenderRevert(backfill_, batch.slice, batch.batch, facts, on_conflict_);
    return Around({std::move(revert.sql), std::move(revert.parameters)});
  }

  Batch Skip() override {
    const schema::LedgerFacts facts{round_.run, round_.step,  round_.round,
                                    span_,      own_seq_ + 1, worker_};
    const schema::Rendered skip = schema::RenderSkip(backfill_, ahead_.front().slice, facts);
    return Around({skip.sql, skip.parameters});
  }

  void Committed(const std::vector<db::Result>&) override {
    seq_ = NextSeq();
    ahead_.pop_front();
    ++own_seq_;
  }

  void MoveEnd(const std::string&) override {}
  std::string KeyText() const override {
    return ahead_.empty() ? "not known yet" : std::to_string(ahead_.front().batch);
  }
  std::string Place() const override { return "batch " + KeyText(); }

 private:
  Batch Around(db::Call call) {
    Batch around;
    around.calls.push_back(std::move(call));
    around.new_cursor = schema::ToText({forward_span_, NextSeq()});
    around.done = ahead_.size() == 1;
    around.rows_visited = ahead_.front().rows;
    around.repeatable_read = true;
    return around;
  }

  std::string NextSeq() const { return ahead_.size() > 1 ? std::to_string(ahead_[1].seq) : stop_; }

  void ReadAhead() {
    const std::string below = ahead_.empty() ? seq_ : std::to_string(ahead_.back().seq - 1);
    const db::Result found = pipeline_.Run({{
        R"sql(SELECT l.batch_id, l.seq, l.rows, l.range_lo, l.range_hi, l.residue_lo, l.residue_hi
  FROM pawl.ledger AS l
 WHERE l.run_id = $1::bigint AND l.step = $2::integer AND l.span_id = $3::bigint
   AND l.seq <= $4::bigint AND l.seq > $5::bigint AND l.kind = 'change' AND l.rows > 0
   AND NOT EXISTS (SELECT FROM pawl.ledger AS r WHERE r.reverts = l.batch_id)
 ORDER BY l.seq DESC LIMIT $6::bigint)sql",
        {std::to_string(round_.run), std::to_string(round_.step), forward_span_, below, stop_,
         std::to_string(kReadAhead)}}})[0];
    for (const db::Row& row : found.rows) ahead_.push_back(FromRow(row));
    exhausted_ = found.rows.size() < kReadAhead;
  }

  const schema::Backfill& backfill_;
  checkpoints::Round round_;
  schema::OnConflict on_conflict_;
  db::Pipeline& pipeline_;
  std::int64_t span_;
  std::int64_t own_seq_;
  std::int64_t worker_;
  std::string forward_span_;
  std::string seq_;
  std::string stop_;
  std::deque<LedgerBatch> ahead_;
  bool exhausted_ = false;
};

checkpoints::SpanSeed Seed(const std::string& span, const std::string& from,
                           const std::string& stop, std::int64_t rows) {
  return {db::Value(schema::ToText({span, from})), schema::ToText({span, stop}),
          schema::ToText({span, from}), rows};
}

constexpr const char* kRevertible =
    "FROM pawl.ledger AS l WHERE l.run_id = $1::bigint AND l.step = $2::integer AND l.kind = "
    "'change' AND l.rows > 0 AND NOT EXISTS (SELECT FROM pawl.ledger AS r WHERE r.reverts = "
    "l.batch_id)";

}  // namespace

std::vector<checkpoints::SpanSeed> CutRevertSpans(db::Session& session,
                                                  const checkpoints::Round& forward_round,
                                                  const std::vector<std::int64_t>& batches) {
  std::vector<checkpoints::SpanSeed> spans;
  std::vector<db::Value> parameters = {std::to_string(forward_round.run),
                                       std::to_string(forward_round.step)};
  if (!batches.empty()) {
    parameters.push_back(fmt::format("{{{}}}", fmt::join(batches, ",")));
    const std::string chosen = fmt::format(
        "SELECT l.span_id, l.seq, l.rows {} AND l.batch_id = ANY($3::bigint[]) ORDER BY l.batch_id "
        "DESC",
        kRevertible);
    for (const db::Row& row : session.Query(chosen, parameters).rows) {
      const std::int64_t seq = db::ToInt(row[1]);
      spans.push_back(Seed(db::ToText(row[0]), std::to_string(seq), std::to_string(seq - 1),
                           db::ToInt(row[2])));
    }
    return spans;
  }
  parameters.push_back(std::to_string(forward_round.round));
  parameters.push_back(std::to_string(kPieces));
  const std::string all = fmt::format(
      R"sql(SELECT span_id, max(seq), min(seq) - 1, sum(rows)::bigint
  FROM (SELECT l.span_id, l.seq, l.rows,
               sum(l.rows) OVER (PARTITION BY l.span_id ORDER BY l.seq DESC) * $4::integer
                 / sum(l.rows) OVER () AS piece {} AND l.round = $3::integer) AS batches
 GROUP BY span_id, floor(piece) ORDER BY span_id DESC, max(seq) DESC)sql",
      kRevertible);
  for (const db::Row& row : session.Query(all, parameters).rows) {
    spans.push_back(
        Seed(db::ToText(row[0]), db::ToText(row[1]), db::ToText(row[2]), db::ToInt(row[3])));
  }
  return spans;
}

std::unique_ptr<SpanTask> RevertSource::Open(db::Pipeline& pipeline,
                                             const checkpoints::SpanLease& lease,
                                             std::int64_t worker) {
  return std::make_unique<RevertTask>(backfill_, round_, on_conflict_, pipeline, lease, worker);
}

}  // namespace pawl::engine
