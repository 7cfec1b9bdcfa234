#include "schema/alter_split.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "schema/ast.h"
#include "schema/sql_tokens.h"

namespace pawl::schema {
namespace {

// The pass in which PostgreSQL runs a command (tablecmds.c); 0: not known here.
int PassOf(const std::string& subtype) {
  static const std::map<std::string, int> kPasses = {
      {"AT_DropColumn", 1},         {"AT_DropConstraint", 1}, {"AT_AlterColumnType", 2},
      {"AT_AddColumn", 3},          {"AT_ColumnDefault", 4},  {"AT_SetNotNull", 5},
      {"AT_ValidateConstraint", 6}, {"AT_AddConstraint", 6}};
  const auto found = kPasses.find(subtype);
  return found == kPasses.end() ? 0 : found->second;
}

const AstObject* OnlyCommandOf(const std::optional<AstValue>& node) {
  const AstObject* alter = node ? NodeOf(*node, "AlterTableStmt") : nullptr;
  if (alter == nullptr || ArrayMember(*alter, "cmds").size() != 1) return nullptr;
  return NodeOf(ArrayMember(*alter, "cmds")[0], "AlterTableCmd");
}

// The index of the token that begins the first command.
std::size_t FirstCommand(const TokenizedText& text, std::size_t name_location) {
  std::size_t index = 0;
  while (index < text.size() && text[index].begin != name_location) ++index;
  ++index;
  while (index + 1 < text.size() && text[index].word == ".") index += 2;
  if (index < text.size() && text[index].word == "*") ++index;
  return index;
}

}  // namespace

SplitStatement SplitAlterTable(const std::string& text) {
  SplitStatement split{{text}, {}};
  const std::optional<AstValue> node = ParseOneStatement(text);
  const AstObject* alter = node ? NodeOf(*node, "AlterTableStmt") : nullptr;
  if (alter == nullptr || TextMember(*alter, "objtype") != "OBJECT_TABLE") return split;
  const std::size_t commands = ArrayMember(*alter, "cmds").size();
  const AstObject* relation = ObjectMember(*alter, "relation");
  if (commands < 2 || relation == nullptr) return split;
  const TokenizedText tokens(text);
  const std::size_t first = FirstCommand(tokens, LocationOf(*relation));
  const std::string head = tokens.Cut(0, first);
  const std::vector<std::string> pieces = SplitAtCommas(tokens.Cut(first, tokens.size()));
  if (pieces.size() != commands) return split;
  std::vector<std::string> statements;
  int pass = 0;
  for (const std::string& piece : pieces) {
    statements.push_back(head + " " + piece);
    const std::optional<AstValue> one = ParseOneStatement(statements.back());
    const AstObject* command = OnlyCommandOf(one);
    if (command == nullptr) return split;
    const int next = PassOf(TextMember(*command, "subtype"));
    if (next == 0 || next < pass) {
      split.refusal = fmt::format(
          "ALTER TABLE with several changes at once does them in an order of PostgreSQL's own, in "
          "which \"{}\" does not stand where it is written. Write one ALTER TABLE for each.",
          piece);
      return split;
    }
    pass = next;
  }
  split.statements = std::move(statements);
  return split;
}

}  // namespace pawl::schema
