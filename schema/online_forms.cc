#include "schema/online_forms.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/attach_form.h"
#include "schema/column_definitions.h"
#include "schema/ddl_effects.h"
#include "schema/detach_form.h"
#include "schema/domain_form.h"
#include "schema/drop_forms.h"
#include "schema/form_steps.h"
#include "schema/partitioned_index.h"
#include "schema/refresh_form.h"
#include "schema/reindex_form.h"
#include "schema/rename_forms.h"
#include "schema/short_forms.h"
#include "schema/sql_tokens.h"
#include "schema/type_change.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;

// PostgreSQL's NAMEDATALEN less one.
constexpr std::size_t kNameBytesMax = 63;
std::vector<std::string> Strings(const AstArray& nodes) {
  std::vector<std::string> strings;
  for (const AstValue& node : nodes) strings.push_back(StringOf(node));
  return strings;
}

std::string Quoted(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + QuoteName(name);
  return text;
}

const AstObject* OnlyCommand(const AstObject& alter) {
  const AstArray& commands = ArrayMember(alter, "cmds");
  return commands.size() == 1 ? NodeOf(commands[0], "AlterTableCmd") : nullptr;
}

const AstObject* ConstraintIn(const AstObject& command) {
  const AstObject* definition = ObjectMember(command, "def");
  return definition == nullptr ? nullptr : ObjectMember(*definition, "Constraint");
}

bool IsOnlineConstraint(const AstObject& constraint) {
  const std::string type = TextMember(constraint, "contype");
  if (!TextMember(constraint, "indexname").empty()) return false;  // Short as it stands.
  return type == "CONSTR_CHECK" || type == "CONSTR_FOREIGN" || type == "CONSTR_UNIQUE" ||
         type == "CONSTR_PRIMARY";
}

// One statement on its way to its steps.
class Form {
 public:
  Form(Planning& planning, const Statement& statement)
      : planning_(planning), statement_(statement), place_(planning.PlaceOf(statement)) {}

  std::vector<Step> Steps() {
    const std::optional<AstValue> node = ParseOneStatement(statement_.text);
    if (const AstObject* index = NodeOf(*node, "IndexStmt")) {
      TakeCreateIndex(*index);
    } else if (const AstObject* drop = NodeOf(*node, "DropStmt")) {
      TakeDropIndex(*drop);
    } else {
      TakeAlter(*NodeOf(*node, "AlterTableStmt"));
    }
    return std::move(steps_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, what_was_wrong, remedy);
  }

  // The table, which must be there, be the role's, and hold its own rows.
  void RequireTable(const std::string& what_it_gets) {
    table_ = planning_.schema.Require(place_, statement_.target);
    if (!table_.is_owner && table_.oid != 0) {
      Fail(fmt::format("only the owner of {} may do this", Readable(table_.name)),
           "Connect as the owner, or as a member of the owner's role.");
    }
    if (table_.kind == 'p' && !what_it_gets.empty()) {
      Fail(fmt::format("{} is partitioned, and PostgreSQL has no way to give all of it {} while "
                       "others write",
                       Readable(table_.name), what_it_gets),
           "Do it for each partition on its own.");
    }
  }

  bool is_new() const { return table_.oid == 0; }
  std::string table_sql() const { return QuoteName(table_.name.schema, table_.name.name); }

  Step& Add(const std::string& title, const std::string& sql, const std::string& inverse,
            const std::string& lock, const std::string& why) {
    Step step = DdlStep(statement_.line, table_.name, title, lock, why);
    step.sql = sql;
    step.inverse = inverse;
    steps_.push_back(std::move(step));
    return steps_.back();
  }

  // A table that this file makes has no users to stop.
  void AddAsItStands(const std::string& title, const std::string& inverse) {
    Add(title, statement_.text, inverse, "on a table that nobody uses yet",
        "The table is new, so the statement runs as it stands.");
  }

  bool Ask(const std::string& query) {
    return db::ToBool(planning_.reading.session().Query(query).rows.at(0)[0]);
  }

  // --- indexes ---

  std::string ValidIndex(const std::string& name, bool valid) const {
    return HasIndex({table_.name.schema, name}, valid);
  }

  void AddIndex(const std::string& name, const std::string& sql, const std::string& why) {
    steps_.push_back(IndexStep(statement_.line, table_.name, name, sql, why));
    Step& step = steps_.back();
    if (Ask(step.leftover)) {
      step.notes.push_back(
          fmt::format("An invalid index {} is there, left by a build that failed: it is dropped "
                      "first.",
                      name));
    }
  }

  // An invalid index is replaced.
  void RefuseTaken(const std::string& name) { RefuseRelation(name, "i.indisvalid IS NOT FALSE"); }

  void RefuseRelation(const std::string& name, const std::string& condition) {
    const std::string taken = fmt::format(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c LEFT JOIN pg_catalog.pg_index AS i ON "
        "i.indexrelid = c.oid WHERE c.oid = pg_catalog.to_regclass({}) AND {})",
        QuoteLiteral(QuoteName(table_.name.schema, name)), condition);
    if (!Ask(taken)) return;
    Fail(fmt::format("there is a relation {} already", Readable({table_.name.schema, name})),
         "Choose another name, or remove the statement if that is the index that is meant.");
  }

  void TakeCreateIndex(const AstObject& index) {
    const std::string name = TextMember(index, "idxname");
    RequireTable("");
    if (name.empty()) {
      Fail("the index has no name, by which Pawl would find it again after a crash",
           "Write CREATE INDEX name ON ….");
    }
    if (is_new()) {
      return AddAsItStands(fmt::format("build index {}", name),
                           "DROP INDEX IF EXISTS " + QuoteName(table_.name.schema, name));
    }
    if (FlagMember(index, "if_not_exists") && Ask(ValidIndex(name, true))) {
      Step& step = Add(fmt::format("build index {}", name), "", "", "none", "");
      step.notes.push_back(
          "The index is there already: the statement does nothing, and reverting "
          "leaves it alone.");
      return;
    }
    if (table_.kind == 'p') {
      RefuseRelation(name, "true");
      steps_ = PartitionedIndexSteps(planning_, statement_, index, table_);
      return;
    }
    RefuseTaken(name);
    AddIndex(name, Concurrently(statement_.text),
             "CONCURRENTLY: it reads the table twice and waits for older transactions, but stops "
             "nobody.");
  }

  void TakeDropIndex(const AstObject& drop) {
    const AstArray& objects = ArrayMember(drop, "objects");
    if (objects.size() != 1) {
      Fail("DROP INDEX names several indexes", "Write one DROP INDEX for each.");
    }
    if (TextMember(drop, "behavior") == "DROP_CASCADE") {
      Fail("DROP INDEX … CASCADE drops what depends on it too, unseen",
           "Drop that first, by its own statement.");
    }
    const AstObject* list = NodeOf(objects[0], "List");
    const std::vector<std::string> parts = Strings(ArrayMember(*list, "items"));
    const std::string given =
        parts.size() > 1 ? QuoteName(parts[parts.size() - 2], parts.back()) : QuoteName(parts[0]);
    const auto found = planning_.reading.session().Query(
        R"(
SELECT n.nspname, c.relname, pg_catalog.pg_get_indexdef(c.oid), t.relname, i.indisvalid,
       EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conindid = c.oid AND contype IN ('p', 'u', 'x')),
       pg_catalog.pg_has_role(t.relowner, 'USAGE'), t.relkind = 'p' OR c.relkind = 'I'
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.oid = pg_catalog.to_regclass($1))",
        {given});
    if (found.rows.empty()) {
      if (FlagMember(drop, "missing_ok")) {
        Add("drop index " + parts.back(), "", "", "none", "")
            .notes.push_back("There is no such index: the statement does nothing.");
        return;
      }
      Fail(fmt::format("index {} does not exist", given), "Check its name and the search path.");
    }
    const db::Row& row = found.rows[0];
    table_.name = {db::ToText(row[0]), db::ToText(row[3])};
    const std::string name = db::ToText(row[1]);
    if (db::ToBool(row[5])) {
      Fail(fmt::format("index {} is that of a constraint", name), "Drop the constraint.");
    }
    if (!db::ToBool(row[6])) {
      Fail(fmt::format("only the owner of {} may drop its indexes", Readable(table_.name)),
           "Connect as the owner, or as a member of the owner's role.");
    }
    if (db::ToBool(row[7])) {
      Fail(fmt::format("{} is the index of a partitioned table, which cannot be dropped while "
                       "others write",
                       name),
           "Drop it with psql in a quiet moment.");
    }
    // An invalid one is nothing to have back.
    const std::string again = db::ToBool(row[4]) ? Concurrently(db::ToText(row[2])) : "";
    Step& step =
        Add(fmt::format("drop index {} of {}", name, Readable(table_.name)),
            "DROP INDEX CONCURRENTLY IF EXISTS " + QuoteName(table_.name.schema, name), again,
            kNobodyWaits, "CONCURRENTLY: it waits for older transactions, but stops nobody.");
    step.alone = true;
    step.settled = fmt::format("SELECT pg_catalog.to_regclass({}) IS NULL",
                               QuoteLiteral(QuoteName(table_.name.schema, name)));
    step.leftover = ValidIndex(name, false);
    step.clear = step.sql;
  }

  // --- ALTER TABLE ---

  void TakeAlter(const AstObject& alter) {
    const AstObject& command = *OnlyCommand(alter);
    const std::string subtype = TextMember(command, "subtype");
    if (subtype == "AT_SetNotNull") {
      RequireTable("");
      if (is_new()) {
        const std::string column = TextMember(command, "name");
        return AddAsItStands(fmt::format("make {} not null", column),
                             fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL",
                                         table_sql(), QuoteName(column)));
      }
      AddNotNull(TextMember(command, "name"));
    } else if (subtype == "AT_ValidateConstraint") {
      RequireTable("");
      AddValidation(TextMember(command, "name"));
    } else {
      TakeConstraint(*ConstraintIn(command));
    }
  }

  std::string DropConstraint(const std::string& name) const {
    return schema::DropConstraint(table_.name, name);
  }

  void AddValidation(const std::string& name) {
    steps_.push_back(ValidationStep(statement_.line, table_.name, name));
  }

  // Reads the rows under a lock that lets everybody work; SET NOT NULL then trusts the check.
  void AddNotNull(const std::string& column) {
    const TableColumn* found = table_.Find(column);
    if (found == nullptr) {
      Fail(fmt::format("column \"{}\" of table {} does not exist", column, Readable(table_.name)),
           "Check its name.");
    }
    if (const auto unproved = UnprovedNotNull(planning_.reading.session(), table_.oid, column)) {
      return AddValidation(*unproved);
    }
    if (found->column.not_null) {
      Add(fmt::format("make {} of {} not null", column, Readable(table_.name)), "", "", "none", "")
          .notes.push_back("The column is NOT NULL already: the statement does nothing.");
      return;
    }
    const std::string check = SuffixedName(table_.name.name + "_" + column, "_pawl_not_null");
    Add(fmt::format("forbid new nulls in {} of {}", column, Readable(table_.name)),
        fmt::format("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID",
                    table_sql(), QuoteName(check), QuoteName(column)),
        DropConstraint(check), kMoment, "NOT VALID: it holds for new rows and reads no old one.");
    AddValidation(check);
    Add(fmt::format("make {} of {} not null", column, Readable(table_.name)),
        fmt::format("ALTER TABLE {0} ALTER COLUMN {1} SET NOT NULL; ALTER TABLE {0} DROP "
                    "CONSTRAINT {2}",
                    table_sql(), QuoteName(column), QuoteName(check)),
        fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table_sql(), QuoteName(column)),
        kMoment, "PostgreSQL trusts the validated check and reads no row.");
  }

  // A name as PostgreSQL chooses it: table_column_suffix.
  std::string NameOf(const std::vector<std::string>& columns, const std::string& suffix) {
    std::string name = fmt::format("{}_{}{}{}", table_.name.name, fmt::join(columns, "_"),
                                   columns.empty() ? "" : "_", suffix);
    if (name.size() > kNameBytesMax) {
      Fail(fmt::format("the name {} is longer than {} bytes", name, kNameBytesMax),
           "Give the constraint a name: ADD CONSTRAINT name ….");
    }
    return name;
  }

  void RefuseTakenConstraint(const std::string& name) {
    if (!Ask(HasConstraint(table_.name, name, ""))) return;
    Fail(fmt::format("{} has a constraint {} already", Readable(table_.name), name),
         "Choose another name, or remove the statement if that is the constraint that is meant.");
  }

  void TakeConstraint(const AstObject& constraint) {
    const std::string type = TextMember(constraint, "contype");
    const std::string given = TextMember(constraint, "conname");
    if (type == "CONSTR_CHECK" || type == "CONSTR_FOREIGN") {
      const bool is_check = type == "CONSTR_CHECK";
      RequireTable(is_check ? "" : "a foreign key");
      if (given.empty()) {
        Fail("the constraint has no name, by which Pawl would find it again",
             "Write ADD CONSTRAINT name ….");
      }
      if (is_new()) return AddAsItStands("add constraint " + given, DropConstraint(given));
      RefuseTakenConstraint(given);
      const bool is_left_unproved = FlagMember(constraint, "skip_validation");
      Add(fmt::format("add constraint {} to {}, for new rows", given, Readable(table_.name)),
          statement_.text + (is_left_unproved ? "" : " NOT VALID"), DropConstraint(given),
          is_check ? kMoment
                   : "SHARE ROW EXCLUSIVE on both tables, milliseconds; retried with a short lock "
                     "time-out",
          "NOT VALID: it holds for new rows and reads no old one.");
      if (!is_left_unproved) AddValidation(given);
      return;
    }
    TakeKey(constraint, type == "CONSTR_PRIMARY", given);
  }

  void TakeKey(const AstObject& constraint, bool is_primary, const std::string& given) {
    RequireTable("a unique index");
    const std::vector<std::string> columns = Strings(ArrayMember(constraint, "keys"));
    if (!ArrayMember(constraint, "options").empty() ||
        !TextMember(constraint, "indexspace").empty()) {
      Fail("WITH and USING INDEX TABLESPACE of a constraint are not known to this version",
           "CREATE UNIQUE INDEX with them, then ADD CONSTRAINT … USING INDEX.");
    }
    std::string name = given;
    if (name.empty()) name = is_primary ? NameOf({}, "pkey") : NameOf(columns, "key");
    if (is_new()) return AddAsItStands("add constraint " + name, DropConstraint(name));
    RefuseTakenConstraint(name);
    RefuseTaken(name);
    if (is_primary) {
      for (const std::string& column : columns) {
        const TableColumn* found = table_.Find(column);
        if (found == nullptr || !found->column.not_null) AddNotNull(column);
      }
    }
    const std::vector<std::string> included = Strings(ArrayMember(constraint, "including"));
    AddIndex(name,
             fmt::format("CREATE UNIQUE INDEX CONCURRENTLY {} ON {} ({}){}{}", QuoteName(name),
                         table_sql(), Quoted(columns),
                         included.empty() ? "" : " INCLUDE (" + Quoted(included) + ")",
                         FlagMember(constraint, "nulls_not_distinct") ? " NULLS NOT DISTINCT" : ""),
             "CONCURRENTLY: it stops nobody; two rows that are alike end it.");
    std::string timing;
    if (FlagMember(constraint, "deferrable")) timing += " DEFERRABLE";
    if (FlagMember(constraint, "initdeferred")) timing += " INITIALLY DEFERRED";
    Add(fmt::format("make it the {} of {}", is_primary ? "primary key" : "constraint " + name,
                    Readable(table_.name)),
        fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}{}", table_sql(),
                    QuoteName(name), is_primary ? "PRIMARY KEY" : "UNIQUE", QuoteName(name),
                    timing),
        DropConstraint(name), kMoment, "The index is there: it changes the catalogue only.");
  }

  Planning& planning_;
  const Statement& statement_;
  const Place place_;
  TableShape table_;
  std::vector<Step> steps_;
};

}  // namespace

bool HasOnlineForm(const AstValue& node) {
  if (NodeOf(node, "IndexStmt") != nullptr) return true;
  if (IsTypeChange(node) || IsRename(node) || IsDrop(node)) return true;
  if (IsAttach(node) || IsDetach(node) || IsReindex(node)) return true;
  if (IsRefresh(node) || IsDomainConstraint(node) || IsShortForm(node)) return true;
  if (const AstObject* drop = NodeOf(node, "DropStmt")) {
    return TextMember(*drop, "removeType") == "OBJECT_INDEX";
  }
  const AstObject* alter = NodeOf(node, "AlterTableStmt");
  if (alter == nullptr || TextMember(*alter, "objtype") != "OBJECT_TABLE") return false;
  const AstObject* command = OnlyCommand(*alter);
  if (command == nullptr) return false;
  const std::string subtype = TextMember(*command, "subtype");
  if (subtype == "AT_SetNotNull" || subtype == "AT_ValidateConstraint") return true;
  if (subtype != "AT_AddConstraint") return false;
  const AstObject* constraint = ConstraintIn(*command);
  return constraint != nullptr && IsOnlineConstraint(*constraint);
}

std::vector<Step> OnlineSteps(Planning& planning, const Statement& statement) {
  return Form(planning, statement).Steps();
}

}  // namespace pawl::schema
