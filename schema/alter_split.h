// ALTER TABLE with several commands at once, as one statement for each.
//
// Thread safety: all functions.
#pragma once

#include <string>
#include <vector>

namespace pawl::schema {

struct SplitStatement {
  std::vector<std::string> statements;  // The text itself where there is nothing to split.
  // Why the order of the commands matters in a way that is not kept, as a sentence; else empty.
  std::string refusal;
};

// PostgreSQL runs the commands of one ALTER TABLE by kind: what is dropped first, then types, new
// columns, defaults, NOT NULL, constraints. Written in that order, they are the same one by one.
SplitStatement SplitAlterTable(const std::string& text);

}  // namespace pawl::schema
