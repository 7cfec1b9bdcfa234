#include "engine/preconditions.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "checkpoints/control_schema.h"
#include "db/error.h"
#include "db/quote.h"
#include "engine/run_process.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

// The run itself and its listener, and beside them the throttle and the workers; or, when it
// verifies, one for the verdict, one for the ledger and two that read rows.
constexpr int kConnectionsOfProcess = 2;
constexpr int kConnectionsToVerify = 4;

std::int64_t BackendPid(db::Session& session) {
  return db::ToInt(session.Query("SELECT pg_backend_pid()").rows[0][0]);
}

}  // namespace

std::unique_ptr<db::Session> OpenFirst(const db::ConnectionString& where, const std::string& role) {
  try {
    return std::make_unique<db::Session>(where, role);
  } catch (const db::Error& error) {
    if (error.action() != db::Action::kReconnect) throw;
    db::FailInput(fmt::format("{} Nothing was changed.", error.what()));
  }
}

std::unique_ptr<db::Session> OpenControl(const db::ConnectionString& where) {
  auto session = OpenFirst(where, "control");
  RequireWritable(*session);
  if (checkpoints::ControlSchemaVersion(*session) == 0) {
    db::FailInput(fmt::format("There are no runs in {}: it has no control schema pawl.* yet.",
                              where.Display()));
  }
  checkpoints::EnsureControlSchema(*session);
  checkpoints::RequireControlPrivileges(*session, false);
  return session;
}

void RequireWritable(db::Session& session) {
  const auto found =
      session.Query("SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')");
  if (db::ToBool(found.rows[0][0])) {
    db::FailInput(
        "The server is a replica and cannot be written to. Nothing was changed. Give the address "
        "of the primary.");
  }
  // Not switched off here: somebody has said that this role or database is not to be written to.
  if (db::ToText(found.rows[0][1]) == "on") {
    db::FailInput(
        "Transactions of this role or database are read-only (default_transaction_read_only is "
        "on). Nothing was changed. Set it to off for the role that runs Pawl.");
  }
}

// It shows when a second connection, inside a transaction, is served by the backend of the first
// one, which is idle, or when the first one is served by another than before.
void RefuseTransactionPooler(const db::ConnectionString& where, db::Session& session) {
  const std::int64_t pid = BackendPid(session);
  if (pid == session.backend_pid()) return;  // No pooler at all: the server said so at the start.
  bool kept = BackendPid(session) == pid;
  if (kept) {
    db::Session second(where, "probe");
    db::Transaction transaction(second);
    kept = BackendPid(second) != pid && BackendPid(session) == pid;
  }
  if (kept) return;
  db::FailInput(
      "There is a pooler in transaction mode in between: sessions do not keep their settings "
      "there. Connect to PostgreSQL directly, or through a pooler in session mode. Nothing was "
      "changed.");
}

void RequireSameServer(const db::ConnectionString& where, db::Session& session,
                       const schema::Plan& plan) {
  if (plan.system_identifier.empty()) return;
  const auto allowed =
      session.Query("SELECT has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')");
  if (!db::ToBool(allowed.rows[0][0])) return;
  const auto found = session.Query("SELECT system_identifier FROM pg_control_system()");
  const std::string& identifier = db::ToText(found.rows[0][0]);
  if (identifier == plan.system_identifier) return;
  db::FailInput(fmt::format(
      "The server behind {} is not the one this run began on (its system identifier is {}, the "
      "run's {}). Nothing was written to it. Point --database at the server where the run began; "
      "if this is a copy that is to live on, give the run up here with `pawl abort` and start "
      "anew.",
      where.Display(), identifier, plan.system_identifier));
}

void RequireWayBack(db::Session& session, const schema::Plan& plan) {
  std::string grants;
  for (const schema::Step& step : plan.steps) {
    if (!step.backfill) continue;
    const schema::Backfill& backfill = *step.backfill;
    const bool back = backfill.undo != schema::UndoKind::kNone;
    std::vector<std::string> needed;
    if (backfill.kind == schema::StatementKind::kInsertSelect) {
      needed.push_back("SELECT");
      if (back) needed.push_back("DELETE");
    } else if (backfill.kind == schema::StatementKind::kDelete && back) {
      needed.push_back("INSERT");
    }
    const std::string table = db::QuoteName(backfill.target.schema, backfill.target.name);
    std::string missing;
    for (const std::string& privilege : needed) {
      // Null where this plan makes the table: then it is the role's own.
      const auto found =
          session.Query("SELECT has_table_privilege(to_regclass($1), $2)", {table, privilege});
      if (!found.rows[0][0] || db::ToBool(found.rows[0][0])) continue;
      missing += (missing.empty() ? "" : ", ") + privilege;
    }
    if (missing.empty()) continue;
    const auto role = session.Query("SELECT quote_ident(current_user)");
    grants += fmt::format(" GRANT {} ON {} TO {};", missing, table, db::ToText(role.rows[0][0]));
  }
  if (grants.empty()) return;
  db::FailInput(
      fmt::format("The role could change the rows, but neither prove it nor take it back. As the "
                  "owner:{} Nothing was changed.",
                  grants));
}

void RequireConnections(db::Session& session, int workers) {
  const int needed = kConnectionsOfProcess + std::max(kConnectionsToVerify, workers + 1);
  const auto found = session.Query(
      "SELECT quote_ident(r.rolname), r.rolconnlimit, quote_ident(d.datname), d.datconnlimit FROM "
      "pg_roles AS r, pg_database AS d WHERE r.rolname = session_user AND NOT r.rolsuper AND "
      "d.datname = current_database()");
  if (found.rows.empty()) return;  // Limits do not hold for a superuser.
  const db::Row& row = found.rows[0];
  for (const auto& [kind, name] : {std::pair{"ROLE", 0}, std::pair{"DATABASE", 2}}) {
    const std::int64_t limit = db::ToInt(row[static_cast<std::size_t>(name) + 1]);
    if (limit < 0 || limit >= needed) continue;
    db::FailInput(fmt::format(
        "With {} workers Pawl makes up to {} connections, and no more than {} are allowed (ALTER "
        "{} {} CONNECTION LIMIT {}). Raise the limit, or give fewer --workers. Nothing was "
        "changed.",
        workers, needed, limit, kind, db::ToText(row[static_cast<std::size_t>(name)]), limit));
  }
}

namespace {

// Foreign keys by which a deleted row takes others with it, or empties them.
void RefuseCascade(db::Session& session, const schema::Step& step) {
  const schema::TableName& target = step.backfill->target;
  const auto found = session.Query(
      "SELECT pg_catalog.quote_ident(conname), conrelid::pg_catalog.regclass FROM "
      "pg_catalog.pg_constraint WHERE contype = 'f' AND confdeltype IN ('c', 'n', 'd') AND "
      "confrelid = pg_catalog.to_regclass($1)",
      {db::QuoteName(target.schema, target.name)});
  if (found.rows.empty()) return;
  db::FailInput(fmt::format(
      "Step {} ({}) inserted rows, and taking them back would also delete or change the rows of {} "
      "that refer to them (foreign key {}), which no undo holds. Nothing was changed. Delete by "
      "hand what is to go, or say --on-conflict force.",
      step.number, step.title, db::ToText(found.rows[0][1]), db::ToText(found.rows[0][0])));
}

// A row that was inserted is known again by its columns as they were.
void RefuseNewColumns(db::Session& session, const schema::Step& step) {
  const schema::Backfill& backfill = *step.backfill;
  const auto found = session.Query(
      "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass($1) AND "
      "attnum > 0 AND NOT attisdropped AND attgenerated = ''",
      {db::QuoteName(backfill.target.schema, backfill.target.name)});
  for (const db::Row& row : found.rows) {
    const std::string& name = db::ToText(row[0]);
    const bool planned =
        std::any_of(backfill.target_columns.begin(), backfill.target_columns.end(),
                    [&](const schema::Column& column) { return column.name == name; });
    if (planned) continue;
    db::FailInput(fmt::format(
        "Column \"{}\" of {}.{} is newer than step {} ({}), so whether a row was changed since "
        "cannot be told. Nothing was changed. Say --on-conflict force if its values may go.",
        name, backfill.target.schema, backfill.target.name, step.number, step.title));
  }
}

}  // namespace

void RequireRevertible(db::Session& session, const checkpoints::RunRow& run,
                       const schema::Plan& plan, const RevertSettings& settings) {
  const bool force = settings.on_conflict == OnConflict::kForce;
  if (!settings.batches.empty() && run.state != "completed") {
    db::FailInput(
        fmt::format("Run {} is {}, and single batches are taken back of a completed run "
                    "only. Nothing was changed. Finish it first, or take back all of it.",
                    run.run, run.state));
  }
  const bool moves =
      std::any_of(plan.steps.begin(), plan.steps.end(),
                  [](const schema::Step& step) { return step.kind == schema::StepKind::kCutOver; });
  if (!settings.batches.empty() && moves) {
    db::FailInput(
        fmt::format("Run {} changes the shape of a table, which is taken back whole. Nothing was "
                    "changed. Leave out --batch.",
                    run.run));
  }
  for (const schema::Step& step : plan.steps) {
    if (!step.backfill) continue;
    if (step.backfill->undo == schema::UndoKind::kNone) {
      db::FailInput(
          fmt::format("Step {} ({}) was run with undo=none; it cannot be taken back. Nothing was "
                      "changed.",
                      step.number, step.title));
    }
#ifndef PAWL_MUTANT_inverse_force
    if (step.backfill->undo == schema::UndoKind::kInverse && force) {
      db::FailInput(fmt::format(
          "Step {} ({}) is taken back by an inverse, and no record says which rows it has changed: "
          "--on-conflict force would change others too. Nothing was changed. Use skip.",
          step.number, step.title));
    }
#endif
#ifndef PAWL_MUTANT_cascade
    if (step.backfill->kind == schema::StatementKind::kInsertSelect && !force) {
      RefuseCascade(session, step);
      RefuseNewColumns(session, step);
    }
#endif
  }
}

void RequireForcible(db::Session& session, std::int64_t run) {
  const auto found = session.Query(
      "SELECT count(*), min(step) FROM pawl.conflict WHERE run_id = $1::bigint AND NOT forced AND "
      "batch_id > 0",
      {std::to_string(run)});
  const std::int64_t rows = db::ToInt(found.rows.at(0)[0]);
  if (rows == 0) return;
  db::FailInput(fmt::format(
      "Run {0} is taken back, but for {1} rows that the application had changed and that were left "
      "to it. The way back has passed them, and the application may have changed others since, so "
      "they can no longer be forced. Nothing was changed. SELECT * FROM pawl.conflict WHERE run_id "
      "= {0} lists them, and pawl.undo_{0}_{2} holds what was there before, where the step kept "
      "that: mend them by hand.",
      run, rows, db::ToText(found.rows[0][1])));
}

void RefuseToRepeat(db::Session& session, const schema::Plan& plan) {
  const bool repeats = std::any_of(
      plan.steps.begin(), plan.steps.end(),
      [](const schema::Step& step) { return step.backfill && !step.backfill->self_excluding; });
  if (!repeats) return;
  const auto found = session.Query(
      R"sql(SELECT r.run_id, sum(l.rows)::bigint FROM pawl.run AS r JOIN pawl.ledger AS l USING (run_id)
             WHERE r.migration = $1 AND r.state = 'aborted' AND l.kind = 'change' AND l.rows > 0
               AND NOT EXISTS (SELECT FROM pawl.ledger AS back WHERE back.reverts = l.batch_id)
             GROUP BY r.run_id ORDER BY r.run_id LIMIT 1)sql",
      {plan.migration});
  if (found.rows.empty()) return;
  db::FailInput(fmt::format(
      "Run {0} of {1} was aborted after it had changed {2} rows, and this one would change them "
      "again. Nothing was changed. Take it back with `pawl revert {0}` first, or, if they are to "
      "be changed twice, give the migration another name.",
      db::ToText(found.rows[0][0]), plan.migration, db::ToText(found.rows[0][1])));
}

bool MakesUndoTables(const schema::Plan& plan) {
  for (const schema::Step& step : plan.steps) {
    if (step.backfill && !schema::RenderUndoTable(*step.backfill, 0, step.number).empty()) {
      return true;
    }
  }
  return false;
}

}  // namespace pawl::engine
