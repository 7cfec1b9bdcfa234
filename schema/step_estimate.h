// What a backfill will cost, roughly: from figures measured on PostgreSQL 15 with rows of 280 bytes
// and three indexes. Arithmetic only; it decides nothing.
//
// Thread safety: all functions.
#pragma once

#include <cstdint>

#include "schema/plan.h"

namespace pawl::schema {

// `index_count` counts the indexes of the target.
Estimate EstimateStep(const Backfill& backfill, std::int64_t index_count);

}  // namespace pawl::schema
