#include "schema/short_forms.h"

#include <map>
#include <string>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/form_steps.h"
#include "schema/move_checks.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;

// What gives the words that set a column as it is now; %s stands before.
const std::map<std::string, std::string>& ColumnSettings() {
  static const std::map<std::string, std::string> kSettings = {
      {"AT_SetStatistics",
       "'STATISTICS ' || coalesce(pg_catalog.to_jsonb(a) ->> 'attstattarget', '-1')"},
      {"AT_SetStorage",
       "'STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN "
       "'MAIN' ELSE 'EXTENDED' END"},
      {"AT_SetCompression",
       "'COMPRESSION ' || CASE pg_catalog.to_jsonb(a) ->> 'attcompression' WHEN 'p' THEN 'pglz' WHEN "
       "'l' THEN 'lz4' ELSE 'default' END"},
  };
  return kSettings;
}

const AstObject* SettingOf(const AstValue& node) {
  const AstObject* alter = NodeOf(node, "AlterTableStmt");
  if (alter == nullptr || TextMember(*alter, "objtype") != "OBJECT_TABLE") return nullptr;
  const AstArray& commands = ArrayMember(*alter, "cmds");
  const AstObject* command = commands.size() == 1 ? NodeOf(commands[0], "AlterTableCmd") : nullptr;
  if (command == nullptr || TextMember(*command, "name").empty()) return nullptr;
  return ColumnSettings().contains(TextMember(*command, "subtype")) ? command : nullptr;
}

bool IsEnumRename(const AstValue& node) {
  const AstObject* alter = NodeOf(node, "AlterEnumStmt");
  return alter != nullptr && !TextMember(*alter, "oldVal").empty();
}

bool IsNewView(const AstValue& node) {
  const AstObject* view = NodeOf(node, "ViewStmt");
  if (view == nullptr || FlagMember(*view, "replace")) return false;
  const AstObject* relation = ObjectMember(*view, "view");
  return relation != nullptr && TextMember(*relation, "relpersistence") != "t";
}

Step SettingStep(Planning& planning, const Statement& statement, const AstObject& command) {
  const Place place = planning.PlaceOf(statement);
  const TableShape table = planning.schema.Require(place, statement.target);
  RequireOwnTable(place, table);
  const std::string column = TextMember(command, "name");
  const std::string subtype = TextMember(command, "subtype");
  const TableColumn* found = table.Find(column);
  if (found == nullptr) {
    FailAt(place,
           fmt::format("column \"{}\" of table {} does not exist", column, Readable(table.name)),
           "Check its name.");
  }
  Step step =
      DdlStep(statement.line, table.name, fmt::format("set {} of {}", column, Readable(table.name)),
              subtype == "AT_SetStatistics" ? kNobodyWaits : kMoment,
              "It touches no row: what is stored stays as it is.");
  step.sql = statement.text;
  if (found->is_created) return step;  // It goes with the column.
  const db::Row row =
      planning.reading.session()
          .Query(fmt::format("SELECT {} FROM pg_catalog.pg_attribute AS a WHERE attrelid = "
                             "$1::pg_catalog.oid AND attname = $2",
                             ColumnSettings().at(subtype)),
                 {std::to_string(table.oid), column})
          .rows.at(0);
  step.inverse =
      fmt::format("ALTER TABLE {}{} ALTER COLUMN {} SET {}", statement.only ? "ONLY " : "",
                  SqlName(table.name), QuoteName(column), db::ToText(row[0]));
  return step;
}

Step RenameValueStep(const Statement& statement, const AstObject& alter) {
  TableName type;
  for (const AstValue& part : ArrayMember(alter, "typeName")) {
    type.schema = type.name;
    type.name = StringOf(part);
  }
  const std::string old_value = TextMember(alter, "oldVal");
  const std::string new_value = TextMember(alter, "newVal");
  Step step = DdlStep(statement.line, {}, fmt::format("rename a value of {}", Readable(type)),
                      "none", "It touches no row: rows hold the value's number.");
  step.sql = statement.text;
  step.inverse = fmt::format("ALTER TYPE {} RENAME VALUE {} TO {}", SqlName(type),
                             QuoteLiteral(new_value), QuoteLiteral(old_value));
  step.notes.push_back(fmt::format(
      "From then on, statements of the application that know the value as '{}' fail.", old_value));
  return step;
}

Step ViewStep(const Statement& statement, const AstObject& view) {
  const TableName name = RelationOf(*ObjectMember(view, "view"));
  Step step = DdlStep(statement.line, {}, fmt::format("create view {}", Readable(name)), "none",
                      "It reads no row, and stops nobody.");
  step.sql = statement.text;
  step.inverse = "DROP VIEW IF EXISTS " + SqlName(name);
  return step;
}

}  // namespace

bool IsShortForm(const AstValue& node) {
  return SettingOf(node) != nullptr || IsEnumRename(node) || IsNewView(node);
}

void PlanShortForm(Planning& planning, const Statement& statement) {
  const std::optional<AstValue> node = ParseOneStatement(statement.text);
  if (const AstObject* setting = SettingOf(*node)) {
    planning.Add(SettingStep(planning, statement, *setting));
  } else if (const AstObject* alter = NodeOf(*node, "AlterEnumStmt")) {
    planning.Add(RenameValueStep(statement, *alter));
  } else {
    planning.Add(ViewStep(statement, *NodeOf(*node, "ViewStmt")));
  }
}

}  // namespace pawl::schema
