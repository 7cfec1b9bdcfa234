#include "schema/backfill_planner.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "schema/assigned_columns.h"
#include "schema/backfill_steps.h"
#include "schema/inverse_check.h"
#include "schema/order_choice.h"
#include "schema/self_excluding.h"
#include "schema/statement_check.h"
#include "schema/step_notes.h"
#include "schema/table_sample.h"
#include "schema/target_check.h"

namespace pawl::schema {
namespace {

// Any number does that another migration has not; a hash is the same for the same file.
std::int64_t SaltOf(const std::string& hash) {
  return std::stoll(hash.substr(0, 8), nullptr, 16) % (kSaltMax + 1);
}

void CheckFunctions(const PlannedStatement& planned) {
  const FunctionFacts functions = ReadFunctions(planned.session(), planned.statement.functions);
  if (IsAllowed(planned.statement, "volatile")) return;
  if (!functions.volatile_ones.empty()) {
    planned.Fail(
        fmt::format("{}() is volatile: it gives another value at each call, so a batch that is "
                    "done again or taken back would not be the same",
                    functions.volatile_ones[0]),
        "Use a function that is stable or immutable, or write allow=volatile if any value will "
        "do.");
  }
  if (planned.statement.reads_clock) {
    planned.Fail("the statement reads the clock, and each batch would get another time",
                 "Write the time as a constant, or write allow=volatile if any time will do.");
  }
}

void CheckSyncIsPossible(const PlannedStatement& planned) {
  if (!IsSyncWanted(planned.statement) || planned.facts.sync_obstacle.empty()) return;
  planned.Fail(
      fmt::format("keep_in_sync is not possible: {}", planned.facts.sync_obstacle),
      "Remove the option, or write the statement so that each value follows from its row.");
}

void CheckQuietIsAllowed(const PlannedStatement& planned) {
  if (!planned.is_quiet() || MayBeQuiet(planned.session())) return;
  planned.Fail(
      "quiet_triggers needs a role that may set session_replication_role",
      "From PostgreSQL 15 on, GRANT SET ON PARAMETER session_replication_role to the role; before, "
      "connect as a superuser. Or remove the option.");
}

// A table or column that comes with this file cannot be asked about in a FROM clause.
bool ReadsCreatedTables(const PlannedStatement& planned) {
  const std::vector<TableName>& names = planned.statement.other_tables;
  return std::any_of(names.begin(), names.end(), [&](const TableName& name) {
    const std::optional<TableShape> table = planned.planning.schema.Find(name);
    return table && (table->oid == 0 || table->has_created_columns());
  });
}

// The tables that hold the rows: a table itself, the leaves of a partitioned one, or a parent with
// its children.
std::vector<TableShape> WalkedTables(const PlannedStatement& planned, const TableShape& parent) {
  const Statement& statement = planned.statement;
  const bool only = planned.is_insert() ? statement.source_only : statement.only;
  std::vector<TableShape> tables;
  if (parent.kind != 'p') tables.push_back(parent);
  if (parent.oid == 0 || (only && parent.kind != 'p')) return tables;
  if (only) {
    planned.Fail(fmt::format("ONLY {} names a partitioned table, which holds no rows itself",
                             Readable(parent.name)),
                 "Leave out ONLY, or name a partition.");
  }
  for (const std::int64_t oid : ReadChildren(planned.session(), parent.oid)) {
    TableShape child = planned.planning.schema.Read(oid);
    CheckChild(planned, parent, child);
    tables.push_back(std::move(child));
  }
  if (tables.empty()) {
    planned.Fail(
        fmt::format("{} has no partitions, so there is nothing to change", Readable(parent.name)),
        "Remove the statement.");
  }
  return tables;
}

const KeyIndex* ChooseKey(const PlannedStatement& planned, const TableShape& walked) {
  if (walked.keys.empty()) return nullptr;
  for (const KeyIndex& key : walked.keys) {
    const std::set<std::string> columns(key.columns.begin(), key.columns.end());
    if (!Intersects(columns, planned.facts.assigned)) return &key;
  }
  planned.Fail(
      fmt::format("the statement changes the only key of {}, {} ({})", Readable(walked.name),
                  walked.keys[0].name, fmt::join(walked.keys[0].columns, ", ")),
      "Rows are found and taken back by a key that stays; add a unique index on other NOT NULL "
      "columns.");
}

std::vector<Column> ColumnsOf(const TableShape& table, const KeyIndex* key) {
  std::vector<Column> columns;
  if (key == nullptr) return columns;
  for (const std::string& name : key->columns) columns.push_back(table.Find(name)->column);
  return columns;
}

bool HasResidue(const std::vector<Column>& key) {
  return std::all_of(key.begin(), key.end(), [](const Column& column) {
    return column.is_integer || !column.hash_function.empty();
  });
}

// The WHERE as a condition on a row of the walked table; empty for all rows, or where it cannot be
// evaluated without writing or before it exists.
std::string SampleCondition(const PlannedStatement& planned) {
  const Statement& statement = planned.statement;
  if (planned.facts.where_is_volatile || ReadsCreatedTables(planned)) return {};
  if (!statement.from_clause.empty()) {
    return fmt::format("EXISTS (SELECT FROM {} WHERE ({}))", statement.from_clause,
                       statement.where_clause.empty() ? "true" : statement.where_clause);
  }
  if (!statement.source_joins.empty()) return {};
  return statement.where_clause;
}

void FillEstimates(Backfill& backfill, const TableShape& walked, const TableSample& sample) {
  backfill.rows_in_table = sample.rows_in_table;
  backfill.rows_estimated = std::llround(static_cast<double>(sample.rows_in_table) *
                                         (sample.condition_known ? sample.share_matching : 1));
  backfill.pages_in_table = walked.pages;
  backfill.row_bytes = sample.row_bytes;
}

OrderChoice OrderFor(const PlannedStatement& planned, const TableShape& walked,
                     const TableSample& sample, const Backfill& backfill) {
  OrderFacts facts;
  facts.kind = backfill.kind;
  facts.has_key = !backfill.key.empty();
  facts.key_has_residue = HasResidue(backfill.key);
  facts.correlation = sample.correlation;
  const std::set<std::string> indexed(walked.indexed_columns.begin(), walked.indexed_columns.end());
  facts.changed_indexed = Intersects(indexed, planned.facts.assigned);
  facts.rows_per_page = sample.rows_per_page;
  facts.self_excluding = backfill.self_excluding;
  facts.undo_is_inverse = WantedUndo(planned.statement) == "inverse";
  facts.server_version = planned.session().server_version();
  facts.pages = walked.pages;
  facts.is_cached = walked.is_cached;
  OrderChoice choice =
      ChooseOrder(facts, WantedOrder(planned.statement), CountOf(planned.statement, "stride"));
  if (!choice.refusal.empty()) {
    planned.Fail(fmt::format("{}: {}", Readable(walked.name), choice.refusal), choice.remedy);
  }
  return choice;
}

bool IsImplicit(const PlannedStatement& planned, const TableShape& walked) {
  const std::set<std::string>& assigned = planned.facts.assigned;
  if (planned.statement.kind != StatementKind::kUpdate || !planned.facts.re_evaluable) return false;
  return std::all_of(assigned.begin(), assigned.end(), [&](const std::string& name) {
    const TableColumn* column = walked.Find(name);
    return column != nullptr && column->created_empty && !column->column.is_composite;
  });
}

UndoKind UndoFor(const PlannedStatement& planned, const TableShape& walked,
                 const Backfill& backfill) {
  const std::string wanted = WantedUndo(planned.statement);
  if (wanted == "none") return UndoKind::kNone;
  if (wanted == "inverse") return UndoKind::kInverse;
  if (wanted == "column") return UndoKind::kColumn;
  if (wanted == "auto" && IsImplicit(planned, walked)) return UndoKind::kImplicit;
  const bool has_key = planned.is_insert() ? !backfill.target_key.empty() : !backfill.key.empty();
  if (!has_key) {
    planned.Fail(fmt::format("{} has no key by which a row could be found again to take it back",
                             Readable(backfill.target)),
                 "Add a primary key, or write undo=none if the change need never be taken back.");
  }
  return UndoKind::kImage;
}

// What follows from the statement and the table; order, undo and estimates come later.
Backfill BackfillOf(const PlannedStatement& planned, const TableShape& walked,
                    const KeyIndex* key) {
  const Statement& statement = planned.statement;
  const TableShape& target = planned.is_insert() ? planned.target : walked;
  Backfill backfill;
  backfill.kind = statement.kind;
  backfill.target = target.name;
  backfill.walked = walked.name;
  backfill.alias = planned.alias();
  backfill.walked_oid = walked.oid;
  backfill.target_oid = target.oid;
  backfill.key = ColumnsOf(walked, key);
  backfill.key_index = key == nullptr ? "" : key->name;
  backfill.target_key = backfill.key;
  if (planned.is_insert()) {
    backfill.target_key = ColumnsOf(target, target.keys.empty() ? nullptr : &target.keys[0]);
  }
  for (const TableColumn& column : target.columns) {
    if (!column.is_generated) backfill.target_columns.push_back(column.column);
  }
  for (const Assignment& assignment : statement.assignments) {
    backfill.changed.push_back({target.Find(assignment.column)->column, assignment.expression});
  }
  backfill.set_clause = statement.set_clause;
  backfill.from_clause = statement.from_clause;
  backfill.where_clause = statement.where_clause;
  backfill.base_where = planned.facts.base_where;
  backfill.insert_columns = planned.insert_columns;
  backfill.select_items = statement.select_items;
  backfill.source_joins = statement.source_joins;
  backfill.overriding = statement.overriding;
  if (const std::string* inverse = OptionOf(statement, "inverse")) backfill.inverse = *inverse;
  backfill.re_evaluable = planned.facts.re_evaluable;
  backfill.stands_alone = planned.facts.stands_alone;
  backfill.old_is_null = planned.facts.old_is_null;
  backfill.quiet_triggers = planned.is_quiet();
  backfill.quarantine_max = CountOf(statement, "quarantine");
  backfill.batch_rows = CountOf(statement, "batch_rows");
  backfill.batch_time_ms = MillisecondsOf(statement, "batch_time");
  return backfill;
}

// Leaf by leaf, a row that the application moves to another partition meanwhile is met twice or
// never. Where a changed row no longer matches, twice does no harm and never shows.
void CheckRowMoves(const PlannedStatement& planned, const TableShape& walked,
                   const Backfill& backfill) {
  if (walked.oid == planned.target.oid || !walked.is_partition || backfill.self_excluding ||
      planned.statement.kind != StatementKind::kUpdate ||
      IsAllowed(planned.statement, "row_moves")) {
    return;
  }
  planned.Fail(
      fmt::format("{} is a partition, and a row that the application moves from one partition to "
                  "another meanwhile would be changed twice or not at all",
                  Readable(walked.name)),
      "Write the WHERE so that a changed row no longer matches it, or, if no row moves, write "
      "allow=row_moves.");
}

void PlanTable(const PlannedStatement& planned, const TableShape& walked,
               std::vector<std::string> notes) {
  CheckPrivileges(planned, walked);
  CheckReferences(planned, walked);
  CheckReplicaIdentity(planned, walked);
  const KeyIndex* key = ChooseKey(planned, walked);
  const TableSample sample =
      ReadSample(planned.planning.reading, walked, planned.alias(), key, SampleCondition(planned));
  Backfill backfill = BackfillOf(planned, walked, key);
  FillEstimates(backfill, walked, sample);
  backfill.self_excluding = IsSelfExcluding(planned, walked);
  CheckRowMoves(planned, walked, backfill);
  const OrderChoice choice = OrderFor(planned, walked, sample, backfill);
  backfill.order = choice.order;
  backfill.stride = choice.stride;
  backfill.salt = SaltOf(planned.planning.migration.hash);
  backfill.keep_in_sync = IsSyncWanted(planned.statement);
  if (backfill.keep_in_sync && !walked.may_create_trigger) {
    FailPrivilege(planned, walked, "TRIGGER");
  }
  backfill.undo = UndoFor(planned, walked, backfill);
  if (backfill.undo == UndoKind::kInverse) ProveInverse(planned, walked, backfill);
  const std::vector<std::string> more = NotesOf(planned, walked, sample, backfill);
  notes.insert(notes.end(), more.begin(), more.end());
  AddBackfillSteps(planned, walked, std::move(backfill), choice.why, std::move(notes));
}

// Returns notes for every step.
std::vector<std::string> CheckExpressions(const PlannedStatement& planned,
                                          const TableShape& walked) {
  for (const TableName& name : planned.statement.other_tables) {
    planned.planning.schema.Require(planned.place, name);
  }
  if (ReadsCreatedTables(planned)) {
    return {
        "The expressions could not be checked: they read a table or column that this file "
        "creates."};
  }
  CheckOnServer(planned.session(), planned.place, planned.statement, walked, planned.target,
                planned.insert_columns);
  return {};
}

// Once a statement has filled a column, it is no longer NULL everywhere for those after it.
void RememberAssigned(const PlannedStatement& planned, const TableShape& parent) {
  std::vector<std::string> columns(planned.facts.assigned.begin(), planned.facts.assigned.end());
  columns.insert(columns.end(), planned.insert_columns.begin(), planned.insert_columns.end());
  planned.planning.schema.MarkFilled(planned.is_insert() ? planned.target.oid : parent.oid,
                                     columns);
}

}  // namespace

bool MayBeQuiet(db::Session& session) {
  const char* allowed =
      session.server_version() >= 150000
          ? "SELECT pg_catalog.has_parameter_privilege('session_replication_role', 'SET')"
          : "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
  return db::ToBool(session.Query(allowed).rows.at(0)[0]);
}

void PlanBackfill(Planning& planning, const Statement& statement) {
  PlannedStatement planned{planning, statement, planning.PlaceOf(statement), {}, {}, {}};
  planned.target = planning.schema.Require(planned.place, statement.target);
  CheckTarget(planned);
  const TableShape parent = planning.schema.Require(
      planned.place, planned.is_insert() ? statement.source : statement.target);
  CheckWalked(planned, parent);
  CheckPrivilegesOnTarget(planned);
  if (planned.is_insert()) planned.insert_columns = ResolveInsertColumns(planned);
  CheckAssignedColumns(planned);
  const std::vector<std::string> notes = CheckExpressions(planned, parent);
  CheckFunctions(planned);
  planned.facts = ReadFacts(planned.session(), statement, planned.target);
  CheckSyncIsPossible(planned);
  CheckQuietIsAllowed(planned);
  for (const TableShape& walked : WalkedTables(planned, parent)) PlanTable(planned, walked, notes);
  RememberAssigned(planned, parent);
}

}  // namespace pawl::schema
