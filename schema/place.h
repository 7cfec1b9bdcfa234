// Where in a migration file a sentence belongs, and the one way such a sentence is thrown.
#pragma once

#include <string>

namespace pawl::schema {

struct Place {
  std::string file;  // With ".sql", as the reader knows it.
  int line = 1;      // From 1.
};

// Throws db::Error (kBadInput): "orders.sql, line 3: <what_was_wrong>. Nothing was changed.
// <remedy>". `what_was_wrong` has no full stop; `remedy` is a whole sentence.
[[noreturn]] void FailAt(const Place& place, const std::string& what_was_wrong,
                         const std::string& remedy);

}  // namespace pawl::schema
