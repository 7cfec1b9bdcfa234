// The way back: the steps in reverse, each batch or row only where it still holds what the run
// wrote.
#include <algorithm>

#include <fmt/format.h>

#include "checkpoints/step_store.h"
#include "db/fault.h"
#include "db/quote.h"
#include "engine/picture_taking.h"
#include "engine/revert_task.h"
#include "engine/run_process.h"
#include "engine/span_cutting.h"

namespace pawl::engine {

void RunProcess::GoBack() {
  const RevertSettings settings = RevertSettingsFrom(run_.revert_options);
#ifndef PAWL_MUTANT_retire_forward
  checkpoints::RetireForwardSpans(*session_, run_id_);
#endif
  if (settings.on_conflict == OnConflict::kForce) checkpoints::ForceKept(*session_, run_id_);
  // The sync triggers go first: they would fill again what is being emptied.
  for (const schema::Step& step : plan_.steps) {
    if (step.kind != schema::StepKind::kSyncOn || !settings.batches.empty()) continue;
    if (StepState(step) != "done") continue;
    if (RunSimpleStep(step, step.inverse, "reverted") == Verdict::kInterrupted) return;
  }
  for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
    if (!IsToTakeBack(*step)) continue;
    if (RevertStep(*step, settings) == Verdict::kInterrupted) return;
  }
  AddTime();
  checkpoints::EndRun(*session_, run_id_, settings.batches.empty() ? "reverted" : "completed",
                      settings.batches.empty() ? "" : "some batches were taken back",
                      TakePicture(*session_, plan_));
}

bool RunProcess::IsToTakeBack(const schema::Step& step) {
  const std::string state = StepState(step);
  if (step.kind == schema::StepKind::kWayBack && AsksOnly(step)) return HasCutOver(step);
  if (state == "reverted") return false;
  switch (step.kind) {
    case schema::StepKind::kSyncOn:
    case schema::StepKind::kSyncOff:
    case schema::StepKind::kContract:
      return false;
    case schema::StepKind::kWayBack:
      // Behind it in the plan, the cut-over has been taken back by now, if it ever happened.
      if (const schema::Step* behind = CutOverBehind(step)) return StepState(*behind) != "pending";
      return HasCutOver(step);
    default:
      // A process that was killed may have left an index that no book knows, or a statement whose
      // question was not answered yet.
      return state != "pending" ||
             (step.alone && (Says(step.leftover) || Says(step.settled)) && WasNext(step)) ||
             (step.kind == schema::StepKind::kDdl && !step.question.empty() && !AsksOnly(step) &&
              WasNext(step));
  }
}

// Whether the cut-over that the step prepares to take back has happened.
bool RunProcess::HasCutOver(const schema::Step& step) {
  const schema::Step* cut_over = nullptr;
  for (const schema::Step& other : plan_.steps) {
    if (other.number < step.number && other.kind == schema::StepKind::kCutOver) cut_over = &other;
  }
  return cut_over != nullptr && StepState(*cut_over) == "done";
}

// The cut-over of its statement, where that comes after it: a contract ends each statement that has one.
const schema::Step* RunProcess::CutOverBehind(const schema::Step& step) const {
  for (const schema::Step& other : plan_.steps) {
    if (other.number <= step.number) continue;
    if (other.kind == schema::StepKind::kContract) return nullptr;
    if (other.kind == schema::StepKind::kCutOver) return &other;
  }
  return nullptr;
}

// Whether everything that is done before it is done, so that it may have been begun.
bool RunProcess::WasNext(const schema::Step& step) {
  return std::all_of(plan_.steps.begin(), plan_.steps.end(), [&](const schema::Step& other) {
    return other.number >= step.number || IsAfterProof(other) || StepState(other) != "pending";
  });
}

RunProcess::Verdict RunProcess::PrepareWayBack(const schema::Step& step) {
  if (!step.settled.empty() && Says(step.settled)) {
    SetStepState(step, "reverted");
    return Verdict::kDone;
  }
  if (!step.alone) return RunSimpleStep(step, step.inverse, "reverted");
  if (RunAlone(step, step.inverse) == Verdict::kInterrupted) return Verdict::kInterrupted;
  SetStepState(step, "reverted");
  return Verdict::kDone;
}

RunProcess::Verdict RunProcess::RevertStep(const schema::Step& step,
                                           const RevertSettings& settings) {
  progress_.step = step.number;
  progress_.step_title = "take back: " + step.title;
  if (step.kind == schema::StepKind::kWayBack) return PrepareWayBack(step);
  if (step.backfill && step.backfill->undo == schema::UndoKind::kColumn) {
    SetStepState(step, "reverted");
    return Verdict::kDone;
  }
  if (!step.backfill) {
    const bool is_forced = settings.on_conflict == OnConflict::kForce;
    // What a try has left half done is nobody's, and goes also where there is nothing to take back.
    if (settings.batches.empty() && step.inverse.empty() && step.alone && Says(step.leftover)) {
      return RunAlone(step, "");
    }
    // An object that still holds what somebody else wrote is kept. A row that has been deleted since is
    // a conflict as well, but holds nothing: it does not keep a column that is forced away.
    if (!settings.batches.empty() || step.inverse.empty() ||
        (!step.is_own && !(is_forced && IsFilledByDefault(step)) &&
         checkpoints::Conflicts(*session_, run_id_) > 0)) {
      return Verdict::kDone;
    }
#ifndef PAWL_MUTANT_foreign_rows
    if (!is_forced && HoldsForeignRows(step)) return Verdict::kDone;
#endif
    return step.alone ? RunAloneStep(step, step.inverse, "reverted")
                      : RunSimpleStep(step, step.inverse, "reverted");
  }
  const Verdict verdict = step.backfill->undo == schema::UndoKind::kImplicit
                              ? RevertByWalking(step, settings)
                              : RevertByLedger(step, settings);
  if (verdict == Verdict::kDone && settings.batches.empty()) SetStepState(step, "reverted");
  return verdict;
}

// What this run wrote is taken back before the table or column that it made: what is left there is
// the application's. Lists it as a conflict.
bool RunProcess::HoldsForeignRows(const schema::Step& step) {
  const std::string table = db::QuoteName(step.table.schema, step.table.name);
  std::string from = table;
  std::string condition;
  if (!step.created_column.empty()) {
    const auto value = session_->Query(
        "SELECT pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod), "
        "array_to_string(a.attmissingval, '') FROM pg_attribute AS a JOIN pg_attrdef AS d ON "
        "d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = to_regclass($1) AND "
        "a.attname = $2",
        {table, step.created_column});
    const std::string column = db::QuoteName(step.created_column);
    // A default that gives each row a value of its own would only give one more.
    condition = value.rows.empty() || IsFilledByDefault(step)
                    ? column + " IS NOT NULL"
                    : fmt::format("{}::text IS DISTINCT FROM ({})::{}::text", column,
                                  db::ToText(value.rows[0][0]), db::ToText(value.rows[0][1]));
    // What PostgreSQL computed once, for the rows that were there: of now(), never to be had again.
    if (!value.rows.empty() && value.rows[0][2]) {
      condition += fmt::format(" AND format('%s', {}) IS DISTINCT FROM {}", column,
                               db::QuoteLiteral(*value.rows[0][2]));
    }
    // What the statement makes of a row is nobody's own: the sync trigger wrote it.
    for (const schema::Step& other : plan_.steps) {
      if (!other.backfill || !other.backfill->keep_in_sync || !other.backfill->re_evaluable ||
          !(other.table == step.table)) {
        continue;
      }
      for (const schema::ChangedColumn& changed : other.backfill->changed) {
        if (changed.column.name != step.created_column) continue;
        from = fmt::format("{} AS {}", table, db::QuoteName(other.backfill->alias));
        condition += fmt::format(" AND {}::text IS DISTINCT FROM (\n{}\n)::{}::text", column,
                                 *changed.expression, changed.column.type);
      }
    }
  } else if (step.inverse.starts_with("DROP TABLE")) {
    condition = "true";
  } else {
    return false;
  }
  const auto there = session_->Query(
      "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($1) AND NOT "
      "attisdropped AND attname = $2) OR $2 = '' AND to_regclass($1) IS NOT NULL",
      {table, step.created_column});
  if (!db::ToBool(there.rows[0][0])) return false;  // Gone already.
  const auto held = session_->Query(fmt::format(
      "SELECT count(*) FROM (SELECT FROM {} WHERE {} LIMIT 1000) AS held", from, condition));
  const std::int64_t rows = db::ToInt(held.rows[0][0]);
  if (rows == 0) return false;
  session_->Query(
      "INSERT INTO pawl.conflict (run_id, step, batch_id, key, reason) VALUES ($1::bigint, "
      "$2::integer, 0, $3, $4)",
      {std::to_string(run_id_), std::to_string(step.number),
       fmt::format("[\"{}{} rows\"]", rows, rows == 1000 ? " or more" : ""),
       fmt::format(
           "the application has written to {}{}{}, which is kept",
           step.created_column.empty() ? "" : step.created_column + " of ", step.table.name,
           IsFilledByDefault(step) ? ", or new rows have drawn their value by its default" : "")});
  return true;
}

// Whether the statement that adds the column has a backfill that fills it, which is so where the default
// is no value but draws one.
bool RunProcess::IsFilledByDefault(const schema::Step& step) const {
  if (step.created_column.empty()) return false;
  return std::any_of(plan_.steps.begin(), plan_.steps.end(), [&](const schema::Step& other) {
    if (!other.backfill || other.backfill->re_evaluable || other.line != step.line) return false;
    const std::vector<schema::ChangedColumn>& changed = other.backfill->changed;
    return std::any_of(changed.begin(), changed.end(), [&](const schema::ChangedColumn& one) {
      return one.column.name == step.created_column;
    });
  });
}

RunProcess::Verdict RunProcess::RevertByLedger(const schema::Step& step,
                                               const RevertSettings& settings) {
  if (step.backfill->undo == schema::UndoKind::kNone) {
    throw db::Error(db::Action::kStop,
                    fmt::format("Step {} ({}) was run with undo=none; it cannot be taken back.",
                                step.number, step.title));
  }
  if (!settings.batches.empty()) {
    // An unfinished revert of chosen batches is carried on; otherwise a new round is cut.
    checkpoints::Round at{run_id_, step.number,
                          checkpoints::LastRound(*session_, run_id_, step.number, true)};
    if (at.round > -1000 || checkpoints::UnfinishedSpans(*session_, at) == 0) {
      at.round = std::min(at.round, -999) - 1;
      checkpoints::CreateSpans(
          *session_, at, CutRevertSpans(*session_, {run_id_, step.number, 0}, settings.batches));
    }
    return WorkOn(step, at);
  }
  // Later rounds first: a sweep may have touched a row that round 1 had touched before.
  for (const int round : checkpoints::RoundsToTakeBack(*session_, run_id_, step.number)) {
    const checkpoints::Round at{run_id_, step.number, -round};
    PAWL_FAULT("before_revert_round");
    checkpoints::CreateSpans(*session_, at,
                             CutRevertSpans(*session_, {run_id_, step.number, round}, {}));
    if (WorkOn(step, at) == Verdict::kInterrupted) return Verdict::kInterrupted;
    PAWL_FAULT("after_revert_round");
  }
  return Verdict::kDone;
}

// Implicit undo: the columns were empty before. Walks the table as forward and empties what still
// holds what the expression gives.
RunProcess::Verdict RunProcess::RevertByWalking(const schema::Step& step,
                                                const RevertSettings& settings) {
  if (!settings.batches.empty()) {
    throw db::Error(
        db::Action::kBadInput,
        fmt::format("Step {} keeps no record of each row: its column was created empty by this "
                    "migration. It can be taken back whole, without --batch.",
                    step.number));
  }
  for (int round = 1;; ++round) {
    const checkpoints::Round at{run_id_, step.number, -round};
    PAWL_FAULT("before_revert_round");
    checkpoints::CreateSpans(*session_, at,
                             CutSpans(*session_, *step.backfill, IsClosing(*step.backfill, round)));
    if (WorkOn(step, at) == Verdict::kInterrupted) return Verdict::kInterrupted;
    PAWL_FAULT("after_revert_round");
    const std::optional<bool> last = IsLastRound(step, -round);
    if (!last) return Verdict::kInterrupted;
    if (*last) break;
  }
  ListImplicitConflicts(step);
  return Verdict::kDone;
}

// Whatever is not empty now was written by the application, before or after our batch.
void RunProcess::ListImplicitConflicts(const schema::Step& step) {
  const schema::Backfill& backfill = *step.backfill;
  std::string key = "ARRAY['?']";
  if (!backfill.key.empty()) {
    key.clear();
    for (const schema::Column& column : backfill.key) {
      key += (key.empty() ? "ARRAY[" : ", ") + db::QuoteName(column.name) + "::text";
    }
    key += "]";
  }
  std::string held;
  for (const schema::ChangedColumn& changed : backfill.changed) {
    held += (held.empty() ? "" : " OR ") + db::QuoteName(changed.column.name) + " IS NOT NULL";
  }
  const std::string table = db::QuoteName(backfill.walked.schema, backfill.walked.name);
  // A count can use several cores; an INSERT … SELECT cannot, and there is mostly nothing to list.
  const auto count =
      session_->Query(fmt::format("SELECT count(*) FROM ONLY {} WHERE {}", table, held));
  if (db::ToInt(count.rows[0][0]) == 0) return;
  session_->Query(
      fmt::format(
          "INSERT INTO pawl.conflict (run_id, step, batch_id, key, reason) SELECT $1::bigint, "
          "$2::integer, 0, array_to_json({})::text, 'the row holds another value than the "
          "migration wrote' FROM ONLY {} WHERE ({}) AND NOT EXISTS (SELECT FROM pawl.conflict AS c "
          "WHERE c.run_id = $1::bigint AND c.step = $2::integer)",
          key, table, held),
      {std::to_string(run_id_), std::to_string(step.number)});
}

}  // namespace pawl::engine
