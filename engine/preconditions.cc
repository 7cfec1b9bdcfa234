#include "engine/preconditions.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "db/error.h"
#include "db/quote.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

// The run itself and its listener, and beside them the workers; or, when it verifies, one for the
// verdict, one for the ledger and two that read rows.
constexpr int kConnectionsOfProcess = 2;
constexpr int kConnectionsToVerify = 4;

std::int64_t BackendPid(db::Session& session) {
  return db::ToInt(session.Query("SELECT pg_backend_pid()").rows[0][0]);
}

}  // namespace

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
  const int needed = kConnectionsOfProcess + std::max(kConnectionsToVerify, workers);
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

bool MakesUndoTables(const schema::Plan& plan) {
  for (const schema::Step& step : plan.steps) {
    if (step.backfill && !schema::RenderUndoTable(*step.backfill, 0, step.number).empty()) {
      return true;
    }
  }
  return false;
}

}  // namespace pawl::engine
