// A run as a state machine small enough to look at all of it: one table of four rows, two workers
// in two processes (the first is the coordinator), batches of two rows, a pause, a resume, a
// revert, and a number of faults, in every order.
//
//   a batch    sent -> fenced (the row lock is held, the rows are changed) -> logged (its commit
//              is in the log, nobody sees it) -> shown (seen, unlocked) -> answered
//   a step     all spans done -> seen by the coordinator -> done, in the tables
//
// Each arrow is a step that anything may come between. A connection may break, a process be killed
// or a lease run out at any of them, and what was sent on a broken connection still happens, or
// not. The boundaries of batches come from the real batching::SpanWalker; the rows of pawl.span
// change as span_row.h says, which a test holds to the real SQL.
//
// Assumed, not proved: PostgreSQL's row locks and atomic commits.
#pragma once

#include <functional>
#include <string>

#include "tests/model/span_row.h"

namespace pawl::model {

inline constexpr int kRows = 4;
inline constexpr int kBatchRows = 2;
inline constexpr int kWorkers = 2;
inline constexpr int kForwardSpans = 2;  // One, and the tail that may be cut off it.
inline constexpr int kBackSpan = kForwardSpans;
inline constexpr int kBatchesMax = 5;

enum RunState : Small { kRunning, kPaused, kVerifying, kCompleted, kReverting, kReverted, kFailed };

enum TxPhase : Small { kNoTx, kSent, kFenced, kLogged, kShown };

// A batch on its way: what was sent, and how far the server is with it.
struct Tx {
  Small phase = kNoTx;
  Small span = 0;
  Lease lease;
  Small grant = 0;  // Which lease of the span it goes by, whatever the epoch says.
  Small hi = 0;     // The new cursor. Of a way back: the batches still to be taken back.
  Small done = 0;
};

enum WorkerPhase : Small {
  kIdle,
  kLeased,
  kWaiting,    // For the answer to its batch.
  kBroken,     // It has a lease, and does not know whether its last batch has committed.
  kSplitting,  // It has read a span and is about to cut it.
};

struct Worker {
  Small phase = kIdle;
  Small span = 0;
  Lease lease;
  Small grant = 0;
  Small heard = kRunning;  // The run's state when its process last looked.
  Tx tx;                   // On its connection.
  Tx orphan;               // On a connection that it has lost.
};

struct LedgerRow {
  Small lo = 0;
  Small hi = 0;  // 0: no such batch.
  Small taken_back = 0;
};

struct RunTables {
  SpanRow spans[kForwardSpans + 1];  // The last one of the way back: cursor counts batches down.
  Small locked[kForwardSpans + 1] = {};
  Small grants[kForwardSpans + 1] = {};  // Leases given so far; the last one holds.
  LedgerRow ledger[kBatchesMax];
  Small changed[kRows] = {};  // How often.
  Small restored[kRows] = {};
  Small state = kRunning;
  Small step_done = 0;
  Small revert_asked = 0;
};

struct RunModelState {
  RunTables tables;
  Worker workers[kWorkers];
  Small saw_all_done = 0;  // The coordinator has seen that no span is left.
  Small faults_left = 0;
  Small pauses_left = 0;
  Small reverts_left = 0;
  Small commit_under_lost_lease = 0;
};

struct RunLimits {
  Small faults = 2;
  Small pauses = 1;
  Small reverts = 1;
  bool may_split = true;
  // Whether a commit under a lost lease is a violation by itself, or only what it does to rows.
  bool judges_leases = true;
};

class RunModel {
 public:
  using State = RunModelState;
  struct Label {
    const char* what = "";
    Small who = 0;
    bool is_fair = true;
    std::string text() const;
  };
  using Emit = std::function<void(const Label&, const State&)>;

  RunModel(const Guards& guards, const RunLimits& limits) : guards_(guards), limits_(limits) {}

  State Initial() const;
  void ForEachStep(const State& state, const Emit& emit) const;
  std::string Violation(const State& state) const;
  bool IsEnd(const State& state) const;

 private:
  void StepWorker(const State& state, Small who, const Emit& emit) const;
  void StepIdle(const State& state, Small who, const Emit& emit) const;
  void StepLeased(const State& state, Small who, const Emit& emit) const;
  void StepBroken(const State& state, Small who, const Emit& emit) const;
  void StepSplitting(const State& state, Small who, const Emit& emit) const;
  void StepServer(const State& state, Small who, bool orphan, const Emit& emit) const;
  void StepFaults(const State& state, Small who, const Emit& emit) const;
  void StepCoordinator(const State& state, const Emit& emit) const;
  void StepBack(const State& state, const Emit& emit) const;
  void StepCommands(const State& state, const Emit& emit) const;

  Guards guards_;
  RunLimits limits_;
};

}  // namespace pawl::model
