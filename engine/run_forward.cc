// The way forward: steps in order, rounds of a backfill, the proof.
#include <thread>

#include <fmt/format.h>

#include "checkpoints/step_store.h"
#include "db/fault.h"
#include "engine/ddl.h"
#include "engine/failure_advice.h"
#include "engine/run_process.h"
#include "engine/span_cutting.h"
#include "engine/sql_keys.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Traffic may keep bringing rows that need the change; after these sweeps what is left is the
// application's, which verification tells apart. Termination must not depend on traffic.
constexpr int kSweepsMax = 3;

void PassPointOf([[maybe_unused]] const schema::Step& step,
                 [[maybe_unused]] const std::string& moment) {
  const bool syncs =
      step.kind == schema::StepKind::kSyncOn || step.kind == schema::StepKind::kSyncOff;
  PAWL_FAULT(moment + "_ddl");
  if (!syncs) return;
  PAWL_FAULT(moment + (step.kind == schema::StepKind::kSyncOn ? "_sync_on" : "_sync_off"));
}

}  // namespace

void RunProcess::GoForward() {
  for (const schema::Step& step : plan_.steps) {
    if (step.kind == schema::StepKind::kSyncOff)
      continue;  // After the proof: it watches until then.
    if (StepState(step) == "done") continue;
    if (RunStep(step) == Verdict::kInterrupted) return;
  }
  if (run_.state == "running") checkpoints::MoveRun(*session_, run_id_, "verifying", "");
  run_ = checkpoints::LoadRun(*session_, run_id_);
  if (settings_.verify && VerifyAll() == Verdict::kInterrupted) return;
  if (verification_ && !verification_->passed) {
    checkpoints::MoveRun(
        *session_, run_id_, "failed",
        fmt::format("Verification found {} difference(s).", verification_->differences_count));
    return;
  }
  for (const schema::Step& step : plan_.steps) {
    if (step.kind != schema::StepKind::kSyncOff || StepState(step) == "done") continue;
    if (RunSimpleStep(step, step.sql, "done") == Verdict::kInterrupted) return;
  }
  AddTime();
  checkpoints::MoveRun(*session_, run_id_, "completed",
                       settings_.verify ? "" : "not verified, as asked");
}

RunProcess::Verdict RunProcess::RunStep(const schema::Step& step) {
  progress_.step = step.number;
  progress_.step_title = step.title;
  return step.backfill ? RunBackfill(step) : RunSimpleStep(step, step.sql, "done");
}

RunProcess::Verdict RunProcess::RunSimpleStep(const schema::Step& step, const std::string& sql,
                                              const std::string& new_state) {
  PassPointOf(step, "before");
  const bool done = RunDdl(
      *session_, step.table, sql.empty() ? "SELECT 1" : sql, [&] { SetStepState(step, new_state); },
      [&](const std::string& sentence) {
        progress_.note = sentence;
        return Tick(nullptr);
      });
  PassPointOf(step, "after");
  progress_.note.clear();
  return done ? Verdict::kDone : Verdict::kInterrupted;
}

// Rounds: the change itself, and where rows may have moved behind its back, closing sweeps of the
// same predicate until one finds nothing.
RunProcess::Verdict RunProcess::RunBackfill(const schema::Step& step) {
  int round = std::max(1, checkpoints::LastRound(*session_, run_id_, step.number, false));
  while (true) {
    if (RunRound(step, round) == Verdict::kInterrupted) return Verdict::kInterrupted;
    if (IsLastRound(step, round)) break;
    ++round;
  }
  // This commit is synchronous, and so makes every batch before it durable.
  PAWL_FAULT("before_step_done");
  SetStepState(step, "done");
  PAWL_FAULT("after_step_done");
  return Verdict::kDone;
}

// Key order is exact at once. In block order a row may move behind the worker: a sweep that finds
// nothing ends it.
bool RunProcess::IsLastRound(const schema::Step& step, int round) {
  if (!IsBlockOrder(*step.backfill) || std::abs(round) > kSweepsMax) return true;
  return std::abs(round) > 1 &&
         checkpoints::RowsChanged(*session_, {run_id_, step.number, round}) == 0;
}

RunProcess::Verdict RunProcess::RunRound(const schema::Step& step, int round) {
  const schema::Backfill& backfill = *step.backfill;
  const checkpoints::Round at{run_id_, step.number, round};
  if (const std::string undo = schema::RenderUndoTable(backfill, run_id_, step.number);
      !undo.empty()) {
    const auto there = session_->Query("SELECT to_regclass($1) IS NOT NULL",
                                       {schema::UndoTable(run_id_, step.number)});
    if (!db::ToBool(there.rows[0][0])) {
      PAWL_FAULT("before_undo_table");
      session_->Execute(undo);
      PAWL_FAULT("after_undo_table");
    }
  }
  PAWL_FAULT("before_spans");
  checkpoints::CreateSpans(*session_, at, CutSpans(*session_, backfill));
  PAWL_FAULT("after_spans");
  return WorkOn(step, at);
}

RunProcess::Verdict RunProcess::VerifyAll() {
  progress_.step_title = "verification";
  progress_.note.clear();
  AddTime();
  // Looks for a pause every so often: commands must work here too.
  std::atomic<bool> stop{false};
  std::optional<db::Error> failure;
  std::atomic<bool> finished{false};
  std::jthread check([&] {
    try {
      db::Session session(where_, "verify", Settings());
      verification_ =
          VerifyRun(session, where_, Settings(), plan_, run_id_, true, [&] { return stop.load(); });
    } catch (const db::Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure = db::Error(db::Action::kStop, error.what());
    }
    finished = true;
  });
  bool interrupted = false;
  try {
    while (!finished) {
      if (!interrupted && !Tick(nullptr)) interrupted = true;
      if (interrupted) {
        stop = true;
        std::this_thread::sleep_for(milliseconds(5));
      }
    }
  } catch (...) {
    stop = true;
    throw;
  }
  check.join();
  time_from_ = steady_clock::now();
  if (interrupted) return Verdict::kInterrupted;
  // Else it would ask for ever.
  if (failure && failure->sqlstate() == "53300") throw NoConnection(*failure);
  if (failure) throw *failure;
  return Verdict::kDone;
}

}  // namespace pawl::engine
