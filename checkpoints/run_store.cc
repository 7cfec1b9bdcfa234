#include "checkpoints/run_store.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "db/error.h"
#include "db/fault.h"
#include "schema/statement.h"

namespace pawl::checkpoints {
namespace {

using Edge = std::pair<std::string_view, std::string_view>;

constexpr std::array kEdges = {
    Edge{"running", "paused"},      Edge{"paused", "running"},      Edge{"running", "failed"},
    Edge{"failed", "running"},      Edge{"running", "verifying"},   Edge{"verifying", "completed"},
    Edge{"verifying", "failed"},    Edge{"verifying", "paused"},    Edge{"running", "aborted"},
    Edge{"paused", "aborted"},      Edge{"failed", "aborted"},      Edge{"verifying", "aborted"},
    Edge{"completed", "reverting"}, Edge{"aborted", "reverting"},   Edge{"paused", "reverting"},
    Edge{"failed", "reverting"},    Edge{"reverting", "paused"},    Edge{"reverting", "failed"},
    Edge{"reverting", "reverted"},  Edge{"reverting", "completed"}, Edge{"reverting", "aborted"},
    Edge{"verifying", "running"},   Edge{"reverted", "reverting"},  Edge{"completed", "contracted"},
};

constexpr const char* kColumns =
    "run_id, migration, migration_hash, plan_hash, state, reason, workers, pace, throttle, "
    "coalesce(revert_options, ''), coalesce(to_char(started_at, 'YYYY-MM-DD HH24:MI:SS "
    "TZ'), started_at::text), started_by, "
    "coalesce(to_char(finished_at, 'YYYY-MM-DD HH24:MI:SS TZ'), finished_at::text, ''), "
    "working_ms, wal_bytes";

RunRow FromRow(const db::Row& row) {
  RunRow run;
  run.run = db::ToInt(row[0]);
  run.migration = db::ToText(row[1]);
  run.migration_hash = db::ToText(row[2]);
  run.plan_hash = db::ToText(row[3]);
  run.state = db::ToText(row[4]);
  run.reason = db::ToText(row[5]);
  // Whatever stands there: a number of threads that a machine can have.
  run.workers =
      static_cast<int>(std::clamp<std::int64_t>(db::ToInt(row[6]), 1, schema::kWorkersMax));
  run.pace = std::max<std::int64_t>(0, db::ToInt(row[7]));
  run.throttle = db::ToText(row[8]);
  run.revert_options = db::ToText(row[9]);
  run.started_at = db::ToText(row[10]);
  run.started_by = db::ToText(row[11]);
  run.finished_at = db::ToText(row[12]);
  run.working_ms = db::ToInt(row[13]);
  run.wal_bytes = db::ToInt(row[14]);
  return run;
}

// A state that no program of this version wrote says nothing about what is done.
RunRow Known(RunRow run) {
  const bool known = std::any_of(kEdges.begin(), kEdges.end(), [&](const Edge& edge) {
    return edge.first == run.state || edge.second == run.state;
  });
  if (known) return run;
  db::FailInput(fmt::format(
      "Run {0} ({1}) has the state \"{2}\", which this program does not know. Either a newer pawl "
      "wrote it, which you should use then, or it was changed by hand: SELECT event FROM "
      "pawl.audit WHERE run_id = {0} ORDER BY audit_id DESC says what pawl.run.state was. Nothing "
      "was changed.",
      run.run, run.migration, run.state));
}

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "unknown";
}

void Audit(db::Session& session, std::int64_t run, const std::string& event,
           const std::string& detail) {
  session.Query("INSERT INTO pawl.audit (run_id, event, detail) VALUES ($1::bigint, $2, $3)",
                {std::to_string(run), event, detail});
}

void Notify(db::Session& session, std::int64_t run) {
  session.Query("SELECT pg_notify($1, $2)", {kChannel, std::to_string(run)});
}

// Under the lock on the run's row, which each step of a contract takes as well.
void RefuseContracted(db::Session& session, std::int64_t run) {
  const auto gone = session.Query(
      "SELECT title FROM pawl.step WHERE run_id = $1::bigint AND kind = 'contract' AND state = "
      "'done' ORDER BY step LIMIT 1",
      {std::to_string(run)});
  if (gone.rows.empty()) return;
  db::FailInput(fmt::format(
      "Run {0} is being contracted, and what is gone ({1}) cannot come back. Nothing was changed. "
      "Carry on with `pawl contract {0}`.",
      run, db::ToText(gone.rows[0][0])));
}

void StorePlan(db::Session& session, const schema::Plan& plan, const std::string& text) {
  session.Query(
      "INSERT INTO pawl.migration (migration_hash, name, text) VALUES ($1, $2, $3) ON CONFLICT "
      "(migration_hash) DO UPDATE SET name = excluded.name",
      {plan.migration_hash, plan.migration, text});
  // The same decisions give the same hash; then the estimates may be newer, and the content is the
  // same.
  session.Query(
      "INSERT INTO pawl.plan (plan_hash, migration_hash, version, content) VALUES ($1, $2, "
      "$3::integer, $4) ON CONFLICT (plan_hash) DO UPDATE SET content = excluded.content",
      {plan.hash, plan.migration_hash, std::to_string(plan.version), schema::ToJson(plan)});
}

// Throws kBadInput when an unfinished run other than `except_run` touches one of the plan's tables:
// two migrations at one table would undo each other's undo. An INSERT … SELECT touches two.
void RefuseRivals(db::Session& session, const schema::Plan& plan, std::int64_t except_run) {
  std::set<std::pair<std::string, std::string>> tables;
  for (const schema::Step& step : plan.steps) {
    if (!step.table.name.empty()) tables.emplace(step.table.schema, step.table.name);
    if (step.backfill) tables.emplace(step.backfill->target.schema, step.backfill->target.name);
  }
  for (const auto& [schema, table] : tables) {
    const auto rival = session.Query(
        R"sql(SELECT r.run_id, r.migration, r.state FROM pawl.run AS r
               WHERE r.state NOT IN ('completed', 'contracted', 'reverted', 'aborted')
                 AND r.run_id <> $3::bigint
                 AND (EXISTS (SELECT FROM pawl.step AS s WHERE s.run_id = r.run_id
                                 AND s.schema_name = $1 AND s.table_name = $2)
                      OR EXISTS (SELECT FROM pawl.plan AS p, json_array_elements(p.content::json -> 'steps') AS e
                                  WHERE p.plan_hash = r.plan_hash
                                    AND e #>> '{backfill,target,schema}' = $1
                                    AND e #>> '{backfill,target,name}' = $2)) LIMIT 1)sql",
        {schema, table, std::to_string(except_run)});
    if (rival.rows.empty()) continue;
    const db::Row& row = rival.rows[0];
    db::FailInput(fmt::format(
        "Run {0} ({1}) is {2} and works on {3}.{4} as well. Two migrations at one table would undo "
        "each other's undo. Finish it with `pawl resume {0}` or give it up with `pawl abort {0}`. "
        "Nothing was changed.",
        db::ToText(row[0]), db::ToText(row[1]), db::ToText(row[2]), schema, table));
  }
}

// Until the transaction ends, nobody else begins to work at a table: otherwise two that begin at
// the same moment would not see each other in RefuseRivals.
void LockBeginnings(db::Session& session) {
  session.Query("SELECT pg_advisory_xact_lock(7240615, 2)");
}

}  // namespace

bool IsFinal(const std::string& state) {
  return state == "completed" || state == "contracted" || state == "reverted" || state == "aborted";
}

RunRow LoadRun(db::Session& session, std::int64_t run) {
  const auto found =
      session.Query(fmt::format("SELECT {} FROM pawl.run WHERE run_id = $1::bigint", kColumns),
                    {std::to_string(run)});
  if (found.rows.empty()) {
    db::FailInput(
        fmt::format("There is no run {}. `pawl status` lists the runs of this database.", run));
  }
  return Known(FromRow(found.rows[0]));
}

std::vector<RunRow> LoadRuns(db::Session& session) {
  std::vector<RunRow> runs;
  for (const db::Row& row :
       session.Query(fmt::format("SELECT {} FROM pawl.run ORDER BY run_id DESC", kColumns)).rows) {
    runs.push_back(FromRow(row));
  }
  return runs;
}

std::optional<RunRow> FindRun(db::Session& session, const std::string& name) {
  const auto found = session.Query(
      fmt::format("SELECT {} FROM pawl.run WHERE migration = $1 AND state NOT IN ('reverted', "
                  "'aborted') ORDER BY run_id DESC LIMIT 1",
                  kColumns),
      {name});
  if (found.rows.empty()) return std::nullopt;
  return Known(FromRow(found.rows[0]));
}

RunRow CreateRun(db::Session& session, const schema::Plan& plan, const std::string& text,
                 const RunKnobs& knobs) {
  PAWL_FAULT("before_create_run");
  db::Transaction transaction(session);
  // Two processes that start the same file at once: the second waits here and then finds the
  // first's run.
  LockBeginnings(session);
  const std::optional<RunRow> existing = FindRun(session, plan.migration);
  // It may as well have come to its end while this one still planned: it is not done twice.
  if (existing && (!IsFinal(existing->state) || existing->migration_hash == plan.migration_hash)) {
    return *existing;
  }
  RefuseRivals(session, plan, 0);
  StorePlan(session, plan, text);
  const auto created = session.Query(
      fmt::format(
          "INSERT INTO pawl.run (migration, migration_hash, plan_hash, state, workers, pace, "
          "throttle) VALUES ($1, $2, $3, 'running', $4::integer, $5::bigint, $6) RETURNING {}",
          kColumns),
      {plan.migration, plan.migration_hash, plan.hash, std::to_string(knobs.workers),
       std::to_string(knobs.pace), schema::ToText(knobs.throttle)});
  const RunRow run = FromRow(created.rows[0]);
  for (const schema::Step& step : plan.steps) {
    session.Query(
        "INSERT INTO pawl.step (run_id, step, kind, title, schema_name, table_name) VALUES "
        "($1::bigint, $2::integer, $3, $4, $5, $6)",
        {std::to_string(run.run), std::to_string(step.number), schema::NameOf(step.kind),
         step.title, step.table.schema, step.table.name});
  }
  Audit(session, run.run, "running", "plan " + plan.hash);
  PAWL_FAULT("in_create_run");
  transaction.Commit();
  PAWL_FAULT("after_create_run");
  return run;
}

schema::Plan LoadPlan(db::Session& session, const std::string& plan_hash) {
  const auto found =
      session.Query("SELECT version, content FROM pawl.plan WHERE plan_hash = $1", {plan_hash});
  PAWL_CHECK(!found.rows.empty());
  const std::int64_t version = db::ToInt(found.rows[0][0]);
  if (version < schema::kPlanVersionMin || version > schema::kPlanVersion) {
    db::FailInput(fmt::format(
        "The plan {} was made by another version of pawl (plan format {}, this program reads {} to "
        "{}). Use that version to finish or abort its run.",
        plan_hash, version, schema::kPlanVersionMin, schema::kPlanVersion));
  }
  schema::Plan plan = schema::FromJson(db::ToText(found.rows[0][1]));
  if (schema::HashOf(plan) != plan_hash) {
    throw db::Error(
        db::Action::kStop,
        fmt::format("The stored plan {} is not the one that was made: its content has another "
                    "hash. It was changed by hand. Give its run up with `pawl abort`, and start "
                    "anew. Nothing was changed.",
                    plan_hash));
  }
  return plan;
}

namespace {

// MoveRun inside of the caller's transaction. Returns false where there was nothing to do.
bool Move(db::Session& session, std::int64_t run, const std::string& to, const std::string& reason,
          const std::string& command, const std::optional<std::string>& revert_options,
          bool is_allowed = false) {
  const auto found = session.Query(
      "SELECT state FROM pawl.run WHERE run_id = $1::bigint FOR UPDATE", {std::to_string(run)});
  if (found.rows.empty()) LoadRun(session, run);  // Says that there is none.
  const std::string from = db::ToText(found.rows[0][0]);
  if (from == to && !revert_options) return false;
  bool allowed = is_allowed || from == to;
  for (const Edge& edge : kEdges) allowed = allowed || (edge.first == from && edge.second == to);
  if (!allowed) {
    db::FailInput(
        fmt::format("Run {} is {}; it cannot become {}. Nothing was changed.", run, from, to));
  }
  if (to == "reverting") RefuseContracted(session, run);
  session.Query(
      "UPDATE pawl.run SET state = $2, reason = $3, revert_options = coalesce($4, revert_options), "
      "finished_at = CASE WHEN $2 IN ('completed', 'contracted', 'reverted', 'aborted') THEN now() "
      "END WHERE run_id = $1::bigint",
      {std::to_string(run), to, reason, revert_options});
  if (!command.empty()) {
    session.Query(
        "INSERT INTO pawl.command (run_id, command, given_from) VALUES ($1::bigint, $2, $3)",
        {std::to_string(run), command, HostName()});
  }
  Audit(session, run, to, reason);
  Notify(session, run);
  return true;
}

}  // namespace

void MoveRun(db::Session& session, std::int64_t run, const std::string& to,
             const std::string& reason, const std::string& command) {
  PAWL_FAULT("before_move");
  db::Transaction transaction(session);
  if (!Move(session, run, to, reason, command, std::nullopt)) return;
  PAWL_FAULT("in_move");
  transaction.Commit();
  PAWL_FAULT("after_move");
}

void BeginRevert(db::Session& session, const schema::Plan& plan, std::int64_t run,
                 const std::string& options) {
  PAWL_FAULT("before_move");
  db::Transaction transaction(session);
  LockBeginnings(session);
  RefuseRivals(session, plan, run);
  Move(session, run, "reverting", "revert asked for", "revert", options);
  PAWL_FAULT("in_move");
  transaction.Commit();
  PAWL_FAULT("after_move");
}

void GiveUpWayBack(db::Session& session, std::int64_t run) {
  db::Transaction transaction(session);
  const auto found = session.Query(
      R"sql(SELECT r.state,
                   (SELECT count(*) > 0 AND bool_and(s.state = 'done') FROM pawl.step AS s
                     WHERE s.run_id = r.run_id AND s.kind = 'cut over')
              FROM pawl.run AS r WHERE r.run_id = $1::bigint FOR UPDATE OF r)sql",
      {std::to_string(run)});
  const std::string state = db::ToText(found.rows.at(0)[0]);
  if (state == "completed") return;
  const bool has_stopped = state == "failed" || state == "paused" || state == "aborted";
  if (!has_stopped || !db::ToBool(found.rows[0][1])) {
    db::FailInput(fmt::format(
        "Run {} is {}; only a completed run can be contracted, or one that has stopped with its new "
        "shape in place. Nothing was changed.",
        run, state));
  }
  if (LiveWorkers(session, run, 0) > 0) {
    db::FailInput(fmt::format(
        "A process still waits at run {}, or is about to leave it. End it, then give the "
        "same command again. Nothing was changed.",
        run));
  }
  session.Query(
      "UPDATE pawl.step SET state = 'running' WHERE run_id = $1::bigint AND kind = 'way back'",
      {std::to_string(run)});
  Move(session, run, "completed", "the way back was given up", "contract", "", true);
  PAWL_FAULT("in_move");
  transaction.Commit();
}

void RequireNoRivals(db::Session& session, const schema::Plan& plan, std::int64_t run) {
  db::Transaction transaction(session);
  LockBeginnings(session);
  RefuseRivals(session, plan, run);
  transaction.Commit();
}

void SetRun(db::Session& session, std::int64_t run, std::optional<int> workers,
            std::optional<std::int64_t> pace, const schema::ThrottleValues& throttle) {
  db::Transaction transaction(session);
  // Two who set different things at once must both be heard.
  session.Query("SELECT FROM pawl.run WHERE run_id = $1::bigint FOR UPDATE", {std::to_string(run)});
  const RunRow row = LoadRun(session, run);
  const std::string workers_text = std::to_string(workers.value_or(row.workers));
  const std::string pace_text = std::to_string(pace.value_or(row.pace));
  schema::ThrottleValues values = throttle;
  values.merge(schema::ThrottleValuesFrom(row.throttle));  // What is there keeps out nothing new.
  session.Query(
      "UPDATE pawl.run SET workers = $2::integer, pace = $3::bigint, throttle = $4 WHERE run_id = "
      "$1::bigint",
      {std::to_string(run), workers_text, pace_text, schema::ToText(values)});
  std::string argument = fmt::format("workers={} pace={}", workers_text, pace_text);
  for (const auto& [name, value] : throttle) argument += fmt::format(" {}={}", name, value);
  session.Query(
      "INSERT INTO pawl.command (run_id, command, argument, given_from) VALUES ($1::bigint, 'set', "
      "$2, $3)",
      {std::to_string(run), argument, HostName()});
  Audit(session, run, "set", argument);
  Notify(session, run);
  transaction.Commit();
}

// Told to people and used for nothing else: whatever a hand has left there, it never stops a run.
void AddWorkingTime(db::Session& session, std::int64_t run, std::int64_t working_ms,
                    std::int64_t wal_bytes) {
  session.Query(
      "UPDATE pawl.run SET working_ms = least(working_ms::numeric + $2::bigint, "
      "9223372036854775807)::bigint, wal_bytes = least(wal_bytes::numeric + $3::bigint, "
      "9223372036854775807)::bigint WHERE run_id = $1::bigint",
      {std::to_string(run), std::to_string(working_ms), std::to_string(wal_bytes)});
}

std::int64_t JoinRun(db::Session& session, std::int64_t run, int backend_pid) {
  const auto joined = session.Query(
      "INSERT INTO pawl.worker (run_id, host, pid, backend_pid, backend_start) SELECT $1::bigint, "
      "$2, $3::integer, a.pid, a.backend_start FROM pg_stat_activity AS a WHERE a.pid = "
      "$4::integer RETURNING worker_id",
      {std::to_string(run), HostName(), std::to_string(getpid()), std::to_string(backend_pid)});
  // No such backend: it was ended between its connect and now.
  if (joined.rows.empty()) {
    throw db::Error(db::Action::kReconnect, "the listening connection broke");
  }
  return db::ToInt(joined.rows[0][0]);
}

void Heartbeat(db::Session& session, std::int64_t worker, int threads, std::int64_t batch_rows) {
  session.Query(
      "UPDATE pawl.worker SET seen_at = clock_timestamp(), threads = $2::integer, batch_rows = "
      "$3::bigint WHERE worker_id = $1::bigint",
      {std::to_string(worker), std::to_string(threads), std::to_string(batch_rows)});
}

void LeaveRun(db::Session& session, std::int64_t worker) {
  session.Query(
      "UPDATE pawl.worker SET left_at = clock_timestamp(), threads = 0 WHERE worker_id = "
      "$1::bigint",
      {std::to_string(worker)});
}

std::int64_t LiveWorkers(db::Session& session, std::int64_t run, std::int64_t except_worker) {
  const auto found = session.Query(
      R"sql(SELECT count(*) FROM pawl.worker AS w JOIN pg_stat_activity AS a
              ON a.pid = w.backend_pid AND (a.backend_start IS NULL OR a.backend_start = w.backend_start)
           WHERE w.run_id = $1::bigint AND w.left_at IS NULL AND w.worker_id <> $2::bigint)sql",
      {std::to_string(run), std::to_string(except_worker)});
  return db::ToInt(found.rows[0][0]);
}

}  // namespace pawl::checkpoints
