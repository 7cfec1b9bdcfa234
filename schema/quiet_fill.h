// The table's own triggers, for rows that Pawl fills in the place of a statement that fires none.
//
// Thread safety: none. Belongs to one planning.
#pragma once

#include "schema/planning.h"

namespace pawl::schema {

// Sets quiet_triggers in `options` where a trigger of the table would fire for every row that is
// filled: one that stamps the time of a change, or writes a history of it, would do so, and no revert
// takes that back. Changes nothing where the option is given. Throws db::Error (kBadInput) where the
// trigger cannot be kept quiet.
void KeepTriggersQuiet(const Planning& planning, const Place& place, const TableShape& table,
                       Options& options);

}  // namespace pawl::schema
