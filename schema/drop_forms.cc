#include "schema/drop_forms.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/column_uses.h"
#include "schema/move_checks.h"
#include "schema/standing_guard.h"
#include "schema/statement_check.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

constexpr const char* kSuffix = "_pawl_dropped";
constexpr const char* kOnTheWayBack = "none, but when the run is taken back";

// Thread safety: none. Lives for one statement.
class Drop {
 public:
  Drop(Planning& planning, const Statement& statement)
      : planning_(planning), statement_(statement), place_(planning.PlaceOf(statement)) {}

  void Plan() {
    const std::optional<AstValue> node = ParseOneStatement(statement_.text);
    if (const AstObject* drop = NodeOf(*node, "DropStmt")) return PlanTable(*drop);
    const AstObject& alter = *NodeOf(*node, "AlterTableStmt");
    PlanColumn(*NodeOf(ArrayMember(alter, "cmds")[0], "AlterTableCmd"));
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, what_was_wrong, remedy);
  }

  db::Session& session() const { return planning_.reading.session(); }

  void RefuseCascade(const AstObject& body) const {
    if (TextMember(body, "behavior") != "DROP_CASCADE") return;
    Fail("CASCADE drops what depends on it too, unseen", "Drop that first, by its own statement.");
  }

  Step NewStep(StepKind kind, const std::string& title) const {
    Step step;
    step.kind = kind;
    step.line = statement_.line;
    step.title = title;
    step.table = table_.name;
    step.lock = "ACCESS EXCLUSIVE, milliseconds; blockers are looked at first";
    step.is_own = true;
    return step;
  }

  void AddNothing(const std::string& what) {
    Step step = NewStep(StepKind::kDdl, what);
    step.lock = "none";
    step.notes.push_back("There is no such thing: the statement does nothing.");
    planning_.Add(std::move(step));
  }

  void Require() {
    RequireOwnTable(place_, table_);
    if (table_.oid == 0) {
      Fail(fmt::format("{} is created by this file", Readable(table_.name)), "Leave that out.");
    }
    RequireNoMove(planning_, place_, table_);
    RequireUnchanged(planning_, place_, table_.name);
    planning_.moved.push_back(table_.name);
  }

  void PlanTable(const AstObject& drop) {
    RefuseCascade(drop);
    const AstArray& objects = ArrayMember(drop, "objects");
    if (objects.size() != 1) {
      Fail("DROP TABLE names several tables", "Write one DROP TABLE for each.");
    }
    TableName name;
    for (const AstValue& part : ArrayMember(*NodeOf(objects[0], "List"), "items")) {
      name.schema = name.name;
      name.name = StringOf(part);
    }
    if (FlagMember(drop, "missing_ok") && !planning_.schema.Find(name)) {
      return AddNothing("drop table " + name.name);
    }
    table_ = planning_.schema.Require(place_, name);
    Require();
    RefuseDependents();
    const std::string aside = SuffixedName(table_.name.name, kSuffix);
    RefuseTaken(FindRelation(session(), {table_.name.schema, aside}).has_value(), aside);
    const std::string sql = QuoteName(table_.name.schema, table_.name.name);
    const std::string aside_sql = QuoteName(table_.name.schema, aside);
    Step step = NewStep(StepKind::kCutOver,
                        fmt::format("set table {} aside as {}", Readable(table_.name), aside));
    step.why = "Its rows are kept until `pawl contract`; nothing can be written to it by its name.";
    step.sql = fmt::format("ALTER TABLE {} RENAME TO {}", sql, QuoteName(aside));
    step.inverse =
        fmt::format("ALTER TABLE {} RENAME TO {}", aside_sql, QuoteName(table_.name.name));
    const std::vector<Key> keys = ForeignKeys("");
    TakeKeysOff(aside_sql, keys, step);
    step.also.push_back({table_.name.schema, aside});  // On the way back.
    step.notes.push_back(
        fmt::format("The names of its indexes stay taken until then; it holds {} "
                    "bytes.",
                    Size()));
    planning_.Add(std::move(step));
    AddKeysBack(aside_sql, keys);
    AddContract(fmt::format("drop table {}", aside), "DROP TABLE " + aside_sql);
  }

  void RefuseTaken(bool is_taken, const std::string& aside) const {
    if (!is_taken) return;
    Fail(fmt::format("there is {} already, kept by an earlier run", aside),
         "End that run with `pawl contract RUN`, or rename what is there.");
  }

  struct Key {
    std::string name;
    std::string definition;
    bool is_validated = true;
    TableName other;
  };

  // Of the table, or of a column of it, to other tables.
  std::vector<Key> ForeignKeys(const std::string& column) const {
    std::vector<Key> keys;
    const db::Result found = session().Query(
        R"(
SELECT k.conname, pg_catalog.pg_get_constraintdef(k.oid), k.convalidated, n.nspname, c.relname
  FROM pg_catalog.pg_constraint AS k
  JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.conrelid = $1::pg_catalog.oid
   AND ($2 = '' AND k.confrelid <> k.conrelid OR EXISTS (
         SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = k.conrelid
            AND a.attname = $2 AND a.attnum = ANY (k.conkey)))
 ORDER BY 1)",
        {std::to_string(table_.oid), column});
    for (const db::Row& row : found.rows) {
      keys.push_back({db::ToText(row[0]),
                      db::ToText(row[1]),
                      db::ToBool(row[2]),
                      {db::ToText(row[3]), db::ToText(row[4])}});
    }
    return keys;
  }

  // Rows that nobody sees any more must not keep others from being deleted.
  static void TakeKeysOff(const std::string& aside_sql, const std::vector<Key>& keys, Step& step) {
    for (const Key& key : keys) {
      step.sql +=
          fmt::format(";\nALTER TABLE {} DROP CONSTRAINT {}", aside_sql, QuoteName(key.name));
      step.also.push_back(key.other);
    }
  }

  // Before the name is back; a row whose partner is gone stops it. What is done last comes first.
  void AddKeysBack(const std::string& aside_sql, const std::vector<Key>& keys) {
    for (const Key& key : keys) {
      const auto has = [&](const char* condition) {
        return fmt::format(
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = "
            "pg_catalog.to_regclass({}) AND conname = {}{})",
            db::QuoteLiteral(aside_sql), db::QuoteLiteral(key.name), condition);
      };
      if (key.is_validated) {
        Step validate = NewStep(StepKind::kWayBack, fmt::format("validate {}", key.name));
        validate.lock = kOnTheWayBack;
        validate.inverse =
            fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", aside_sql, QuoteName(key.name));
        validate.alone = true;
        validate.settled = has(" AND convalidated");
        planning_.Add(std::move(validate));
      }
      Step add = NewStep(StepKind::kWayBack, fmt::format("add foreign key {} again", key.name));
      add.lock = kOnTheWayBack;
      const bool is_not_valid = key.definition.ends_with(" NOT VALID");
      add.inverse =
          fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {}{}", aside_sql, QuoteName(key.name),
                      key.definition, is_not_valid ? "" : " NOT VALID");
      add.settled = has("");
      add.also = {key.other};
      planning_.Add(std::move(add));
    }
  }

  std::string Size() const {
    return db::ToText(session()
                          .Query("SELECT pg_catalog.pg_total_relation_size($1::pg_catalog.oid)",
                                 {std::to_string(table_.oid)})
                          .rows.at(0)[0]);
  }

  void AddContract(const std::string& title, const std::string& sql) {
    Step step = NewStep(StepKind::kContract, title);
    step.why = "By `pawl contract`: then there is no way back.";
    step.sql = sql;
    planning_.Add(std::move(step));
  }

  // As DROP TABLE without CASCADE: what belongs to the table itself goes with it.
  void RefuseDependents() const {
    const db::Result found = session().Query(
        R"(
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
  FROM pg_catalog.pg_depend AS d
 WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.refobjid = $1::pg_catalog.oid AND d.deptype = 'n'
   AND NOT (d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND EXISTS (
         SELECT FROM pg_catalog.pg_constraint AS k
          WHERE k.oid = d.objid AND k.conrelid = d.refobjid))
   AND NOT (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND EXISTS (
         SELECT FROM pg_catalog.pg_attrdef AS a
          WHERE a.oid = d.objid AND a.adrelid = d.refobjid))
   AND NOT (d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND EXISTS (
         SELECT FROM pg_catalog.pg_policy AS p
          WHERE p.oid = d.objid AND p.polrelid = d.refobjid))
   AND NOT (d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND EXISTS (
         SELECT FROM pg_catalog.pg_trigger AS t
          WHERE t.oid = d.objid AND t.tgrelid = d.refobjid))
UNION ALL
SELECT 'partition or child ' || inhrelid::pg_catalog.regclass::text
  FROM pg_catalog.pg_inherits WHERE inhparent = $1::pg_catalog.oid
UNION ALL
SELECT 'the partitioned table ' || inhparent::pg_catalog.regclass::text
  FROM pg_catalog.pg_inherits WHERE inhrelid = $1::pg_catalog.oid
 LIMIT 1)",
        {std::to_string(table_.oid)});
    if (found.rows.empty()) return;
    Fail(fmt::format("{} cannot be set aside: {} depends on it", Readable(table_.name),
                     db::ToText(found.rows[0][0])),
         "Take that away first, by its own statement.");
  }

  void PlanColumn(const AstObject& command) {
    RefuseCascade(command);
    const std::string column = TextMember(command, "name");
    table_ = planning_.schema.Require(place_, statement_.target);
    const TableColumn* found = table_.Find(column);
    if (found == nullptr && FlagMember(command, "missing_ok")) {
      return AddNothing("drop column " + column);
    }
    if (found == nullptr || found->is_created) {
      Fail(fmt::format("column \"{}\" of table {} does not exist", column, Readable(table_.name)),
           "Check its name.");
    }
    Require();
    const ColumnUses uses = ReadColumnUses(session(), table_, column, ColumnFate::kDropped);
    RefuseUses(column, uses);
    AddColumnSteps(column, uses);
  }

  // Whoever does not know the column gives none: its default, or NULL. Two NULLs are not alike, and
  // neither is what is drawn for each row. What an expression or a predicate makes of them is not
  // known.
  bool MakesNewRowsAlike(const IndexUse& index, const ColumnUses& uses) const {
    if (!index.is_unique || uses.identity != 0) return false;
    if (index.is_computed) return true;
    if (uses.default_value.empty()) {
      return index.definition.find("NULLS NOT DISTINCT") != std::string::npos;
    }
    const std::optional<AstValue> tree = ParseExpression(uses.default_value);
    return !tree || ReadFunctions(session(), FunctionsIn(*tree)).volatile_ones.empty();
  }

  // Who writes no value must not be refused because of a column that he does not know any more.
  void RefuseUses(const std::string& column, const ColumnUses& uses) const {
    std::string reason;
    if (!uses.checks.empty()) reason = fmt::format("check {} reads it", uses.checks[0].name);
    for (const IndexUse& index : uses.indexes) {
      if (index.constraint_type == "p") reason = "it belongs to the primary key";
      if (MakesNewRowsAlike(index, uses)) {
        reason =
            fmt::format("unique index {} would find rows without a value for it alike", index.name);
      }
    }
    for (const ForeignKeyUse& key : uses.foreign_keys) {
      if (!key.is_referenced) continue;
      reason = fmt::format("foreign key {} of {} refers to it", key.name, Readable(key.table));
    }
    if (!uses.why_not().empty()) reason = uses.why_not();
    if (reason.empty()) return;
    Fail(fmt::format("{} of {} cannot be set aside: {}", column, Readable(table_.name), reason),
         "Take that away first, by its own statement.");
  }

  void AddColumnSteps(const std::string& column, const ColumnUses& uses) {
    const std::string sql = QuoteName(table_.name.schema, table_.name.name);
    const std::string aside = SuffixedName(column, kSuffix);
    RefuseTaken(table_.Find(aside) != nullptr, aside);
    const bool lifts_not_null = uses.not_null && uses.default_value.empty() && uses.identity == 0;
    const std::string check = SuffixedName(table_.name.name + "_" + column, "_pawl_back");
    Step step = NewStep(StepKind::kCutOver, fmt::format("set column {} of {} aside as {}", column,
                                                        Readable(table_.name), aside));
    step.why = "Its values are kept until `pawl contract`; new rows get its default, or none.";
    step.notes.push_back(fmt::format(
        "Until the contract it keeps its place: INSERT and COPY without a list of columns still count "
        "it. Values for the columns behind it would come into others, without an error where the "
        "types allow it: name the columns of {}.",
        Readable(table_.name)));
    step.sql = fmt::format(
        "LOCK TABLE {0} IN ACCESS EXCLUSIVE MODE;\n{1};\nALTER TABLE {0} RENAME COLUMN {2} TO {3}",
        sql, RenderStandingGuard(table_.name, column, ColumnFate::kDropped, uses.standing),
        QuoteName(column), QuoteName(aside));
    step.inverse = fmt::format("ALTER TABLE {} RENAME COLUMN {} TO {}", sql, QuoteName(aside),
                               QuoteName(column));
    if (lifts_not_null) {
      step.sql +=
          fmt::format(";\nALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", sql, QuoteName(aside));
      AddNotNullBack(sql, column, check);
    }
    const std::vector<Key> keys = ForeignKeys(column);
    TakeKeysOff(sql, keys, step);
    planning_.Add(std::move(step));
    AddColumnKeysBack(sql, column, aside, uses, keys);
    AddContract(fmt::format("drop column {} of {}", aside, Readable(table_.name)),
                fmt::format("ALTER TABLE {} DROP COLUMN {}", sql, QuoteName(aside)));
  }

  void AddColumnKeysBack(const std::string& sql, const std::string& column,
                         const std::string& aside, const ColumnUses& uses, std::vector<Key> keys) {
    for (Key& key : keys) {
      const auto definition = ForeignKeyOver(key.definition, {column, aside}, {});
      if (!definition) Fail(fmt::format("foreign key {} is not understood", key.name), "Drop it.");
      key.definition = *definition;
    }
    if (!uses.foreign_keys.empty()) AddKeysBack(sql, keys);
  }

  // The column comes back first, and takes NULL: until its name is there, nobody can give a value, and
  // every INSERT would be refused for as long as the rows are read. In the plan this stands before the
  // cut-over, since a revert goes backwards.
  void AddNotNullBack(const std::string& sql, const std::string& column, const std::string& check) {
    const auto has_check = [&](const char* condition) {
      return fmt::format(
          "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = "
          "pg_catalog.to_regclass({}) AND conname = {}{})",
          db::QuoteLiteral(sql), db::QuoteLiteral(check), condition);
    };
    Step set = NewStep(StepKind::kWayBack, fmt::format("make {} not null again", column));
    set.lock = kOnTheWayBack;
    set.inverse = fmt::format(
        "ALTER TABLE {0} ALTER COLUMN {1} SET NOT NULL;\nALTER TABLE {0} DROP CONSTRAINT {2}", sql,
        QuoteName(column), QuoteName(check));
    planning_.Add(std::move(set));
    Step validate = NewStep(StepKind::kWayBack, fmt::format("validate {}", check));
    validate.lock = kOnTheWayBack;
    validate.inverse = fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", sql, QuoteName(check));
    validate.alone = true;
    validate.settled = has_check(" AND convalidated");
    planning_.Add(std::move(validate));
    Step add = NewStep(StepKind::kWayBack, fmt::format("forbid new nulls in {}", column));
    add.lock = kOnTheWayBack;
    add.inverse = fmt::format(
        "ALTER TABLE {0} DROP CONSTRAINT IF EXISTS {1};\nALTER TABLE {0} ADD CONSTRAINT "
        "{1} CHECK ({2} IS NOT NULL) NOT VALID",
        sql, QuoteName(check), QuoteName(column));
    add.question = fmt::format("SELECT 'ctid ' || ctid::text FROM ONLY {} WHERE {} IS NULL LIMIT 5",
                               sql, QuoteName(column));
    add.reopen = fmt::format("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", sql, QuoteName(check));
    planning_.Add(std::move(add));
  }

  Planning& planning_;
  const Statement& statement_;
  const Place place_;
  TableShape table_;
};

}  // namespace

bool IsDrop(const AstValue& node) {
  if (const AstObject* drop = NodeOf(node, "DropStmt")) {
    return TextMember(*drop, "removeType") == "OBJECT_TABLE";
  }
  const AstObject* alter = NodeOf(node, "AlterTableStmt");
  if (alter == nullptr || TextMember(*alter, "objtype") != "OBJECT_TABLE") return false;
  const AstArray& commands = ArrayMember(*alter, "cmds");
  const AstObject* command = commands.size() == 1 ? NodeOf(commands[0], "AlterTableCmd") : nullptr;
  return command != nullptr && TextMember(*command, "subtype") == "AT_DropColumn";
}

void PlanDrop(Planning& planning, const Statement& statement) { Drop(planning, statement).Plan(); }

}  // namespace pawl::schema
