// Why an UPDATE, DELETE or INSERT … SELECT cannot run in batches as written, as far as its text
// shows.
//
// Thread safety: all functions.
#pragma once

#include <string>
#include <vector>

#include "schema/ast.h"
#include "schema/statement.h"

namespace pawl::schema {

// Each takes the statement's body and the statement with its names filled in (target, alias,
// source, source_alias), and returns the refusals in a fixed order, once each.
std::vector<Refusal> RefusalsOfUpdate(const AstObject& body, const Statement& statement);
std::vector<Refusal> RefusalsOfDelete(const AstObject& body, const Statement& statement);
std::vector<Refusal> RefusalsOfInsert(const AstObject& body, const Statement& statement);

// The first table of a FROM list, with which an INSERT … SELECT is walked; nullptr if the list does
// not begin with a plain table.
const AstObject* WalkedSource(const AstArray& from_list);

// True where no `allow=` can help.
bool IsRefusedForGood(const std::vector<Refusal>& refusals);

}  // namespace pawl::schema
