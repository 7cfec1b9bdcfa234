// Questions about a subtree of a parse tree: what it reads, calls and mentions, at any depth.
//
// Thread safety: all functions.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "schema/ast.h"
#include "schema/statement.h"

namespace pawl::schema {

// Calls `visit` with the name and body of every object below `tree`: a node's type ("ColumnRef") or
// the name of a typed member ("relation", "over"). Does not go below one for which it returns
// false.
void Walk(const AstValue& tree,
          const std::function<bool(std::string_view name, const AstObject& body)>& visit);

// True where a node of that type occurs at any depth.
bool Contains(const AstValue& tree, std::string_view type);

// Returns every column name mentioned bare or qualified by `alias`, in sub-selects too: a bare name
// there may belong to another table, so this is an over-estimate.
std::set<std::string> ColumnsRead(const AstValue& tree, const std::string& alias);

// Returns the column where `node` is a reference to one, bare or qualified by `alias`; else empty.
std::string ColumnNamed(const AstValue& node, const std::string& alias);

// Returns the parts of a ColumnRef, "*" for a star.
std::vector<std::string> ReferenceParts(const AstObject& column_ref);

// Returns every relation mentioned, in order and with repetitions, names of WITH queries left out
// where they are in scope.
std::vector<TableName> RelationsIn(const AstValue& tree);

// The relation that a RangeVar body names.
TableName RelationOf(const AstObject& range_var);

// Returns every function called, once each.
std::vector<FunctionCall> FunctionsIn(const AstValue& tree);

// The function that a FuncCall body calls.
FunctionCall FunctionOf(const AstObject& func_call);

// True where the value depends on when it is asked: CURRENT_TIMESTAMP and its like, now() and its
// like, 'now'::timestamptz.
bool ReadsClock(const AstValue& tree);

// True for string literals that date and time types read as a moment: 'now', 'today', ….
bool IsMomentWord(const std::string& literal);

// True where both may be the same relation. Without a schema the search path decides, so a missing
// one matches any.
bool MayBeSame(const TableName& left, const TableName& right);

}  // namespace pawl::schema
