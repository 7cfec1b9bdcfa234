#include "engine/worker.h"

#include <algorithm>
#include <random>
#include <string_view>
#include <thread>

#include <fmt/format.h>

#include "db/fault.h"
#include "db/log.h"
#include "engine/failure_advice.h"
#include "engine/guard.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

using std::chrono::milliseconds;

// With pauses of up to a second: about three minutes of collisions on one batch before giving up.
constexpr int kRetriesMax = 200;
// After so many collisions in a row a smaller batch has better odds.
constexpr int kRetriesBeforeHalving = 5;
// What was cancelled or timed out so often outside of a batch will be so again.
constexpr int kCancelsMax = 5;
constexpr std::chrono::minutes kReconnectFor{3};
constexpr milliseconds kTurnPoll{2};  // Rests are some milliseconds long.
constexpr int kTurnPollsMax = 500;    // Whoever waits longer is held, perhaps for hours.
constexpr milliseconds kTurnPollHeld{20};
// A batch is BEGIN, the fence, what the task gives, COMMIT.
constexpr int kFenceCall = 1;

// Of the fence only: the server quotes values, and what a row says must not end a lease.
bool IsFenced(const db::Error& error) {
  const auto* failed = dynamic_cast<const db::CallError*>(&error);
  return failed != nullptr && failed->call() == kFenceCall &&
         std::string_view(error.what()).find(checkpoints::kLostLease) != std::string_view::npos;
}

void SleepWithJitter(milliseconds about) {
  thread_local std::minstd_rand random(std::random_device{}());
  std::uniform_real_distribution<double> factor(0.5, 1.5);
  std::this_thread::sleep_for(std::chrono::duration_cast<milliseconds>(about * factor(random)));
}

}  // namespace

Worker::Worker(const WorkOrder& order, std::function<bool()> may_work,
               std::function<void(const BatchReport&)> report)
    : order_(order),
      may_work_(std::move(may_work)),
      report_(std::move(report)),
      sizer_(order.limits, order.row_bytes) {}

void LeaseBook::Add(const checkpoints::SpanLease& lease) {
  const std::lock_guard lock(mutex_);
  held_.push_back({lease.span, lease.epoch});
}

void LeaseBook::Remove(const checkpoints::SpanLease& lease) {
  const std::lock_guard lock(mutex_);
  std::erase(held_, checkpoints::HeldLease{lease.span, lease.epoch});
}

std::vector<checkpoints::HeldLease> LeaseBook::All() const {
  const std::lock_guard lock(mutex_);
  return held_;
}

// The one way the lease changes, so that what is renewed is exactly what is held.
void Worker::Hold(std::optional<checkpoints::SpanLease> lease) {
  if (lease_) order_.leases->Remove(*lease_);
  lease_ = std::move(lease);
  if (lease_) order_.leases->Add(*lease_);
}

void Worker::Connect() {
  auto pipeline = std::make_unique<db::Pipeline>(order_.where, "worker", order_.settings);
  // Asynchronous commit: cursor, data, undo and ledger are lost or kept together, so a crash of the
  // server costs repeated work, never rows. The end of a step commits synchronously.
  // Sequential scans of the target are refused anyway; this keeps small tables on their index.
  pipeline->Execute("SET synchronous_commit = off; SET enable_seqscan = off");
  if (order_.nested_loops_only) {
    pipeline->Execute("SET enable_hashjoin = off; SET enable_mergejoin = off");
  }
  was_connected_ = true;
  RequireSameServer(*pipeline);
  pipeline_ = std::move(pipeline);  // Only now: half set up, nothing may run on it.
}

void Worker::RequireSameServer(db::Pipeline& pipeline) const {
  if (!order_.system_identifier.empty()) {
    const db::Result found = pipeline.Execute("SELECT system_identifier FROM pg_control_system()");
    if (db::ToText(found.rows[0][0]) != order_.system_identifier) {
      throw db::Error(
          db::Action::kStop,
          fmt::format("The server behind {} is not the one this run began on. Nothing was written "
                      "to it. Point --database at the primary and resume.",
                      order_.where.Display()));
    }
  }
  const db::Result timeline = pipeline.Execute(TimelineWatch::kSql);
  order_.timeline->Note(db::ToInt(timeline.rows[0][0]), order_.where.Display());
}

void Worker::Run() {
  while (may_work_()) {
    try {
      if (!pipeline_) Connect();
      // Left by a broken connection: whether its last batch has committed, the cursor says.
      if (lease_) {
        Hold(checkpoints::ReclaimSpan(*pipeline_, *lease_, order_.worker));
        if (lease_) WorkSpan();
        continue;
      }
      if (!WorkOneSpan()) return;
    } catch (const db::Error& error) {
      task_.reset();
      // It never had a connection: waiting for one in silence would look like work.
      if (error.sqlstate() == "53300" && !was_connected_) throw NoConnection(error);
      if (WillPass(error)) {
        RetryLater(error);  // A lease that is held is taken again, and its cursor read.
        continue;
      }
      if (error.action() != db::Action::kReconnect) {
        // Given back at once where the connection still allows it; otherwise it runs out.
        try {
          if (pipeline_ && lease_) checkpoints::ReleaseSpan(*pipeline_, *lease_);
        } catch (const db::Error& release) {
          db::Log(db::LogLevel::kWarning, "span not given back", {{"message", release.what()}});
        }
        Hold(std::nullopt);
        throw;
      }
      Reconnect(error);
    }
  }
  if (pipeline_ && lease_) checkpoints::ReleaseSpan(*pipeline_, *lease_);
  Hold(std::nullopt);
}

// Returns false when the round has no span left for anyone.
bool Worker::WorkOneSpan() {
  Hold(checkpoints::ClaimSpan(*pipeline_, order_.round, order_.worker));
  if (lease_) {
    WorkSpan();
    return true;
  }
  const bool was_split = order_.tasks->Split(*pipeline_);
  retries_ = 0;  // Who only helps commits no batch that would say so.
  if (was_split) return true;
  if (checkpoints::UnfinishedSpans(*pipeline_, order_.round) == 0) return false;
  // The others are at the last spans; one of them may still die and leave its span to us.
  std::this_thread::sleep_for(milliseconds(50));
  return true;
}

void Worker::WorkSpan() {
  task_ = order_.tasks->Open(*pipeline_, *lease_, order_.worker);
  while (true) {
    if (!may_work_()) {
      checkpoints::ReleaseSpan(*pipeline_, *lease_);
      break;
    }
    // Reading for a batch is load as well, so the turn comes first.
    std::optional<Pace::Turn> turn = WaitForTurn();
    if (!turn) continue;
    std::optional<Batch> batch;
    if (!Cut(batch)) continue;
    if (!batch) {
      checkpoints::FinishSpan(*pipeline_, *lease_);
      break;
    }
    if (!WaitForPace(batch->rows_visited, *turn)) continue;
    const bool last = batch->done;
    if (!RunBatch(*batch)) {
      if (!lease_) break;
      continue;
    }
    if (last) break;
  }
  task_.reset();
  Hold(std::nullopt);
}

// Finds the next batch; none where the span is at its end. Returns false where reading for it timed
// out or collided, and it is to be tried again: an ALTER TABLE of the application may hold the
// table for a moment.
bool Worker::Cut(std::optional<Batch>& batch) {
  try {
    // A size that was asked for, and a sweep that must see all rows at once, stay whole.
    const bool fixed = order_.limits.rows_initial == order_.limits.rows_max;
    rows_asked_ =
        fixed || sizer_.narrowing() ? sizer_.rows() : order_.pace->BatchRows(sizer_.rows());
    batch = task_->Next(rows_asked_, sizer_.narrowing());
    return true;
  } catch (const db::Error& error) {
    const bool split = error.action() == db::Action::kSplit && sizer_.Halve();
    if (!split && error.action() != db::Action::kRetryBatch) throw;
    if (!split) RetryLater(error);
    return false;
  }
}

// Returns false where the batch did not commit; the lease is gone then, or the batch is to be cut
// anew.
bool Worker::RunBatch(Batch batch) {
  PAWL_FAULT(order_.round.round > 0 ? "before_batch" : "before_revert_batch");
  std::vector<db::Call> calls;
  calls.push_back({batch.repeatable_read ? "BEGIN ISOLATION LEVEL REPEATABLE READ" : "BEGIN", {}});
  calls.push_back(checkpoints::Fence(*lease_, batch.new_cursor, batch.done, batch.rows_visited));
  for (db::Call& call : batch.calls) calls.push_back(std::move(call));
  calls.push_back({"COMMIT", {}});
  const auto began = std::chrono::steady_clock::now();
  std::vector<db::Result> results;
  try {
    results = pipeline_->Run(calls);
    PAWL_FAULT(order_.round.round > 0 ? "after_commit" : "after_revert_commit");
  } catch (const db::Error& error) {
    Settle(error);
    return false;
  }
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - began);
  results.erase(results.begin(), results.begin() + 2);
  results.pop_back();
  task_->Committed(results);
  lease_->cursor = batch.new_cursor;
  ++lease_->seq;
  retries_ = 0;
  const db::Row& ledger = results[0].rows.at(0);
  report_(
      {db::ToInt(ledger[0]), db::ToInt(ledger[1]), batch.rows_visited, took, task_->hot_share()});
  sizer_.Report(took, rows_asked_);
  return true;
}

// Decides what a failed batch means. Returns where the batch may be tried again (cut anew), throws
// where it may not; resets the lease where the span belongs to another worker now.
void Worker::Settle(const db::Error& error) {
  const std::string message = error.what();
  db::Log(db::LogLevel::kWarning, "batch failed",
          {{"sqlstate", error.sqlstate()}, {"message", message}});
  if (IsFenced(error)) return FindEndAgain();
  if (message.find(schema::kDisagree) != std::string::npos) {
    throw db::Error(
        db::Action::kStop,
        fmt::format(
            "A batch of {} matched other rows than it changed (up to key {}). Either FROM joins a "
            "row several times, or a trigger suppresses changes. Nothing of the batch was kept. "
            "Make FROM match each row once, or use undo=none.",
            order_.table, task_->KeyText()));
  }
  if (message.find(kIndexGone) != std::string::npos) {
    throw db::Error(
        db::Action::kStop,
        fmt::format(
            "The index by whose key {} is walked is gone or invalid, and PostgreSQL would scan all "
            "of the table for every batch. Make the index again under the name that it had ({}), "
            "and resume.",
            order_.table, order_.key_index));
  }
  if (message.find(kColumnsChanged) != std::string::npos) {
    throw db::Error(
        db::Action::kStop,
        fmt::format("{} has other columns than when the run was planned, and what it deletes or "
                    "inserts could not be taken back whole. No row of the batch was changed. Take "
                    "the column away and resume, or give the run up and plan anew.",
                    order_.table));
  }
  if (message.find(kReplaced) != std::string::npos) {
    throw db::Error(
        db::Action::kStop,
        fmt::format(
            "Another table has taken the name {} since the run was planned. No row of it was "
            "changed. Give the planned table its name again and resume, or give the run up and "
            "plan anew.",
            order_.table));
  }
  if (message.find(schema::kNotRestored) != std::string::npos) {
    throw db::Error(
        db::Action::kStop,
        fmt::format(
            "A trigger on {} alters or suppresses what the revert restores ({}). Nothing of the "
            "batch was taken back. Disable the trigger meanwhile, or run with quiet_triggers, and "
            "resume.",
            order_.table, task_->Place()));
  }
  if (message.find(schema::kConflict) != std::string::npos) StopAtConflict();
  switch (error.action()) {
    case db::Action::kRetryBatch:
      RetryLater(error);
      return;
    case db::Action::kSplit:
      if (sizer_.Halve()) return;
      throw db::Error(
          db::Action::kStop,
          fmt::format("A single row of {} (key {}) takes longer than {} s to change: {}. "
                      "Everything before it is kept.",
                      order_.table, task_->KeyText(), checkpoints::kBatchTimeoutSeconds, message));
    case db::Action::kBadData:
      if (sizer_.Narrow()) return;
      if (!IsConflict(error)) return SetAside(error);
      if (order_.on_failing == schema::OnConflict::kStop) StopAtConflict();
      PassOver({});  // Listed at the end, as any row that was left alone.
      return;
    default:
      throw error;
  }
}

// Whether the expression cannot be evaluated over the row; not where a constraint or a trigger
// refuses to empty it.
bool Worker::IsConflict(const db::Error& error) const {
  return order_.on_failing && error.sqlstate().starts_with("22");
}

void Worker::StopAtConflict() const {
  throw db::Error(
      db::Action::kRefused,
      fmt::format("The application has changed rows of {} since the run changed them; the revert "
                  "stopped at {}. See them with `pawl revert {} --validate-only`, then choose "
                  "--on-conflict skip (leave them alone) or force (overwrite them).",
                  order_.table, task_->Place(), order_.round.run),
      kConflictState);
}

// Outside of a batch: a lease, a split or a look at a plan met another session's lock, as where a
// connection broke and its transaction still holds the span; or somebody cancelled it. That passes.
bool Worker::WillPass(const db::Error& error) const {
  return error.action() == db::Action::kRetryBatch ||
         (error.action() == db::Action::kSplit && retries_ < kCancelsMax);
}

void Worker::RetryLater(const db::Error& error) {
  if (++retries_ > kRetriesMax) {
    throw db::Error(
        db::Action::kStop,
        fmt::format("A batch of {} (up to {}) collided with other sessions {} times: {}. Look for "
                    "long transactions on these rows, then resume.",
                    order_.table, task_ ? task_->Place() : "between two batches", retries_,
                    error.what()),
        error.sqlstate());
  }
  if (retries_ % kRetriesBeforeHalving == 0) sizer_.Halve();
  SleepWithJitter(std::min(milliseconds(1'000), milliseconds(2) * (1 << std::min(retries_, 9))));
}

// The lease may still be ours with a nearer end, because another worker took the span's tail.
// Otherwise it is another's now, and given up.
void Worker::FindEndAgain() {
  const auto now = checkpoints::ReloadLease(*pipeline_, *lease_);
  if (!now || now->cursor != lease_->cursor || now->end_key == lease_->end_key) {
    return Hold(std::nullopt);
  }
  lease_->end_key = now->end_key;
  task_->MoveEnd(now->end_key);
}

// Moves the cursor past the one row of the last batch, and does `beside` in the same transaction.
// Returns false where that has to be cut anew. Throws what `beside` throws.
bool Worker::PassOver(const std::vector<db::Call>& beside) {
  Batch skip = task_->Skip();
  std::vector<db::Call> calls;
  calls.push_back({"BEGIN", {}});
  calls.push_back(checkpoints::Fence(*lease_, skip.new_cursor, skip.done, skip.rows_visited));
  calls.push_back(skip.calls[0]);
  calls.insert(calls.end(), beside.begin(), beside.end());
  calls.push_back({"COMMIT", {}});
  std::vector<db::Result> results;
  try {
    results = pipeline_->Run(calls);
  } catch (const db::Error& refused) {
    // Cut anew, the row comes here again.
    if (IsFenced(refused)) {
      FindEndAgain();
    } else if (refused.action() == db::Action::kRetryBatch) {
      RetryLater(refused);
    } else {
      throw;
    }
    return false;
  }
  task_->Committed({results[2]});
  lease_->cursor = skip.new_cursor;
  ++lease_->seq;
  sizer_.Widen();
  if (skip.done) Hold(std::nullopt);
  return true;
}

// One row refuses the change. It goes to the quarantine, in the transaction that moves the cursor
// past it; beyond the number the migration allows, the run stops and names it.
void Worker::SetAside(const db::Error& error) {
  std::string key = task_->KeyText();
  if (const std::optional<db::Call> call = task_->KeyCall()) {
    const db::Result found = pipeline_->Run({*call})[0];
    if (!found.rows.empty()) key = db::ToText(found.rows[0][0]);
  }
  const std::string name = fmt::format("{} (key {})", order_.table, key);
  const std::string run = std::to_string(order_.round.run);
  std::vector<db::Call> calls;
  // The run's row lock makes the count exact among workers that meet bad rows at the same moment.
  calls.push_back({"SELECT run_id FROM pawl.run WHERE run_id = $1::bigint FOR UPDATE", {run}});
  calls.push_back({
      R"sql(WITH seen AS (SELECT count(*) AS n FROM pawl.quarantine WHERE run_id = $1::bigint AND step = $2::integer)
INSERT INTO pawl.quarantine (run_id, step, span_id, key, sqlstate, error)
SELECT $1::bigint, $2::integer, $3::bigint, $4, $5,
       CASE WHEN seen.n < $7::bigint THEN $6 ELSE ('pawl: quarantine full ' || seen.n)::bigint::text END
  FROM seen WHERE NOT EXISTS (
         SELECT FROM pawl.quarantine AS q WHERE q.run_id = $1::bigint AND q.step = $2::integer AND q.key = $4))sql",
      {run, std::to_string(order_.round.step), std::to_string(lease_->span), key, error.sqlstate(),
       std::string(error.what()), std::to_string(order_.quarantine_max)}});
  try {
    if (!PassOver(calls)) return;
  } catch (const db::Error& refused) {
    if (std::string(refused.what()).find("pawl: quarantine full") == std::string::npos) throw;
    throw db::Error(
        db::Action::kStop,
        fmt::format("{} refuses the change: {}. All other rows before it are done and kept. Mend "
                    "the row and resume, or allow rows to be set aside with `-- pawl: "
                    "quarantine=N` (it is {}).",
                    name, error.what(), order_.quarantine_max),
        error.sqlstate());
  }
  db::Log(db::LogLevel::kWarning, "row set aside", {{"key", key}, {"error", error.what()}});
}

// The connection broke. The lease is kept: with it, the outcome of the last batch can be found out.
void Worker::Reconnect(const db::Error& cause) {
  pipeline_.reset();
  db::Log(db::LogLevel::kWarning, "connection lost", {{"message", cause.what()}});
  const auto until = std::chrono::steady_clock::now() + kReconnectFor;
  milliseconds pause{50};
  while (may_work_()) {
    SleepWithJitter(pause);
    pause = std::min(milliseconds(1'000), pause * 2);
    try {
      Connect();
      return;
    } catch (const db::Error& error) {
      pipeline_.reset();
      if (error.action() != db::Action::kReconnect && !WillPass(error)) throw;
      if (std::chrono::steady_clock::now() > until) throw;
    }
  }
}

// Waits until the throttle lets this worker begin; nullopt where the work was called off meanwhile.
// No transaction is open, and the heartbeat renews the lease: it may take hours.
std::optional<Pace::Turn> Worker::WaitForTurn() {
  for (int polls = 0; may_work_(); ++polls) {
    if (auto turn = order_.pace->Take(std::chrono::steady_clock::now())) return turn;
    std::this_thread::sleep_for(polls < kTurnPollsMax ? kTurnPoll : kTurnPollHeld);
  }
  return std::nullopt;
}

// Returns false where the work was called off while waiting.
bool Worker::WaitForPace(std::int64_t rows, Pace::Turn& turn) {
  const auto from = std::chrono::steady_clock::now();
  const auto begin = order_.pace->Book(rows, from);
  while (std::chrono::steady_clock::now() < begin) {
    if (!may_work_()) return false;
    const auto left = begin - std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(left, milliseconds(20)));
  }
  turn.Waited(std::chrono::steady_clock::now() - from);
  return true;
}

}  // namespace pawl::engine
