#include "schema/move_steps.h"

#include <fmt/format.h>

#include <algorithm>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/backfill_planner.h"
#include "schema/column_move.h"
#include "schema/dependent_swap.h"
#include "schema/move_checks.h"
#include "schema/quiet_fill.h"
#include "schema/shape_trigger.h"
#include "schema/standing_guard.h"
#include "schema/statement_check.h"
#include "schema/statement_facts.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

constexpr const char* kMoment =
    "ACCESS EXCLUSIVE, milliseconds; retried with a short lock time-out";
constexpr const char* kWritersWait =
    "SHARE ROW EXCLUSIVE, milliseconds; retried with a short lock time-out";
constexpr const char* kNobodyWaits = "SHARE UPDATE EXCLUSIVE: everybody reads and writes meanwhile";
constexpr const char* kOnTheWayBack = "none, but when the run is taken back";

// Thread safety: none. Lives for one statement.
class MoveSteps {
 public:
  MoveSteps(Planning& planning, const Statement& statement, const MoveRequest& request)
      : planning_(planning),
        statement_(statement),
        request_(request),
        place_(planning.PlaceOf(statement)),
        table_(QuoteName(request.table.name.schema, request.table.name.name)) {}

  void Add() {
    CheckTriggers();
    CheckPublication();
    PlanUpdate();
    ReadDefault();
    MakeTriggers();
    MakeMoves();
    const std::size_t first = planning_.steps.size();
    AddExpansion();
    AddBackfill();
    if (request_.may_not_fit) AddGate();
    AddBuildings();
    AddCutOver();
    AddWayBack();
    AddContract();
    std::vector<std::string>& notes = planning_.steps[first].notes;
    notes.insert(notes.end(), request_.notes.begin(), request_.notes.end());
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, what_was_wrong, remedy);
  }

  std::string readable_table() const { return Readable(request_.table.name); }

  // What the guards ask for, under the lock. Where nothing reads the column, its definition is not among
  // that: whoever comes to read it is in PostgreSQL's books all the same.
  ColumnFate fate() const {
    if (request_.uses.dependents.empty()) return ColumnFate::kDropped;
    return request_.is_same ? ColumnFate::kNewName : ColumnFate::kNewType;
  }

  Step NewStep(StepKind kind, const std::string& title, const std::string& lock,
               const std::string& why) const {
    Step step;
    step.kind = kind;
    step.line = statement_.line;
    step.title = title;
    step.lock = lock;
    step.why = why;
    step.table = request_.table.name;
    step.is_own = true;
    return step;
  }

  // A trigger that changes the column after ours has seen it would part the two.
  void CheckTriggers() const {
    for (const UserTrigger& trigger : request_.table.triggers) {
      if (trigger.name.starts_with(kShapeTriggerPrefix)) continue;
      if (!trigger.is_before || !trigger.is_row || trigger.name < kShapeTriggerPrefix) continue;
      Fail(fmt::format("trigger {} of {} runs after Pawl's, so it might change the column unseen",
                       trigger.name, readable_table()),
           fmt::format("Rename the trigger, so that it sorts before {}.", kShapeTriggerPrefix));
    }
  }

  // Subscribers match columns by their names, and stop at one that they lack.
  void CheckPublication() const {
    const std::string& publication = request_.uses.publication;
    if (publication.empty() || IsAllowed(statement_, "publication")) return;
    Fail(fmt::format("publication {} publishes {}, and its subscribers lack the columns {}",
                     publication, readable_table(), SecondColumns()),
         "Add them to the table of each subscriber, with NULL for a default, then say above the "
         "statement: -- pawl: allow=publication. Until the contract they must stay there.");
  }

  // As they are called beside `column` until the cut-over, and after it.
  std::string SecondColumns() const {
    return request_.is_same ? request_.incoming
                            : fmt::format("{} and {}", request_.incoming, request_.outgoing_after);
  }

  // What the batches run is planned like an UPDATE that a user wrote.
  void PlanUpdate() {
    const std::string column = QuoteName(request_.incoming);
    // What an expression of the user's own makes of a NULL need not be one.
    const bool skips_nulls = !request_.uses.not_null && request_.null_is_unfit;
    const std::string condition =
        skips_nulls ? fmt::format(" AND {} IS NOT NULL", QuoteName(request_.column)) : "";
    Statement add =
        Parsed(fmt::format("ALTER TABLE {} ADD COLUMN {} {}", table_, column, request_.type));
    planning_.schema.AddColumn(place_, add);
    update_ = Parsed(fmt::format("UPDATE {} SET {} = {} WHERE {} IS NULL{}", table_, column,
                                 request_.expression, column, condition));
    update_.options = statement_.options;
    update_.options["undo"] = "column";
    // The shape triggers do that, and a row set aside would be cut over without its value.
    for (const char* name : {"inverse", "keep_in_sync", "quarantine"}) update_.options.erase(name);
#ifndef PAWL_MUTANT_quiet_fill
    KeepTriggersQuiet(planning_, place_, request_.table, update_.options);
#endif
    const TableShape shape = planning_.schema.Require(place_, request_.table.name);
    facts_ = ReadFacts(planning_.reading.session(), update_, shape);
    // The triggers compute both ways.
    const Statement back = Parsed(
        fmt::format("UPDATE {} SET {} = {}", table_, QuoteName(request_.column), request_.inverse));
    const StatementFacts facts = ReadFacts(planning_.reading.session(), back, shape);
    facts_.names_all_built_in = facts_.names_all_built_in && facts.names_all_built_in;
    facts_.depends_on_formats = facts_.depends_on_formats || facts.depends_on_formats;
  }

  // Of two names of one column. What is drawn for each row must be drawn once, so one column has it;
  // and so with a default whose names not everybody need be able to look up.
  void ReadDefault() {
    if (!request_.is_same) return;
    const std::string& value = request_.uses.default_value;
    is_drawn_ = request_.uses.identity != 0;
    if (value.empty()) return;
    is_drawn_ = true;
    const std::optional<AstValue> tree = ParseExpression(value);
    if (!tree) return;
    const std::vector<FunctionCall> functions = FunctionsIn(*tree);
    db::Session& session = planning_.reading.session();
    if (!ReadFunctions(session, functions).volatile_ones.empty()) return;
    const Statement update =
        Parsed(fmt::format("UPDATE {} SET {} = {}", table_, QuoteName(request_.column), value));
    if (ReadFacts(session, update, request_.table).names_all_built_in) {
      default_ = value;
    } else {
      // A value of a type of the user's own: its text becomes one without that type being named.
      if (!functions.empty() || ReadsClock(*tree) || Contains(*tree, "SQLValueFunction")) return;
      std::string error;
      const auto text = planning_.reading.Try(fmt::format("SELECT ({})::text", value),
                                              std::chrono::seconds(2), error);
      if (!text) return;
      const db::Value& literal = text->rows.at(0)[0];
      default_ = literal ? db::QuoteLiteral(*literal) : "NULL";
    }
    is_drawn_ = false;
  }

  bool shares_default() const {
    return request_.is_same && !is_drawn_ && !request_.uses.default_value.empty();
  }

  Statement Parsed(const std::string& sql) const {
    Statement statement = ParseMigration(planning_.migration.name, sql).statements.at(0);
    statement.line = statement_.line;
    return statement;
  }

  // In a trigger.
  std::string Over(const std::string& expression, const std::string& column) const {
    return Replaced(expression, "NEW." + QuoteName(column));
  }

  // `expression`, which is written over the column, over something else.
  std::string Replaced(const std::string& expression, const std::string& replacement) const {
    const auto over =
        ExpressionOver(expression, request_.table.name.name, request_.column, replacement);
    if (over) return *over;
    Fail(fmt::format("{} reads more than the column {}", expression, request_.column),
         "Write it over that column alone: the other one is computed from it at every write.");
  }

  void MakeTriggers() {
    ShapeTrigger& before = before_;
    before.suffix =
        fmt::format("{}_{}", planning_.migration.hash.substr(0, 12), planning_.steps.size() + 1);
    before.table = request_.table.name;
    before.read = request_.column;
    before.other = request_.incoming;
    before.forth = Over(request_.expression, before.read);
    before.back = Over(request_.inverse, before.other);
    before.lenient = request_.may_not_fit;
    const bool plain = request_.expression == QuoteName(request_.column) &&
                       request_.inverse == QuoteName(request_.column);
    if (!plain && !facts_.names_all_built_in) {
      before.search_path = planning_.search_path;
      RequireUsage();
    }
    if (facts_.depends_on_formats && !request_.is_same) before.time_zone = planning_.time_zone;
    // Where neither names nor formats are the writer's, and nothing can be refused.
    if (!before.lenient && before.search_path.empty() && before.time_zone.empty()) {
      before.filled = fmt::format("({})::{}", before.forth, request_.plain_type);
    }
    before.is_same = request_.is_same;
    before.default_value = default_;
    before.is_drawn = is_drawn_;
    after_ = before;
    after_.read = request_.incoming_after;
    after_.other = request_.outgoing_after;
    after_.forth = Over(request_.inverse, after_.read);
    after_.back = Over(request_.expression, after_.other);
    after_.lenient = request_.may_not_fit_back;
  }

  // A trigger looks names up as whoever writes. A schema that he may not use is passed over, and each
  // of his statements would be refused.
  void RequireUsage() const {
    const db::Result found = planning_.reading.session().Query(
        R"(
SELECT coalesce(pg_catalog.quote_ident(r.rolname), 'PUBLIC'), pg_catalog.quote_ident(n.nspname)
  FROM (SELECT c.relacl AS list, c.relowner FROM pg_catalog.pg_class AS c
         WHERE c.oid = $1::pg_catalog.oid
        UNION ALL
        SELECT a.attacl, c.relowner FROM pg_catalog.pg_attribute AS a
          JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
         WHERE a.attrelid = $1::pg_catalog.oid AND NOT a.attisdropped) AS acl
 CROSS JOIN LATERAL pg_catalog.aclexplode(acl.list) AS g
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = ANY (pg_catalog.current_schemas(false))
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee
 WHERE g.grantee <> acl.relowner AND g.privilege_type IN ('INSERT', 'UPDATE')
   AND NOT pg_catalog.has_schema_privilege(g.grantee, n.oid, 'USAGE')
 ORDER BY 1, 2 LIMIT 1)",
        {std::to_string(request_.table.oid)});
    if (found.rows.empty()) return;
    const std::string role = db::ToText(found.rows[0][0]);
    const std::string schema = db::ToText(found.rows[0][1]);
    Fail(fmt::format("{} may write to {}, but not use schema {}, where the triggers that keep both "
                     "columns in step may have to look up a name",
                     role, readable_table(), schema),
         fmt::format("GRANT USAGE ON SCHEMA {} TO {}.", schema, role));
  }

  void MakeMoves() {
    forth_.table = request_.table.name;
    forth_.uses = request_.uses;
    forth_.named = request_.column;
    forth_.outgoing = request_.column;
    forth_.incoming = request_.incoming;
    forth_.outgoing_after = request_.outgoing_after;
    forth_.incoming_after = request_.incoming_after;
    forth_.incoming_suffix = "_pawl_new";
    forth_.outgoing_suffix = kOldSuffix;
    forth_.incoming_type = request_.plain_type;
    forth_.is_same = request_.is_same;
    forth_.shares_default = shares_default();
    const TableName& table = request_.table.name;
    const std::string own = RenderShapeGuard(before_) + ";\n";
    back_ = forth_;
    forth_.guards = RenderStandingGuard(table, request_.column, fate(), request_.uses.standing) +
                    ";\n" + RenderUnreadGuard(table, request_.incoming) + ";\n" + own;
    back_.guards =
        RenderNotedGuard(table, request_.incoming_after, fate(), ShapeFunctionName(before_)) +
        ";\n" + own;
    std::swap(back_.outgoing_suffix, back_.incoming_suffix);
    back_.outgoing = forth_.incoming_after;
    back_.incoming = forth_.outgoing_after;
    back_.outgoing_after = forth_.incoming;
    back_.incoming_after = forth_.outgoing;
    back_.incoming_type = request_.uses.type;
    back_.is_back = true;
  }

  void AddExpansion() {
    Step step =
        NewStep(StepKind::kDdl,
                fmt::format("add column {} {} to {}, kept in step with {}", request_.incoming,
                            request_.type, readable_table(), request_.column),
                kMoment, "Triggers carry what is written to the one column over to the other.");
    step.sql = fmt::format("ALTER TABLE {} ADD COLUMN {} {};\n", table_,
                           QuoteName(request_.incoming), request_.type);
    // By a statement of its own: rows that are there already have none, and are the backfill's.
    if (shares_default()) {
      step.sql += fmt::format("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {};\n", table_,
                              QuoteName(request_.incoming), request_.uses.default_value);
    }
    step.sql += RenderShapeOn(before_);
    if (request_.is_same) step.notes.push_back(NamesNote());
    if (!request_.uses.publication.empty()) {
      step.notes.push_back(fmt::format(
          "Each subscriber of publication {} needs {} from here on and until the contract, and "
          "stops where it lacks them. What the type of {} is there, it decides itself.",
          request_.uses.publication, SecondColumns(), request_.column));
    }
    step.inverse = fmt::format("{};\nALTER TABLE {} DROP COLUMN IF EXISTS {}",
                               RenderShapeOff(before_), table_, QuoteName(request_.incoming));
    planning_.Add(std::move(step));
  }

  std::string NamesNote() const {
    if (!is_drawn_) {
      return fmt::format(
          "Until the contract, an INSERT that gives {} and {} two different values is refused.",
          request_.column, request_.incoming);
    }
    return fmt::format(
        "Its default is drawn for each row, so one of the two has it: until the contract, an INSERT "
        "that gives both different values keeps that of {} before the cut-over and that of {} "
        "after it, and a NULL given for that one counts as not given.",
        request_.incoming, request_.column);
  }

  void AddBackfill() {
    PlanBackfill(planning_, update_);
    planning_.steps.back().is_own = true;
  }

  // From here on, nobody can write a value that does not fit: a writer that came before has ended
  // when the lock is had, and is seen by the question; one that comes after has the new function.
  void AddGate() {
    Step step =
        NewStep(StepKind::kDdl,
                fmt::format("accept for {} of {} only what fits its new type", request_.column,
                            readable_table()),
                kWritersWait, "What PostgreSQL refuses after the change is refused from here on.");
    step.sql = Closed(before_);
    step.inverse = RenderShapeFunction(before_);
    if (request_.null_is_unfit) step.question = Unfit(before_);
    step.reopen = step.inverse;
    planning_.Add(std::move(step));
  }

  std::string Closed(ShapeTrigger trigger) const {
    trigger.lenient = false;
    return fmt::format("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE;\n{}", table_,
                       RenderShapeFunction(trigger));
  }

  // A row by its key, in words; `moved` is what the moved column is called.
  std::string KeyOf(const std::string& moved) const {
    std::string key = "'row ' || ctid::text";
    if (!request_.table.keys.empty()) {
      key.clear();
      for (const std::string& column : request_.table.keys[0].columns) {
        const std::string name = column == request_.column ? moved : column;
        key += fmt::format("{}{} || ' ' || {}::text", key.empty() ? "" : " || ', ' || ",
                           db::QuoteLiteral(name), QuoteName(name));
      }
    }
    return key;
  }

  // The keys of rows whose value has no counterpart.
  std::string Unfit(const ShapeTrigger& trigger) const {
    return fmt::format("SELECT {} FROM ONLY {} WHERE {} IS NULL AND {} IS NOT NULL LIMIT 5",
                       KeyOf(trigger.read), table_, QuoteName(trigger.other),
                       QuoteName(trigger.read));
  }

  // After the cut-over: the keys of rows in which neither column follows from the other, whose new
  // value would be lost with the way back. A row that nobody has written since holds what the
  // backfill computed; another one, what the triggers did. Not so where a value without counterpart
  // left a NULL, or the triggers were switched off.
  std::string Parted() const {
    const std::string old_column = QuoteName(after_.other);
    const std::string new_column = QuoteName(after_.read);
    return fmt::format(
        "SELECT {0} FROM ONLY {1} WHERE CASE WHEN ROW({2})::record *= ROW(({3})::{4})::record THEN "
        "false ELSE ROW({5})::record *<> ROW(({6})::{7})::record END LIMIT 5",
        KeyOf(after_.read), table_, new_column, Replaced(request_.expression, old_column),
        request_.plain_type, old_column, Replaced(request_.inverse, new_column),
        request_.uses.type);
  }

  void AddBuildings() {
    std::string obstacle;
    for (const Building& building : BuildingsOf(forth_, obstacle)) {
      const char* moment = building.stops_readers ? kMoment : kWritersWait;
      Step step = NewStep(StepKind::kDdl, building.title, building.is_long ? kNobodyWaits : moment,
                          building.why);
      step.sql = building.sql;
      step.inverse = building.undo;
      step.alone = building.is_long;
      step.table = building.table;
      step.also = building.also;
      if (building.is_long) {
        step.settled = building.settled;
        step.leftover = building.leftover;
        step.clear = building.leftover.empty() ? "" : building.undo;
      }
      planning_.Add(std::move(step));
    }
    if (!obstacle.empty()) {
      Fail(fmt::format("the definition of {} is not understood", obstacle),
           "Drop it before, and make it again afterwards.");
    }
    if (request_.uses.indexes.empty()) AddWait();
    AddProof();
    Step step = NewStep(StepKind::kDdl, fmt::format("analyze {}", readable_table()), kNobodyWaits,
                        "The planner knows the new column before it is used.");
    step.sql = "ANALYZE " + table_;
    step.alone = true;
    planning_.Add(std::move(step));
  }

  // A transaction whose snapshot is older than the backfill would find NULL under the name that the
  // new column has after the cut-over. An index that is built concurrently waits for all such
  // transactions of the database; where the column has none, an empty one does.
  void AddWait() {
    const std::string index =
        SuffixedName(request_.table.name.name + "_" + request_.column, "_pawl_wait");
    const std::string name = QuoteName(request_.table.name.schema, index);
    const auto has_index = [&](const char* condition) {
      return fmt::format(
          "SELECT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indexrelid = "
          "pg_catalog.to_regclass({}) AND {}indisvalid)",
          db::QuoteLiteral(name), condition);
    };
    Step wait = NewStep(
        StepKind::kDdl, fmt::format("wait until nobody sees {} as it was before", readable_table()),
        kNobodyWaits,
        "An empty index, built concurrently, waits for every transaction with an older snapshot.");
    wait.sql = fmt::format("CREATE INDEX CONCURRENTLY {} ON {} ((0)) WHERE false", QuoteName(index),
                           table_);
    wait.inverse = "DROP INDEX CONCURRENTLY IF EXISTS " + name;
    wait.alone = true;
    wait.settled = has_index("");
    wait.leftover = has_index("NOT ");
    wait.clear = wait.inverse;
    Step drop = NewStep(StepKind::kDdl, fmt::format("drop index {}", index), kNobodyWaits,
                        "It has waited.");
    drop.sql = wait.inverse;
    drop.alone = true;
    planning_.Add(std::move(wait));
    planning_.Add(std::move(drop));
  }

  // The proof of the backfill excuses what the application has changed since. Here nothing is
  // excused: in any snapshot, each row is in step.
  void AddProof() {
    Step step = NewStep(StepKind::kDdl,
                        fmt::format("prove that {} follows {} in every row of {}",
                                    request_.incoming, request_.column, readable_table()),
                        "none", "It reads every row once, whoever wrote it.");
    step.sql = "SELECT 1";
    step.reopen = step.sql;
    step.question = fmt::format(
        "SELECT {} FROM ONLY {} WHERE ROW({})::record *<> ROW(({})::{})::record LIMIT 5",
        KeyOf(request_.column), table_, QuoteName(request_.incoming), request_.expression,
        request_.plain_type);
    planning_.Add(std::move(step));
  }

  void AddCutOver() {
    Step step = NewStep(
        StepKind::kCutOver,
        fmt::format("cut over {}: {} takes over from {}", request_.what, request_.incoming,
                    request_.column),
        "ACCESS EXCLUSIVE, milliseconds; blockers are looked at first",
        "Names, keys and defaults change over in one transaction that touches the catalogue only.");
    step.sql = RenderSwap(forth_) + RenderShapeFunction(after_) + ";\n" +
               RenderStandingNote(request_.table.name, request_.incoming_after, fate(),
                                  ShapeFunctionName(after_));
    step.inverse = RenderSwap(back_) + RenderShapeFunction(before_);
    step.also = OthersLocked(forth_);
    for (const TableName& view : ViewsLocked(request_.uses.dependents)) step.also.push_back(view);
    AddDependentNotes(request_.uses.dependents, request_.is_same, step.notes);
    step.notes.push_back(
        fmt::format("{} is kept in step until `pawl contract`.", request_.outgoing_after));
    if (request_.uses.identity != 0) {
      step.notes.push_back(fmt::format(
          "Sequence {} is made anew, with the next number: currval() and lastval() know "
          "no number that a session drew from it before.",
          Readable(request_.uses.sequence.name)));
    }
    planning_.Add(std::move(step));
  }

  // In the plan, what is done last comes first: a revert goes backwards.
  void AddWayBack() {
    std::string obstacle;
    std::vector<Step> steps;
    if (request_.may_not_fit_back) {
      Step gate = NewStep(StepKind::kWayBack,
                          fmt::format("accept for {} of {} only what fits its old type",
                                      request_.incoming_after, readable_table()),
                          kOnTheWayBack, "What did not fit is named, and nothing is taken back.");
      gate.inverse = Closed(after_);
      gate.question = request_.null_is_unfit ? Unfit(after_) : Parted();
      gate.reopen = RenderShapeFunction(after_);
      gate.sql = gate.reopen;
      steps.push_back(std::move(gate));
    }
    for (const Building& building : BuildingsOf(back_, obstacle)) {
      Step step = NewStep(StepKind::kWayBack, building.title, kOnTheWayBack, building.why);
      step.inverse = building.sql;
      step.sql = EndOfBuilding(building);
      step.alone = building.is_long;
      step.settled = building.settled;
      step.leftover = building.leftover;
      step.clear = building.leftover.empty() ? "" : building.undo;
      step.table = building.table;
      step.also = building.also;
      steps.push_back(std::move(step));
    }
    Step proof = NewStep(StepKind::kWayBack,
                         fmt::format("prove that {} and {} are in step in every row of {}",
                                     after_.other, after_.read, readable_table()),
                         "none", "It reads every row once, whoever wrote it.");
    proof.inverse = "SELECT 1";
    proof.reopen = proof.inverse;
    proof.question = Parted();
    steps.push_back(std::move(proof));
    std::reverse(steps.begin(), steps.end());
    for (Step& step : steps) planning_.Add(std::move(step));
  }

  // For a moment only, so that it can be tried like any short step. The indexes of a column that goes
  // under two names are there whether or not the run is taken back.
  std::string EndOfBuilding(const Building& building) const {
    constexpr std::string_view kDropIndex = "DROP INDEX CONCURRENTLY ";
    if (!building.undo.starts_with(kDropIndex)) return building.undo;
    if (request_.is_same) return {};
    return "DROP INDEX " + building.undo.substr(kDropIndex.size());
  }

  void AddContract() {
    Step step = NewStep(
        StepKind::kContract,
        fmt::format("drop {} of {} and its triggers", request_.outgoing_after, readable_table()),
        kMoment, "By `pawl contract`: then there is no way back.");
    step.sql = fmt::format("{};\nALTER TABLE {} DROP COLUMN {}", RenderShapeOff(after_), table_,
                           QuoteName(request_.outgoing_after));
    planning_.Add(std::move(step));
  }

  Planning& planning_;
  const Statement& statement_;
  const MoveRequest& request_;
  const Place place_;
  const std::string table_;
  Statement update_;
  StatementFacts facts_;
  std::string default_ = "NULL";  // What both names of one column have, for the triggers.
  bool is_drawn_ = false;
  ShapeTrigger before_;
  ShapeTrigger after_;
  ColumnMove forth_;
  ColumnMove back_;
};

}  // namespace

void AddMoveSteps(Planning& planning, const Statement& statement, const MoveRequest& request) {
  const std::vector<TableName> views = ViewsLocked(request.uses.dependents);
  RequireUnchanged(planning, planning.PlaceOf(statement), request.table.name);
  RequireNoMove(planning, planning.PlaceOf(statement), views);
  MoveSteps(planning, statement, request).Add();
  planning.moved.push_back(request.table.name);
  planning.moved.insert(planning.moved.end(), views.begin(), views.end());
}

}  // namespace pawl::schema
