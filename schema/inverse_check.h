// The proof that an inverse given by the user takes a row back.
#pragma once

#include "schema/planning.h"

namespace pawl::schema {

// Computes new values of sampled rows, takes them back, and compares byte by byte. Throws db::Error
// (kBadInput) with what to do where a value differs, or no inverse can be given for the statement.
void ProveInverse(const PlannedStatement& planned, const TableShape& walked,
                  const Backfill& backfill);

}  // namespace pawl::schema
