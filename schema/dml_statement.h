// UPDATE, DELETE and INSERT … SELECT taken apart into the pieces of text of a Statement.
//
// The tree says what the pieces are, the tokens say where they end, and the pieces, parsed on their
// own and put together again, must give the same tree. If not, the statement is turned away: a
// piece that is cut in the wrong place would change the wrong rows.
//
// A statement refused for good keeps its names and refusals; its pieces stay empty.
//
// Thread safety: all functions.
#pragma once

#include <string>

#include "schema/ast.h"
#include "schema/place.h"
#include "schema/statement.h"

namespace pawl::schema {

// Each fills `statement` from `body`, the parse tree of `statement.text` alone, whose locations are
// positions in that text. Throws db::Error (kBadInput) where the text cannot be taken apart.
void TakeApartUpdate(const Place& place, const AstObject& body, Statement& statement);
void TakeApartDelete(const Place& place, const AstObject& body, Statement& statement);
void TakeApartInsert(const Place& place, const AstObject& body, Statement& statement);

// The three below serve the three above.

// The name by which expressions know the relation of a RangeVar body.
std::string AliasOf(const AstObject& range_var);

// Throws where the relation cannot be named in a batch, for example with a database in front.
void CheckRelation(const Place& place, const AstObject& range_var);

// Returns a RangeVar body as SQL text, quoted, with its alias if it has one.
std::string RelationText(const AstObject& range_var);

// Fills where_clause and conjuncts, with `alias` the name of the walked table.
void TakeApartWhere(const Place& place, const std::string& where_clause, const std::string& alias,
                    Statement& statement);

// Fills has_subselect, other_tables, functions and reads_clock from the body.
void FillWhatIsRead(const AstObject& body, Statement& statement);

// Throws unless `composed` means the same as `statement.text`.
void ProveComposition(const Place& place, const std::string& composed, const Statement& statement);

[[noreturn]] void FailToTakeApart(const Place& place, const std::string& part);

}  // namespace pawl::schema
