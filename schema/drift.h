// The difference between two pictures as SQL.
//
// Everything that stands in the way is removed first, what needs others before what is needed; then
// everything is made or changed in the opposite order. An object that cannot be changed in place is
// removed and made again, and so is everything that needs it.
//
//     from: view v -> column c (integer)          DROP VIEW v
//     to:   view v -> column c (bigint)           ALTER TABLE t ALTER COLUMN c TYPE bigint …
//                                                 CREATE VIEW v …
//
// The order of columns is no difference: no statement could mend it.
#pragma once

#include <string>
#include <vector>

#include "schema/picture.h"

namespace pawl::schema {

struct DriftStatement {
  std::string sql;  // One statement, without a semicolon.
  // It would destroy what a person may still want (a column, a table, digits), or makes again what such
  // a statement has destroyed.
  bool loses_data = false;
};

// The statements that turn a database that looks like `from` into one that looks like `to`, in an
// order that runs. Empty where there is no difference.
std::vector<DriftStatement> Difference(const Picture& from, const Picture& to);

// Whether values of type `from` may be changed, not only refused, when they become `to`: both as
// format_type() writes them.
bool LosesValues(const std::string& from, const std::string& to);

}  // namespace pawl::schema
