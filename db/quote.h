// The one way a name or a value becomes SQL text. Values travel as parameters wherever they can.
#pragma once

#include <string>
#include <string_view>

namespace pawl::db {

// Returns `name` in double quotes with quotes doubled. Always quoted, so that no key word
// surprises.
std::string QuoteName(std::string_view name);

// Returns "schema"."name", or just "name" where `schema` is empty.
std::string QuoteName(std::string_view schema, std::string_view name);

// Returns `value` as a string literal that is right under either setting of
// standard_conforming_strings.
std::string QuoteLiteral(std::string_view value);

}  // namespace pawl::db
