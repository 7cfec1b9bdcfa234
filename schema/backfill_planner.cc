#include "schema/backfill_planner.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/error.h"
#include "db/quote.h"
#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/near_name.h"
#include "schema/order_choice.h"
#include "schema/statement_check.h"
#include "schema/step_estimate.h"
#include "schema/sync_trigger.h"
#include "schema/table_sample.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

const std::string* OptionOf(const Statement& statement, const std::string& name) {
  const auto found = statement.options.find(name);
  return found == statement.options.end() ? nullptr : &found->second;
}

std::int64_t CountOf(const Statement& statement, const std::string& name) {
  const std::string* value = OptionOf(statement, name);
  return value == nullptr ? 0 : std::stoll(*value);
}

std::int64_t Milliseconds(const Statement& statement, const std::string& name) {
  const std::string* value = OptionOf(statement, name);
  if (value == nullptr) return 0;
  const std::int64_t count = std::stoll(*value);
  if (value->ends_with("ms")) return count;
  return count * (value->ends_with("min") ? 60'000 : 1'000);
}

std::vector<std::string> Pieces(const std::string& list) {
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  while (begin <= list.size()) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) pieces.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return pieces;
}

bool Intersects(const std::set<std::string>& left, const std::set<std::string>& right) {
  return std::any_of(left.begin(), left.end(),
                     [&](const std::string& name) { return right.contains(name); });
}

// System columns that an UPDATE changes in every row.
bool ReadsRowVersion(const std::set<std::string>& columns) {
  return Intersects(columns, {"ctid", "xmin", "xmax", "cmin", "cmax"});
}

bool IsInsert(const Statement& statement) {
  return statement.kind == StatementKind::kInsertSelect;
}

const char* CommandOf(StatementKind kind) {
  if (kind == StatementKind::kDelete) return "DELETE";
  return kind == StatementKind::kInsertSelect ? "INSERT" : "UPDATE";
}

// What the text and the functions of a statement say, whatever the table.
struct StatementFacts {
  std::set<std::string> assigned;
  std::string base_where;
  std::set<std::string> read_by_sync;  // By assigned expressions and base_where.
  bool re_evaluable = false;
  bool where_is_volatile = false;
  bool names_all_built_in = true;  // Functions and types that it names are PostgreSQL's own.
  // Why no sync trigger can do the same, as the end of a sentence; empty if it can.
  std::string sync_obstacle;
};

// Any number does that another migration has not; a hash is the same for the same file.
std::int64_t SaltOf(const std::string& hash) {
  return std::stoll(hash.substr(0, 8), nullptr, 16) % (kSaltMax + 1);
}

// Thread safety: none. Lives for one statement.
class BackfillPlanner {
 public:
  BackfillPlanner(Planning& planning, const Statement& statement)
      : planning_(planning),
        session_(planning.reading.session()),
        statement_(statement),
        place_(planning.PlaceOf(statement)) {}

  void Plan() {
    target_ = planning_.schema.Require(place_, statement_.target);
    CheckTarget();
    const TableName& walked_name = IsInsert(statement_) ? statement_.source : statement_.target;
    const TableShape parent = planning_.schema.Require(place_, walked_name);
    CheckWalked(parent);
    CheckPrivilegesOnTarget();
    if (IsInsert(statement_)) ResolveInsertColumns();
    CheckColumns();
    CheckExpressions(parent);
    CheckFunctions();
    ReadFacts();
    CheckOptions();
    for (const TableShape& walked : WalkedTables(parent)) PlanTable(walked);
    RememberAssigned(parent);
  }

 private:
  [[noreturn]] void Fail(const std::string& what, const std::string& remedy) const {
    FailAt(place_, what, remedy);
  }

  const std::string& alias() const {
    return IsInsert(statement_) ? statement_.source_alias : statement_.alias;
  }

  bool is_quiet() const {
    const std::string* quiet = OptionOf(statement_, "quiet_triggers");
    return quiet != nullptr && *quiet == "true";
  }

  // ---- What the statement names.

  void CheckTarget() const {
    const std::string name = Readable(target_.name);
    if (target_.kind == 'v' || target_.kind == 'm') {
      Fail(fmt::format("{} is a view", name), "Name the table whose rows are meant.");
    }
    if (target_.kind == 'f') {
      Fail(fmt::format("{} is a foreign table, whose rows live in another database", name),
           "Run Pawl against that database.");
    }
    if (target_.kind != 'r' && target_.kind != 'p') {
      Fail(fmt::format("{} is no table", name), "Name a table.");
    }
    if (target_.is_temporary) {
      Fail(fmt::format("{} is a temporary table, seen by one connection only", name),
           "Use a plain table.");
    }
    if (target_.is_system) {
      Fail(fmt::format("{} belongs to PostgreSQL itself", name), "Pawl leaves it alone.");
    }
    if (target_.oid == 0 && !IsInsert(statement_)) {
      Fail(fmt::format("{} is created by this file, so it will be empty and there is nothing to {}",
                       name, statement_.kind == StatementKind::kDelete ? "delete" : "update"),
           "Remove the statement, or move it to a later migration.");
    }
    CheckReach(target_);
  }

  void CheckWalked(const TableShape& walked) const {
    if (!IsInsert(statement_)) return;
    const std::string name = Readable(walked.name);
    if (walked.kind != 'r' && walked.kind != 'p') {
      Fail(fmt::format("the rows to insert come from {}, which is no table", name),
           "Only a table can be walked in batches; put its rows into one, or name the table below "
           "the view.");
    }
    if (walked.is_temporary) {
      Fail(fmt::format("{} is a temporary table, seen by one connection only", name),
           "Use a plain table.");
    }
    if (walked.oid == 0) {
      Fail(fmt::format("{} is created by this file, so it will be empty and there is nothing to "
                       "insert from it",
                       name),
           "Remove the statement, or move it to a later migration.");
    }
    CheckReach(walked);
  }

  // Whether the role sees all rows, and the command is what runs.
  void CheckReach(const TableShape& table) const {
    if (table.row_security) {
      Fail(fmt::format("row level security hides rows of {} from this role", Readable(table.name)),
           "Connect as the owner of the table or as a role with BYPASSRLS.");
    }
    if (table.name != target_.name) return;
    const char event = statement_.kind == StatementKind::kUpdate ? '2'
                       : IsInsert(statement_)                    ? '3'
                                                                 : '4';
    if (std::find(table.rules.begin(), table.rules.end(), event) != table.rules.end()) {
      Fail(fmt::format("a rule on {} turns {} into something else", Readable(table.name),
                       CommandOf(statement_.kind)),
           "Drop the rule, or write what it does and disable it meanwhile.");
    }
  }

  // ---- What the role may do.

  void CheckPrivilegesOnTarget() const {
    if (!IsInsert(statement_)) return;  // Then it is a walked table, checked one by one.
    if (!target_.may_insert) FailPrivilege(target_, "INSERT");
  }

  void CheckPrivileges(const TableShape& walked) const {
    if (!walked.may_select) FailPrivilege(walked, "SELECT");
    if (statement_.kind == StatementKind::kDelete && !walked.may_delete) {
      FailPrivilege(walked, "DELETE");
    }
    if (statement_.kind != StatementKind::kUpdate || walked.may_update) return;
    for (const Assignment& assignment : statement_.assignments) {
      const TableColumn* column = walked.Find(assignment.column);
      if (column != nullptr && !column->may_update) FailPrivilege(walked, "UPDATE");
    }
  }

  [[noreturn]] void FailPrivilege(const TableShape& table, const std::string& privilege) const {
    const std::string role =
        db::ToText(session_.Query("SELECT pg_catalog.quote_ident(current_user)").rows[0][0]);
    Fail(fmt::format("role {} may not {} {}", role, privilege, Readable(table.name)),
         fmt::format("GRANT {} ON {} TO {};", privilege,
                     QuoteName(table.name.schema, table.name.name), role));
  }

  // ---- Columns.

  std::string NearColumn(const std::string& name) const {
    std::vector<std::string> names;
    for (const TableColumn& column : target_.columns) names.push_back(column.column.name);
    const std::string near = NearName(name, names);
    return near.empty() ? "Check its name." : fmt::format("Did you mean \"{}\"?", near);
  }

  const TableColumn& RequireAssignable(const std::string& name) const {
    const TableColumn* column = target_.Find(name);
    if (column == nullptr) {
      Fail(fmt::format("column \"{}\" of table {} does not exist", name, Readable(target_.name)),
           NearColumn(name));
    }
    if (column->is_generated) {
      Fail(fmt::format("column \"{}\" of table {} is generated and cannot be assigned", name,
                       Readable(target_.name)),
           "Assign the columns that it is computed from.");
    }
    return *column;
  }

  // A list of columns that is written down cannot change between two batches.
  void ResolveInsertColumns() {
    insert_columns_ = statement_.insert_columns;
    if (insert_columns_.empty()) {
      for (const TableColumn& column : target_.columns) {
        if (insert_columns_.size() == statement_.select_items.size()) break;
        insert_columns_.push_back(column.column.name);
      }
    }
    if (insert_columns_.size() != statement_.select_items.size()) {
      Fail(fmt::format("the INSERT has {} columns and the SELECT has {}", insert_columns_.size(),
                       statement_.select_items.size()),
           "Name the columns on both sides.");
    }
    for (const std::string& name : insert_columns_) {
      if (RequireAssignable(name).is_identity_always && statement_.overriding.empty()) {
        Fail(fmt::format("column \"{}\" is GENERATED ALWAYS AS IDENTITY", name),
             "Leave it out, or write OVERRIDING SYSTEM VALUE.");
      }
    }
  }

  void CheckColumns() const {
    const std::vector<std::string> partition_columns =
        target_.oid == 0 ? std::vector<std::string>{}
                         : ReadPartitionColumns(session_, target_.oid);
    for (const Assignment& assignment : statement_.assignments) {
      RequireAssignable(assignment.column);
      if (std::find(partition_columns.begin(), partition_columns.end(), assignment.column) !=
          partition_columns.end()) {
        Fail(fmt::format("column \"{}\" decides in which partition of {} a row lies, so changing "
                         "it moves rows between tables",
                         assignment.column, Readable(target_.name)),
             "INSERT … SELECT the rows into their new partition and DELETE the old ones.");
      }
    }
  }

  void CheckFunctions() {
    const FunctionFacts facts = ReadFunctions(session_, statement_.functions);
    if (IsAllowed(statement_, "volatile")) return;
    if (!facts.volatile_ones.empty()) {
      Fail(fmt::format("{}() is volatile: it gives another value at each call, so a batch that is "
                       "done again or taken back would not be the same",
                       facts.volatile_ones[0]),
           "Use a function that is stable or immutable, or write allow=volatile if any value will "
           "do.");
    }
    if (statement_.reads_clock) {
      Fail("the statement reads the clock, and each batch would get another time",
           "Write the time as a constant, or write allow=volatile if any time will do.");
    }
  }

  // A table or column that comes with this file cannot be asked about in a FROM clause.
  bool ReadsCreatedTables() const {
    return std::any_of(statement_.other_tables.begin(), statement_.other_tables.end(),
                       [&](const TableName& name) {
                         const std::optional<TableShape> table = planning_.schema.Find(name);
                         return table && (table->oid == 0 || table->has_created_columns());
                       });
  }

  void CheckExpressions(const TableShape& walked) {
    for (const TableName& name : statement_.other_tables) planning_.schema.Require(place_, name);
    if (ReadsCreatedTables()) {
      common_notes_.push_back(
          "The expressions could not be checked: they read a table or column that this file "
          "creates.");
      return;
    }
    CheckOnServer(session_, place_, statement_, walked, target_, insert_columns_);
  }

  // ---- What the text says.

  void ReadFacts() {
    for (const Assignment& assignment : statement_.assignments) {
      facts_.assigned.insert(assignment.column);
    }
    facts_.re_evaluable = IsReEvaluable();
    std::set<std::string> base_columns;
    for (const Conjunct& conjunct : statement_.conjuncts) {
      if (conjunct.self_excluding) continue;
      facts_.base_where += (facts_.base_where.empty() ? "(" : " AND (") + conjunct.text + ")";
      base_columns.insert(conjunct.columns_read.begin(), conjunct.columns_read.end());
    }
    facts_.where_is_volatile = !IsRepeatable(statement_.where_clause);
    facts_.sync_obstacle = SyncObstacle(base_columns);
    for (const Assignment& assignment : statement_.assignments) {
      facts_.read_by_sync.insert(assignment.columns_read.begin(), assignment.columns_read.end());
    }
    facts_.read_by_sync.insert(base_columns.begin(), base_columns.end());
    facts_.names_all_built_in = NamesAllBuiltIn();
  }

  // True where the expression calls nothing volatile and reads no clock.
  bool IsRepeatable(const std::string& expression) const {
    if (expression.empty()) return true;
    const std::optional<AstValue> tree = ParseExpression(expression);
    return tree && !ReadsClock(*tree) &&
           ReadFunctions(session_, FunctionsIn(*tree)).volatile_ones.empty();
  }

  bool HasSubselect(const std::string& expression) const {
    if (expression.empty()) return false;
    const std::optional<AstValue> tree = ParseExpression(expression);
    return !tree || Contains(*tree, "SubLink");
  }

  bool IsReEvaluable() const {
    if (statement_.kind != StatementKind::kUpdate || !statement_.from_clause.empty()) return false;
    return std::all_of(statement_.assignments.begin(), statement_.assignments.end(),
                       [&](const Assignment& assignment) {
                         return assignment.expression &&
                                !Intersects(assignment.columns_read, facts_.assigned) &&
                                !ReadsRowVersion(assignment.columns_read) &&
                                !HasSubselect(*assignment.expression) &&
                                IsRepeatable(*assignment.expression);
                       });
  }

  bool StandsAlone() const {
    return statement_.kind == StatementKind::kUpdate && statement_.from_clause.empty() &&
           !HasSubselect(statement_.where_clause) &&
           std::all_of(statement_.assignments.begin(), statement_.assignments.end(),
                       [&](const Assignment& assignment) {
                         return assignment.expression && !HasSubselect(*assignment.expression);
                       });
  }

  bool TestsAllNull() const {
    std::set<std::string> tested;
    for (const Conjunct& conjunct : statement_.conjuncts) tested.insert(conjunct.null_column);
    return statement_.kind == StatementKind::kUpdate && statement_.from_clause.empty() &&
           std::includes(tested.begin(), tested.end(), facts_.assigned.begin(),
                         facts_.assigned.end());
  }

  std::string SyncObstacle(const std::set<std::string>& base_columns) const {
    if (statement_.kind != StatementKind::kUpdate) return "only an UPDATE can be kept in sync";
    if (!statement_.from_clause.empty()) {
      return "the statement reads other tables, whose changes a trigger would not see";
    }
    if (!facts_.re_evaluable) {
      return "the assigned values cannot be computed again from the row alone";
    }
    if (facts_.where_is_volatile || HasSubselect(facts_.base_where) ||
        Intersects(base_columns, facts_.assigned) || ReadsRowVersion(base_columns)) {
      return "its WHERE clause cannot be decided from the other columns of a row alone";
    }
    return {};
  }

  // Names that the search path decides, in functions, casts and the types of the columns.
  bool NamesAllBuiltIn() const {
    if (!ReadFunctions(session_, statement_.functions).all_built_in) return false;
    std::set<std::string> types;
    for (const TableColumn& column : target_.columns) {
      const bool is_used = facts_.assigned.contains(column.column.name) ||
                           facts_.read_by_sync.contains(column.column.name);
      if (is_used) types.insert(column.column.type);
    }
    for (const std::string& type : types) {
      const bool built_in = db::ToBool(
          session_
              .Query(fmt::format("SELECT typnamespace = 'pg_catalog'::pg_catalog.regnamespace FROM "
                                 "pg_catalog.pg_type WHERE oid = "
                                 "pg_catalog.pg_typeof(NULL::{})::pg_catalog.oid",
                                 type))
              .rows.at(0)[0]);
      if (!built_in) return false;
    }
    return CastsAreBuiltIn();
  }

  bool CastsAreBuiltIn() const {
    bool built_in = true;
    for (const Assignment& assignment : statement_.assignments) {
      const std::optional<AstValue> tree = ParseExpression(assignment.expression.value_or("NULL"));
      if (!tree) return false;
      Walk(*tree, [&](std::string_view name, const AstObject& body) {
        if (name != "TypeCast" || !built_in) return built_in;
        const AstObject* type = ObjectMember(body, "typeName");
        const AstArray& names = ArrayMember(type == nullptr ? body : *type, "names");
        if (names.empty()) return built_in = false;
        built_in = session_
                       .Query("SELECT FROM pg_catalog.pg_type WHERE typname = $1 AND typnamespace "
                              "= 'pg_catalog'::pg_catalog.regnamespace",
                              {StringOf(names[names.size() - 1])})
                       .rows.size() == 1;
        return built_in;
      });
    }
    return built_in;
  }

  // ---- Options.

  void CheckOptions() {
    const std::string* sync = OptionOf(statement_, "keep_in_sync");
    sync_wanted_ = sync != nullptr && *sync != "false";
    sync_stays_ = sync != nullptr && *sync == "contract";
    if (sync_wanted_ && !facts_.sync_obstacle.empty()) {
      Fail(fmt::format("keep_in_sync is not possible: {}", facts_.sync_obstacle),
           "Remove the option, or write the statement so that each value follows from its row.");
    }
    if (!is_quiet()) return;
    const char* allowed =
        session_.server_version() >= 150000
            ? "SELECT pg_catalog.has_parameter_privilege('session_replication_role', 'SET')"
            : "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    if (!db::ToBool(session_.Query(allowed).rows.at(0)[0])) {
      Fail("quiet_triggers needs a role that may set session_replication_role",
           "From PostgreSQL 15 on, GRANT SET ON PARAMETER session_replication_role to the role; "
           "before, connect as a superuser. Or remove the option.");
    }
  }

  std::optional<Order> WantedOrder() const {
    static const std::map<std::string, Order> kOrders = {{"key", Order::kKey},
                                                         {"block", Order::kBlock},
                                                         {"key_strides", Order::kKeyStrides},
                                                         {"block_strides", Order::kBlockStrides}};
    const std::string* order = OptionOf(statement_, "order");
    const auto found = kOrders.find(order == nullptr ? "auto" : *order);
    return found == kOrders.end() ? std::nullopt : std::optional(found->second);
  }

  // ---- Tables that hold the rows.

  std::vector<TableShape> WalkedTables(const TableShape& parent) const {
    const bool only = IsInsert(statement_) ? statement_.source_only : statement_.only;
    std::vector<TableShape> tables;
    if (parent.kind != 'p') tables.push_back(parent);
    if (parent.oid == 0 || (only && parent.kind != 'p')) return tables;
    if (only) {
      Fail(fmt::format("ONLY {} names a partitioned table, which holds no rows itself",
                       Readable(parent.name)),
           "Leave out ONLY, or name a partition.");
    }
    for (const std::int64_t oid : ReadChildren(session_, parent.oid)) {
      TableShape child = planning_.schema.Read(oid);
      if (child.kind == 'f') {
        Fail(fmt::format("{} has a foreign table below it, {}, whose rows live in another database",
                         Readable(parent.name), Readable(child.name)),
             "Name the partitions one by one, and run Pawl against the other database for that "
             "one.");
      }
      if (!IsInsert(statement_)) CheckRulesOfChild(child);
      if (child.row_security) CheckReach(child);
      tables.push_back(std::move(child));
    }
    if (tables.empty()) {
      Fail(fmt::format("{} has no partitions, so there is nothing to change",
                       Readable(parent.name)),
           "Remove the statement.");
    }
    return tables;
  }

  void CheckRulesOfChild(const TableShape& child) const {
    if (child.rules.empty()) return;
    Fail(fmt::format("a rule on {} turns a command into something else", Readable(child.name)),
         "Drop the rule, or write what it does and disable it meanwhile.");
  }

  void PlanTable(const TableShape& walked) {
    CheckPrivileges(walked);
    CheckReferences(walked);
    CheckReplicaIdentity(walked);
    std::vector<std::string> notes = common_notes_;
    const KeyIndex* key = ChooseKey(walked);
    const TableSample sample = ReadSample(planning_.reading, walked, alias(), key, SampleCondition());
    Backfill backfill = BackfillOf(walked, key);
    FillEstimates(backfill, walked, sample);
    backfill.self_excluding = IsSelfExcluding(walked);
    const OrderChoice choice = OrderFor(walked, key, sample, backfill);
    backfill.order = choice.order;
    backfill.stride = choice.stride;
    backfill.salt = SaltOf(planning_.migration.hash);
    backfill.keep_in_sync = sync_wanted_ || choice.needs_sync;
    if (backfill.keep_in_sync && !walked.may_create_trigger) FailPrivilege(walked, "TRIGGER");
    backfill.undo = UndoFor(walked, backfill);
    if (backfill.undo == UndoKind::kInverse) ProveInverse(walked, backfill);
    AddNotes(walked, sample, backfill, notes);
    AddSteps(walked, std::move(backfill), choice, std::move(notes));
  }

  // ---- Key.

  const KeyIndex* ChooseKey(const TableShape& walked) const {
    if (walked.keys.empty()) return nullptr;
    for (const KeyIndex& key : walked.keys) {
      const std::set<std::string> columns(key.columns.begin(), key.columns.end());
      if (!Intersects(columns, facts_.assigned)) return &key;
    }
    Fail(fmt::format("the statement changes the only key of {}, {} ({})", Readable(walked.name),
                     walked.keys[0].name, fmt::join(walked.keys[0].columns, ", ")),
         "Rows are found and taken back by a key that stays; add a unique index on other NOT NULL "
         "columns.");
  }

  static std::vector<Column> ColumnsOf(const TableShape& table, const KeyIndex* key) {
    std::vector<Column> columns;
    if (key == nullptr) return columns;
    for (const std::string& name : key->columns) columns.push_back(table.Find(name)->column);
    return columns;
  }

  static bool HasResidue(const std::vector<Column>& key) {
    return std::all_of(key.begin(), key.end(), [](const Column& column) {
      return column.is_integer || !column.hash_function.empty();
    });
  }

  // ---- References from other tables.

  void CheckReferences(const TableShape& walked) const {
    if (IsInsert(statement_) || is_quiet()) return;
    for (const Reference& reference : walked.references) {
      const bool is_delete = statement_.kind == StatementKind::kDelete;
      const char action = is_delete ? reference.on_delete : reference.on_update;
      if (action == 'a' || action == 'r') continue;
      const std::set<std::string> columns(reference.columns.begin(), reference.columns.end());
      if (is_delete && !IsAllowed(statement_, "cascade")) {
        Fail(fmt::format("foreign key {} of {} would change or delete its rows with those of {}, "
                         "and no undo would hold them",
                         reference.name, reference.from_table, Readable(walked.name)),
             "Change or delete those rows first by a statement of their own, or write "
             "allow=cascade.");
      }
      if (!is_delete && Intersects(columns, facts_.assigned)) {
        Fail(fmt::format("foreign key {} of {} would change its rows with those of {}, and no undo "
                         "would hold them",
                         reference.name, reference.from_table, Readable(walked.name)),
             "Add the new key as a column of its own, fill both tables, and switch over.");
      }
    }
  }

  // A published table without a replica identity refuses UPDATE and DELETE.
  void CheckReplicaIdentity(const TableShape& walked) const {
    if (IsInsert(statement_) || walked.has_replica_identity) return;
    const db::Result publishing = session_.Query(
        fmt::format(R"(
SELECT p.pubname
  FROM pg_catalog.pg_publication p
  JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname
 WHERE t.schemaname = $1 AND t.tablename = $2 AND p.{})",
                    statement_.kind == StatementKind::kDelete ? "pubdelete" : "pubupdate"),
        {walked.name.schema, walked.name.name});
    if (publishing.rows.empty()) return;
    Fail(fmt::format("publication {} publishes {}, which has no replica identity, so PostgreSQL "
                     "refuses the command",
                     db::ToText(publishing.rows[0][0]), Readable(walked.name)),
         "Add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL.");
  }

  // ---- Sample.

  // The WHERE as a condition on a row of the walked table; empty for all rows, or where it cannot
  // be evaluated without writing or before it exists.
  std::string SampleCondition() const {
    if (facts_.where_is_volatile || ReadsCreatedTables()) return {};
    if (!statement_.from_clause.empty()) {
      return fmt::format("EXISTS (SELECT FROM {} WHERE ({}))", statement_.from_clause,
                         statement_.where_clause.empty() ? "true" : statement_.where_clause);
    }
    if (!statement_.source_joins.empty()) return {};
    return statement_.where_clause;
  }

  static void FillEstimates(Backfill& backfill, const TableShape& walked,
                            const TableSample& sample) {
    backfill.rows_in_table = sample.rows_in_table;
    backfill.rows_estimated = std::llround(static_cast<double>(sample.rows_in_table) *
                                           (sample.condition_known ? sample.share_matching : 1));
    backfill.pages_in_table = walked.pages;
    backfill.row_bytes = sample.row_bytes;
  }

  // ---- Whether a changed row still matches.

  static bool Fires(const UserTrigger& trigger, StatementKind kind,
                    const std::set<std::string>& assigned) {
    if (kind == StatementKind::kDelete) return trigger.on_delete;
    if (kind == StatementKind::kInsertSelect) return trigger.on_insert;
    const std::set<std::string> of(trigger.update_columns.begin(), trigger.update_columns.end());
    return trigger.on_update && (of.empty() || Intersects(of, assigned));
  }

  std::vector<UserTrigger> FiringTriggers(const TableShape& table) const {
    std::vector<UserTrigger> firing;
    for (const UserTrigger& trigger : table.triggers) {
      if (is_quiet() && !trigger.fires_in_replica) continue;
      if (Fires(trigger, statement_.kind, facts_.assigned)) firing.push_back(trigger);
    }
    return firing;
  }

  bool IsSelfExcluding(const TableShape& walked) const {
    if (statement_.kind == StatementKind::kDelete) return true;
    if (statement_.kind != StatementKind::kUpdate) return false;
    for (const UserTrigger& trigger : FiringTriggers(walked)) {
      if (trigger.is_before && trigger.is_row) return false;
    }
    return std::any_of(
        statement_.conjuncts.begin(), statement_.conjuncts.end(), [&](const Conjunct& conjunct) {
          return conjunct.self_excluding && KeepsItsWord(conjunct, walked);
        });
  }

  // Storing the value must not change it, or `c <> e` holds again.
  bool KeepsItsWord(const Conjunct& conjunct, const TableShape& walked) const {
    const std::optional<AstValue> tree = ParseExpression(conjunct.text);
    if (!tree) return false;
    if (NodeOf(*tree, "NullTest") != nullptr) return true;
    const AstObject* comparison = NodeOf(*tree, "A_Expr");
    if (comparison == nullptr) return false;
    const AstArray& names = ArrayMember(*comparison, "name");
    if (TextMember(*comparison, "kind") == "AEXPR_OP" && !names.empty() &&
        StringOf(names[0]) == "=") {
      return true;  // Two literals that are far apart.
    }
    return std::all_of(statement_.assignments.begin(), statement_.assignments.end(),
                       [&](const Assignment& assignment) {
                         if (!conjunct.columns_read.contains(assignment.column)) return true;
                         const TableColumn* column = walked.Find(assignment.column);
                         return assignment.expression && column != nullptr &&
                                IsStoredUnchanged(planning_.reading, *assignment.expression,
                                                  column->column, walked, alias());
                       });
  }

  // ---- Order.

  OrderChoice OrderFor(const TableShape& walked, const KeyIndex* key, const TableSample& sample,
                       const Backfill& backfill) const {
    OrderFacts facts;
    facts.kind = statement_.kind;
    facts.has_key = key != nullptr;
    facts.key_has_residue = HasResidue(backfill.key);
    facts.correlation = sample.correlation;
    facts.changed_indexed =
        std::any_of(walked.indexed_columns.begin(), walked.indexed_columns.end(),
                    [&](const std::string& name) { return facts_.assigned.contains(name); });
    facts.rows_per_page = sample.rows_per_page;
    facts.self_excluding = backfill.self_excluding;
    facts.sync_obstacle = facts_.sync_obstacle;
    if (facts.sync_obstacle.empty() && !walked.may_create_trigger) {
      facts.sync_obstacle = "the role may not create the sync trigger that it needs";
    }
    facts.sync_possible = facts.sync_obstacle.empty();
    facts.server_version = session_.server_version();
    facts.pages = walked.pages;
    facts.is_cached = walked.is_cached;
    OrderChoice choice = ChooseOrder(facts, WantedOrder(), CountOf(statement_, "stride"));
    if (!choice.refusal.empty()) {
      Fail(fmt::format("{}: {}", Readable(walked.name), choice.refusal), choice.remedy);
    }
    return choice;
  }

  // ---- Undo.

  UndoKind UndoFor(const TableShape& walked, const Backfill& backfill) const {
    const std::string* option = OptionOf(statement_, "undo");
    const std::string wanted = option != nullptr ? *option
                               : OptionOf(statement_, "inverse") ? "inverse"
                                                                 : "auto";
    if (wanted == "none") return UndoKind::kNone;
    if (wanted == "inverse") return UndoKind::kInverse;
    if (wanted == "auto" && IsImplicit(walked, backfill)) return UndoKind::kImplicit;
    const bool has_key = IsInsert(statement_) ? !backfill.target_key.empty() : !backfill.key.empty();
    if (!has_key) {
      Fail(fmt::format("{} has no key by which a row could be found again to take it back",
                       Readable(backfill.target)),
           "Add a primary key, or write undo=none if the change need never be taken back.");
    }
    return UndoKind::kImage;
  }

  bool IsImplicit(const TableShape& walked, const Backfill& backfill) const {
    if (statement_.kind != StatementKind::kUpdate || !backfill.re_evaluable) return false;
    return std::all_of(facts_.assigned.begin(), facts_.assigned.end(),
                       [&](const std::string& name) {
                         const TableColumn* column = walked.Find(name);
                         return column != nullptr && column->created_empty;
                       });
  }

  // Computes new values of sampled rows, takes them back, and compares byte by byte.
  void ProveInverse(const TableShape& walked, const Backfill& backfill) const {
    const std::string* inverse = OptionOf(statement_, "inverse");
    if (inverse == nullptr) {
      Fail("undo=inverse is given without the inverse",
           "Write inverse=\"column = expression\", which takes a changed row back.");
    }
    if (statement_.kind != StatementKind::kUpdate || !statement_.from_clause.empty()) {
      Fail("an inverse can be given for an UPDATE of one table only", "Use undo=image.");
    }
    const Statement back = InverseStatement(*inverse);
    std::string error;
    const std::optional<db::Result> result =
        planning_.reading.Try(InverseSql(walked, backfill, back), std::chrono::seconds(20), error);
    if (!result) {
      Fail(fmt::format("the inverse cannot be evaluated: {}", error), "Correct the inverse.");
    }
    const std::int64_t rows_off = db::ToInt(result->rows.at(0)[0]);
    if (rows_off == 0) return;
    Fail(fmt::format("the inverse does not give back the old values: {} of {} rows looked at differ",
                     rows_off, db::ToInt(result->rows.at(0)[1])),
         "Correct the inverse, or leave it out: then the old values are kept.");
  }

  Statement InverseStatement(const std::string& inverse) const {
    const MigrationFile file = ParseMigration(
        "inverse", fmt::format("UPDATE {} AS {} SET {}",
                               QuoteName(statement_.target.schema, statement_.target.name),
                               QuoteName(statement_.alias), inverse));
    std::set<std::string> columns;
    for (const Assignment& assignment : file.statements.at(0).assignments) {
      columns.insert(assignment.column);
      if (!assignment.expression) columns.clear();
    }
    if (columns != facts_.assigned) {
      Fail("the inverse does not assign the same columns as the statement",
           fmt::format("Assign each of: {}.", fmt::join(facts_.assigned, ", ")));
    }
    return file.statements.at(0);
  }

  std::string InverseSql(const TableShape& walked, const Backfill& backfill,
                         const Statement& back) const {
    std::string changed_row;
    std::string old_values;
    std::string new_values;
    for (const TableColumn& column : walked.columns) {
      const std::string name = QuoteName(column.column.name);
      if (!changed_row.empty()) changed_row += ", ";
      const auto assigned = std::find_if(
          backfill.changed.begin(), backfill.changed.end(),
          [&](const ChangedColumn& one) { return one.column.name == column.column.name; });
      if (assigned == backfill.changed.end()) {
        changed_row += QuoteName(alias()) + "." + name;
        continue;
      }
      if (!assigned->expression) Fail("the statement has values of no expression of their own",
                                      "Use undo=image.");
      changed_row += fmt::format("({})::{} AS {}", *assigned->expression, column.column.type, name);
      const std::size_t number = old_values.empty() ? 0 : static_cast<std::size_t>(std::count(
                                                              old_values.begin(), old_values.end(),
                                                              ',')) + 1;
      old_values += fmt::format("{}pawl_old_{}", number == 0 ? "" : ", ", number);
      changed_row += fmt::format(", {}.{} AS pawl_old_{}", QuoteName(alias()), name, number);
      const auto taken_back = std::find_if(
          back.assignments.begin(), back.assignments.end(),
          [&](const Assignment& one) { return one.column == column.column.name; });
      new_values += fmt::format("{}({})::{}", number == 0 ? "" : ", ", *taken_back->expression,
                                column.column.type);
    }
    return fmt::format(R"(
SELECT pg_catalog.count(*) FILTER (WHERE NOT old_values OPERATOR(pg_catalog.*=) new_values),
       pg_catalog.count(*)
  FROM (SELECT ROW({}) AS old_values, ROW({}) AS new_values
          FROM (SELECT {} FROM {}{} LIMIT 10000) AS {}) AS pawl_rows)",
                       old_values, new_values, changed_row, RelationSql(walked, alias()),
                       statement_.where_clause.empty()
                           ? std::string()
                           : " WHERE (" + statement_.where_clause + ")",
                       QuoteName(alias()));
  }

  // ---- The backfill and its steps.

  Backfill BackfillOf(const TableShape& walked, const KeyIndex* key) const {
    Backfill backfill;
    const TableShape& target = IsInsert(statement_) ? target_ : walked;
    backfill.kind = statement_.kind;
    backfill.target = target.name;
    backfill.walked = walked.name;
    backfill.alias = alias();
    backfill.walked_oid = walked.oid;
    backfill.target_oid = target.oid;
    backfill.key = ColumnsOf(walked, key);
    backfill.key_index = key == nullptr ? "" : key->name;
    backfill.target_key = backfill.key;
    if (IsInsert(statement_)) {
      backfill.target_key = ColumnsOf(target_, target_.keys.empty() ? nullptr : &target_.keys[0]);
    }
    for (const TableColumn& column : target.columns) {
      if (!column.is_generated) backfill.target_columns.push_back(column.column);
    }
    for (const Assignment& assignment : statement_.assignments) {
      backfill.changed.push_back({target.Find(assignment.column)->column, assignment.expression});
    }
    backfill.set_clause = statement_.set_clause;
    backfill.from_clause = statement_.from_clause;
    backfill.where_clause = statement_.where_clause;
    backfill.base_where = facts_.base_where;
    backfill.insert_columns = insert_columns_;
    backfill.select_items = statement_.select_items;
    backfill.source_joins = statement_.source_joins;
    backfill.overriding = statement_.overriding;
    if (const std::string* inverse = OptionOf(statement_, "inverse")) backfill.inverse = *inverse;
    backfill.re_evaluable = facts_.re_evaluable;
    backfill.stands_alone = StandsAlone();
    backfill.old_is_null = TestsAllNull();
    backfill.quiet_triggers = is_quiet();
    backfill.quarantine_max = CountOf(statement_, "quarantine");
    backfill.batch_rows = CountOf(statement_, "batch_rows");
    backfill.batch_time_ms = Milliseconds(statement_, "batch_time");
    return backfill;
  }

  void AddNotes(const TableShape& walked, const TableSample& sample, const Backfill& backfill,
                std::vector<std::string>& notes) const {
    const TableShape& target = IsInsert(statement_) ? target_ : walked;
    for (const UserTrigger& trigger : FiringTriggers(target)) {
      notes.push_back(fmt::format("Trigger {} ({}) fires for every {}.", trigger.name,
                                  trigger.function, trigger.is_row ? "changed row" : "batch"));
    }
    if (is_quiet()) {
      notes.push_back("quiet_triggers: foreign keys are not checked, and triggers other than "
                      "ENABLE ALWAYS do not fire.");
    }
    AddReferenceNotes(target, notes);
    if (!target.publications.empty()) {
      notes.push_back(fmt::format("Published by {}: every changed row is sent to the subscribers.",
                                  fmt::join(target.publications, ", ")));
    }
    AddSlotNote(notes);
    if (IsByBlock(backfill.order) && HasNullTest()) {
      notes.push_back("A row whose expression gives NULL still matches the WHERE clause after the "
                      "change.");
    }
    if (!sample.condition_known) {
      notes.push_back(fmt::format("WHERE could not be tried on a sample ({}), so all rows of the "
                                  "table are counted.",
                                  sample.condition_error));
    } else if (!statement_.source_joins.empty()) {
      notes.push_back("The joins were not tried on a sample, so all rows of the source are "
                      "counted.");
    }
    if (statement_.kind == StatementKind::kUpdate && !backfill.re_evaluable) {
      notes.push_back("The values cannot be computed again later, so the proof compares with what "
                      "was written and not with the expression.");
    }
    if (backfill.undo == UndoKind::kNone) notes.push_back("This step cannot be taken back.");
    if (statement_.kind == StatementKind::kDelete && IsAllowed(statement_, "cascade")) {
      notes.push_back("Rows that other tables lose or change with these are not kept.");
    }
  }

  static bool IsByBlock(Order order) {
    return order == Order::kBlock || order == Order::kBlockStrides;
  }

  bool HasNullTest() const {
    return statement_.kind == StatementKind::kUpdate &&
           std::any_of(statement_.conjuncts.begin(), statement_.conjuncts.end(),
                       [](const Conjunct& conjunct) {
                         const std::optional<AstValue> tree = ParseExpression(conjunct.text);
                         return conjunct.self_excluding && tree &&
                                NodeOf(*tree, "NullTest") != nullptr;
                       });
  }

  void AddSlotNote(std::vector<std::string>& notes) const {
    const db::Result slots = session_.Query(
        "SELECT slot_name FROM pg_catalog.pg_replication_slots WHERE database IS NULL OR database "
        "= pg_catalog.current_database() ORDER BY 1");
    if (slots.rows.empty()) return;
    std::vector<std::string> names;
    for (const db::Row& row : slots.rows) names.push_back(db::ToText(row[0]));
    notes.push_back(fmt::format("Replication slots keep the WAL until their readers have it: {}.",
                                fmt::join(names, ", ")));
  }

  void AddReferenceNotes(const TableShape& target, std::vector<std::string>& notes) const {
    if (is_quiet() || IsInsert(statement_)) return;
    for (const Reference& reference : target.references) {
      const std::set<std::string> columns(reference.columns.begin(), reference.columns.end());
      const bool is_checked = statement_.kind == StatementKind::kDelete ||
                              Intersects(columns, facts_.assigned);
      if (!is_checked || reference.is_indexed) continue;
      notes.push_back(fmt::format("Foreign key {} of {} has no index on its columns: that table is "
                                  "scanned for every row.",
                                  reference.name, reference.from_table));
    }
  }

  SyncTrigger TriggerFor(const TableShape& walked, const Backfill& backfill) const {
    SyncTrigger trigger;
    trigger.suffix = fmt::format("{}_{}", planning_.migration.hash.substr(0, 12),
                                 planning_.steps.size() + 1);
    trigger.table = walked.name;
    trigger.alias = backfill.alias;
    for (const ChangedColumn& changed : backfill.changed) {
      trigger.assigned.emplace_back(changed.column.name, *changed.expression);
    }
    trigger.base_where = backfill.base_where;
    bool reads_moments = false;
    for (const std::string& name : facts_.read_by_sync) {
      const TableColumn* column = walked.Find(name);
      if (column == nullptr) continue;
      trigger.columns_read.insert(name);
      reads_moments = reads_moments || column->column.type.ends_with("with time zone");
    }
    if (!facts_.names_all_built_in) trigger.search_path = planning_.search_path;
    if (reads_moments) trigger.time_zone = planning_.time_zone;
    return trigger;
  }

  Step& AddStep(const TableShape& table, StepKind kind) {
    Step& step = planning_.steps.emplace_back();
    step.number = static_cast<int>(planning_.steps.size());
    step.kind = kind;
    step.line = statement_.line;
    step.table = table.name;
    return step;
  }

  void AddSteps(const TableShape& walked, Backfill backfill, const OrderChoice& choice,
                std::vector<std::string> notes) {
    const bool in_sync = backfill.keep_in_sync;
    const std::int64_t index_count =
        IsInsert(statement_) ? target_.index_count : walked.index_count;
    SyncTrigger trigger;
    if (in_sync) {
      trigger = TriggerFor(walked, backfill);
      AddSyncOn(walked, trigger);
    }
    Step& step = AddStep(IsInsert(statement_) ? target_ : walked, StepKind::kBackfill);
    step.title = TitleOf(backfill);
    step.lock = "ROW EXCLUSIVE, one batch at a time";
    step.why = choice.why + " " + UndoReason(backfill.undo);
    step.notes = std::move(notes);
    step.estimate = EstimateStep(backfill, index_count);
    step.backfill = std::move(backfill);
    if (in_sync && !sync_stays_) AddSyncOff(walked, trigger);
  }

  void AddSyncOn(const TableShape& walked, const SyncTrigger& trigger) {
    Step& step = AddStep(walked, StepKind::kSyncOn);
    step.title = fmt::format("keep {} in sync", Readable(walked.name));
    step.lock = "SHARE ROW EXCLUSIVE, milliseconds; retried with a short lock time-out";
    step.why = sync_wanted_ ? "The option keep_in_sync asks for it."
                            : "Rows that the application writes meanwhile may land behind the "
                              "backfill, so they must have their new values at once.";
    step.sql = RenderSyncOn(trigger);
    step.inverse = RenderSyncOff(trigger);
    if (sync_stays_) step.notes.push_back("The trigger stays until the contract.");
    if (!trigger.search_path.empty()) {
      step.notes.push_back("The trigger sets search_path at every call, because the statement uses "
                           "names that are not PostgreSQL's own.");
    }
  }

  void AddSyncOff(const TableShape& walked, const SyncTrigger& trigger) {
    Step& step = AddStep(walked, StepKind::kSyncOff);
    step.title = fmt::format("stop keeping {} in sync", Readable(walked.name));
    step.lock = "ACCESS EXCLUSIVE, milliseconds; retried with a short lock time-out";
    step.why = "Every row is in its new form.";
    step.sql = RenderSyncOff(trigger);
    step.inverse = RenderSyncOn(trigger);
  }

  std::string TitleOf(const Backfill& backfill) const {
    const std::string target = Readable(backfill.target);
    if (statement_.kind == StatementKind::kDelete) {
      return fmt::format("backfill {}: delete rows", target);
    }
    if (IsInsert(statement_)) {
      return fmt::format("backfill {}: insert from {}", target, Readable(backfill.walked));
    }
    return fmt::format("backfill {}: set {}", target, fmt::join(facts_.assigned, ", "));
  }

  static std::string UndoReason(UndoKind undo) {
    switch (undo) {
      case UndoKind::kImplicit:
        return "Undo is implicit: the columns are new, so the old value is NULL everywhere.";
      case UndoKind::kImage:
        return "Undo keeps the old values with the key.";
      case UndoKind::kInverse:
        return "Undo is the inverse that the file gives; it held on a sample.";
      case UndoKind::kNone:
        return "No undo is kept, because the file says so.";
    }
    return {};
  }

  // Once a statement has filled a column, it is no longer NULL everywhere for those after it.
  void RememberAssigned(const TableShape& parent) {
    std::vector<std::string> columns(facts_.assigned.begin(), facts_.assigned.end());
    columns.insert(columns.end(), insert_columns_.begin(), insert_columns_.end());
    planning_.schema.MarkFilled(IsInsert(statement_) ? target_.oid : parent.oid, columns);
  }

  Planning& planning_;
  db::Session& session_;
  const Statement& statement_;
  const Place place_;
  TableShape target_;
  StatementFacts facts_;
  std::vector<std::string> insert_columns_;
  std::vector<std::string> common_notes_;
  bool sync_wanted_ = false;
  bool sync_stays_ = false;
};

}  // namespace

bool IsAllowed(const Statement& statement, const std::string& name) {
  const std::string* allow = OptionOf(statement, "allow");
  if (allow == nullptr) return false;
  const std::vector<std::string> names = Pieces(*allow);
  return std::find(names.begin(), names.end(), name) != names.end();
}

void CheckRefusals(const Place& place, const Statement& statement) {
  std::set<std::string> known = {"cascade", "self_join", "volatile"};
  for (const Refusal& refusal : statement.refusals) {
    known.insert(refusal.name);
    if (!refusal.can_be_allowed || !IsAllowed(statement, refusal.name)) {
      db::FailInput(fmt::format("{}, line {}: {} Nothing was changed.", place.file, place.line,
                                refusal.reason));
    }
  }
  const std::string* allow = OptionOf(statement, "allow");
  for (const std::string& name : allow == nullptr ? std::vector<std::string>{} : Pieces(*allow)) {
    if (known.contains(name)) continue;
    FailAt(place, fmt::format("allow names \"{}\", which is no refusal that can be allowed", name),
           "Known are cascade, self_join and volatile.");
  }
}

void PlanBackfill(Planning& planning, const Statement& statement) {
  BackfillPlanner(planning, statement).Plan();
}

}  // namespace pawl::schema
