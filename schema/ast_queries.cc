#include "schema/ast_queries.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace pawl::schema {
namespace {

void CollectRelations(const AstValue& tree, std::set<std::string> with_names,
                      std::vector<TableName>& found);

// A WITH query is known to those after it; with RECURSIVE, to all of them and to itself.
void CollectFromWith(const AstObject& with, std::set<std::string>& with_names,
                     std::vector<TableName>& found) {
  const AstArray& queries = ArrayMember(with, "ctes");
  const auto name_of = [](const AstValue& query) {
    const AstObject* body = NodeOf(query, "CommonTableExpr");
    return body == nullptr ? std::string() : TextMember(*body, "ctename");
  };
  if (FlagMember(with, "recursive")) {
    for (const AstValue& query : queries) with_names.insert(name_of(query));
  }
  for (const AstValue& query : queries) {
    CollectRelations(query, with_names, found);
    with_names.insert(name_of(query));
  }
}

void CollectRelations(const AstValue& tree, std::set<std::string> with_names,
                      std::vector<TableName>& found) {
  if (tree.is_array()) {
    for (const AstValue& element : tree.get_array()) CollectRelations(element, with_names, found);
    return;
  }
  if (!tree.is_object()) return;
  const AstObject& object = tree.get_object();
  if (const AstObject* with = ObjectMember(object, "withClause")) {
    CollectFromWith(*with, with_names, found);
  }
  for (const auto& [key, member] : object) {
    const AstObject* body = member.if_object();
    if (key == "withClause") continue;
    if (body != nullptr && Member(*body, "relname") != nullptr) {
      TableName table = RelationOf(*body);
      if (!table.schema.empty() || !with_names.contains(table.name)) found.push_back(table);
      continue;
    }
    CollectRelations(member, with_names, found);
  }
}

bool IsClockFunction(const AstObject& func_call) {
  static const std::set<std::string> kNames = {"now", "clock_timestamp", "statement_timestamp",
                                               "transaction_timestamp", "timeofday"};
  const FunctionCall call = FunctionOf(func_call);
  return (call.schema.empty() || call.schema == "pg_catalog") && kNames.contains(call.name);
}

bool IsClockValue(const AstObject& sql_value_function) {
  const std::string kind = TextMember(sql_value_function, "op");
  return kind.find("DATE") != std::string::npos || kind.find("TIME") != std::string::npos;
}

bool IsMomentCast(const AstObject& type_cast) {
  const AstValue* argument = Member(type_cast, "arg");
  const AstObject* constant = argument == nullptr ? nullptr : NodeOf(*argument, "A_Const");
  const AstObject* text = constant == nullptr ? nullptr : ObjectMember(*constant, "sval");
  return text != nullptr && IsMomentWord(TextMember(*text, "sval"));
}

}  // namespace

void Walk(const AstValue& tree,
          const std::function<bool(std::string_view name, const AstObject& body)>& visit) {
  if (tree.is_array()) {
    for (const AstValue& element : tree.get_array()) Walk(element, visit);
    return;
  }
  if (!tree.is_object()) return;
  for (const auto& [key, member] : tree.get_object()) {
    const AstObject* body = member.if_object();
    if (body == nullptr || visit(key, *body)) Walk(member, visit);
  }
}

bool Contains(const AstValue& tree, std::string_view type) {
  bool found = false;
  Walk(tree, [&](std::string_view name, const AstObject&) {
    found = found || name == type;
    return !found;
  });
  return found;
}

std::vector<std::string> ReferenceParts(const AstObject& column_ref) {
  std::vector<std::string> parts;
  for (const AstValue& field : ArrayMember(column_ref, "fields")) {
    parts.push_back(NodeType(field) == "A_Star" ? "*" : StringOf(field));
  }
  return parts;
}

std::set<std::string> ColumnsRead(const AstValue& tree, const std::string& alias) {
  std::set<std::string> columns;
  Walk(tree, [&](std::string_view name, const AstObject& body) {
    if (name != "ColumnRef") return true;
    const std::vector<std::string> parts = ReferenceParts(body);
    // With a third part, `alias` may be a table or, after it, a field of a composite: both are
    // read.
    if (parts.size() == 1) columns.insert(parts[0]);
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      if (parts[i] == alias) columns.insert(parts[i + 1]);
    }
    return false;
  });
  columns.erase("*");
  return columns;
}

std::string ColumnNamed(const AstValue& node, const std::string& alias) {
  const AstObject* reference = NodeOf(node, "ColumnRef");
  if (reference == nullptr) return {};
  const std::vector<std::string> parts = ReferenceParts(*reference);
  if (parts.back() == "*") return {};
  if (parts.size() == 1) return parts[0];
  return parts.size() == 2 && parts[0] == alias ? parts[1] : std::string();
}

TableName RelationOf(const AstObject& range_var) {
  return {TextMember(range_var, "schemaname"), TextMember(range_var, "relname")};
}

std::vector<TableName> RelationsIn(const AstValue& tree) {
  std::vector<TableName> found;
  CollectRelations(tree, {}, found);
  return found;
}

FunctionCall FunctionOf(const AstObject& func_call) {
  FunctionCall call;
  const AstArray& names = ArrayMember(func_call, "funcname");
  if (!names.empty()) call.name = StringOf(names[names.size() - 1]);
  if (names.size() > 1) call.schema = StringOf(names[names.size() - 2]);
  call.argument_count = static_cast<int>(ArrayMember(func_call, "args").size());
  return call;
}

std::vector<FunctionCall> FunctionsIn(const AstValue& tree) {
  std::vector<FunctionCall> calls;
  Walk(tree, [&](std::string_view name, const AstObject& body) {
    if (name != "FuncCall") return true;
    const FunctionCall call = FunctionOf(body);
    if (std::find(calls.begin(), calls.end(), call) == calls.end()) calls.push_back(call);
    return true;
  });
  return calls;
}

bool ReadsClock(const AstValue& tree) {
  bool found = false;
  Walk(tree, [&](std::string_view name, const AstObject& body) {
    found = found || (name == "SQLValueFunction" && IsClockValue(body)) ||
            (name == "FuncCall" && IsClockFunction(body)) ||
            (name == "TypeCast" && IsMomentCast(body));
    return !found;
  });
  return found;
}

bool IsMomentWord(const std::string& literal) {
  std::string word;
  for (const char c : literal) {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(c))));
    }
  }
  // A time may stand behind the word ('today 12:00'), a zone too ('now Europe/Berlin').
  return word.starts_with("now") || word.starts_with("today") || word.starts_with("tomorrow") ||
         word.starts_with("yesterday");
}

bool MayBeSame(const TableName& left, const TableName& right) {
  return left.name == right.name &&
         (left.schema.empty() || right.schema.empty() || left.schema == right.schema);
}

}  // namespace pawl::schema
