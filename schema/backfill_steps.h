// A backfill as steps of the plan: the backfill itself, and the sync trigger around it where it
// needs one.
#pragma once

#include <string>
#include <vector>

#include "schema/planning.h"

namespace pawl::schema {

// Appends the steps to the planning's. `why` says why the order was chosen.
void AddBackfillSteps(const PlannedStatement& planned, const TableShape& walked, Backfill backfill,
                      const std::string& why, std::vector<std::string> notes);

}  // namespace pawl::schema
