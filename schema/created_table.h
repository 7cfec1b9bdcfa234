// The shape of a table that does not exist yet, from its CREATE TABLE statement.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "db/session.h"
#include "schema/catalog.h"
#include "schema/place.h"
#include "schema/statement.h"

namespace pawl::schema {

using FindTable = std::function<std::optional<TableShape>(const TableName&)>;

// Returns columns and keys; the name is as written. `find` answers for LIKE. Adds a sentence to
// `notes` for whatever cannot be known. Throws db::Error (kBadInput) where a type or a table after
// LIKE does not exist.
TableShape ShapeOfCreated(db::Session& session, const Place& place, const Statement& statement,
                          const FindTable& find, std::vector<std::string>& notes);

}  // namespace pawl::schema
