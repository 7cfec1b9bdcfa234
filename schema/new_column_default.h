// What a new column's default and type mean for the rows that are there already.
//
// Thread safety: none. Functions use the session given to them.
#pragma once

#include <string>

#include "db/session.h"

namespace pawl::schema {

// True where PostgreSQL computes the default anew for each row, and so writes all of them: where
// something in it is volatile. Else each old row has the one value that is computed when the column is
// added (now() is one moment), and the catalogue keeps it. In doubt true: the rows are then filled in
// batches, which is right for any default.
bool IsComputedForEachRow(db::Session& session, const std::string& default_value);

// Why a new column of the type is written into every row, whatever the statement says: a domain with a
// constraint, or with such a default of its own. Empty where it is not.
std::string RewriteByType(db::Session& session, const std::string& type);

}  // namespace pawl::schema
