// Looks at the plan of a batch statement before it is used: a scan of the whole table per batch is
// refused, because its cost grows with the table times the number of batches.
#pragma once

#include "db/pipeline.h"
#include "schema/plan.h"

namespace pawl::engine {

// Throws db::Error (kStop) where `call`, a batch of `backfill`, would scan all of the walked table.
void CheckPlan(db::Pipeline& pipeline, const schema::Backfill& backfill, const db::Call& call);

// True where EXPLAIN's JSON holds a scan of `alias` on table `name` that is not bounded by an index
// or tid condition. Pure.
bool ScansWholeTable(const std::string& explain_json, const std::string& name, const std::string& alias);

}  // namespace pawl::engine
