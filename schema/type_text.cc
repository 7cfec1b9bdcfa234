#include "schema/type_text.h"

#include <map>
#include <set>
#include <vector>

#include "db/quote.h"

namespace pawl::schema {
namespace {

// Bits of an interval's first modifier (utils/timestamp.h, INTERVAL_MASK).
constexpr std::int64_t kIntervalAll = 0x7fff;
const std::map<std::int64_t, std::string>& IntervalFields() {
  constexpr int kMonth = 1 << 1, kYear = 1 << 2, kDay = 1 << 3;
  constexpr int kHour = 1 << 10, kMinute = 1 << 11, kSecond = 1 << 12;
  static const std::map<std::int64_t, std::string> kFields = {
      {kYear, " year"},
      {kMonth, " month"},
      {kDay, " day"},
      {kHour, " hour"},
      {kMinute, " minute"},
      {kSecond, " second"},
      {kYear | kMonth, " year to month"},
      {kDay | kHour, " day to hour"},
      {kDay | kHour | kMinute, " day to minute"},
      {kDay | kHour | kMinute | kSecond, " day to second"},
      {kHour | kMinute, " hour to minute"},
      {kHour | kMinute | kSecond, " hour to second"},
      {kMinute | kSecond, " minute to second"},
  };
  return kFields;
}

bool IsPlainName(const std::string& name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  for (const char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

std::string SqlName(const std::string& name) {
  static const std::map<std::string, std::string> kNames = {
      {"int2", "smallint"},           {"int4", "integer"}, {"int8", "bigint"},   {"float4", "real"},
      {"float8", "double precision"}, {"bool", "boolean"}, {"char", "\"char\""},
  };
  const auto found = kNames.find(name);
  return found == kNames.end() ? name : found->second;
}

std::vector<std::string> NamesOf(const AstObject& type_name) {
  std::vector<std::string> names;
  for (const AstValue& name : ArrayMember(type_name, "names")) names.push_back(StringOf(name));
  return names;
}

// A name that was written bare is quoted only where it must be: a bare `char` would be another
// type, and an upper-case or reserved name none. Parsing says which.
std::string BareName(const std::string& name) {
  if (!IsPlainName(name)) return db::QuoteName(name);
  const std::optional<AstValue> cast = ParseExpression("NULL::" + name);
  const AstObject* body = cast ? NodeOf(*cast, "TypeCast") : nullptr;
  const AstObject* type = body == nullptr ? nullptr : ObjectMember(*body, "typeName");
  const bool is_same = type != nullptr && NamesOf(*type) == std::vector<std::string>{name};
  return is_same ? name : db::QuoteName(name);
}

std::string QualifiedName(const std::vector<std::string>& names) {
  if (names.size() == 1) return BareName(names[0]);
  if (names.size() == 2 && names[0] == "pg_catalog" && IsPlainName(names[1])) {
    return SqlName(names[1]);
  }
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ".") + db::QuoteName(name);
  return text;
}

// A constant or, as in geometry(Point, 4326), a word.
std::optional<std::string> ModifierText(const AstValue& modifier) {
  if (const AstObject* word = NodeOf(modifier, "ColumnRef")) {
    const AstArray& fields = ArrayMember(*word, "fields");
    if (fields.size() != 1) return std::nullopt;
    const std::string name = StringOf(fields[0]);
    return IsPlainName(name) ? name : db::QuoteName(name);
  }
  const AstObject* constant = NodeOf(modifier, "A_Const");
  if (constant == nullptr) return std::nullopt;
  if (const AstObject* integer = ObjectMember(*constant, "ival")) {
    const AstValue* value = Member(*integer, "ival");
    return std::to_string(value == nullptr ? 0 : value->to_number<std::int64_t>());
  }
  if (const AstObject* number = ObjectMember(*constant, "fval")) return TextMember(*number, "fval");
  if (const AstObject* text = ObjectMember(*constant, "sval")) {
    return db::QuoteLiteral(TextMember(*text, "sval"));
  }
  return std::nullopt;
}

// The first modifier of an interval is its range of fields, the second its precision.
std::optional<std::string> IntervalModifiers(const std::vector<std::string>& modifiers) {
  const std::int64_t mask = std::stoll(modifiers[0]);
  const std::string precision = modifiers.size() > 1 ? "(" + modifiers[1] + ")" : "";
  if (mask == kIntervalAll) return precision;
  const auto fields = IntervalFields().find(mask);
  if (fields == IntervalFields().end()) return std::nullopt;
  return fields->second + precision;
}

// A modifier of time types stands before "with time zone", but their short names need none of that.
std::optional<std::string> ModifiersText(const AstObject& type_name, bool is_interval) {
  std::vector<std::string> modifiers;
  for (const AstValue& modifier : ArrayMember(type_name, "typmods")) {
    const std::optional<std::string> text = ModifierText(modifier);
    if (!text) return std::nullopt;
    modifiers.push_back(*text);
  }
  if (modifiers.empty()) return std::string();
  if (is_interval) return IntervalModifiers(modifiers);
  std::string text;
  for (const std::string& modifier : modifiers) text += (text.empty() ? "(" : ",") + modifier;
  return text + ")";
}

}  // namespace

std::optional<std::string> TypeText(const AstObject& type_name) {
  const std::vector<std::string> names = NamesOf(type_name);
  if (names.empty() || FlagMember(type_name, "setof") || FlagMember(type_name, "pct_type")) {
    return std::nullopt;
  }
  const bool is_interval = names.size() == 2 && names[0] == "pg_catalog" && names[1] == "interval";
  const std::optional<std::string> modifiers = ModifiersText(type_name, is_interval);
  if (!modifiers) return std::nullopt;
  std::string text = QualifiedName(names) + *modifiers;
  // A length of an array is not enforced by PostgreSQL and is not part of the type.
  for (std::size_t i = 0; i < ArrayMember(type_name, "arrayBounds").size(); ++i) text += "[]";
  return text;
}

bool IsSerial(const AstObject& type_name) {
  static const std::set<std::string> kNames = {"smallserial", "serial2",   "serial",
                                               "serial4",     "bigserial", "serial8"};
  const std::vector<std::string> names = NamesOf(type_name);
  return names.size() == 1 && kNames.contains(names[0]);
}

}  // namespace pawl::schema
