#include "schema/drawn_column.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "db/quote.h"
#include "schema/backfill_planner.h"
#include "schema/chosen_name.h"
#include "schema/column_definitions.h"
#include "schema/quiet_fill.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;

constexpr const char* kMoment =
    "ACCESS EXCLUSIVE, milliseconds; retried with a short lock time-out";
constexpr const char* kNobodyWaits = "SHARE UPDATE EXCLUSIVE: everybody reads and writes meanwhile";

// Thread safety: none. Lives for one statement.
class DrawnColumn {
 public:
  DrawnColumn(Planning& planning, const Statement& statement, const TableShape& table,
              const NewColumn& column)
      : planning_(planning),
        statement_(statement),
        table_(table),
        column_(column),
        place_(planning.PlaceOf(statement)),
        sql_(QuoteName(table.name.schema, table.name.name)),
        name_(QuoteName(column.name)) {}

  void Add() {
    RefuseOptions();
    if (column_.is_drawn_from_own_sequence()) NameSequence();
    AddExpansion();
    AddBackfill();
    if (column_.is_not_null) AddNotNull();
  }

 private:
  db::Session& session() const { return planning_.reading.session(); }

  Step NewStep(const std::string& title, const std::string& lock, const std::string& why) const {
    Step step;
    step.kind = StepKind::kDdl;
    step.line = statement_.line;
    step.title = title;
    step.lock = lock;
    step.why = why;
    step.table = table_.name;
    return step;
  }

  void RefuseOptions() const {
    for (const char* name : {"inverse", "keep_in_sync", "quarantine"}) {
      if (OptionOf(statement_, name) == nullptr) continue;
      FailAt(place_, fmt::format("the option {} has no meaning for a new column", name),
             "Remove it: new rows get their value by the default.");
    }
  }

  // Of a serial it is the one that stays; an identity makes its own at the end.
  void NameSequence() {
    const std::string base = table_.name.name + "_" + column_.name;
    sequence_ = {table_.name.schema, column_.is_serial
                                         ? ChosenSequenceName(session(), table_.name, column_.name)
                                         : SuffixedName(base, "_pawl_seq")};
  }

  std::string sequence_sql() const { return QuoteName(sequence_.schema, sequence_.name); }

  // What a column default draws from is looked up when it is set; what a batch draws from, at each
  // row, since the sequence is not there yet when the batch is planned.
  std::string DefaultFor(bool is_batch) const {
    if (!column_.is_drawn_from_own_sequence()) return column_.default_value;
    return fmt::format("pg_catalog.nextval({}{}::pg_catalog.regclass)",
                       QuoteLiteral(sequence_sql()), is_batch ? "::text" : "");
  }

  void AddExpansion() {
    Step step = NewStep(
        fmt::format("add column {} {} to {}, with its default for new rows", column_.name,
                    column_.written_type, Readable(table_.name)),
        kMoment, "Rows that are there stay as they are: PostgreSQL changes the catalogue only.");
    if (column_.is_drawn_from_own_sequence()) step.sql = SequenceSql(step.notes);
    step.sql += fmt::format("ALTER TABLE {}{} ADD COLUMN {};\n", statement_.only ? "ONLY " : "",
                            sql_, column_.definition);
    step.sql += fmt::format("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", sql_, name_,
                            DefaultFor(false));
    if (column_.is_drawn_from_own_sequence()) {
      step.sql += fmt::format(";\nALTER SEQUENCE {} OWNED BY {}.{}", sequence_sql(), sql_, name_);
    }
    step.inverse = fmt::format("ALTER TABLE {} DROP COLUMN IF EXISTS {}", sql_, name_);
    step.created_column = column_.name;
    step.notes.push_back(fmt::format(
        "{0} is NULL in the old rows until the backfill comes by. A NULL that the application itself "
        "writes before that is filled as well; one that it writes later stays{1}.",
        column_.name,
        column_.is_not_null ? ", is named before the column is made NOT NULL, and stops the run"
                            : ""));
    step.notes.push_back(fmt::format(
        "What new rows draw by the default cannot be told from what the application gives: once a "
        "row has been inserted, a revert keeps {}, unless it is told --on-conflict force.",
        column_.name));
    planning_.Add(std::move(step));
  }

  std::string SequenceSql(std::vector<std::string>& notes) const {
    const db::Row row =
        session()
            .Query(
                "SELECT c.relpersistence = 'u', c.relowner <> r.oid, pg_catalog.quote_ident("
                "pg_catalog.pg_get_userbyid(c.relowner)) FROM pg_catalog.pg_class AS c, "
                "pg_catalog.pg_roles AS r WHERE c.oid = $1::pg_catalog.oid AND r.rolname = "
                "current_user",
                {std::to_string(table_.oid)})
            .rows.at(0);
    const bool is_unlogged = db::ToBool(row[0]) && session().server_version() >= 150000;
    std::string options = column_.identity_options;
    if (!options.empty()) options = " " + options.substr(1, options.size() - 2);
    std::string sql = fmt::format("CREATE {}SEQUENCE {} AS {}{};\n", is_unlogged ? "UNLOGGED " : "",
                                  sequence_sql(), column_.type, options);
    if (db::ToBool(row[1])) {
      sql += fmt::format("ALTER SEQUENCE {} OWNER TO {};\n", sequence_sql(), db::ToText(row[2]));
    }
    if (column_.identity != 0) {
      notes.push_back(fmt::format(
          "Until it is an identity, its numbers come from sequence {}, which then goes; "
          "the identity's own carries on from there.",
          Readable(sequence_)));
    }
    const std::vector<std::string> roles = RolesThatInsert();
    if (roles.empty()) return sql;
    // A default draws with the rights of whoever inserts.
    notes.push_back(
        fmt::format("{} may insert into {}, and gets the right to draw from the sequence, as the "
                    "plain statement would not give it: its INSERT would be refused.",
                    fmt::join(roles, ", "), Readable(table_.name)));
    return sql + fmt::format("GRANT USAGE ON SEQUENCE {} TO {};\n", sequence_sql(),
                             fmt::join(roles, ", "));
  }

  // But the owner; quoted.
  std::vector<std::string> RolesThatInsert() const {
    const db::Result found = session().Query(
        R"(
SELECT DISTINCT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END
  FROM (SELECT c.relacl AS list, c.relowner FROM pg_catalog.pg_class AS c
         WHERE c.oid = $1::pg_catalog.oid
        UNION ALL
        SELECT a.attacl, c.relowner FROM pg_catalog.pg_attribute AS a
          JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
         WHERE a.attrelid = $1::pg_catalog.oid AND NOT a.attisdropped) AS acl
 CROSS JOIN LATERAL pg_catalog.aclexplode(acl.list) AS g
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee
 WHERE g.grantee <> acl.relowner AND g.privilege_type = 'INSERT' ORDER BY 1)",
        {std::to_string(table_.oid)});
    std::vector<std::string> roles;
    for (const db::Row& row : found.rows) roles.push_back(db::ToText(row[0]));
    return roles;
  }

  // Planned like an UPDATE that a user wrote. Any value will do: each row gets one, and once.
  void AddBackfill() {
    Statement update = ParseMigration(planning_.migration.name,
                                      fmt::format("UPDATE {} SET {} = {} WHERE {} IS NULL", sql_,
                                                  name_, DefaultFor(true), name_))
                           .statements.at(0);
    update.line = statement_.line;
    update.options = statement_.options;
    std::string& allowed = update.options["allow"];
    allowed += (allowed.empty() ? "" : ",") + std::string("volatile");
    KeepTriggersQuiet(planning_, place_, table_, update.options);
    const std::size_t first = planning_.steps.size();
    // Without a key no record of a row could be found again. Then a revert cannot tell whose values
    // they are, and they are kept with their column.
    const bool keeps_no_record = !update.options.contains("undo") && LacksKey();
    if (keeps_no_record) update.options["undo"] = "column";
    PlanBackfill(planning_, update);
    for (std::size_t i = first; i < planning_.steps.size(); ++i) {
      std::vector<std::string>& notes = planning_.steps[i].notes;
      if (column_.is_drawn_from_own_sequence()) {
        notes.push_back(
            "The numbers follow no order of the rows, and a batch that is done again "
            "leaves a gap.");
      }
      if (!keeps_no_record) continue;
      notes.push_back(fmt::format(
          "{} has no key, so no record is kept of which row got what: a revert keeps {}, unless it "
          "is told --on-conflict force.",
          Readable(table_.name), column_.name));
    }
  }

  bool LacksKey() const {
    if (table_.kind != 'p') return table_.keys.empty();
    const std::vector<std::int64_t> leaves = ReadChildren(session(), table_.oid);
    return std::any_of(leaves.begin(), leaves.end(),
                       [&](std::int64_t oid) { return planning_.schema.Read(oid).keys.empty(); });
  }

  // A row in words: by its key, else by its place.
  std::string RowInWords() const {
    if (table_.keys.empty()) return "'row ' || ctid::text";
    std::string words;
    for (const std::string& key : table_.keys[0].columns) {
      words += fmt::format("{}{} || ' ' || {}::text", words.empty() ? "" : " || ', ' || ",
                           QuoteLiteral(key), QuoteName(key));
    }
    return words;
  }

  void AddNotNull() {
    const std::string readable = Readable(table_.name);
    const std::string check = SuffixedName(table_.name.name + "_" + column_.name, "_pawl_not_null");
    const std::string drop =
        fmt::format("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", sql_, QuoteName(check));
    Step forbid =
        NewStep(fmt::format("forbid new nulls in {} of {}", column_.name, readable), kMoment,
                "NOT VALID: it holds for new rows and reads no old one. Rows without a value are "
                "then named; where there is one, the check goes again.");
    // Killed before its question is answered, it is done again.
    forbid.sql =
        fmt::format("{};\nALTER TABLE {} ADD CONSTRAINT {} CHECK ({} IS NOT NULL) NOT VALID", drop,
                    sql_, QuoteName(check), name_);
    forbid.inverse = drop;
    forbid.question =
        fmt::format("SELECT {} FROM {} WHERE {} IS NULL LIMIT 5", RowInWords(), sql_, name_);
    forbid.reopen = drop;
    planning_.Add(std::move(forbid));
    Step validate = NewStep(fmt::format("validate {} of {}", check, readable), kNobodyWaits,
                            "It reads every row and stops nobody.");
    validate.sql = fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", sql_, QuoteName(check));
    validate.alone = true;
    validate.settled = fmt::format(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = "
        "pg_catalog.to_regclass({}) AND conname = {} AND convalidated)",
        QuoteLiteral(sql_), QuoteLiteral(check));
    planning_.Add(std::move(validate));
    Step set = NewStep(fmt::format("make {} of {} not null", column_.name, readable), kMoment,
                       "PostgreSQL trusts the validated check and reads no row.");
    set.sql = fmt::format(
        "ALTER TABLE {0} ALTER COLUMN {1} SET NOT NULL;\nALTER TABLE {0} DROP CONSTRAINT {2}", sql_,
        name_, QuoteName(check));
    set.inverse = fmt::format("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", sql_, name_);
    if (column_.identity != 0) BecomeIdentity(set);
    planning_.Add(std::move(set));
  }

  void BecomeIdentity(Step& step) const {
    const char* when = column_.identity == 'a' ? "ALWAYS" : "BY DEFAULT";
    step.title =
        fmt::format("make {} of {} not null and an identity", column_.name, Readable(table_.name));
    step.why += " The identity's sequence is made with the number that the one before has come to.";
    step.sql += fmt::format(
        R"sql(;
ALTER SEQUENCE {seq} OWNED BY NONE;
ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT;
ALTER TABLE {table} ALTER COLUMN {column} ADD GENERATED {when} AS IDENTITY {options};
SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence({table_text}, {column_text})::pg_catalog.regclass, last_value, is_called) FROM {seq};
DROP SEQUENCE {seq})sql",
        fmt::arg("seq", sequence_sql()), fmt::arg("table", sql_), fmt::arg("column", name_),
        fmt::arg("when", when), fmt::arg("options", column_.identity_options),
        fmt::arg("table_text", QuoteLiteral(sql_)),
        fmt::arg("column_text", QuoteLiteral(column_.name)));
    step.inverse = fmt::format(
        "ALTER TABLE {0} ALTER COLUMN {1} DROP IDENTITY IF EXISTS; ALTER TABLE {0} ALTER COLUMN {1} "
        "DROP NOT NULL",
        sql_, name_);
  }

  Planning& planning_;
  const Statement& statement_;
  const TableShape& table_;
  const NewColumn& column_;
  const Place place_;
  const std::string sql_;
  const std::string name_;
  TableName sequence_;
};

}  // namespace

void AddDrawnColumn(Planning& planning, const Statement& statement, const TableShape& table,
                    const NewColumn& column) {
  DrawnColumn(planning, statement, table, column).Add();
}

}  // namespace pawl::schema
