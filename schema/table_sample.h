// What a few pages of a table tell about all of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schema/catalog.h"
#include "schema/read_transaction.h"

namespace pawl::schema {

struct TableSample {
  std::int64_t rows_in_table = 0;
  double rows_per_page = 0;
  double share_matching = 1;    // Of the rows, by `condition`.
  std::int64_t row_bytes = 0;   // Average, with TOAST.
  double correlation = 1;       // Of block number and rank of the key, -1 to 1; 1 where unknown.
  bool condition_known = true;  // False where it could not be evaluated: then all rows count.
  std::string condition_error;  // Why not.
};

// Reads about 300 pages of `table`, or all of a smaller one. `condition` is a boolean expression
// over `alias`, or empty. Throws db::Error where even the plain rows cannot
// be read.
TableSample ReadSample(ReadTransaction& reading, const TableShape& table, const std::string& alias,
                       const KeyIndex* key, const std::string& condition);

}  // namespace pawl::schema
