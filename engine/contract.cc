// The end of an old shape: `pawl contract RUN`.
#include <algorithm>

#include <fmt/format.h>

#include "checkpoints/run_store.h"
#include "checkpoints/step_store.h"
#include "db/error.h"
#include "db/fault.h"
#include "engine/ddl.h"
#include "engine/engine.h"
#include "engine/picture_taking.h"
#include "engine/preconditions.h"
#include "engine/run_process.h"

namespace pawl::engine {
namespace {

// A revert moves the run first, by MoveRun, which needs this row: either it comes before and this
// fails, or it waits, and then finds a step that is contracted. And of two who contract, the second
// one drops nothing: by then the name may be that of what a later run keeps.
void RequireCompleted(db::Session& session, std::int64_t run, int step) {
  const auto found = session.Query(
      "SELECT state FROM pawl.run WHERE run_id = $1::bigint FOR UPDATE", {std::to_string(run)});
  const std::string state = db::ToText(found.rows.at(0)[0]);
  if (state != "completed") {
    db::FailInput(fmt::format(
        "Run {} is {}; somebody has begun to take it back. Nothing more was changed.", run, state));
  }
  if (checkpoints::StepState(session, run, step) == "done") {
    db::FailInput(fmt::format(
        "Somebody else contracts run {} at this moment. Give the same command again.", run));
  }
}

void RequireKeptLongEnough(db::Session& session, std::int64_t run, std::int64_t seconds) {
  const db::Row row = session
                          .Query(
                              "SELECT until > now(), to_char(until, 'YYYY-MM-DD HH24:MI TZ') FROM "
                              "(SELECT coalesce(max(s.finished_at), max(r.finished_at)) + "
                              "$2::bigint * interval '1 second' FROM pawl.run AS r LEFT JOIN "
                              "pawl.step AS s ON s.run_id = r.run_id AND s.kind = 'cut over' "
                              "WHERE r.run_id = $1::bigint) AS kept(until)",
                              {std::to_string(run), std::to_string(seconds)})
                          .rows.at(0);
  if (!row[0] || !db::ToBool(row[0])) return;
  db::FailInput(fmt::format(
      "Run {0} keeps what it has set aside until {1} (retention). Contract it then; or now, with: "
      "pawl contract {0} --now. Nothing was changed.",
      run, db::ToText(row[1])));
}

// What takes away what the step has left of a way back that was given up; empty where that goes with
// the old shape. It may be run whether or not the step was.
std::string UndoOf(const schema::Step& step) {
  if (AsksOnly(step)) return {};
  // Plans of before have none, but for the gate.
  const bool is_gate = step.reopen.starts_with("CREATE OR REPLACE FUNCTION ");
  return step.sql.empty() && is_gate ? step.reopen : step.sql;
}

}  // namespace

std::int64_t StepsToContract(const schema::Plan& plan) {
  return std::count_if(plan.steps.begin(), plan.steps.end(), [](const schema::Step& step) {
    return step.kind == schema::StepKind::kContract;
  });
}

// Each step is a transaction with its own bookkeeping: killed anywhere, it is carried on by the same
// command.
RunResult Engine::Contract(std::int64_t run, const OnProgress& on_progress, bool now) {
  const auto opened = OpenControl(where_);
  db::Session& session = *opened;
  RunResult result;
  checkpoints::RunRow row = checkpoints::LoadRun(session, run);
  result.run = run;
  result.migration = row.migration;
  result.already_done = row.state == "contracted";
  if (!result.already_done) {
    const schema::Plan plan = checkpoints::LoadPlan(session, row.plan_hash);
    RequireSameServer(where_, session, plan);
    session.Execute(db::SettingsSql(SettingsOf(plan)));
    if (StepsToContract(plan) == 0) {
      db::FailInput(fmt::format(
          "Run {} ({}) has kept no old shape: there is nothing to contract. Nothing was changed.",
          run, row.migration));
    }
    if (!now) RequireKeptLongEnough(session, run, plan.retention_s);
    checkpoints::RequireNoRivals(session, plan, run);
    checkpoints::GiveUpWayBack(session, run);
    Progress progress;
    progress.run = run;
    progress.migration = row.migration;
    progress.state = "completed";
    progress.steps = static_cast<int>(plan.steps.size());
    LockTerms terms(run, schema::ThrottleValuesFrom(row.throttle));
    const auto waiting = [&](const std::string& sentence) {
      progress.note = sentence;
      if (on_progress) on_progress(progress);
      return !pause_requested_.load();
    };
    for (const schema::StepKind kind : {schema::StepKind::kWayBack, schema::StepKind::kContract}) {
      for (const schema::Step& step : plan.steps) {
        if (step.kind != kind || checkpoints::StepState(session, run, step.number) == "done") {
          continue;
        }
        progress.step = step.number;
        progress.step_title = step.title;
        const bool back = kind == schema::StepKind::kWayBack;
        PAWL_FAULT("before_contract");
        const Ddl ddl = DdlFor(step, back ? UndoOf(step) : step.sql);
        const bool done = RunDdl(
            session, ddl, terms,
            [&] {
              RequireCompleted(session, run, step.number);
              checkpoints::SetStepState(session, run, step.number, "done");
            },
            waiting);
        PAWL_FAULT("after_contract");
        if (!done) {
          result.state = "completed";
          return result;
        }
      }
    }
    checkpoints::EndRun(session, run, "contracted", "the old shape is gone",
                        TakePicture(session, plan), "contract");
    row = checkpoints::LoadRun(session, run);
  }
  result.state = row.state;
  return result;
}

}  // namespace pawl::engine
