// What the tables say about runs and their proof: `pawl status`, and the stored verification
// report.

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "checkpoints/control_schema.h"
#include "checkpoints/run_store.h"
#include "checkpoints/step_store.h"
#include "db/error.h"
#include "db/fault.h"
#include "engine/engine.h"
#include "engine/preconditions.h"
#include "engine/run_process.h"
#include "engine/throttle/throttle.h"
#include "verify/backfill_check.h"

namespace pawl::engine {
namespace {

void ReadSteps(db::Session& session, const checkpoints::RunRow& run, const schema::Plan& plan,
               RunStatus& status) {
  Progress& progress = status.progress;
  status.keeps_old_shape = run.state == "completed" && StepsToContract(plan) > 0;
  progress.steps = static_cast<int>(plan.steps.size());
  std::int64_t all_rows = 0;
  std::int64_t rows_visited = 0;
  const auto states =
      session.Query("SELECT step, state FROM pawl.step WHERE run_id = $1::bigint ORDER BY step",
                    {std::to_string(run.run)});
  for (const schema::Step& step : plan.steps) {
    std::string state;
    for (const db::Row& row : states.rows) {
      if (db::ToInt(row[0]) == step.number) state = db::ToText(row[1]);
    }
    // Forward, a step of the way back is done by passing it.
    const bool is_last =
        state == "done" && step.number > progress.step && step.kind != schema::StepKind::kWayBack;
    if (state == "running" || is_last) {
      progress.step = step.number;
      progress.step_title = step.title;
      status.phase = schema::PhaseOf(plan, step);
    }
    if (!step.backfill) continue;
    const std::int64_t rows = std::max<std::int64_t>(1, step.backfill->rows_in_table);
    progress.rows_estimated += step.backfill->rows_estimated;
    all_rows += rows;
    if (state == "done") {
      rows_visited += rows;
    } else if (state == "running") {
      const auto scanned = session.Query(
          "SELECT coalesce(sum(rows_scanned), 0)::bigint FROM pawl.span WHERE run_id = $1::bigint "
          "AND step = $2::integer AND round = 1",
          {std::to_string(run.run), std::to_string(step.number)});
      rows_visited += std::min(rows, db::ToInt(scanned.rows[0][0]));
    }
  }
  if (all_rows > 0) {
    progress.fraction = static_cast<double>(rows_visited) / static_cast<double>(all_rows);
  }
}

std::vector<RunStatus::Worker> ReadWorkers(db::Session& session, std::int64_t run) {
  std::vector<RunStatus::Worker> workers;
  const auto found = session.Query(
      R"sql(SELECT w.host, w.pid, w.threads, w.batch_rows, EXISTS (
                    SELECT FROM pg_stat_activity AS a WHERE a.pid = w.backend_pid
                       AND (a.backend_start IS NULL OR a.backend_start = w.backend_start))
              FROM pawl.worker AS w WHERE w.run_id = $1::bigint AND w.left_at IS NULL
             ORDER BY w.worker_id DESC LIMIT 50)sql",
      {std::to_string(run)});
  for (const db::Row& row : found.rows) {
    workers.push_back({db::ToText(row[0]), db::ToInt(row[1]), static_cast<int>(db::ToInt(row[2])),
                       db::ToInt(row[3]), db::ToBool(row[4])});
  }
  return workers;
}

RunStatus StatusOf(db::Session& session, const checkpoints::RunRow& run) {
  RunStatus status;
  const std::string id = std::to_string(run.run);
  status.progress.run = run.run;
  status.progress.migration = run.migration;
  status.progress.state = run.state;
  status.plan_hash = run.plan_hash;
  status.reason = run.reason;
  status.started_at = run.started_at;
  status.started_by = run.started_by;
  status.finished_at = run.finished_at;
  status.progress.working_seconds = static_cast<double>(run.working_ms) / 1000;
  const auto counts = session.Query(
      R"sql(SELECT coalesce(sum(rows) FILTER (WHERE kind = 'change'), 0)::bigint
                   - coalesce(sum(rows) FILTER (WHERE kind = 'revert'), 0)::bigint,
                   (SELECT count(*) FROM pawl.quarantine WHERE run_id = $1::bigint)
              FROM pawl.ledger WHERE run_id = $1::bigint)sql",
      {id});
  status.progress.rows_done = db::ToInt(counts.rows[0][0]);
  status.rows_quarantined = db::ToInt(counts.rows[0][1]);
  status.undo_bytes = checkpoints::UndoBytes(session, run.run);
  try {
    ReadSteps(session, run, checkpoints::LoadPlan(session, run.plan_hash), status);
  } catch (const db::Error& error) {
    if (!error.sqlstate().empty() || error.action() == db::Action::kReconnect) throw;
    // Made by another version, or damaged: the list is there to find such a run, and all others.
    status.reason = error.what();
  }
  if (run.state == "running" || run.state == "reverting") {
    const throttle::Stored throttled = throttle::LastDecision(session, run.run);
    if (!throttled.stale && throttled.decided) status.progress.note = throttled.sentence;
  }
  status.workers = ReadWorkers(session, run.run);
  for (const RunStatus::Worker& worker : status.workers) {
    if (worker.alive) status.progress.workers += worker.threads;
  }
  return status;
}

std::string Stored(const VerifyReport& report) {
  boost::json::array differences;
  for (const VerifyReport::Difference& difference : report.differences) {
    differences.push_back(boost::json::object{{"step", difference.step},
                                              {"table", difference.table},
                                              {"key", difference.key},
                                              {"what", difference.what}});
  }
  return boost::json::serialize(boost::json::object{
      {"differences", differences}, {"notes", boost::json::value_from(report.notes)}});
}

// Rows that an earlier verification of the run counted in the ledger, the most; 0 where batches
// were taken back since, as it counts without those. A ledger and spans that somebody emptied look
// like those of an empty table.
std::int64_t CountedBefore(db::Session& session, std::int64_t run) {
  return db::ToInt(
      session
          .Query("SELECT coalesce(max(rows_counted), 0) FROM pawl.verification WHERE run_id = "
                 "$1::bigint AND NOT EXISTS (SELECT FROM pawl.audit WHERE run_id = $1::bigint AND "
                 "event = 'reverting')",
                 {std::to_string(run)})
          .rows.at(0)[0]);
}

// Whether a cut-over since has changed names that the step's statement knows: then it cannot be
// computed again.
bool IsCutOver(db::Session& session, const schema::Plan& plan, std::int64_t run,
               const schema::Step& step) {
  const schema::Backfill& backfill = *step.backfill;
  return std::any_of(plan.steps.begin(), plan.steps.end(), [&](const schema::Step& other) {
    return other.number > step.number && other.kind == schema::StepKind::kCutOver &&
           (other.table == backfill.walked || other.table == backfill.target ||
            !backfill.stands_alone) &&
           checkpoints::StepState(session, run, other.number) == "done";
  });
}

void Store(db::Session& session, std::int64_t run, const VerifyReport& report) {
  session.Query(
      "INSERT INTO pawl.verification (run_id, tool, snapshot, rows_verified, rows_counted, "
      "rows_changed_since, differences, passed, report) VALUES ($1::bigint, 'pawl 0.1.0', "
      "pg_current_snapshot()::text, $2::bigint, $3::bigint, $4::bigint, $5::bigint, $6::boolean, "
      "$7)",
      {std::to_string(run), std::to_string(report.rows_verified),
       std::to_string(report.rows_counted), std::to_string(report.rows_changed_since),
       std::to_string(report.differences_count), report.passed ? "true" : "false", Stored(report)});
}

}  // namespace

VerifyReport VerifyRun(db::Session& session, const db::ConnectionString& where,
                       const db::SessionSettings& settings, const schema::Plan& plan,
                       std::int64_t run, bool accept_changed,
                       const std::function<bool()>& stopped) {
  const auto began = std::chrono::steady_clock::now();
  VerifyReport report;
  for (const schema::Step& step : plan.steps) {
    if (!step.backfill) continue;
    if (IsCutOver(session, plan, run, step)) {
      report.rows_counted += checkpoints::RowsOfStep(session, run, step.number);
      report.notes.push_back(
          fmt::format("Step {} was proved before the cut-over; what it reads or writes bears other "
                      "names since.",
                      step.number));
      continue;
    }
    verify::CheckOptions options;
    options.accept_changed = accept_changed;
    options.stopped = stopped;
    const verify::StepCheck check =
        verify::CheckBackfill(where, settings, *step.backfill, run, step.number, options);
    report.rows_verified += check.rows_verified;
    report.rows_counted += check.rows_counted;
    report.rows_changed_since += check.rows_changed_since;
    report.differences_count += check.differences_count;
    for (const verify::Finding& finding : check.differences) {
      if (report.differences.size() >= 100) break;
      report.differences.push_back({step.number,
                                    step.backfill->target.schema + "." + step.backfill->target.name,
                                    finding.key, finding.what});
    }
    report.notes.insert(report.notes.end(), check.notes.begin(), check.notes.end());
  }
  const std::int64_t counted_before = CountedBefore(session, run);
  if (report.rows_counted < counted_before) {
    ++report.differences_count;
    report.differences.push_back(
        {0, "pawl.ledger", fmt::format("run {}", run),
         fmt::format("An earlier verification counted {} rows changed, now the ledger has {}: "
                     "batches are missing from it.",
                     counted_before, report.rows_counted)});
  }
  report.passed = report.differences_count == 0;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  PAWL_FAULT("before_verdict");
  Store(session, run, report);
  PAWL_FAULT("after_verdict");
  return report;
}

std::vector<RunStatus> Engine::Status(std::optional<std::int64_t> run) {
  const auto opened = OpenFirst(where_, "status");
  db::Session& session = *opened;
  std::vector<RunStatus> statuses;
  if (checkpoints::ControlSchemaVersion(session) == 0) {
    if (run) {
      db::FailInput(fmt::format("There is no run {}: this database has no control schema.", *run));
    }
    return statuses;
  }
  if (run) {
    statuses.push_back(StatusOf(session, checkpoints::LoadRun(session, *run)));
    return statuses;
  }
  for (const checkpoints::RunRow& row : checkpoints::LoadRuns(session)) {
    statuses.push_back(StatusOf(session, row));
  }
  return statuses;
}

}  // namespace pawl::engine
