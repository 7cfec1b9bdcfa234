// The way forward: steps in order, rounds of a backfill, the proof.
#include <thread>

#include <fmt/format.h>

#include "checkpoints/step_store.h"
#include "db/fault.h"
#include "engine/ddl.h"
#include "engine/picture_taking.h"
#include "engine/run_process.h"
#include "engine/span_cutting.h"
#include "engine/sql_keys.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// In block order a row may move behind the worker. Sweeps that walk as before find most of those,
// in small batches; then one statement over the whole table, whose snapshot holds each row exactly
// once wherever it moves, finds the rest. Termination does not depend on traffic.
constexpr int kSweepsMax = 3;

void PassPointOf([[maybe_unused]] const schema::Step& step,
                 [[maybe_unused]] const std::string& moment) {
  const bool syncs =
      step.kind == schema::StepKind::kSyncOn || step.kind == schema::StepKind::kSyncOff;
  PAWL_FAULT(moment + "_ddl");
  if (step.kind == schema::StepKind::kCutOver) PAWL_FAULT(moment + "_cut_over");
  if (!syncs) return;
  PAWL_FAULT(moment + (step.kind == schema::StepKind::kSyncOn ? "_sync_on" : "_sync_off"));
}

}  // namespace

bool IsAfterProof(const schema::Step& step) {
  return step.kind != schema::StepKind::kDdl && step.kind != schema::StepKind::kSyncOn &&
         step.kind != schema::StepKind::kBackfill;
}

bool AsksOnly(const schema::Step& step) {
  const bool back = step.kind == schema::StepKind::kWayBack;
  return !step.question.empty() && step.reopen == (back ? step.inverse : step.sql);
}

void RunProcess::GoForward() {
  for (const schema::Step& step : plan_.steps) {
    if (IsAfterProof(step)) continue;
    if (StepState(step) == "done" && !IsToAskAgain(step)) continue;
    if (RunStep(step) == Verdict::kInterrupted) return;
  }
  throttle_.reset();  // Its connection is one of those that verification may use.
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
    if (!IsAfterProof(step) || step.kind == schema::StepKind::kContract) continue;
    if (StepState(step) == "done") continue;
    progress_.step = step.number;
    progress_.step_title = step.title;
    if (step.kind == schema::StepKind::kWayBack) {
      SetStepState(step, "done");
    } else if (RunSimpleStep(step, step.sql, "done") == Verdict::kInterrupted) {
      return;
    }
  }
  AddTime();
  checkpoints::EndRun(*session_, run_id_, "completed",
                      settings_.verify ? "" : "not verified, as asked",
                      TakePicture(*session_, plan_));
}

// A cut-over may have stopped because something could have been written unseen. What was proved before
// that is proved again.
bool RunProcess::IsToAskAgain(const schema::Step& step) {
  if (!AsksOnly(step)) return false;
  for (const schema::Step& other : plan_.steps) {
    if (other.number > step.number && other.kind == schema::StepKind::kCutOver) {
      return StepState(other) == "pending";
    }
  }
  return false;
}

RunProcess::Verdict RunProcess::RunStep(const schema::Step& step) {
  progress_.step = step.number;
  progress_.step_title = step.title;
  if (step.backfill) return RunBackfill(step);
  return step.alone ? RunAloneStep(step, step.sql, "done") : RunSimpleStep(step, step.sql, "done");
}

RunProcess::Verdict RunProcess::RunSimpleStep(const schema::Step& step, const std::string& sql,
                                              const std::string& new_state) {
  PassPointOf(step, "before");
  const bool asks = !step.question.empty() && !sql.empty() &&
                    (step.kind == schema::StepKind::kWayBack) == (new_state == "reverted");
  const bool done = RunShort(step, sql, [&] {
    if (!asks) SetStepState(step, new_state);
  });
  PassPointOf(step, "after");
  if (!done) return Verdict::kInterrupted;
  if (!asks) return Verdict::kDone;
  if (AskQuestion(step) == Verdict::kInterrupted) return Verdict::kInterrupted;
  SetStepState(step, new_state);
  return Verdict::kDone;
}

bool RunProcess::RunShort(const schema::Step& step, const std::string& sql,
                          const std::function<void()>& bookkeeping) {
  const auto read_terms = [this] { lock_terms_.Set(schema::ThrottleValuesFrom(run_.throttle)); };
  read_terms();
  const bool done = RunDdl(*session_, DdlFor(step, sql), lock_terms_, bookkeeping,
                           [&](const std::string& sentence) {
                             progress_.note = sentence;
                             const bool goes_on = Tick(nullptr);
                             read_terms();  // Somebody may have set others.
                             return goes_on;
                           });
  progress_.note.clear();
  return done;
}

// The step's statement has committed under a lock that every writer waits for: what the question
// does not find now cannot come any more. Where it is answered with rows, or cannot be answered
// because of one, the step's statement is taken back: nobody is refused for a run that has failed.
RunProcess::Verdict RunProcess::AskQuestion(const schema::Step& step) {
  std::string rows;
  std::atomic<int> backend{0};
  const auto ask = [&] {
    db::Session session(where_, "question", Settings());
    backend = session.backend_pid();
    rows.clear();
    for (const db::Row& row : session.Query(step.question).rows) {
      rows += (rows.empty() ? "" : "; ") + db::ToText(row[0]);
    }
  };
  PAWL_FAULT("before_question");
  try {
    const auto cancel = [&] { Cancel(backend, "pawl/question"); };
    if (Meanwhile(ask, cancel) == Verdict::kInterrupted) return Verdict::kInterrupted;
  } catch (const db::Error& error) {
    if (error.action() != db::Action::kBadData) throw;
    if (!RunShort(step, step.reopen, [] {})) return Verdict::kInterrupted;
    throw;
  }
  if (rows.empty()) return Verdict::kDone;
  if (!RunShort(step, step.reopen, [] {})) return Verdict::kInterrupted;
  throw db::Error(
      db::Action::kStop,
      fmt::format(
          "Step {} ({}): some rows of {}.{} do not fit: {}. Nothing was lost. Change "
          "their values, then resume{}.",
          step.number, step.title, step.table.schema, step.table.name, rows,
          step.kind == schema::StepKind::kWayBack && CutOverBehind(step) == nullptr
              ? fmt::format("; or stay with the new shape for good: `pawl contract {}`", run_id_)
              : ""));
}

// Rounds: the change itself, and where rows may have moved behind its back, closing sweeps of the
// same predicate until one finds nothing.
RunProcess::Verdict RunProcess::RunBackfill(const schema::Step& step) {
  int round = std::max(1, checkpoints::LastRound(*session_, run_id_, step.number, false));
  while (true) {
    if (RunRound(step, round) == Verdict::kInterrupted) return Verdict::kInterrupted;
    const std::optional<bool> last = IsLastRound(step, round);
    if (!last) return Verdict::kInterrupted;
    if (*last) break;
    ++round;
  }
  // This commit is synchronous, and so makes every batch before it durable.
  PAWL_FAULT("before_step_done");
  SetStepState(step, "done");
  PAWL_FAULT("after_step_done");
  return Verdict::kDone;
}

bool RunProcess::IsClosing(const schema::Backfill& backfill, int round) {
  return IsBlockOrder(backfill) && std::abs(round) > kSweepsMax;
}

// Key order is exact at once. In block order the question is put to one snapshot of the table: a
// sweep that finds nothing may have been passed by the row that it did not find. nullopt where a
// command asks to stop.
std::optional<bool> RunProcess::IsLastRound(const schema::Step& step, int round) {
  const schema::Backfill& backfill = *step.backfill;
#ifdef PAWL_MUTANT_block_rounds
  return true;
#endif
  if (!IsBlockOrder(backfill) || IsClosing(backfill, round)) return true;
  const auto policy =
      round < 0 ? RevertSettingsFrom(run_.revert_options).on_conflict : OnConflict::kStop;
  // Rows in quarantine still match the statement. They hold nothing that could be taken back.
  std::int64_t set_aside = 0;
  if (round > 0) {
    const auto counted = session_->Query(
        "SELECT count(*) FROM pawl.quarantine WHERE run_id = $1::bigint AND step = $2::integer",
        {std::to_string(run_id_), std::to_string(step.number)});
    set_aside = db::ToInt(counted.rows.at(0)[0]);
  }
  const std::string question = schema::RenderRowsLeft(
      round < 0 ? schema::ImplicitRevert(backfill, policy) : backfill, set_aside + 1);
  try {
    const std::optional<std::int64_t> left = CountMeanwhile(question);
    return left ? std::optional(*left <= set_aside) : std::nullopt;
  } catch (const db::Error& error) {
    if (error.action() != db::Action::kBadData) throw;
    return false;  // Some row refuses to say. A sweep finds out which, and what to do about it.
  }
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
  checkpoints::CreateSpans(*session_, at,
                           CutSpans(*session_, backfill, IsClosing(backfill, round)));
  PAWL_FAULT("after_spans");
  return WorkOn(step, at);
}

RunProcess::Verdict RunProcess::VerifyAll() {
  progress_.step_title = "verification";
  progress_.note.clear();
  AddTime();
  std::atomic<bool> stop{false};
  const auto check = [&] {
    db::Session session(where_, "verify", Settings());
    verification_ =
        VerifyRun(session, where_, Settings(), plan_, run_id_, true, [&] { return stop.load(); });
  };
  const Verdict verdict = Meanwhile(check, [&] { stop = true; });
  time_from_ = steady_clock::now();
  return verdict;
}

}  // namespace pawl::engine
