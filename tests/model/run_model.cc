#include "tests/model/run_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "batching/cursor.h"
#include "batching/span_walker.h"

namespace pawl::model {
namespace {

using State = RunModelState;

// Keys 1 to kRows.
class FewKeys : public batching::KeySource {
 public:
  std::optional<schema::Position> KeyAt(const schema::Slice& slice, std::int64_t count) override {
    return Ahead(slice.range, count);
  }
  std::optional<schema::Position> Ahead(const schema::Range& range, std::int64_t count) override {
    const std::int64_t lo = range.lo ? std::stoll(range.lo->at(0)) : 0;
    if (lo + count >= std::stoll(range.hi.at(0))) return std::nullopt;
    return schema::Position{std::to_string(lo + count)};
  }
};

schema::Position At(Small key) { return {std::to_string(key)}; }
Small KeyOf(const schema::Position& position) {
  return static_cast<Small>(std::stoi(position.at(0)));
}

struct NextBatch {
  Small hi = 0;
  bool done = false;
};

// What the real walker makes of a lease: its cursor goes through its text, as in the tables.
std::optional<NextBatch> NextOf(const Lease& lease) {
  FewKeys keys;
  const schema::Backfill backfill;
  batching::Cursor cursor;
  if (lease.cursor > 0) cursor.at = At(lease.cursor);
  batching::SpanWalker walker(keys, backfill, At(lease.end),
                              batching::CursorFrom(batching::ToText(cursor)), 1'000,
                              batching::Passes::kOne);
  const auto slice = walker.Next(kBatchRows, true);
  if (!slice) return std::nullopt;
  const batching::Cursor after = walker.After(*slice);
  return NextBatch{KeyOf(*after.at), walker.Finishes(after)};
}

bool Exists(const SpanRow& row) { return row.end > 0 || row.cursor > 0; }
bool IsForward(Small span) { return span < kBackSpan; }

// May a worker that heard this begin another batch of the span?
bool MayWork(Small heard, Small span) { return heard == (IsForward(span) ? kRunning : kReverting); }

int BatchCount(const RunTables& tables) {
  return static_cast<int>(std::count_if(std::begin(tables.ledger), std::end(tables.ledger),
                                        [](const LedgerRow& row) { return row.hi > 0; }));
}

bool ForwardDone(const RunTables& tables) {
  return std::all_of(tables.spans, tables.spans + kForwardSpans,
                     [](const SpanRow& row) { return !Exists(row) || row.done; });
}

// What a commit leaves, all of it at once.
void Apply(State& state, const Tx& tx) {
  RunTables& tables = state.tables;
  SpanRow& row = tables.spans[tx.span];
  if (tables.grants[tx.span] != tx.grant) state.commit_under_lost_lease = 1;
  if (IsForward(tx.span)) {
    for (Small key = tx.lease.cursor; key < tx.hi; ++key) ++tables.changed[key];
    const int batch = BatchCount(tables);
    if (batch < kBatchesMax) tables.ledger[batch] = {tx.lease.cursor, tx.hi, 0};
  } else {
    LedgerRow& batch = tables.ledger[tx.hi];
    for (Small key = batch.lo; key < batch.hi; ++key) ++tables.restored[key];
    batch.taken_back = 1;
  }
  Fence(row, tx.hi, tx.done);
  tables.locked[tx.span] = 0;
}

// A batch that ends without a commit.
void RollBack(State& state, Tx& tx) {
  if (tx.phase == kFenced || tx.phase == kLogged) state.tables.locked[tx.span] = 0;
  tx = {};
}

}  // namespace

std::string RunModel::Label::text() const { return fmt::format("{} ({})", what, who + 1); }

State RunModel::Initial() const {
  State state;
  state.faults_left = limits_.faults;
  state.pauses_left = limits_.pauses;
  state.reverts_left = limits_.reverts;
  return state;
}

void RunModel::ForEachStep(const State& state, const Emit& emit) const {
  for (Small who = 0; who < kWorkers; ++who) {
    StepWorker(state, who, emit);
    StepServer(state, who, false, emit);
    StepServer(state, who, true, emit);
    if (state.faults_left > 0) StepFaults(state, who, emit);
  }
  StepCoordinator(state, emit);
  StepCommands(state, emit);
}

void RunModel::StepWorker(const State& state, Small who, const Emit& emit) const {
  const Worker& worker = state.workers[who];
  if (worker.heard != state.tables.state) {
    State next = state;
    next.workers[who].heard = state.tables.state;
    emit({"hears the run's state", who}, next);
  }
  if (worker.phase == kIdle) StepIdle(state, who, emit);
  if (worker.phase == kLeased) StepLeased(state, who, emit);
  if (worker.phase == kBroken) StepBroken(state, who, emit);
  if (worker.phase == kSplitting) StepSplitting(state, who, emit);
}

void RunModel::StepIdle(const State& state, Small who, const Emit& emit) const {
  const Worker& worker = state.workers[who];
  for (Small span = 0; span <= kBackSpan; ++span) {
    const SpanRow& row = state.tables.spans[span];
    if (!Exists(row) || !MayWork(worker.heard, span)) continue;
    if (CanClaim(row) && (!state.tables.locked[span] || !guards_.claim_skips_locked)) {
      State next = state;
      Claim(next.tables.spans[span], guards_);
      next.workers[who].phase = kLeased;
      next.workers[who].span = span;
      next.workers[who].lease = LeaseOf(next.tables.spans[span]);
      next.workers[who].grant = ++next.tables.grants[span];
      emit({"claims a span", who}, next);
      if (state.faults_left > 0) {
        State lost = state;
        Claim(lost.tables.spans[span], guards_);
        ++lost.tables.grants[span];
        --lost.faults_left;
        emit({"claims a span, and the answer is lost", who, false}, lost);
      }
      return;
    }
  }
  // No span is free: the tail of another's, in two statements.
  const SpanRow& row = state.tables.spans[0];
  if (!limits_.may_split || !MayWork(worker.heard, 0) || Exists(state.tables.spans[1])) return;
  if (row.done || row.holder == kNobody || row.end < row.cursor + 2) return;
  State next = state;
  next.workers[who].phase = kSplitting;
  next.workers[who].span = 0;
  next.workers[who].lease = LeaseOf(row);
  emit({"reads a span to cut it", who}, next);
}

void RunModel::StepSplitting(const State& state, Small who, const Emit& emit) const {
  const Lease& seen = state.workers[who].lease;
  State next = state;
  next.workers[who].phase = kIdle;
  next.workers[who].lease = {};
  const bool matches = CanSplit(state.tables.spans[0], seen.cursor, seen.end, guards_);
  if (!matches) {
    emit({"finds the span moved, and cuts nothing", who}, next);
    return;
  }
  if (state.tables.locked[0]) return;  // Waits, and looks again.
  // Any middle ahead of what was read may be chosen.
  for (Small middle = static_cast<Small>(seen.cursor + 1); middle < seen.end; ++middle) {
    State cut = next;
    cut.tables.spans[1] = Split(cut.tables.spans[0], middle);
    emit({"cuts a span in two", who}, cut);
  }
}

void RunModel::StepLeased(const State& state, Small who, const Emit& emit) const {
  const Worker& worker = state.workers[who];
  State next = state;
  Worker& then = next.workers[who];
  if (!MayWork(worker.heard, worker.span)) {
    if (state.tables.locked[worker.span]) return;
    Release(next.tables.spans[worker.span], worker.lease);
    then.phase = kIdle;
    then.lease = {};
    emit({"gives its span back", who}, next);
    return;
  }
  std::optional<NextBatch> batch;
  if (IsForward(worker.span)) {
    batch = NextOf(worker.lease);
  } else if (worker.lease.cursor > 0) {
    batch = NextBatch{static_cast<Small>(worker.lease.cursor - 1), worker.lease.cursor == 1};
  }
  if (batch) {
    then.phase = kWaiting;
    then.tx = {kSent, worker.span, worker.lease, worker.grant, batch->hi, batch->done};
    emit({"sends a batch", who}, next);
    return;
  }
  if (state.tables.locked[worker.span]) return;
  Finish(next.tables.spans[worker.span], worker.lease);
  then.phase = kIdle;
  then.lease = {};
  emit({"marks its span done", who}, next);
}

// The lease is kept over a broken connection, because with it the outcome can be found out.
void RunModel::StepBroken(const State& state, Small who, const Emit& emit) const {
  const Worker& worker = state.workers[who];
  State next = state;
  Worker& then = next.workers[who];
  then.phase = kIdle;
  then.lease = {};
  if (!MayWork(worker.heard, worker.span)) {
    if (state.tables.locked[worker.span]) return;
    Release(next.tables.spans[worker.span], worker.lease);
    emit({"gives its span back", who}, next);
    return;
  }
  SpanRow& row = next.tables.spans[worker.span];
  if (!CanReclaim(row, worker.lease)) {
    emit({"finds its lease lost", who}, next);
    return;
  }
  if (state.tables.locked[worker.span] && guards_.reclaim_waits) return;
  if (guards_.reclaim_waits) Reclaim(row);
  then.phase = kLeased;
  then.lease = LeaseOf(row);
  then.grant = ++next.tables.grants[worker.span];
  emit({"leases its span again", who}, next);
}

void RunModel::StepServer(const State& state, Small who, bool orphan, const Emit& emit) const {
  const Worker& worker = state.workers[who];
  const Tx& tx = orphan ? worker.orphan : worker.tx;
  if (tx.phase == kNoTx) return;
  State next = state;
  Worker& then = next.workers[who];
  Tx& moved = orphan ? then.orphan : then.tx;
  SpanRow& row = next.tables.spans[tx.span];
  switch (tx.phase) {
    case kSent:
      if (FenceMatches(row, tx.lease, guards_)) {
        if (state.tables.locked[tx.span]) return;  // Waits for the lock, and looks again.
        next.tables.locked[tx.span] = 1;
        moved.phase = kFenced;
        emit({orphan ? "an orphan's fence holds, its rows change" : "the fence holds, rows change",
              who},
             next);
        return;
      }
      moved = {};
      if (orphan) {
        emit({"an orphan's fence fails", who}, next);
        return;
      }
      // Where only the end has moved, the lease is still its own.
      if (CanReload(row, tx.lease) && row.cursor == tx.lease.cursor && row.end != tx.lease.end) {
        then.phase = kLeased;
        then.lease.end = row.end;
        emit({"the fence fails, the end has moved", who}, next);
      } else {
        then.phase = kIdle;
        then.lease = {};
        emit({"the fence fails, the lease is lost", who}, next);
      }
      return;
    case kFenced:
      moved.phase = kLogged;
      emit({orphan ? "an orphan's commit is logged" : "the commit is logged", who}, next);
      return;
    case kLogged:
      Apply(next, tx);
      moved.phase = kShown;
      if (orphan) moved = {};
      emit({orphan ? "an orphan's commit is shown" : "the commit is shown", who}, next);
      return;
    case kShown:
      then.phase = tx.done ? kIdle : kLeased;
      then.lease.cursor = tx.hi;
      ++then.lease.seq;
      if (tx.done) then.lease = {};
      moved = {};
      emit({"hears that its batch has committed", who}, next);
      return;
    default:
      return;
  }
}

void RunModel::StepFaults(const State& state, Small who, const Emit& emit) const {
  const Worker& worker = state.workers[who];
  if (worker.phase == kLeased || worker.phase == kWaiting) {
    // Frozen past its lease, or slow beyond measure.
    if (state.tables.spans[worker.span].holder == kAlive && !state.tables.locked[worker.span]) {
      State next = state;
      --next.faults_left;
      next.tables.spans[worker.span].holder = kExpired;
      emit({"its lease runs out", who, false}, next);
    }
  }
  if (worker.orphan.phase != kNoTx) return;
  const bool in_flight =
      worker.tx.phase == kSent || worker.tx.phase == kFenced || worker.tx.phase == kLogged;
  State broken = state;
  Worker& then = broken.workers[who];
  --broken.faults_left;
  // What the server has not begun may be lost on the way, or still come to it.
  if (in_flight) then.orphan = worker.tx;
  then.tx = {};
  if (worker.phase == kLeased || worker.phase == kWaiting) {
    State lost = broken;
    lost.workers[who].phase = kBroken;
    emit({"its connection breaks", who, false}, lost);
    if (in_flight) {
      State aborted = lost;
      RollBack(aborted, aborted.workers[who].orphan);
      // Logged is committed: it cannot be rolled back any more.
      if (worker.tx.phase != kLogged) {
        emit({"its connection breaks, its batch with it", who, false}, aborted);
      }
    }
  }
  // Killed: another process comes, and knows nothing.
  if (worker.phase != kIdle && worker.phase != kSplitting) {
    SpanRow& row = broken.tables.spans[worker.span];
    if (row.epoch == worker.lease.epoch && row.holder != kNobody) row.holder = kGone;
    then.phase = kIdle;
    then.lease = {};
    then.heard = state.tables.state;
    if (who == 0) broken.saw_all_done = 0;
    emit({"its process is killed", who, false}, broken);
  }
}

void RunModel::StepCoordinator(const State& state, const Emit& emit) const {
  const RunTables& tables = state.tables;
  const Worker& own = state.workers[0];
  State next = state;
  // A lease that nobody knows he has is not renewed.
  for (Small span = 0; span <= kBackSpan; ++span) {
    const SpanRow& row = tables.spans[span];
    const bool known = std::any_of(state.workers, state.workers + kWorkers, [&](const Worker& w) {
      return w.phase != kIdle && w.phase != kSplitting && w.span == span &&
             w.lease.epoch == row.epoch;
    });
    if (row.holder != kAlive || known || tables.locked[span]) continue;
    State expired = state;
    expired.tables.spans[span].holder = kExpired;
    emit({"the lease of nobody runs out", 0}, expired);
  }
  if (own.heard == kRunning && !Exists(tables.spans[0])) {
    next.tables.spans[0].end = kRows;
    emit({"makes the spans", 0}, next);
    return;
  }
  // It waits for the workers of its own process before it looks.
  if (own.phase != kIdle) return;
  if (own.heard == kRunning && !state.saw_all_done && !tables.step_done && ForwardDone(tables)) {
    next.saw_all_done = 1;
    emit({"sees that no span is left", 0}, next);
  } else if (state.saw_all_done && !tables.step_done) {
    next.tables.step_done = 1;
    next.saw_all_done = 0;
    emit({"marks the step done", 0}, next);
  } else if (tables.step_done && tables.state == kRunning) {
    next.tables.state = kVerifying;
    emit({"begins to verify", 0}, next);
  } else if (tables.state == kVerifying && own.heard == kVerifying) {
    const bool right =
        std::all_of(tables.changed, tables.changed + kRows, [](Small times) { return times == 1; });
    next.tables.state = right ? kCompleted : kFailed;
    emit({"verifies", 0}, next);
  } else if (tables.state == kReverting && own.heard == kReverting) {
    StepBack(state, emit);
  }
}

// First the forward spans are retired, so that the ledger that is read then is the whole of it.
void RunModel::StepBack(const State& state, const Emit& emit) const {
  State next = state;
  RunTables& tables = next.tables;
  SpanRow& back = tables.spans[kBackSpan];
  const bool is_cut = Exists(back) || back.done;
  if (!is_cut && guards_.retire_forward && !ForwardDone(tables)) {
    for (Small span = 0; span < kForwardSpans; ++span) {
      const SpanRow& row = tables.spans[span];
      if (!Exists(row) || row.done || tables.locked[span]) continue;
      State retired = state;
      Retire(retired.tables.spans[span]);
      ++retired.tables.grants[span];
      emit({"retires a forward span", 0}, retired);
    }
    return;
  }
  if (!is_cut) {
    const auto batches = static_cast<Small>(BatchCount(tables));
    if (batches == 0) {
      tables.state = kReverted;
      emit({"finds nothing to take back", 0}, next);
      return;
    }
    back.cursor = back.begin = batches;
    emit({"reads the ledger and makes the span back", 0}, next);
  } else if (back.done) {
    tables.state = kReverted;
    emit({"says that all is taken back", 0}, next);
  }
}

void RunModel::StepCommands(const State& state, const Emit& emit) const {
  const Small now = state.tables.state;
  State next = state;
  if (now == kPaused) {
    next.tables.state = state.tables.revert_asked ? kReverting : kRunning;
    emit({"resume", 0}, next);
  }
  next = state;
  if ((now == kRunning || now == kVerifying || now == kReverting) && state.pauses_left > 0) {
    --next.pauses_left;
    next.tables.state = kPaused;
    emit({"pause", 0, false}, next);
  }
  next = state;
  if ((now == kPaused || now == kCompleted || now == kFailed) && state.reverts_left > 0) {
    --next.reverts_left;
    next.tables.revert_asked = 1;
    next.tables.state = kReverting;
    emit({"revert", 0, false}, next);
  }
}

std::string RunModel::Violation(const State& state) const {
  const RunTables& tables = state.tables;
  if (state.commit_under_lost_lease && limits_.judges_leases)
    return "A batch has committed under a lost lease.";
  for (int key = 0; key < kRows; ++key) {
    if (tables.changed[key] > 1) return fmt::format("Row {} was changed twice.", key + 1);
    if (tables.restored[key] > tables.changed[key]) {
      return fmt::format("Row {} was taken back twice.", key + 1);
    }
    // The cursor is what was committed.
    bool passed = false;
    for (Small span = 0; span < kForwardSpans; ++span) {
      const SpanRow& row = tables.spans[span];
      passed = passed || (Exists(row) && row.begin <= key && key < row.cursor);
    }
    if (passed != (tables.changed[key] == 1)) {
      return fmt::format("Row {} is {}, and the cursors say otherwise.", key + 1,
                         passed ? "not changed" : "changed");
    }
    if (tables.state == kCompleted && tables.changed[key] != 1) {
      return fmt::format("The run is completed, and row {} was not changed.", key + 1);
    }
    if (tables.state == kReverted && tables.changed[key] != tables.restored[key]) {
      return fmt::format("The run is reverted, and row {} still is changed.", key + 1);
    }
  }
  if (tables.state == kFailed) return "The verification failed.";
  return {};
}

bool RunModel::IsEnd(const State& state) const {
  return state.tables.state == kCompleted || state.tables.state == kReverted;
}

}  // namespace pawl::model
