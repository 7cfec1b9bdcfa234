#include "schema/add_column.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "db/quote.h"
#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/chosen_name.h"
#include "schema/drawn_column.h"
#include "schema/new_column.h"
#include "schema/new_column_default.h"
#include "schema/online_forms.h"

namespace pawl::schema {
namespace {

using db::QuoteName;
using Kind = NewConstraint::Kind;

// Thread safety: none. Lives for one statement.
class AddColumn {
 public:
  AddColumn(Planning& planning, const Statement& statement)
      : planning_(planning),
        statement_(statement),
        place_(planning.PlaceOf(statement)),
        table_(planning.schema.Require(place_, statement.target)),
        column_(NewColumnOf(statement)) {}

  void Plan() {
    RequireOwner();
    if (!column_.obstacle.empty()) Fail(column_.obstacle, "Correct the definition.");
    CheckType();
    const bool is_new_table = table_.oid == 0;
    if (!planning_.schema.AddColumn(place_, BareStatement())) return AddNothing();
    if (is_new_table) return AddAsWritten("The table is new, so the statement runs as it stands.");
    if (column_.is_generated) RefuseGenerated();
    CheckDefault();
    is_drawn_ = column_.is_drawn_from_own_sequence() ||
                IsComputedForEachRow(session(), column_.default_value);
    if (column_.is_not_null && column_.default_value.empty() && !is_drawn_) RefuseWhereRowsAre();
    CheckPrimaryKey();
    if (is_drawn_) {
      AddDrawnColumn(planning_, statement_, table_, column_);
    } else {
      AddPlain();
    }
    AddConstraints();
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, fmt::format("ADD COLUMN \"{}\": {}", column_.name, what_was_wrong), remedy);
  }

  db::Session& session() const { return planning_.reading.session(); }

  void RequireOwner() const {
    if (table_.is_owner || table_.oid == 0) return;
    FailAt(place_,
           fmt::format("only the owner of {} may change its columns", Readable(table_.name)),
           "Connect as the owner, or as a member of the owner's role.");
  }

  void CheckType() const {
    const std::string reason = RewriteByType(session(), column_.type);
    if (!reason.empty() && table_.oid != 0) {
      Fail(reason,
           "Give the column the domain's base type, and its constraint or default by "
           "statements of their own.");
    }
    if (column_.identity == 0) return;
    for (const char* type : {"smallint", "integer", "bigint"}) {
      if (column_.type == type) return;
    }
    Fail("an identity column must be smallint, integer or bigint", "Choose one of these.");
  }

  // The column as it is in the end, for the statements behind this one: what fills it is a backfill.
  Statement BareStatement() const {
    Statement bare = statement_;
    bare.type = column_.type;
    bare.text = fmt::format("ALTER TABLE t ADD COLUMN {}", column_.definition);
    if (!column_.default_value.empty()) bare.text += " DEFAULT " + column_.default_value;
    return bare;
  }

  void CheckDefault() const {
    if (column_.default_value.empty()) return;
    const std::optional<AstValue> tree = ParseExpression(column_.default_value);
    if (!tree) Fail("its DEFAULT cannot be read", "Write it plainly, or in parentheses.");
    if (Contains(*tree, "ColumnRef") || Contains(*tree, "SubLink")) {
      Fail("its DEFAULT reads a column or a table, which PostgreSQL does not allow",
           "Add the column without it, and fill it with an UPDATE.");
    }
  }

  [[noreturn]] void RefuseGenerated() const {
    Fail(fmt::format("GENERATED ALWAYS AS would rewrite {} under a lock that stops all reads and "
                     "writes, and PostgreSQL cannot make a generated column of an ordinary one, "
                     "however it was filled",
                     Readable(table_.name)),
         fmt::format(
             "Write ADD COLUMN {0} {1}; then, under \"-- pawl: keep_in_sync=contract\", UPDATE "
             "{2} SET {0} = {3} WHERE {0} IS DISTINCT FROM ({3}): a trigger computes it for "
             "every row that is written, until the contract. To have it computed for good, "
             "make such a BEFORE INSERT OR UPDATE trigger of your own before that.",
             QuoteName(column_.name), column_.type, QuoteName(table_.name.schema, table_.name.name),
             column_.generation));
  }

  void RefuseWhereRowsAre() const {
    const std::string sql = QuoteName(table_.name.schema, table_.name.name);
    const bool has_rows = db::ToBool(
        session().Query(fmt::format("SELECT EXISTS (SELECT FROM {})", sql)).rows.at(0)[0]);
    if (!has_rows) return;
    const std::string name = QuoteName(column_.name);
    Fail(fmt::format("NOT NULL without a DEFAULT, and {} has rows, which would have no value: "
                     "PostgreSQL refuses it",
                     Readable(table_.name)),
         fmt::format(
             "Give it a DEFAULT; or write three statements: ALTER TABLE {0} ADD COLUMN {1} "
             "{2}; UPDATE {0} SET {1} = … WHERE {1} IS NULL; ALTER TABLE {0} ALTER COLUMN {1} "
             "SET NOT NULL.",
             sql, name, column_.type));
  }

  // PostgreSQL would say so at the very end.
  void CheckPrimaryKey() const {
    if (!column_.has_primary_key()) return;
    const db::Result found = session().Query(
        "SELECT pg_catalog.quote_ident(conname) FROM pg_catalog.pg_constraint WHERE conrelid = "
        "$1::pg_catalog.oid AND contype = 'p'",
        {std::to_string(table_.oid)});
    if (found.rows.empty()) return;
    Fail(fmt::format("{} has a primary key already, {}", Readable(table_.name),
                     db::ToText(found.rows[0][0])),
         "Write UNIQUE NOT NULL instead, or drop that one first.");
  }

  Step NewStep(const std::string& sql) const {
    Step step;
    step.kind = StepKind::kDdl;
    step.line = statement_.line;
    step.table = table_.name;
    step.title = fmt::format("add column {} {} to {}", column_.name, column_.written_type,
                             Readable(table_.name));
    step.sql = sql;
    step.inverse = statement_.inverse;
    step.lock = "ACCESS EXCLUSIVE, milliseconds; retried with a short lock time-out";
    step.why = "It changes the catalogue only and touches no row.";
    step.created_column = column_.name;
    return step;
  }

  void AddNothing() {
    Step step = NewStep("");
    step.inverse.clear();
    step.created_column.clear();
    step.lock = "none";
    step.why.clear();
    step.notes.push_back(
        "The column is there already, with the same type: the statement does nothing, and reverting "
        "leaves it alone.");
    planning_.Add(std::move(step));
  }

  void AddAsWritten(const std::string& why) {
    Step step = NewStep(statement_.text);
    step.why = why;
    planning_.Add(std::move(step));
  }

  void AddPlain() {
    Step step = NewStep(statement_.text);
    if (!column_.constraints.empty()) {
      step.sql = fmt::format("ALTER TABLE {}{} ADD COLUMN {}", statement_.only ? "ONLY " : "",
                             QuoteName(table_.name.schema, table_.name.name), column_.definition);
      if (!column_.default_value.empty()) step.sql += " DEFAULT " + column_.default_value;
      if (column_.is_not_null) step.sql += " NOT NULL";
    }
    if (column_.default_value.empty() && column_.is_not_null) {
      step.notes.push_back(
          "The table is empty. Should it have rows by then, PostgreSQL refuses the statement.");
    }
    const std::optional<AstValue> value = ParseExpression(column_.default_value);
    if (value && (ReadsClock(*value) || Contains(*value, "FuncCall"))) {
      step.notes.push_back(
          "PostgreSQL computes the default once, when the column is added: all old rows have that one "
          "value.");
    }
    planning_.Add(std::move(step));
  }

  void AddConstraints() {
    if (column_.is_not_null) planning_.schema.MarkNotNull(table_.oid, column_.name);
    std::set<std::string> taken;
    for (const NewConstraint& constraint : column_.constraints) {
      std::string name = constraint.name;
      while (name.empty() || (constraint.name.empty() && IsPlanned(name))) {
        name = NameFor(constraint, taken);
      }
      Statement statement =
          ParseMigration(planning_.migration.name,
                         fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}",
                                     QuoteName(table_.name.schema, table_.name.name),
                                     QuoteName(name), constraint.text))
              .statements.at(0);
      statement.line = statement_.line;
      CheckRefusals(place_, statement);
      for (Step& step : OnlineSteps(planning_, statement)) planning_.Add(std::move(step));
    }
  }

  // An earlier statement of the file may have chosen it, and nothing is there yet.
  bool IsPlanned(const std::string& name) const {
    return std::any_of(planning_.steps.begin(), planning_.steps.end(), [&](const Step& step) {
      return step.sql.find(QuoteName(name)) != std::string::npos;
    });
  }

  std::string NameFor(const NewConstraint& constraint, std::set<std::string>& taken) const {
    switch (constraint.kind) {
      case Kind::kPrimaryKey:
        return ChosenIndexName(session(), table_.name, "", "pkey", taken);
      case Kind::kUnique:
        return ChosenIndexName(session(), table_.name, column_.name, "key", taken);
      case Kind::kForeignKey:
        return ChosenConstraintName(session(), table_.name, column_.name, "fkey", taken);
      case Kind::kCheck:
        break;
    }
    // After the one column that it reads, whichever that is; after none where it reads several.
    const bool reads_one = constraint.columns.size() == 1;
    return ChosenConstraintName(session(), table_.name,
                                reads_one ? *constraint.columns.begin() : "", "check", taken);
  }

  Planning& planning_;
  const Statement& statement_;
  const Place place_;
  const TableShape table_;  // Without the column.
  const NewColumn column_;
  bool is_drawn_ = false;  // Each row has a value of its own.
};

}  // namespace

void PlanAddColumn(Planning& planning, const Statement& statement) {
  AddColumn(planning, statement).Plan();
}

}  // namespace pawl::schema
