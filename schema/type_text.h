// A column's type from the parse tree as SQL text.
//
// Thread safety: all functions.
#pragma once

#include <optional>
#include <string>

#include "schema/ast.h"

namespace pawl::schema {

// Returns the type of a TypeName body with its modifiers, fit for a cast: "numeric(10,2)",
// "text[]", "timestamptz", "\"app\".\"Money\"". Built-in types that have an SQL name get it
// ("integer"). Returns nullopt where a modifier is neither a constant nor a word.
std::optional<std::string> TypeText(const AstObject& type_name);

// True for serial and its like: a type in CREATE TABLE only, a sequence in truth.
bool IsSerial(const AstObject& type_name);

}  // namespace pawl::schema
