// PostgreSQL's parse tree of a piece of SQL, as JSON: parsing, comparing and reading single nodes.
// Questions about whole subtrees are in schema/ast_queries.h.
//
// A node is an object of one member, named by its type: {"ColumnRef": {"fields": […], "location":
// 7}}. Members that have their default value are left out.
//
// Thread safety: all functions.
#pragma once

#include <boost/json.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace pawl::schema {

using AstValue = boost::json::value;
using AstObject = boost::json::object;
using AstArray = boost::json::array;

struct ParsedSql {
  // Each {"stmt": node, "stmt_location": …, "stmt_len": …}, in bytes.
  AstArray statements;
  std::string error;             // PostgreSQL's own words; empty if `sql` could be parsed.
  std::size_t error_offset = 0;  // In bytes.
};

// Parses any number of statements.
ParsedSql ParseSql(const std::string& sql);

// Returns the node of the only statement in `sql`, or nullopt if it is not exactly one.
std::optional<AstValue> ParseOneStatement(const std::string& sql);

// Returns the node of an expression, of a condition, or the nodes of a FROM list; nullopt if `sql`
// is not exactly that.
std::optional<AstValue> ParseExpression(const std::string& sql);
std::optional<AstValue> ParseFromList(const std::string& sql);

// Returns `tree` without any position in the text: two trees that are then equal mean the same.
AstValue WithoutLocations(const AstValue& tree);

// True where both mean the same, wherever in a text they stood.
bool SameMeaning(const AstValue& left, const AstValue& right);

// Returns one text for all ways to space, comment and capitalise the statement `sql`, which has
// been parsed before: what pg_query deparses, or, where that would not mean the same, the tree
// itself.
std::string CanonicalSql(const std::string& sql);

// The type of a node, for example "ColumnRef"; empty if `node` is none.
std::string_view NodeType(const AstValue& node);

// The body of a node of that type, else nullptr.
const AstObject* NodeOf(const AstValue& node, std::string_view type);

// Members of a body. Without such a member: nullptr, an empty array, an empty text, false.
const AstValue* Member(const AstObject& body, std::string_view name);
const AstObject* ObjectMember(const AstObject& body, std::string_view name);
const AstArray& ArrayMember(const AstObject& body, std::string_view name);
std::string TextMember(const AstObject& body, std::string_view name);
bool FlagMember(const AstObject& body, std::string_view name);

// Returns the byte position of a body, or 0.
std::size_t LocationOf(const AstObject& body);

// Returns the text of a {"String": …} node, or an empty text.
std::string StringOf(const AstValue& node);

}  // namespace pawl::schema
