#include "schema/type_conversion.h"

#include <charconv>
#include <map>
#include <optional>

#include "db/quote.h"
#include "schema/ast_queries.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

constexpr int kUnlimited = 1 << 30;

bool IsText(const std::string& name) { return name == "text" || name == "character varying"; }

}  // namespace

TypeShape::TypeShape(const std::string& type) : name(type) {
  const std::size_t open = type.find('(');
  const std::size_t close = type.find(')');
  if (open == std::string::npos || close == std::string::npos) return;
  name = type.substr(0, open) + type.substr(close + 1);  // "timestamp(3) without time zone"
  for (std::size_t at = open; at < close; at = type.find(',', at + 1)) {
    int modifier = 0;  // Of a type that Pawl does not know, they need not be numbers.
    std::from_chars(type.data() + at + 1, type.data() + close, modifier);
    modifiers.push_back(modifier);
  }
}

int TypeShape::modifier(std::size_t index, int otherwise) const {
  return index < modifiers.size() ? modifiers[index] : otherwise;
}

int WholeWidth(const std::string& type) {
  static const std::map<std::string, int> kWidths = {
      {"smallint", 1}, {"integer", 2}, {"bigint", 3}};
  const auto found = kWidths.find(type);
  return found == kWidths.end() ? 0 : found->second;
}

bool IsSameBytes(const std::string& from, const std::string& to) {
  const TypeShape source(from);
  const TypeShape target(to);
  if (from == to) return true;
  if (IsText(source.name) && IsText(target.name)) {
    return target.modifier(0, kUnlimited) >= source.modifier(0, kUnlimited);
  }
  if (source.name != target.name) return source.name == "cidr" && target.name == "inet";
  if (source.name == "numeric") {
    return target.modifiers.empty() ||
           (!source.modifiers.empty() && target.modifier(0, 0) >= source.modifier(0, 0) &&
            target.modifier(1, 0) == source.modifier(1, 0));
  }
  if (source.name == "bit varying" || source.name.starts_with("time")) {
    return target.modifier(0, kUnlimited) >= source.modifier(0, kUnlimited);
  }
  return false;
}

bool FitsAlways(const std::string& from, const std::string& to) {
  const TypeShape source(from);
  const TypeShape target(to);
  if (IsSameBytes(from, to)) return true;
  if (IsText(target.name)) return target.modifiers.empty();
  const int width = WholeWidth(source.name);
  if (width == 0) return false;
  return WholeWidth(target.name) >= width || to == "numeric" || to == "double precision";
}

Conversion ConversionOf(const std::string& expression, const std::string& alias,
                        const std::string& column) {
  std::optional<AstValue> tree = ParseExpression(expression);
  for (int casts = 0; tree; ++casts) {
    if (ColumnNamed(*tree, alias) == column) return {true, QuoteName(column), casts};
    const AstObject* cast = NodeOf(*tree, "TypeCast");
    if (cast == nullptr) cast = NodeOf(*tree, "CollateClause");
    if (cast == nullptr) break;
    const AstValue argument = *Member(*cast, "arg");
    tree = argument;
  }
  const AstObject* call = tree ? NodeOf(*tree, "FuncCall") : nullptr;
  if (call == nullptr || FunctionOf(*call).name != "timezone") return {};
  const AstArray& arguments = ArrayMember(*call, "args");
  const bool is_plain = arguments.size() == 2 && NodeOf(arguments[0], "A_Const") != nullptr &&
                        ColumnNamed(arguments[1], alias) == column;
  // Its own inverse: from the clock of a zone to a moment, and from a moment to that clock.
  return is_plain ? Conversion{true, expression, 2} : Conversion{};
}

}  // namespace pawl::schema
