// A migration as a whole: the server, the schema changes, and the plan around the steps.
#include "schema/planner.h"

#include <algorithm>

#include <fmt/format.h>

#include "db/error.h"
#include "db/quote.h"
#include "schema/add_column.h"
#include "schema/attach_form.h"
#include "schema/backfill_planner.h"
#include "schema/detach_form.h"
#include "schema/domain_form.h"
#include "schema/drop_forms.h"
#include "schema/move_checks.h"
#include "schema/online_forms.h"
#include "schema/refresh_form.h"
#include "schema/reindex_form.h"
#include "schema/rename_forms.h"
#include "schema/schema_view.h"
#include "schema/short_forms.h"
#include "schema/throttle_options.h"
#include "schema/type_change.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

constexpr int kServerVersionMin = 130000;

void CheckServer(db::Session& session) {
  const int version = session.server_version();
  if (version < kServerVersionMin) {
    db::FailInput(
        fmt::format("The server is PostgreSQL {}, and Pawl needs 13 or later. Nothing was changed. "
                    "Upgrade the server.",
                    version / 10000));
  }
  const db::Row row = session
                          .Query(
                              "SELECT pg_catalog.pg_is_in_recovery(), "
                              "pg_catalog.current_setting('default_transaction_read_only')")
                          .rows.at(0);
  if (db::ToBool(row[0])) {
    db::FailInput(
        "The server is a replica and cannot be written to. Nothing was changed. Give the address "
        "of the primary.");
  }
  if (db::ToText(row[1]) == "on") {
    db::FailInput(
        "Transactions of this role or database are read-only (default_transaction_read_only is "
        "on). Nothing was changed. Set it to off for the role that runs Pawl.");
  }
}

std::string SystemIdentifier(db::Session& session) {
  const db::Result allowed = session.Query(
      "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')");
  if (!db::ToBool(allowed.rows.at(0)[0])) return {};
  return db::ToText(
      session.Query("SELECT system_identifier FROM pg_catalog.pg_control_system()").rows.at(0)[0]);
}

// With "$user" resolved, so that it means the same for whoever runs the plan.
std::string SearchPath(db::Session& session) {
  return session
      .Query(
          "SELECT pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ' ORDER BY position) FROM "
          "pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path(name, "
          "position)")
      .rows.at(0)[0]
      .value_or("pg_catalog");
}

// Of the options that hold for the whole file, the largest that a statement gives.
std::int64_t FileOption(const MigrationFile& migration, const std::string& name) {
  std::int64_t value = 0;
  for (const Statement& statement : migration.statements) {
    const auto found = statement.options.find(name);
    if (found == statement.options.end()) continue;
    value = std::max<std::int64_t>(value, std::stoll(found->second));
  }
  return value;
}

// Of the whole run: its contract is one command.
std::int64_t RetentionOf(const Planning& planning) {
  std::int64_t seconds = 0;
  for (const Statement& statement : planning.migration.statements) {
    const std::int64_t wanted = SecondsOf(statement, "retention");
    if (wanted == 0) continue;
    seconds = std::max(seconds, wanted);
    const bool keeps =
        std::any_of(planning.steps.begin(), planning.steps.end(),
                    [](const Step& step) { return step.kind == StepKind::kContract; });
    if (keeps) continue;
    FailAt(planning.PlaceOf(statement), "the option retention has no meaning here",
           "Remove it: nothing of this file is kept until `pawl contract`.");
  }
  return seconds;
}

// The throttle is the run's, not a statement's: two words about one thing must agree.
ThrottleValues ThrottleOf(const MigrationFile& migration) {
  ThrottleValues values;
  for (const Statement& statement : migration.statements) {
    for (const auto& [name, value] : statement.options) {
      if (FindThrottleOption(name) == nullptr) continue;
      const auto [known, added] = values.emplace(name, value);
      if (added || known->second == value) continue;
      FailAt(
          {migration.name + ".sql", statement.line},
          fmt::format("option \"{}\" is \"{}\" here and \"{}\" before", name, value, known->second),
          "It holds for the whole run: say it once, at the top of the file.");
    }
  }
  return values;
}

// Thread safety: none. Lives for one statement.
class DdlPlanner {
 public:
  DdlPlanner(Planning& planning, const Statement& statement)
      : planning_(planning), statement_(statement), place_(planning.PlaceOf(statement)) {}

  void Plan() {
    step_.kind = StepKind::kDdl;
    step_.line = statement_.line;
    step_.sql = statement_.text;
    step_.inverse = statement_.inverse;
    step_.lock = "ACCESS EXCLUSIVE, milliseconds; retried with a short lock time-out";
    step_.why = "It changes the catalogue only and touches no row.";
    if (statement_.kind == StatementKind::kCreateTable) {
      PlanCreateTable();
    } else {
      PlanOther();
    }
    planning_.Add(std::move(step_));
  }

 private:
  void PlanCreateTable() {
    step_.table = {statement_.target.schema.empty() ? planning_.schema.current_schema()
                                                    : statement_.target.schema,
                   statement_.target.name};
    step_.title = fmt::format("create table {}", Readable(step_.table));
    step_.lock = "none on tables that exist";
    if (!planning_.schema.CreateTable(place_, statement_, step_.notes)) {
      NothingToDo("The table is there already");
    }
  }

  void PlanOther() {
    step_.title = FirstWords(statement_.text);
    if (!statement_.column.empty()) return PlanColumnDefault();
    const bool has_target = !statement_.target.name.empty();
    step_.table = statement_.target;
    if (has_target && statement_.if_not_exists &&
        FindRelation(planning_.reading.session(), statement_.target)) {
      NothingToDo("It is there already");
    }
    if (has_target || statement_.inverse.find("DROP SCHEMA") != 0) return;
    const std::string prefix = "DROP SCHEMA IF EXISTS ";
    const std::string name = Unquoted(statement_.inverse.substr(prefix.size()));
    if (!planning_.schema.CreateSchema(name)) return;
    if (!statement_.if_not_exists) {
      FailAt(place_, fmt::format("schema \"{}\" exists already", name),
             "Write CREATE SCHEMA IF NOT EXISTS if that is the one meant.");
    }
    NothingToDo("The schema is there already");
  }

  // ALTER COLUMN … SET DEFAULT, DROP DEFAULT: taken back by the default that is there now.
  void PlanColumnDefault() {
    const TableShape table = planning_.schema.Require(place_, statement_.target);
    CheckOwner(table);
    step_.table = table.name;
    const TableColumn* column = table.Find(statement_.column);
    if (column == nullptr) {
      FailAt(place_,
             fmt::format("column \"{}\" of table {} does not exist", statement_.column,
                         Readable(table.name)),
             "Check its name.");
    }
    const db::Result old = planning_.reading.session().Query(
        R"(
SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid)
  FROM pg_catalog.pg_attrdef d
  JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
 WHERE d.adrelid = $1::pg_catalog.oid AND a.attname = $2)",
        {std::to_string(table.oid), statement_.column});
    const std::string value =
        old.rows.empty() || !old.rows[0][0] ? "DROP DEFAULT" : "SET DEFAULT " + *old.rows[0][0];
    step_.inverse = fmt::format("ALTER TABLE {} ALTER COLUMN {} {}",
                                QuoteName(table.name.schema, table.name.name),
                                QuoteName(statement_.column), value);
  }

  void CheckOwner(const TableShape& table) const {
    if (table.is_owner) return;
    FailAt(place_, fmt::format("only the owner of {} may change its columns", Readable(table.name)),
           "Connect as the owner, or as a member of the owner's role.");
  }

  void NothingToDo(const std::string& reason) {
    step_.notes.push_back(reason + ": the statement does nothing, and reverting leaves it alone.");
    step_.inverse.clear();
  }

  static std::string FirstWords(const std::string& sql) {
    constexpr std::size_t kLengthMax = 70;
    std::string line = sql.substr(0, sql.find('\n'));
    if (line.size() <= kLengthMax) return line;
    line.resize(std::min(line.find_last_of(" \t", kLengthMax), kLengthMax));
    return line + " …";
  }

  static std::string Unquoted(const std::string& quoted) {
    std::string name;
    for (std::size_t i = 1; i + 1 < quoted.size(); ++i) {
      if (quoted[i] == '"') ++i;
      name.push_back(quoted[i]);
    }
    return name;
  }

  Planning& planning_;
  const Statement& statement_;
  const Place place_;
  Step step_;
};

void PlanOnline(Planning& planning, const Statement& statement) {
  const std::optional<AstValue> node = ParseOneStatement(statement.text);
  if (IsTypeChange(*node)) return PlanTypeChange(planning, statement);
  if (IsRename(*node)) return PlanRename(planning, statement);
  if (IsDrop(*node)) return PlanDrop(planning, statement);
  if (IsAttach(*node)) return PlanAttach(planning, statement);
  if (IsDetach(*node)) return PlanDetach(planning, statement);
  if (IsReindex(*node)) return PlanReindex(planning, statement);
  if (IsRefresh(*node)) return PlanRefresh(planning, statement);
  if (IsDomainConstraint(*node)) return PlanDomainConstraint(planning, statement);
  if (IsShortForm(*node)) return PlanShortForm(planning, statement);
  for (Step& step : OnlineSteps(planning, statement)) planning.Add(std::move(step));
}

// What a statement before has moved is in its place only at the end of the run.
void RefuseAfterMove(const Planning& planning, const Statement& statement) {
  if (planning.moved.empty()) return;
  std::vector<TableName> names = statement.other_tables;
  names.push_back(statement.target);
  names.push_back(statement.source);
  for (const TableName& name : names) {
    if (name.name.empty()) continue;
    const std::optional<TableShape> table = planning.schema.Find(name);
    if (table) RequireNotMoved(planning, planning.PlaceOf(statement), table->name);
  }
}

bool IsBackfill(const Statement& statement) {
  return statement.kind == StatementKind::kUpdate || statement.kind == StatementKind::kDelete ||
         statement.kind == StatementKind::kInsertSelect;
}

}  // namespace

Plan MakePlan(db::Session& session, const MigrationFile& migration) {
  CheckServer(session);
  ReadTransaction reading(session);
  Plan plan;
  plan.migration = migration.name;
  plan.migration_hash = migration.hash;
  plan.server_version = session.server_version();
  plan.system_identifier = SystemIdentifier(session);
  plan.search_path = SearchPath(session);
  const db::Row row = session
                          .Query(
                              "SELECT pg_catalog.current_database(), "
                              "pg_catalog.current_setting('TimeZone')")
                          .rows.at(0);
  plan.database = db::ToText(row[0]);
  plan.time_zone = db::ToText(row[1]);
  plan.workers = FileOption(migration, "workers");
  plan.pace = FileOption(migration, "pace");
  plan.throttle = ToText(ThrottleOf(migration));
  SchemaView schema(session);
  Planning planning{reading, migration, schema, plan.search_path, plan.time_zone, {}, {}};
  for (const Statement& statement : migration.statements) {
    CheckRefusals(planning.PlaceOf(statement), statement);
    RefuseAfterMove(planning, statement);
    if (IsBackfill(statement)) {
      PlanBackfill(planning, statement);
    } else if (statement.kind == StatementKind::kAddColumn) {
      PlanAddColumn(planning, statement);
    } else if (statement.kind == StatementKind::kOnlineDdl) {
      PlanOnline(planning, statement);
    } else {
      DdlPlanner(planning, statement).Plan();
    }
  }
  plan.retention_s = RetentionOf(planning);
  plan.steps = std::move(planning.steps);
  plan.hash = HashOf(plan);
  return plan;
}

}  // namespace pawl::schema
