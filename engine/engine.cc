#include "engine/engine.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "checkpoints/control_schema.h"
#include "checkpoints/run_store.h"
#include "checkpoints/step_store.h"
#include "db/error.h"
#include "db/session.h"
#include "engine/ddl.h"
#include "engine/preconditions.h"
#include "engine/run_process.h"
#include "engine/throttle/throttle.h"
#include "schema/planner.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

constexpr int kWorkersDefault = 2;

// Planning reads, so what it is denied is to be granted for reading.
std::string GrantFor(db::Session& session, const std::string& denied) {
  const std::string role =
      db::ToText(session.Query("SELECT quote_ident(current_user)").rows.at(0)[0]);
  const std::pair<std::string, const char*> kKinds[] = {
      {"for table ", "GRANT SELECT ON"},
      {"for view ", "GRANT SELECT ON"},
      {"for schema ", "GRANT USAGE ON SCHEMA"},
      {"for function ", "GRANT EXECUTE ON FUNCTION"},
      {"for sequence ", "GRANT USAGE ON SEQUENCE"},
      {"for type ", "GRANT USAGE ON TYPE"}};
  for (const auto& [kind, grant] : kKinds) {
    const std::size_t at = denied.find(kind);
    if (at == std::string::npos) continue;
    const std::string name = denied.substr(at + kind.size());
    return fmt::format("{} {} TO {};", grant, name.substr(0, name.find(';')), role);
  }
  return "GRANT it as docs/operations.md says, or connect as another role.";
}

// In a schema that the role may not use, a table looks as if it did not exist.
std::string HiddenSchema(db::Session& session, const std::string& message) {
  if (message.find("does not exist") == std::string::npos) return {};
  const auto hidden = session.Query(
      "SELECT nspname, quote_ident(nspname), quote_ident(current_user) FROM pg_namespace WHERE NOT "
      "has_schema_privilege(oid, 'USAGE')");
  for (const db::Row& row : hidden.rows) {
    if (message.find(db::ToText(row[0]) + ".") == std::string::npos) continue;
    return fmt::format(" The role may not use schema {0}: GRANT USAGE ON SCHEMA {0} TO {1};",
                       db::ToText(row[1]), db::ToText(row[2]));
  }
  return {};
}

// MakePlan, with a missing privilege told as what it is to the user: bad input.
schema::Plan PlanFor(db::Session& session, const schema::MigrationFile& migration) {
  try {
    const schema::Plan plan = schema::MakePlan(session, migration);
    RequireWayBack(session, plan);
    return plan;
  } catch (const db::Error& error) {
    if (error.action() == db::Action::kBadInput) {
      db::FailInput(error.what() + HiddenSchema(session, error.what()));
    }
    if (error.sqlstate() != "42501") throw;
    db::FailInput(fmt::format("This role may not do what {} needs: {}. {} Nothing was changed.",
                              migration.name, error.what(), GrantFor(session, error.what())));
  }
}

// The plan of a run that this process is about to carry on, after all that may refuse it has been
// asked.
schema::Plan PlanToCarryOn(const db::ConnectionString& where, db::Session& session,
                           const checkpoints::RunRow& run) {
  RefuseTransactionPooler(where, session);
  schema::Plan plan = checkpoints::LoadPlan(session, run.plan_hash);
  RequireSameServer(where, session, plan);
  checkpoints::RequireControlPrivileges(session, MakesUndoTables(plan));
  return plan;
}

void RefuseOtherFile(const checkpoints::RunRow& run, const std::string& hash) {
  db::FailInput(fmt::format(
      "Cannot carry on run {0} ({1}, {2}): it was planned from a file with hash {3}, this file has "
      "hash {4}. Finish it with the old file or `pawl resume {0}`, or take back what it has "
      "done with `pawl revert {0}` and start anew. Nothing was changed.",
      run.run, run.migration, run.state, run.migration_hash, hash));
}

RunResult DoneAlready(db::Session& session, const checkpoints::RunRow& run) {
  RunResult result;
  result.run = run.run;
  result.migration = run.migration;
  result.state = run.state;
  result.already_done = true;
  result.seconds = static_cast<double>(run.working_ms) / 1000;
  result.wal_bytes = run.wal_bytes;
  result.undo_bytes = checkpoints::UndoBytes(session, run.run);
  result.reverts = run.state == "reverted";
  // Who asks again, because the first answer was lost, must hear of them too.
  result.conflicts = checkpoints::Conflicts(session, run.run);
  result.rows_done = db::ToInt(
      session
          .Query("SELECT coalesce(sum(rows), 0)::bigint FROM pawl.ledger WHERE run_id = $1::bigint "
                 "AND kind = 'change'",
                 {std::to_string(run.run)})
          .rows[0][0]);
  result.rows_estimated = result.rows_done;
  result.keeps_old_shape =
      run.state == "completed" &&
      !session
           .Query("SELECT FROM pawl.step WHERE run_id = $1::bigint AND kind = 'contract'",
                  {std::to_string(run.run)})
           .rows.empty();
  return result;
}

// A damaged plan is what abort is there for: without a sync trigger in place, nothing of it is
// needed.
schema::Plan PlanToAbort(db::Session& session, const checkpoints::RunRow& run) {
  try {
    return checkpoints::LoadPlan(session, run.plan_hash);
  } catch (const db::Error& error) {
    if (error.action() != db::Action::kStop || !error.sqlstate().empty()) throw;
    const auto triggers = session.Query(
        "SELECT FROM pawl.step WHERE run_id = $1::bigint AND kind = 'sync on' AND state = 'done'",
        {std::to_string(run.run)});
    if (!triggers.rows.empty()) throw;
    return {};
  }
}

// What the file says, and over it what was given on the command line.
schema::ThrottleValues Overlaid(const std::string& under, schema::ThrottleValues over) {
  over.merge(schema::ThrottleValuesFrom(under));
  return over;
}

// Refuses new settings of the throttle that cannot be kept here, for their own sake alone.
void CheckGiven(const db::ConnectionString& where, db::Session& session, const schema::Plan& plan,
                const checkpoints::RunRow& run, const schema::ThrottleValues& given) {
  if (given.empty()) return;
  CheckLockTerms(session, given);
  throttle::CheckGivenSignals(where, session, plan, Overlaid(run.throttle, given), given);
}

void SetGiven(db::Session& session, std::int64_t run, const RunSettings& settings) {
  if (!settings.workers && !settings.pace && settings.throttle.empty()) return;
  checkpoints::SetRun(session, run, settings.workers, settings.pace, settings.throttle);
}

std::string WorkingState(const checkpoints::RunRow& run) {
  return run.revert_options.empty() ? "running" : "reverting";
}

RunResult Carry(const db::ConnectionString& where, std::int64_t run, const RunSettings& settings,
                const OnProgress& on_progress, std::atomic<bool>& pause_requested) {
  RunProcess process(where, run, settings, on_progress, pause_requested);
  return process.Execute();
}

}  // namespace

Engine::Engine(const db::ConnectionString& where) : where_(where) {}

schema::Plan Engine::Compile(const std::string& name, const std::string& text,
                             const schema::ThrottleValues& throttle) {
  const schema::MigrationFile migration = schema::ParseMigration(name, text);
  const auto session = OpenFirst(where_, "plan");
  schema::Plan plan = PlanFor(*session, migration);
  CheckLockTerms(*session, Overlaid(plan.throttle, throttle));
  plan.notes = throttle::CheckSignals(where_, *session, plan, Overlaid(plan.throttle, throttle));
  return plan;
}

void Engine::Init() {
  const auto session = OpenFirst(where_, "init");
  RequireWritable(*session);
  checkpoints::EnsureControlSchema(*session);
}

RunResult Engine::Run(const std::string& name, const std::string& text, const RunSettings& settings,
                      const OnProgress& on_progress) {
  const schema::MigrationFile migration = schema::ParseMigration(name, text);
  auto opened = OpenFirst(where_, "run");
  db::Session& session = *opened;
  RequireWritable(session);
  RefuseTransactionPooler(where_, session);
  const bool known = checkpoints::ControlSchemaVersion(session) > 0;
  std::optional<checkpoints::RunRow> run;
  if (known) run = checkpoints::FindRun(session, name);
  const bool is_done = run && (run->state == "completed" || run->state == "contracted");
  if (run && run->migration_hash != migration.hash && !is_done) {
    RefuseOtherFile(*run, migration.hash);
  }
  if (is_done && run->migration_hash == migration.hash) {
    return DoneAlready(session, *run);
  }
  if (!run || is_done) {
    const schema::Plan plan = PlanFor(session, migration);
    const int workers = settings.workers.value_or(plan.workers > 0 ? static_cast<int>(plan.workers)
                                                                   : kWorkersDefault);
    RequireConnections(session, workers);
    const schema::ThrottleValues throttle = Overlaid(plan.throttle, settings.throttle);
    CheckLockTerms(session, throttle);
    throttle::CheckSignals(where_, session, plan, throttle);
    checkpoints::EnsureControlSchema(session);
    checkpoints::RequireControlPrivileges(session, MakesUndoTables(plan));
#ifndef PAWL_MUTANT_refuse_to_repeat
    RefuseToRepeat(session, plan);
#endif
    run = checkpoints::CreateRun(session, plan, text,
                                 {workers, settings.pace.value_or(plan.pace), throttle});
    if (run->migration_hash != migration.hash) RefuseOtherFile(*run, migration.hash);
    if (checkpoints::IsFinal(run->state)) return DoneAlready(session, *run);
  } else {
    const schema::Plan plan = PlanToCarryOn(where_, session, *run);
    RequireConnections(session, settings.workers.value_or(run->workers));
    CheckGiven(where_, session, plan, *run, settings.throttle);
    if (run->state == "paused" || run->state == "failed") {
      checkpoints::MoveRun(session, run->run, WorkingState(*run), "carried on", "resume");
    }
    SetGiven(session, run->run, settings);
  }
  opened.reset();  // One connection less while it works.
  return Carry(where_, run->run, settings, on_progress, pause_requested_);
}

RunResult Engine::Resume(std::int64_t run, const RunSettings& settings,
                         const OnProgress& on_progress) {
  auto session = OpenControl(where_);
  const checkpoints::RunRow row = checkpoints::LoadRun(*session, run);
  if (checkpoints::IsFinal(row.state)) return DoneAlready(*session, row);
  const schema::Plan plan = PlanToCarryOn(where_, *session, row);
  RequireConnections(*session, settings.workers.value_or(row.workers));
  CheckGiven(where_, *session, plan, row, settings.throttle);
  if (row.state == "paused" || row.state == "failed") {
    checkpoints::MoveRun(*session, run, WorkingState(row), "resumed", "resume");
  }
  SetGiven(*session, run, settings);
  if (checkpoints::LiveWorkers(*session, run, 0) > 0) {
    RunResult result = DoneAlready(*session, checkpoints::LoadRun(*session, run));
    result.already_done = false;
    return result;
  }
  session.reset();
  return Carry(where_, run, settings, on_progress, pause_requested_);
}

RunResult Engine::Work(std::int64_t run, const RunSettings& settings,
                       const OnProgress& on_progress) {
  auto session = OpenControl(where_);
  const checkpoints::RunRow row = checkpoints::LoadRun(*session, run);
  if (checkpoints::IsFinal(row.state)) return DoneAlready(*session, row);
  PlanToCarryOn(where_, *session, row);
  RequireConnections(*session, settings.workers.value_or(row.workers));
  session.reset();
  return Carry(where_, run, settings, on_progress, pause_requested_);
}

RunResult Engine::Revert(std::int64_t run, const RevertSettings& settings,
                         const OnProgress& on_progress) {
  auto session = OpenControl(where_);
  const checkpoints::RunRow row = checkpoints::LoadRun(*session, run);
  const bool forces_rest = settings.on_conflict == OnConflict::kForce && row.state == "reverted" &&
                           checkpoints::Conflicts(*session, run) > 0;
  if (forces_rest) RequireForcible(*session, run);
  if (row.state == "reverted" && !forces_rest) return DoneAlready(*session, row);
  const schema::Plan plan = PlanToCarryOn(where_, *session, row);
  RequireConnections(*session, settings.workers.value_or(row.workers));
  if (row.state == "running" || row.state == "verifying") {
    db::FailInput(
        fmt::format("Run {0} is {1}. Pause it with `pawl pause {0}` first. Nothing was changed.",
                    run, row.state));
  }
  RequireRevertible(*session, row, plan, settings);
  checkpoints::BeginRevert(*session, plan, run, ToText(settings));
  session.reset();
  RunSettings run_settings;
  run_settings.workers = settings.workers;
  return Carry(where_, run, run_settings, on_progress, pause_requested_);
}

RevertPreview Engine::PreviewRevert(std::int64_t run, const RevertSettings& settings) {
  const auto session = OpenControl(where_);
  const checkpoints::RunRow row = checkpoints::LoadRun(*session, run);
  const schema::Plan plan = checkpoints::LoadPlan(*session, row.plan_hash);
  session->Execute(db::SettingsSql(SettingsOf(plan)));
  RevertPreview preview;
  const auto add = [&](const schema::TableName& table, const std::string& key,
                       const std::string& reason) {
    ++preview.conflicts;
    if (preview.keys.size() >= 100) return;
    preview.keys.push_back(fmt::format("{}.{} ({}): {}", table.schema, table.name, key, reason));
  };
  for (const schema::Step& step : plan.steps) {
    if (!step.backfill || step.backfill->undo == schema::UndoKind::kNone ||
        step.backfill->undo == schema::UndoKind::kColumn) {
      continue;
    }
    const schema::Backfill& backfill = *step.backfill;
    std::int64_t above = -1;
    while (true) {
      const auto batches = session->Query(
          R"sql(SELECT l.batch_id, l.rows, l.range_lo, l.range_hi, l.residue_lo, l.residue_hi FROM pawl.ledger AS l
                 WHERE l.run_id = $1::bigint AND l.step = $2::integer AND l.kind = 'change' AND l.rows > 0
                   AND l.batch_id > $3::bigint
                   AND NOT EXISTS (SELECT FROM pawl.ledger AS r WHERE r.reverts = l.batch_id)
                 ORDER BY l.batch_id LIMIT 500)sql",
          {std::to_string(run), std::to_string(step.number), std::to_string(above)});
      if (batches.rows.empty()) break;
      for (const db::Row& batch : batches.rows) {
        above = db::ToInt(batch[0]);
        const bool wanted = settings.batches.empty() ||
                            std::find(settings.batches.begin(), settings.batches.end(), above) !=
                                settings.batches.end();
        if (!wanted) continue;
        ++preview.batches;
        preview.rows += db::ToInt(batch[1]);
        if (backfill.undo == schema::UndoKind::kImplicit) continue;
        schema::Slice slice;
        if (batch[2]) slice.range.lo = schema::PositionFrom(*batch[2]);
        slice.range.hi = schema::PositionFrom(db::ToText(batch[3]));
        slice.residue_lo = db::ToInt(batch[4]);
        slice.residue_hi = db::ToInt(batch[5]);
        const schema::Rendered query =
            schema::RenderRevertPreview(backfill, slice, above, {run, step.number, 0, 0, 0, 0});
        for (const db::Row& conflict : session->Query(query.sql, query.parameters).rows) {
          add(backfill.target, schema::Display(schema::PositionFrom(db::ToText(conflict[0]))),
              db::ToText(conflict[1]));
        }
      }
    }
    if (backfill.undo != schema::UndoKind::kImplicit) continue;
    try {
      const auto found = session->Query(schema::RenderImplicitConflicts(backfill));
      for (const db::Row& conflict : found.rows) {
        add(backfill.target, db::ToText(conflict[0]),
            "the row holds another value than the migration wrote");
      }
    } catch (const db::Error& error) {
      if (error.action() != db::Action::kBadData) throw;
      add(backfill.target, "some row",
          fmt::format("what the migration wrote cannot be computed over it any more ({}); so none "
                      "was compared",
                      error.what()));
    }
  }
  return preview;
}

VerifyReport Engine::Verify(std::int64_t run, bool accept_changed) {
  const auto session = OpenControl(where_);
  const checkpoints::RunRow row = checkpoints::LoadRun(*session, run);
  const schema::Plan plan = checkpoints::LoadPlan(*session, row.plan_hash);
  if (row.state == "reverted" || row.state == "reverting" || row.state == "running") {
    db::FailInput(
        fmt::format("Run {} is {}; only what it has finished can be proved. Nothing was changed.",
                    run, row.state));
  }
  return VerifyRun(*session, where_, SettingsOf(plan), plan, run, accept_changed,
                   [this] { return pause_requested_.load(); });
}

void Engine::Pause(std::int64_t run) {
  const auto session = OpenControl(where_);
  checkpoints::MoveRun(*session, run, "paused", "paused by command", "pause");
}

void Engine::Abort(std::int64_t run) {
  const auto session = OpenControl(where_);
  const checkpoints::RunRow row = checkpoints::LoadRun(*session, run);
  const schema::Plan plan = PlanToAbort(*session, row);
  checkpoints::MoveRun(*session, run, "aborted", "aborted by command", "abort");
  checkpoints::RetireForwardSpans(*session, run);
  LockTerms terms(run, schema::ThrottleValuesFrom(row.throttle));
  // A sync trigger must not outlive the run that would have removed it.
  for (const schema::Step& step : plan.steps) {
    if (step.kind != schema::StepKind::kSyncOn || step.inverse.empty()) continue;
    const auto state = session->Query(
        "SELECT state FROM pawl.step WHERE run_id = $1::bigint AND step = $2::integer",
        {std::to_string(run), std::to_string(step.number)});
    if (db::ToText(state.rows.at(0)[0]) != "done") continue;
    RunDdl(
        *session, DdlFor(step, step.inverse), terms,
        [&] {
          session->Query(
              "UPDATE pawl.step SET state = 'reverted' WHERE run_id = $1::bigint AND step = "
              "$2::integer",
              {std::to_string(run), std::to_string(step.number)});
        },
        [](const std::string&) { return true; });
  }
}

void Engine::Set(std::int64_t run, std::optional<int> workers, std::optional<std::int64_t> pace,
                 const schema::ThrottleValues& throttle) {
  // No workers at all would be a pause that nobody sees as one.
  if ((workers && (*workers < 1 || *workers > schema::kWorkersMax)) || (pace && *pace < 0)) {
    db::FailInput(
        "workers is a number from 1 to 64 (to stop, pause the run), pace a number of rows a second "
        "from 0 (unlimited). Nothing was changed.");
  }
  const auto session = OpenControl(where_);
  const checkpoints::RunRow row = checkpoints::LoadRun(*session, run);
  if (!throttle.empty()) {
    CheckGiven(where_, *session, checkpoints::LoadPlan(*session, row.plan_hash), row, throttle);
  }
  checkpoints::SetRun(*session, run, workers, pace, throttle);
}

}  // namespace pawl::engine
