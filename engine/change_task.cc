#include "engine/change_task.h"

#include <bit>
#include <cstdlib>
#include <set>

#include <fmt/format.h>

#include "batching/span_walker.h"
#include "engine/guard.h"
#include "engine/span_cutting.h"
#include "engine/sql_keys.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

// No batch of a few milliseconds visits more.
constexpr std::int64_t kRowsPlausible = 1'000'000'000;

// Tuples updated and updated HOT by this session since its counters were last flushed (each
// second).
constexpr const char* kHotSql =
    "SELECT pg_stat_get_xact_tuples_updated($1::oid), pg_stat_get_xact_tuples_hot_updated($1::oid)";

batching::Passes PassesOf(const schema::Backfill& backfill, const ChangeFacts& facts) {
  const bool strided = backfill.order == schema::Order::kKeyStrides ||
                       backfill.order == schema::Order::kBlockStrides;
  if (!strided || backfill.stride == 1 || std::abs(facts.round.round) > 1) {
    return batching::Passes::kOne;
  }
  return facts.round.round < 0 ? batching::Passes::kDownward : batching::Passes::kUpward;
}

// A cursor or an end that is none of this table's key, as a hand may leave it.
void CheckShape(const schema::Backfill& backfill, const std::optional<schema::Position>& position) {
  const std::size_t size = IsBlockOrder(backfill) ? 1 : backfill.key.size();
  if (!position || position->size() == size) return;
  throw db::Error(
      db::Action::kStop,
      fmt::format("The control schema holds the position {}, which is none of {}.{}: it was "
                  "changed by hand. Put it back, or give the run up with `pawl abort`.",
                  schema::ToText(*position), backfill.walked.schema, backfill.walked.name));
}

// No larger than windows are opened: in block order they are cut into as many pieces as there are
// blocks in them, whether the table has them or not.
bool IsWindow(const schema::Backfill& backfill, const batching::Cursor& cursor) {
  if (cursor.residue_hi > backfill.stride) return false;
  if (!IsBlockOrder(backfill)) return true;
  const std::int64_t blocks =
      BlocksUpTo(cursor.window_hi) - (cursor.window_lo ? BlocksUpTo(*cursor.window_lo) : 0);
  return blocks <= std::max<std::int64_t>(1, WindowRows(backfill) / RowsPerPage(backfill));
}

batching::Cursor CursorOf(const schema::Backfill& backfill, const checkpoints::SpanLease& lease) {
  batching::Cursor cursor = batching::CursorFrom(lease.cursor);
  CheckShape(backfill, cursor.at);
  CheckShape(backfill, cursor.window_lo);
  if (cursor.in_window) CheckShape(backfill, cursor.window_hi);
  CheckShape(backfill, schema::PositionFrom(lease.end_key));
  if (cursor.in_window && !IsWindow(backfill, cursor)) {
    schema::FailDamaged("cursor", lease.cursor);
  }
  return cursor;
}

// The span's last batch and its cursor were written by one transaction: they agree, or somebody has
// changed one of them. A cursor that was moved back would change rows a second time.
void CheckAgainstLedger(db::Pipeline& pipeline, const checkpoints::Round& round,
                        const checkpoints::SpanLease& lease, const batching::Cursor& cursor) {
  if (lease.seq == 0) return;
  const db::Result last = pipeline.Run(
      {{"SELECT range_hi FROM pawl.ledger WHERE run_id = $1::bigint AND step = $2::integer AND "
        "span_id = $3::bigint AND seq = $4::bigint",
        {std::to_string(round.run), std::to_string(round.step), std::to_string(lease.span),
         std::to_string(lease.seq)}}})[0];
  std::string stands_at = "nowhere: it is not in the ledger";
  if (!last.rows.empty()) {
    stands_at = db::ToText(last.rows[0][0]);
    const schema::Position hi = schema::PositionFrom(stands_at);
    // Behind the last batch, or where the next pass over its window begins.
    if (cursor.at == hi) return;
    if (cursor.in_window && cursor.at == cursor.window_lo && hi == cursor.window_hi) return;
  }
  throw db::Error(
      db::Action::kStop,
      fmt::format("The cursor of span {} is {}, but its last batch (number {}) ended at {}. One of "
                  "them was changed by hand, and going on could change rows twice. Put it back, or "
                  "give the run up with `pawl abort {}`.",
                  lease.span, lease.cursor, lease.seq, stands_at, round.run));
}

class ChangeTask : public SpanTask {
 public:
  ChangeTask(const schema::Backfill& backfill, const ChangeFacts& facts, db::Pipeline& pipeline,
             const checkpoints::SpanLease& lease, std::int64_t worker,
             std::shared_ptr<batching::StrideWatch> watch)
      : backfill_(backfill),
        facts_(facts),
        pipeline_(pipeline),
        keys_(pipeline, backfill),
        walker_(keys_, backfill, schema::PositionFrom(lease.end_key), CursorOf(backfill, lease),
                WindowRows(backfill), PassesOf(backfill, facts), std::move(watch)),
        span_(lease.span),
        seq_(lease.seq),
        worker_(worker) {
    CheckAgainstLedger(pipeline, facts.round, lease, walker_.cursor());
  }

  std::optional<Batch> Next(std::int64_t rows, bool exact) override {
    slice_ = walker_.Next(rows, exact);
    if (!slice_) return std::nullopt;
    rows_visited_ = slice_->rows_expected > 0 ? std::min(rows, slice_->rows_expected) : rows;
    if (rows > kRowsPlausible) rows_visited_ = 0;  // A closing statement: it changes a few.
    schema::Rendered change =
        schema::RenderChange(backfill_, *slice_, Facts(), facts_.server_version);
    Batch batch = Around({std::move(change.sql), std::move(change.parameters)});
    LookAtPlan(rows, batch.calls[0]);
    batch.repeatable_read = schema::NeedsRepeatableRead(backfill_, facts_.server_version);
    if (PassesOf(backfill_, facts_) != batching::Passes::kOne) {
      batch.calls.push_back({kHotSql, {std::to_string(backfill_.walked_oid)}});
    }
    // A revert needs none: it touches only rows that hold what the migration wrote.
    if (backfill_.walked_oid != 0 && facts_.round.round > 0) {
      batch.calls.push_back(SameTableCall(backfill_));
    }
    return batch;
  }

  Batch Skip() override {
    const schema::Rendered skip = schema::RenderSkip(backfill_, *slice_, Facts());
    return Around({skip.sql, skip.parameters});
  }

  void Committed(const std::vector<db::Result>& results) override {
    std::int64_t updated = 0;
    std::int64_t hot = 0;
    // Not behind Skip(), which changes nothing.
    if (results.size() > 1 && PassesOf(backfill_, facts_) != batching::Passes::kOne) {
      const std::int64_t all_updated = db::ToInt(results[1].rows[0][0]);
      const std::int64_t all_hot = db::ToInt(results[1].rows[0][1]);
      // The counters start anew when the server flushes them.
      const bool flushed = all_updated < seen_updated_;
      updated = all_updated - (flushed ? 0 : seen_updated_);
      hot = all_hot - (flushed ? 0 : seen_hot_);
      seen_updated_ = all_updated;
      seen_hot_ = all_hot;
    }
    walker_.Commit(*slice_, rows_visited_, updated, hot);
    ++seq_;
  }

  void MoveEnd(const std::string& end_key) override {
    walker_.MoveEnd(schema::PositionFrom(end_key));
  }

  std::string KeyText() const override {
    return slice_ ? schema::ToText(slice_->range.hi) : "not known yet";
  }
  std::optional<db::Call> KeyCall() const override {
    if (!IsBlockOrder(backfill_) || backfill_.key.empty()) return std::nullopt;
    schema::Rendered key = schema::RenderRowKey(backfill_, *slice_);
    return db::Call{std::move(key.sql), std::move(key.parameters)};
  }
  double hot_share() const override { return walker_.hot_share(); }

 private:
  schema::LedgerFacts Facts() const {
    return {facts_.round.run, facts_.round.step, facts_.round.round, span_, seq_ + 1, worker_};
  }

  Batch Around(db::Call call) {
    Batch batch;
    const batching::Cursor after = walker_.After(*slice_);
    batch.calls.push_back(std::move(call));
    batch.new_cursor = batching::ToText(after);
    batch.done = walker_.Finishes(after);
    batch.rows_visited = rows_visited_;
    return batch;
  }

  // The plan may flip with the size of a batch: it is looked at again with each fourfold size and
  // shape.
  void LookAtPlan(std::int64_t rows, const db::Call& call) {
    const auto size_class = std::bit_width(static_cast<std::uint64_t>(rows)) / 2;
    if (!seen_.insert(std::to_string(size_class) + call.sql).second) return;
    CheckPlan(pipeline_, backfill_, call);
  }

  const schema::Backfill& backfill_;
  ChangeFacts facts_;
  db::Pipeline& pipeline_;
  SqlKeys keys_;
  batching::SpanWalker walker_;
  std::int64_t span_;
  std::int64_t seq_;
  std::int64_t worker_;
  std::optional<schema::Slice> slice_;
  std::int64_t rows_visited_ = 0;
  std::int64_t seen_updated_ = 0;
  std::int64_t seen_hot_ = 0;
  std::set<std::string> seen_;  // Shapes and size classes whose plan was looked at.
};

}  // namespace

ChangeSource::ChangeSource(schema::Backfill backfill, const ChangeFacts& facts)
    : backfill_(std::move(backfill)), facts_(facts) {}

std::unique_ptr<SpanTask> ChangeSource::Open(db::Pipeline& pipeline,
                                             const checkpoints::SpanLease& lease,
                                             std::int64_t worker) {
  return std::make_unique<ChangeTask>(backfill_, facts_, pipeline, lease, worker,
                                      WatchOf(pipeline));
}

std::shared_ptr<batching::StrideWatch> ChangeSource::WatchOf(const db::Pipeline& worker) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<batching::StrideWatch>& watch = watches_[&worker];
  if (watch == nullptr) {
    const bool in_strides = PassesOf(backfill_, facts_) != batching::Passes::kOne;
    watch = std::make_shared<batching::StrideWatch>(in_strides ? backfill_.stride : 1);
  }
  return watch;
}

bool ChangeSource::Split(db::Pipeline& pipeline) {
  return SplitLargest(pipeline, backfill_, facts_.round);
}

}  // namespace pawl::engine
