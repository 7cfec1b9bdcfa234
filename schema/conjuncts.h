// WHERE clauses taken apart at their outermost ANDs, and which of the operands hide a changed row.
//
// Thread safety: all functions.
#pragma once

#include <string>
#include <vector>

#include "schema/statement.h"

namespace pawl::schema {

// What decides whether an operand is self-excluding: Conjunct in schema/statement.h.
struct ConjunctContext {
  std::string alias;                    // By which the condition knows the walked table.
  std::vector<Assignment> assignments;  // Empty for DELETE and INSERT: then nothing is.
  bool has_from = false;                // A bare column may belong to another table.
};

// Returns the operands in order; the whole condition where there is no AND. Returns nothing where
// the pieces, parsed on their own, do not mean what `where_clause` means: then it cannot be taken
// apart.
std::vector<Conjunct> SplitIntoConjuncts(const std::string& where_clause,
                                         const ConjunctContext& context);

}  // namespace pawl::schema
