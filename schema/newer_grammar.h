// Says of SQL that could not be parsed whether it is of a later PostgreSQL than the parser.
//
// libpg_query has the grammar of one version, and the server may be newer. A statement of the newer
// one would be refused as a mistake of its writer.
//
// Thread safety: all functions.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace pawl::schema {

// The version whose grammar schema/ast.h reads: "15".
std::string_view GrammarVersion();

// Returns what to do about `error`, which ParseSql has found at byte `offset` of `sql`, in whole
// sentences: what is newer there, if it is a form that is known, else how to go on with any.
std::string RemedyForSyntax(const std::string& sql, const std::string& error, std::size_t offset);

}  // namespace pawl::schema
