#include "schema/conjuncts.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <optional>
#include <set>

#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/sql_tokens.h"

namespace pawl::schema {
namespace {

// Above it, two integers can be the same `real`.
constexpr std::int64_t kExactInRealMax = 1 << 24;
// Longer ones can be the same `name`.
constexpr std::size_t kNameBytesMax = 63;

bool IsAnd(const AstValue& tree) {
  const AstObject* expression = NodeOf(tree, "BoolExpr");
  return expression != nullptr && TextMember(*expression, "boolop") == "AND_EXPR";
}

void FlattenAnds(const AstValue& tree, AstArray& operands) {
  if (!IsAnd(tree)) {
    operands.push_back(WithoutLocations(tree));
    return;
  }
  for (const AstValue& operand : ArrayMember(*NodeOf(tree, "BoolExpr"), "args")) {
    FlattenAnds(operand, operands);
  }
}

bool CutAtAnds(const std::string& text, std::vector<std::string>& pieces) {
  const std::optional<AstValue> tree = ParseExpression(text);
  if (!tree) return false;
  if (!IsAnd(*tree)) {
    pieces.push_back(text);
    return true;
  }
  if (const std::optional<std::string> inside = InsideParentheses(text)) {
    return CutAtAnds(*inside, pieces);
  }
  const std::vector<std::string> operands = SplitAtAnds(text);
  return operands.size() > 1 &&
         std::all_of(operands.begin(), operands.end(),
                     [&](const std::string& operand) { return CutAtAnds(operand, pieces); });
}

// Known to give the same result for the same arguments, whatever the session's settings.
bool IsKnownImmutable(const FunctionCall& call) {
  static const std::set<std::string> kNames = {
      "abs",   "btrim",        "ceil",   "ceiling",   "char_length", "floor",
      "left",  "length",       "lower",  "lpad",      "ltrim",       "md5",
      "mod",   "octet_length", "power",  "repeat",    "replace",     "reverse",
      "right", "round",        "rpad",   "rtrim",     "sign",        "split_part",
      "sqrt",  "strpos",       "substr", "substring", "trunc",       "upper"};
  return (call.schema.empty() || call.schema == "pg_catalog") && kNames.contains(call.name);
}

// True where the expression gives the same value again later, as far as the text alone can tell.
bool IsRepeatable(const AstValue& expression) {
  bool repeatable = !Contains(expression, "SubLink") && !ReadsClock(expression) &&
                    !Contains(expression, "SQLValueFunction");
  Walk(expression, [&](std::string_view name, const AstObject& body) {
    if (name == "FuncCall" && !IsKnownImmutable(FunctionOf(body))) repeatable = false;
    if (name == "sval" && IsMomentWord(TextMember(body, "sval"))) repeatable = false;
    return repeatable;
  });
  return repeatable;
}

// True where every column in `expression` is for certain the target's.
bool IsAllQualified(const AstValue& expression, const std::string& alias) {
  bool qualified = true;
  Walk(expression, [&](std::string_view name, const AstObject& body) {
    if (name != "ColumnRef") return true;
    const std::vector<std::string> parts = ReferenceParts(body);
    qualified = qualified && parts.size() == 2 && parts[0] == alias;
    return false;
  });
  return qualified;
}

// Writes `alias.c` as `c`, so that both spellings compare equal.
AstValue WithBareColumns(const AstValue& tree, const std::string& alias) {
  if (tree.is_array()) {
    AstArray elements;
    for (const AstValue& element : tree.get_array()) {
      elements.push_back(WithBareColumns(element, alias));
    }
    return elements;
  }
  if (!tree.is_object()) return tree;
  AstObject members;
  for (const auto& [key, member] : tree.get_object()) {
    const AstObject* body = member.if_object();
    if (key == "ColumnRef" && body != nullptr && !ColumnNamed(tree, alias).empty()) {
      members.emplace(key, AstObject{{"bare", ColumnNamed(tree, alias)}});
    } else {
      members.emplace(key, WithBareColumns(member, alias));
    }
  }
  return members;
}

bool SameExpression(const AstValue& left, const AstValue& right, const ConjunctContext& context) {
  if (context.has_from &&
      !(IsAllQualified(left, context.alias) && IsAllQualified(right, context.alias))) {
    return false;
  }
  return WithBareColumns(WithoutLocations(left), context.alias) ==
         WithBareColumns(WithoutLocations(right), context.alias);
}

bool IsNullLiteral(const AstValue& expression) {
  if (const AstObject* cast = NodeOf(expression, "TypeCast")) {
    const AstValue* argument = Member(*cast, "arg");
    return argument != nullptr && IsNullLiteral(*argument);
  }
  const AstObject* constant = NodeOf(expression, "A_Const");
  return constant != nullptr && FlagMember(*constant, "isnull");
}

// Reduces a string to what no collation or input function can take for another word: lower case and
// without marks that a collation may ignore. Empty where that cannot be said: digits in front may
// be a number ('1', '01'), and some words are other spellings of a value ('t', 'yes', 'inf').
std::string DistinctWord(const std::string& text) {
  static const std::set<std::string> kValues = {
      "t",    "tr",    "tru", "true", "y",  "ye",  "yes", "on",       "f",   "fa",    "fal",
      "fals", "false", "n",   "no",   "of", "off", "inf", "infinity", "nan", "epoch", "allballs"};
  std::string word;
  if (text.size() > kNameBytesMax) return {};
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || (word.empty() && std::isalpha(byte) == 0)) return {};
    if (std::isalnum(byte) != 0) {
      word.push_back(static_cast<char>(std::tolower(byte)));
    } else if (c != '_' && c != '-') {
      return {};
    }
  }
  return kValues.contains(word) || IsMomentWord(word) ? std::string() : word;
}

bool AreDistinctConstants(const AstObject& left, const AstObject& right) {
  const AstObject* left_integer = ObjectMember(left, "ival");
  const AstObject* right_integer = ObjectMember(right, "ival");
  if (left_integer != nullptr && right_integer != nullptr) {
    const AstValue* a = Member(*left_integer, "ival");
    const AstValue* b = Member(*right_integer, "ival");
    return a != nullptr && b != nullptr && *a != *b &&
           std::abs(a->to_number<std::int64_t>()) < kExactInRealMax &&
           std::abs(b->to_number<std::int64_t>()) < kExactInRealMax;
  }
  const AstObject* left_flag = ObjectMember(left, "boolval");
  const AstObject* right_flag = ObjectMember(right, "boolval");
  if (left_flag != nullptr && right_flag != nullptr) {
    return FlagMember(*left_flag, "boolval") != FlagMember(*right_flag, "boolval");
  }
  const AstObject* left_text = ObjectMember(left, "sval");
  const AstObject* right_text = ObjectMember(right, "sval");
  if (left_text == nullptr || right_text == nullptr) return false;
  const std::string left_word = DistinctWord(TextMember(*left_text, "sval"));
  const std::string right_word = DistinctWord(TextMember(*right_text, "sval"));
  return !left_word.empty() && !right_word.empty() && left_word != right_word;
}

// A cast with a length cuts strings, and one of a number may map several values to one.
bool KeepsValuesApart(const AstObject& cast) {
  const AstValue* argument = Member(cast, "arg");
  const AstObject* constant = argument == nullptr ? nullptr : NodeOf(*argument, "A_Const");
  const AstObject* type = ObjectMember(cast, "typeName");
  if (constant == nullptr || type == nullptr || Member(*constant, "ival") != nullptr) return false;
  const AstArray& names = ArrayMember(*type, "names");
  return !names.empty() && StringOf(names[names.size() - 1]) != "char" &&
         Member(*type, "typmods") == nullptr && Member(*type, "arrayBounds") == nullptr;
}

// True where both are literals of values that cannot be equal in any built-in type.
bool AreDistinctLiterals(const AstValue& left, const AstValue& right) {
  const AstObject* left_cast = NodeOf(left, "TypeCast");
  const AstObject* right_cast = NodeOf(right, "TypeCast");
  if (left_cast != nullptr && right_cast != nullptr) {
    return KeepsValuesApart(*left_cast) && KeepsValuesApart(*right_cast) &&
           SameMeaning(*Member(*left_cast, "typeName"), *Member(*right_cast, "typeName")) &&
           AreDistinctLiterals(*Member(*left_cast, "arg"), *Member(*right_cast, "arg"));
  }
  const AstObject* left_constant = NodeOf(left, "A_Const");
  const AstObject* right_constant = NodeOf(right, "A_Const");
  return left_constant != nullptr && right_constant != nullptr &&
         AreDistinctConstants(*left_constant, *right_constant);
}

// The expression of the only assignment to `column`, unless it reads what the statement assigns:
// then it gives another value after the change.
std::optional<AstValue> SettledValue(const std::string& column, const ConjunctContext& context) {
  std::optional<AstValue> value;
  int times = 0;
  std::set<std::string> read;
  for (const Assignment& assignment : context.assignments) {
    if (assignment.column != column) continue;
    ++times;
    read = assignment.columns_read;
    if (assignment.expression) value = ParseExpression(*assignment.expression);
  }
  if (times != 1) return std::nullopt;
  for (const Assignment& assignment : context.assignments) {
    if (read.contains(assignment.column)) return std::nullopt;
  }
  return value;
}

bool IsAssignedNotNull(const std::string& column, const ConjunctContext& context) {
  const auto is_it = [&](const Assignment& assignment) { return assignment.column == column; };
  const auto first = std::find_if(context.assignments.begin(), context.assignments.end(), is_it);
  if (first == context.assignments.end() || !first->expression) return false;
  const std::optional<AstValue> value = ParseExpression(*first->expression);
  return value && !IsNullLiteral(*value);
}

// `column <operator> other`, the column on either side.
bool ExcludesChanged(const std::string& column, const AstValue& other, bool is_equality,
                     const ConjunctContext& context) {
  const std::optional<AstValue> assigned = SettledValue(column, context);
  if (!assigned) return false;
  if (is_equality) return AreDistinctLiterals(other, *assigned);
  return IsRepeatable(*assigned) && SameExpression(other, *assigned, context);
}

// The assigned column c of `c IS NULL`.
std::string NullColumn(const AstValue& tree, const ConjunctContext& context) {
  const AstObject* test = NodeOf(tree, "NullTest");
  if (test == nullptr || TextMember(*test, "nulltesttype") != "IS_NULL") return {};
  const AstValue* argument = Member(*test, "arg");
  const std::string column = argument == nullptr ? "" : ColumnNamed(*argument, context.alias);
  const bool assigned =
      std::any_of(context.assignments.begin(), context.assignments.end(),
                  [&](const Assignment& assignment) { return assignment.column == column; });
  return assigned ? column : std::string();
}

bool IsSelfExcluding(const AstValue& tree, const ConjunctContext& context) {
  if (const AstObject* test = NodeOf(tree, "NullTest")) {
    const AstValue* argument = Member(*test, "arg");
    return TextMember(*test, "nulltesttype") == "IS_NULL" && argument != nullptr &&
           IsAssignedNotNull(ColumnNamed(*argument, context.alias), context);
  }
  const AstObject* expression = NodeOf(tree, "A_Expr");
  if (expression == nullptr) return false;
  const std::string kind = TextMember(*expression, "kind");
  const AstArray& names = ArrayMember(*expression, "name");
  const AstValue* left = Member(*expression, "lexpr");
  const AstValue* right = Member(*expression, "rexpr");
  if (names.size() != 1 || left == nullptr || right == nullptr) return false;
  const std::string name = StringOf(names[0]);
  const bool is_equality = kind == "AEXPR_OP" && name == "=";
  if (!is_equality && kind != "AEXPR_DISTINCT" && !(kind == "AEXPR_OP" && name == "<>")) {
    return false;
  }
  const std::string left_column = ColumnNamed(*left, context.alias);
  const std::string right_column = ColumnNamed(*right, context.alias);
  return (!left_column.empty() && ExcludesChanged(left_column, *right, is_equality, context)) ||
         (!right_column.empty() && ExcludesChanged(right_column, *left, is_equality, context));
}

}  // namespace

std::vector<Conjunct> SplitIntoConjuncts(const std::string& where_clause,
                                         const ConjunctContext& context) {
  std::vector<std::string> pieces;
  const std::optional<AstValue> whole = ParseExpression(where_clause);
  if (!whole || !CutAtAnds(where_clause, pieces)) return {};

  AstArray wanted;
  FlattenAnds(*whole, wanted);
  if (pieces.size() != wanted.size()) return {};
  std::vector<Conjunct> conjuncts;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::optional<AstValue> tree = ParseExpression(pieces[i]);
    if (!tree || WithoutLocations(*tree) != wanted[i]) return {};
    conjuncts.push_back({pieces[i], ColumnsRead(*tree, context.alias),
                         IsSelfExcluding(*tree, context), NullColumn(*tree, context)});
  }
  return conjuncts;
}

}  // namespace pawl::schema
