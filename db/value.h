// Values as text, the one form in which they travel between Pawl and the server (streams of rows
// aside). Session settings pin the text forms, so text goes there and back without loss.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pawl::db {

using Value = std::optional<std::string>;  // nullopt is NULL.
using Row = std::vector<Value>;

struct Result {
  std::vector<Row> rows;
  std::int64_t affected = 0;
};

// Return the value as a number or text. A NULL or malformed value is a programmer's error.
std::int64_t ToInt(const Value& value);
double ToDouble(const Value& value);
bool ToBool(const Value& value);
const std::string& ToText(const Value& value);

}  // namespace pawl::db
