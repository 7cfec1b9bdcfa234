// Statements that change the schema: the few that are short and safe as they stand, and for all
// others the reason why not.
//
// Thread safety: all functions.
#pragma once

#include "schema/ast.h"
#include "schema/place.h"
#include "schema/statement.h"

namespace pawl::schema {

// Fills `statement` from `node`, the parse tree of `statement.text`, which is no UPDATE, DELETE or
// INSERT. Throws db::Error (kBadInput) where a table is written with a database in front.
void TakeApartDdl(const Place& place, const AstValue& node, Statement& statement);

}  // namespace pawl::schema
