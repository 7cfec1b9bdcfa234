#include "schema/ast.h"

#include <pg_query.h>

#include <cctype>
#include <cstdint>
#include <memory>

namespace pawl::schema {
namespace {

// Two levels of JSON per operator, so about 1,500 operators in one chain; a frame of the recursive
// walks takes well under 1 kB, so 3,000 levels stay below half of an 8 MB stack.
constexpr std::size_t kDepthMax = 3'000;

// Owns one result of libpg_query, which hands out memory in structs of its own.
template <typename Result, void (*Free)(Result)>
class Owned {
 public:
  explicit Owned(Result result) : result_(result) {}
  ~Owned() { Free(result_); }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;

  const Result* operator->() const { return &result_; }

 private:
  Result result_;
};

using ParseResult = Owned<PgQueryParseResult, pg_query_free_parse_result>;
using ProtobufResult = Owned<PgQueryProtobufParseResult, pg_query_free_protobuf_parse_result>;
using DeparseResult = Owned<PgQueryDeparseResult, pg_query_free_deparse_result>;

std::size_t ByteOffset(const std::string& sql, int character_from_1) {
  int characters = 0;
  for (std::size_t i = 0; i < sql.size(); ++i) {
    const bool begins_character = (static_cast<unsigned char>(sql[i]) & 0xc0) != 0x80;
    if (begins_character && ++characters == character_from_1) return i;
  }
  return sql.size();
}

// Returns the integer literal at `offset`, which may begin with a minus sign some spaces away.
std::int64_t IntegerAt(const std::string& sql, std::size_t offset) {
  const bool negative = sql[offset] == '-';
  const std::size_t digits = sql.find_first_of("0123456789", offset);
  if (digits == std::string::npos) return 0;
  std::int64_t value = 0;
  for (std::size_t i = digits; i < sql.size() && value < (1LL << 40); ++i) {
    if (std::isdigit(static_cast<unsigned char>(sql[i])) == 0) break;
    value = value * 10 + (sql[i] - '0');
  }
  return negative ? -value : value;
}

// libpg_query 15 leaves every integer constant below 1 out of its JSON, so -1 and -2 would look the
// same. Their positions are there, so they are read from the text again.
void RestoreIntegers(AstValue& tree, const std::string& sql) {
  if (tree.is_array()) {
    for (AstValue& element : tree.get_array()) RestoreIntegers(element, sql);
    return;
  }
  if (!tree.is_object()) return;
  for (auto& [key, member] : tree.get_object()) {
    if (key == "A_Const" && member.is_object()) {
      AstObject& constant = member.get_object();
      AstValue* integer = constant.if_contains("ival");
      const std::size_t offset = LocationOf(constant);
      if (integer != nullptr && integer->is_object() && integer->get_object().empty() &&
          offset > 0 && offset < sql.size()) {
        integer->get_object()["ival"] = IntegerAt(sql, offset);
      }
    }
    RestoreIntegers(member, sql);
  }
}

bool IsPosition(const AstObject::value_type& member) {
  const std::string_view key = member.key();
  return (key == "location" || key == "stmt_location" || key == "stmt_len") &&
         member.value().is_int64();
}

// Returns the body of the only SELECT in `sql`.
std::optional<AstObject> ParseSelect(const std::string& sql) {
  const std::optional<AstValue> statement = ParseOneStatement(sql);
  if (!statement) return std::nullopt;
  const AstObject* select = NodeOf(*statement, "SelectStmt");
  if (select == nullptr) return std::nullopt;
  return *select;
}

}  // namespace

ParsedSql ParseSql(const std::string& sql) {
  ParsedSql parsed;
  const ParseResult result(pg_query_parse(sql.c_str()));
  if (result->error != nullptr) {
    parsed.error = result->error->message;
    parsed.error_offset = ByteOffset(sql, result->error->cursorpos);
    return parsed;
  }
  boost::json::parse_options options;
  options.max_depth = kDepthMax;
  boost::json::error_code code;
  AstValue tree = boost::json::parse(result->parse_tree, code, {}, options);
  if (code) {
    parsed.error = code == boost::json::error::too_deep ? "an expression is nested too deeply"
                                                        : "the parse tree is unreadable";
    return parsed;
  }
  AstArray* statements = nullptr;
  if (AstValue* member = tree.as_object().if_contains("stmts")) statements = member->if_array();
  if (statements == nullptr) return parsed;
  for (AstValue& statement : *statements) RestoreIntegers(statement, sql);
  parsed.statements = std::move(*statements);
  return parsed;
}

std::optional<AstValue> ParseOneStatement(const std::string& sql) {
  ParsedSql parsed = ParseSql(sql);
  if (!parsed.error.empty() || parsed.statements.size() != 1) return std::nullopt;
  const AstValue* statement = Member(parsed.statements[0].get_object(), "stmt");
  if (statement == nullptr) return std::nullopt;
  return *statement;
}

std::optional<AstValue> ParseExpression(const std::string& sql) {
  // The parentheses keep a trailing word from being taken for a column's new name. A comma inside
  // makes a row of it, which compares unequal to whatever the caller expects.
  const std::optional<AstObject> select = ParseSelect("SELECT (" + sql + "\n)");
  if (!select || select->size() > 3 || ArrayMember(*select, "targetList").size() != 1) {
    return std::nullopt;
  }
  const AstObject* item = NodeOf(ArrayMember(*select, "targetList")[0], "ResTarget");
  if (item == nullptr || Member(*item, "val") == nullptr || Member(*item, "name") != nullptr) {
    return std::nullopt;
  }
  return *Member(*item, "val");
}

std::optional<AstValue> ParseFromList(const std::string& sql) {
  const std::optional<AstObject> select = ParseSelect("SELECT FROM " + sql);
  // Nothing but the list, limitOption and op.
  if (!select || select->size() > 3 || Member(*select, "fromClause") == nullptr) {
    return std::nullopt;
  }
  return *Member(*select, "fromClause");
}

AstValue WithoutLocations(const AstValue& tree) {
  if (tree.is_array()) {
    AstArray elements;
    for (const AstValue& element : tree.get_array()) elements.push_back(WithoutLocations(element));
    return elements;
  }
  if (!tree.is_object()) return tree;
  AstObject members;
  for (const AstObject::value_type& member : tree.get_object()) {
    if (!IsPosition(member)) members.emplace(member.key(), WithoutLocations(member.value()));
  }
  return members;
}

bool SameMeaning(const AstValue& left, const AstValue& right) {
  return WithoutLocations(left) == WithoutLocations(right);
}

std::string CanonicalSql(const std::string& sql) {
  const std::optional<AstValue> tree = ParseOneStatement(sql);
  const ProtobufResult parsed(pg_query_parse_protobuf(sql.c_str()));
  if (!tree || parsed->error != nullptr) return sql;
  const DeparseResult deparsed(pg_query_deparse_protobuf(parsed->parse_tree));
  if (deparsed->error == nullptr) {
    std::string canonical = deparsed->query;
    const std::optional<AstValue> again = ParseOneStatement(canonical);
    if (again && SameMeaning(*tree, *again)) return canonical;
  }
  return boost::json::serialize(WithoutLocations(*tree));
}

std::string_view NodeType(const AstValue& node) {
  const AstObject* object = node.if_object();
  if (object == nullptr || object->size() != 1) return {};
  return object->begin()->key();
}

const AstObject* NodeOf(const AstValue& node, std::string_view type) {
  return NodeType(node) == type ? node.get_object().begin()->value().if_object() : nullptr;
}

const AstValue* Member(const AstObject& body, std::string_view name) {
  return body.if_contains(name);
}

const AstObject* ObjectMember(const AstObject& body, std::string_view name) {
  const AstValue* member = body.if_contains(name);
  return member == nullptr ? nullptr : member->if_object();
}

const AstArray& ArrayMember(const AstObject& body, std::string_view name) {
  static const AstArray kNone;
  const AstValue* member = body.if_contains(name);
  const AstArray* array = member == nullptr ? nullptr : member->if_array();
  return array == nullptr ? kNone : *array;
}

std::string TextMember(const AstObject& body, std::string_view name) {
  const AstValue* member = body.if_contains(name);
  if (member == nullptr || !member->is_string()) return {};
  return std::string(member->get_string());
}

bool FlagMember(const AstObject& body, std::string_view name) {
  const AstValue* member = body.if_contains(name);
  return member != nullptr && member->is_bool() && member->get_bool();
}

std::size_t LocationOf(const AstObject& body) {
  const AstValue* member = body.if_contains("location");
  if (member == nullptr || !member->is_int64() || member->get_int64() < 0) return 0;
  return static_cast<std::size_t>(member->get_int64());
}

std::string StringOf(const AstValue& node) {
  const AstObject* body = NodeOf(node, "String");
  return body == nullptr ? std::string() : TextMember(*body, "sval");
}

}  // namespace pawl::schema
