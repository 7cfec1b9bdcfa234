// Looks at the plan of a batch statement before it is used: a scan of the whole table per batch is
// refused, because its cost grows with the table times the number of batches. And at the table
// after it: names are looked up anew with each batch, and another table may have taken the name.
#pragma once

#include "db/pipeline.h"
#include "schema/plan.h"

namespace pawl::engine {

// Throws db::Error (kStop) where `call`, a batch of `backfill`, would scan all of the walked table.
void CheckPlan(db::Pipeline& pipeline, const schema::Backfill& backfill, const db::Call& call);

// A statement for the end of a batch, which then holds a lock that keeps the name where it is. It
// fails with a message that holds kReplaced where the walked table is not the one that was planned
// for, kIndexGone where the index that bounds each batch is no more, and kColumnsChanged where
// whole rows are kept to be taken back and the table has other columns than were planned. Requires
// walked_oid to be known.
inline constexpr const char* kReplaced = "pawl: table replaced";
inline constexpr const char* kIndexGone = "pawl: key index gone";
inline constexpr const char* kColumnsChanged = "pawl: columns changed";
db::Call SameTableCall(const schema::Backfill& backfill);

// True where EXPLAIN's JSON holds a scan of `alias` on table `name` that is not bounded by an index
// or tid condition. Pure.
bool ScansWholeTable(const std::string& explain_json, const std::string& name,
                     const std::string& alias);

}  // namespace pawl::engine
