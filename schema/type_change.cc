#include "schema/type_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "db/error.h"
#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/dependent_swap.h"
#include "schema/dependent_trial.h"
#include "schema/move_checks.h"
#include "schema/move_steps.h"
#include "schema/sql_tokens.h"
#include "schema/standing_guard.h"
#include "schema/type_conversion.h"
#include "schema/type_text.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

// Thread safety: none. Lives for one statement.
class TypeChange {
 public:
  TypeChange(Planning& planning, const Statement& statement)
      : planning_(planning),
        statement_(statement),
        place_(planning.PlaceOf(statement)),
        table_(planning.schema.Require(place_, statement.target)) {
    Read();
  }

  void Plan() {
    RequireOwnTable(place_, table_);
    if (table_.oid == 0) {
      Fail(fmt::format("{} is created by this file", Readable(table_.name)),
           "Give the column its type there.");
    }
    RequireNoMove(planning_, place_, table_);
    const TableColumn* found = table_.Find(column_);
    if (found == nullptr || found->is_created) {
      Fail(fmt::format("column \"{}\" of table {} does not exist", column_, Readable(table_.name)),
           "Check its name.");
    }
    RefuseOptions();
    ResolveNewType();
    request_.uses = ReadColumnUses(session(), table_, column_, ColumnFate::kNewType);
    Refuse(request_.uses.obstacle);
    if (!request_.uses.dependents.empty()) {
      Refuse(TrialObstacle(planning_, table_, column_, type_ + collation_));
    }
    if (IsShort()) {
      RequireNoMove(planning_, place_, ViewsLocked(request_.uses.dependents));
      return AddShortStep();
    }
    RequireUnpartitioned(place_, table_);
    Refuse(request_.uses.move_obstacle);
    CheckConversion();
    CheckDefault();
    CheckIdentity();
    CheckForeignKeys();
    RefuseMovedPartners();
    AddMove();
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, what_was_wrong, remedy);
  }

  void Refuse(const std::string& obstacle) const {
    if (obstacle.empty()) return;
    Fail(fmt::format("the type of {} of {} cannot be changed: {}", column_, Readable(table_.name),
                     obstacle),
         "PostgreSQL refuses it too, or would leave something behind. Take that away first, and "
         "make it again afterwards.");
  }

  db::Session& session() const { return planning_.reading.session(); }

  void Read() {
    const std::optional<AstValue> node = ParseOneStatement(statement_.text);
    const AstObject& alter = *NodeOf(*node, "AlterTableStmt");
    const AstObject& command = *NodeOf(ArrayMember(alter, "cmds")[0], "AlterTableCmd");
    const AstObject& definition = *ObjectMember(*ObjectMember(command, "def"), "ColumnDef");
    column_ = TextMember(command, "name");
    if (const AstObject* type = ObjectMember(definition, "typeName")) {
      type_ = TypeText(*type).value_or("");
    }
    if (type_.empty()) Fail("the type cannot be read", "Write it with plain modifiers.");
    if (const AstObject* collation = ObjectMember(definition, "collClause")) {
      std::string name;
      for (const AstValue& part : ArrayMember(*collation, "collname")) {
        name += (name.empty() ? "" : ".") + QuoteName(StringOf(part));
      }
      collation_ = " COLLATE " + name;
    }
    if (Member(definition, "raw_default") == nullptr) return;
    // The last USING outside of parentheses opens the expression.
    const TokenizedText text(statement_.text);
    const std::size_t at = text.Find("USING", text.Find("TYPE", 0));
    using_ = text.Cut(at + 1, text.size());
  }

  void RefuseOptions() const {
    for (const char* name : {"undo", "quarantine", "keep_in_sync"}) {
      if (OptionOf(statement_, name) == nullptr) continue;
      Fail(fmt::format("the option {} has no meaning for a change of type", name),
           "Remove it: the old column is kept in step until `pawl contract`, and a value that does "
           "not fit stops the run.");
    }
  }

  // format_type() of the new type, with its modifiers: a cast to it knows them.
  void ResolveNewType() {
    std::string error;
    const auto found = planning_.reading.Try(
        fmt::format(
            "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), t.typtype, "
            "t.typtype = 'p' FROM (SELECT pg_catalog.pg_typeof(NULL::{0})::pg_catalog.oid "
            "AS type) AS n JOIN pg_catalog.pg_type AS t ON t.oid = n.type CROSS JOIN LATERAL "
            "(SELECT n.type AS atttypid, {1} AS atttypmod) AS a",
            type_, Modifier()),
        std::chrono::seconds(2), error);
    if (!found) Fail(error, "Correct the type.");
    request_.plain_type = db::ToText(found->rows.at(0)[0]);
    const std::string kind = db::ToText(found->rows[0][1]);
    if (kind == "d") {
      Fail(fmt::format("{} is a domain, whose constraint would be proved under a lock that stops "
                       "all reads and writes",
                       type_),
           "Change to its base type and add the constraint by its own statement.");
    }
    if (kind == "p") Fail(fmt::format("{} is no type of a column", type_), "Correct the type.");
  }

  // The modifiers are asked of the type's own input function: there is no other way to name them
  // without a column.
  std::string Modifier() const {
    const TypeShape shape(type_);
    if (type_.find('(') == std::string::npos) return "-1";
    std::string list;
    for (const int modifier : shape.modifiers) {
      list += (list.empty() ? "'" : ",'") + std::to_string(modifier) + "'";
    }
    static const std::map<std::string, std::string> kInputs = {
        {"varchar", "varchartypmodin"},
        {"character varying", "varchartypmodin"},
        {"char", "bpchartypmodin"},
        {"character", "bpchartypmodin"},
        {"bpchar", "bpchartypmodin"},
        {"numeric", "numerictypmodin"},
        {"decimal", "numerictypmodin"},
        {"bit", "bittypmodin"},
        {"varbit", "varbittypmodin"},
        {"bit varying", "varbittypmodin"},
        {"timestamp", "timestamptypmodin"},
        {"timestamptz", "timestamptztypmodin"},
        {"time", "timetypmodin"},
        {"timetz", "timetztypmodin"},
        {"timestamp without time zone", "timestamptypmodin"},
        {"timestamp with time zone", "timestamptztypmodin"},
        {"time without time zone", "timetypmodin"},
        {"time with time zone", "timetztypmodin"}};
    const auto found = kInputs.find(shape.name);
    if (found == kInputs.end()) {
      Fail(fmt::format("the modifiers of {} are not known to this version", type_),
           "Write the type without them.");
    }
    return fmt::format("pg_catalog.{}(ARRAY[{}]::cstring[])", found->second, list);
  }

  bool IsShort() const {
    const ColumnUses& uses = request_.uses;
    const bool is_computed = std::any_of(uses.indexes.begin(), uses.indexes.end(),
                                         [](const IndexUse& index) { return index.is_computed; });
    // A check is proved again, and such an index built again, under the lock; and so is each index
    // where the collation becomes that of the type.
    return using_.empty() && collation_.empty() && !uses.has_own_collation && uses.checks.empty() &&
           !is_computed && IsSameBytes(uses.type, request_.plain_type);
  }

  void AddShortStep() {
    Step step;
    step.kind = StepKind::kDdl;
    step.line = statement_.line;
    step.table = table_.name;
    step.title = fmt::format("change the type of {} of {} to {}", column_, Readable(table_.name),
                             request_.plain_type);
    step.lock = "ACCESS EXCLUSIVE, milliseconds; retried with a short lock time-out";
    step.why =
        fmt::format("Every {} is a {} as it stands, so PostgreSQL changes the catalogue only.",
                    request_.uses.type, request_.plain_type);
    if (request_.uses.type == request_.plain_type) {
      step.lock = "none";
      step.notes.push_back("The column has that type already: the statement does nothing.");
    } else {
      step.sql = ShortSql();
      step.also = ViewsLocked(request_.uses.dependents);
      AddDependentNotes(request_.uses.dependents, false, step.notes);
      step.notes.push_back(fmt::format(
          "It is not taken back by a revert: back to {} is a change of its own, which every value "
          "must fit.",
          request_.uses.type));
    }
    planning_.Add(std::move(step));
  }

  // What reads the column stands in the way of the statement, and is taken away for that moment.
  std::string ShortSql() const {
    const ColumnUses& uses = request_.uses;
    if (uses.dependents.empty()) return statement_.text;
    return RenderAround(
        {table_.name, column_, column_, "", false, uses.dependents},
        RenderStandingGuard(table_.name, column_, ColumnFate::kNewType, uses.standing),
        statement_.text);
  }

  // By the rules of ALTER COLUMN TYPE: an assignment, else USING.
  void CheckConversion() {
    const std::string& given = using_;
    request_.expression = given.empty() ? QuoteName(column_) : given;
    if (given.empty() && !IsAssignable(request_.uses.type, request_.plain_type)) {
      Fail(fmt::format("column \"{}\" cannot be cast automatically to type {}", column_,
                       request_.plain_type),
           fmt::format("Write USING {}::{}.", QuoteName(column_), request_.plain_type));
    }
    const Conversion conversion = ConversionOf(request_.expression, table_.name.name, column_);
    const std::string* inverse = OptionOf(statement_, "inverse");
    request_.null_is_unfit = conversion.is_understood;
    if (inverse != nullptr) {
      request_.inverse = InverseOf(*inverse);
    } else if (conversion.is_understood) {
      request_.inverse = conversion.inverse;
    } else {
      Fail(fmt::format("how to get back from the new value is not known: USING {}", given),
           fmt::format("Say it above the statement: -- pawl: inverse=\"{} = …\".", column_));
    }
    // One cast is the one to the new type.
    const bool is_plain = conversion.is_understood && conversion.casts <= 1 && inverse == nullptr;
    request_.may_not_fit = !is_plain || !FitsAlways(request_.uses.type, request_.plain_type);
    request_.may_not_fit_back = !is_plain || !FitsAlways(request_.plain_type, request_.uses.type);
  }

  bool IsAssignable(const std::string& from, const std::string& to) {
    return db::ToBool(session()
                          .Query(fmt::format(R"(
SELECT s.oid = t.oid OR t.typcategory = 'S' OR EXISTS (
         SELECT FROM pg_catalog.pg_cast AS c WHERE c.castsource = s.oid AND c.casttarget = t.oid
            AND c.castcontext IN ('i', 'a'))
  FROM pg_catalog.pg_type AS whole_s
  JOIN pg_catalog.pg_type AS whole_t ON whole_t.oid = pg_catalog.pg_typeof(NULL::{1})::pg_catalog.oid
 CROSS JOIN LATERAL (SELECT whole_s.typcategory = 'A' AND whole_t.typcategory = 'A') AS both_are (arrays)
  -- An array is cast as its elements are.
  JOIN pg_catalog.pg_type AS s
    ON s.oid = CASE WHEN both_are.arrays THEN whole_s.typelem ELSE whole_s.oid END
  JOIN pg_catalog.pg_type AS t
    ON t.oid = CASE WHEN both_are.arrays THEN whole_t.typelem ELSE whole_t.oid END
 WHERE whole_s.oid = pg_catalog.pg_typeof(NULL::{0})::pg_catalog.oid)",
                                             from, to))
                          .rows.at(0)[0]);
  }

  std::string InverseOf(const std::string& set_list) const {
    const Statement update = ParseMigration("inverse", "UPDATE t SET " + set_list).statements.at(0);
    if (update.assignments.size() == 1 && update.assignments[0].column == column_ &&
        update.assignments[0].expression) {
      return *update.assignments[0].expression;
    }
    Fail(fmt::format("the inverse does not give {} alone", column_),
         fmt::format("Write inverse=\"{0} = …\", with {0} the new value.", column_));
  }

  void CheckDefault() {
    if (request_.uses.default_value.empty()) return;
    std::string error;
    const auto type = planning_.reading.Try(
        fmt::format("SELECT pg_catalog.format_type(pg_catalog.pg_typeof({})::pg_catalog.oid, NULL)",
                    request_.uses.default_value),
        std::chrono::seconds(2), error);
    // What cannot be tried (nextval writes) is judged by the column's own type.
    const std::string from = type ? db::ToText(type->rows.at(0)[0]) : request_.uses.type;
    const bool is_sequence = request_.uses.default_value.starts_with("nextval(");
    if (IsAssignable(is_sequence ? "bigint" : from, request_.plain_type)) return;
    Fail(fmt::format("the default of column \"{}\" cannot be cast automatically to type {}",
                     column_, request_.plain_type),
         "DROP DEFAULT first, and SET DEFAULT afterwards.");
  }

  void CheckIdentity() {
    if (request_.uses.identity == 0 || WholeWidth(request_.plain_type) > 0) return;
    Fail("an identity column must be smallint, integer or bigint", "DROP IDENTITY first.");
  }

  // The other side keeps its type: there must be an operator that compares the two.
  void CheckForeignKeys() {
    for (const ForeignKeyUse& key : request_.uses.foreign_keys) {
      const auto partner = session().Query(
          R"(
SELECT pg_catalog.format_type(o.atttypid, o.atttypmod)
  FROM pg_catalog.pg_constraint AS k
 CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey))
         AS pair(own, other)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = $2::pg_catalog.oid AND a.attname = $3
  JOIN pg_catalog.pg_attribute AS o
    ON (k.conrelid = a.attrelid AND pair.own = a.attnum AND o.attrelid = k.confrelid
        AND o.attnum = pair.other)
    OR (k.confrelid = a.attrelid AND pair.other = a.attnum AND o.attrelid = k.conrelid
        AND o.attnum = pair.own)
 WHERE k.conname = $1 AND k.contype = 'f' AND k.conrelid = pg_catalog.to_regclass($4))",
          {key.name, std::to_string(table_.oid), column_,
           QuoteName(key.table.schema, key.table.name)});
      for (const db::Row& row : partner.rows) {
        std::string error;
        const auto same = planning_.reading.Try(
            fmt::format("SELECT NULL::{} = NULL::{}", request_.plain_type, db::ToText(row[0])),
            std::chrono::seconds(2), error);
        const bool is_whole = WholeWidth(db::ToText(row[0])) > 0;
        if (same && (WholeWidth(request_.plain_type) > 0) == is_whole) continue;
        Fail(fmt::format("foreign key {} of {} compares it with a column of type {}, which cannot "
                         "be compared with {}",
                         key.name, Readable(key.table), db::ToText(row[0]), request_.plain_type),
             "Drop the foreign key first, change both columns, and add it again.");
      }
    }
  }

  void RefuseMovedPartners() const {
    for (const ForeignKeyUse& key : request_.uses.foreign_keys) {
      for (const TableName& side : {key.table, key.other}) {
        if (std::find(planning_.moved.begin(), planning_.moved.end(), side) ==
            planning_.moved.end()) {
          continue;
        }
        Fail(fmt::format("foreign key {} ties it to {}, which an earlier statement of this file "
                         "changes",
                         key.name, Readable(side)),
             "Put this statement into a file of its own, and run it afterwards.");
      }
    }
  }

  void AddMove() {
    request_.table = table_;
    request_.column = column_;
    request_.incoming = SuffixedName(column_, "_pawl_new");
    request_.outgoing_after = SuffixedName(column_, "_pawl_old");
    request_.incoming_after = column_;
    request_.type = type_ + collation_;
    request_.what = fmt::format("the type of {} of {}", column_, Readable(table_.name));
    if (table_.Find(request_.outgoing_after) != nullptr) {
      Fail(fmt::format("there is a column {} already", request_.outgoing_after), "Rename it.");
    }
    AddNotes();
    AddMoveSteps(planning_, statement_, request_);
  }

  void AddNotes() {
    std::vector<std::string>& notes = request_.notes;
    notes.push_back(fmt::format(
        "From the cut-over on, {} is the last column of {}: SELECT * gives it last, and one column "
        "more until the contract. INSERT without a list of columns works until the contract only.",
        column_, Readable(table_.name)));
    notes.push_back(fmt::format(
        "From the first step on and until the contract, COPY {} FROM without a list of columns fails: "
        "it expects a value for the second column too.",
        Readable(table_.name)));
    notes.push_back(
        "A prepared statement that returns the column ends once with \"cached plan must not change "
        "result type\" after the cut-over, as after any change of a type.");
    const SequenceUse& sequence = request_.uses.sequence;
    if (!sequence.is_identity && sequence.type == "integer" && request_.plain_type == "bigint") {
      notes.push_back(fmt::format(
          "Sequence {0} still ends at {1}, as after the plain statement: ALTER SEQUENCE {0} AS "
          "bigint.",
          Readable(sequence.name), sequence.maximum));
    }
    const db::Result functions = session().Query(
        R"(
SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc AS p
  JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pawl')
   AND p.prosrc ~* ('\m' || $1 || '\M') AND p.prosrc ~* ('\m' || $2 || '\M') ORDER BY 1 LIMIT 10)",
        {Escaped(table_.name.name), Escaped(column_)});
    for (const db::Row& row : functions.rows) {
      notes.push_back(
          fmt::format("Function {} may read it: from the cut-over on it finds the new type.",
                      db::ToText(row[0])));
    }
  }

  // For a regular expression.
  static std::string Escaped(const std::string& name) {
    std::string text;
    for (const char c : name) {
      const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' ||
                            static_cast<unsigned char>(c) >= 0x80;
      text += is_plain ? std::string(1, c) : std::string("\\") + c;
    }
    return text;
  }

  Planning& planning_;
  const Statement& statement_;
  const Place place_;
  const TableShape table_;
  std::string column_;
  std::string type_;
  std::string collation_;
  std::string using_;
  MoveRequest request_;
};

}  // namespace

bool IsTypeChange(const AstValue& node) {
  const AstObject* alter = NodeOf(node, "AlterTableStmt");
  if (alter == nullptr || TextMember(*alter, "objtype") != "OBJECT_TABLE") return false;
  const AstArray& commands = ArrayMember(*alter, "cmds");
  const AstObject* command = commands.size() == 1 ? NodeOf(commands[0], "AlterTableCmd") : nullptr;
  return command != nullptr && TextMember(*command, "subtype") == "AT_AlterColumnType";
}

void PlanTypeChange(Planning& planning, const Statement& statement) {
  TypeChange(planning, statement).Plan();
}

}  // namespace pawl::schema
