#include "schema/quiet_fill.h"

#include <fmt/format.h>

#include "schema/backfill_planner.h"
#include "schema/shape_trigger.h"

namespace pawl::schema {

void KeepTriggersQuiet(const Planning& planning, const Place& place, const TableShape& table,
                       Options& options) {
  if (options.contains("quiet_triggers")) return;
  const UserTrigger* firing = nullptr;
  const UserTrigger* unstoppable = nullptr;  // It fires where the others are quiet.
  for (const UserTrigger& trigger : table.triggers) {
    if (!trigger.on_update || !trigger.update_columns.empty()) continue;
    if (trigger.name.starts_with(kShapeTriggerPrefix)) continue;  // Not of the filled column.
    if (trigger.fires_in_origin) firing = &trigger;
    if (trigger.fires_in_replica) unstoppable = &trigger;
  }
  if (firing == nullptr) return;
  if (unstoppable == nullptr && MayBeQuiet(planning.reading.session())) {
    options["quiet_triggers"] = "true";
    return;
  }
  const UserTrigger& named = unstoppable == nullptr ? *firing : *unstoppable;
  FailAt(place,
         fmt::format("trigger {} of {} would fire for every row that is filled, as the plain "
                     "statement does not let it",
                     named.name, Readable(table.name)),
         unstoppable == nullptr
             ? "Use a role that may set session_replication_role, so that it does not; or write "
               "quiet_triggers=false above the statement if it may fire."
             : fmt::format("It is ENABLE ALWAYS or REPLICA, so it cannot be kept quiet. Write "
                           "quiet_triggers=false above the statement if {} may fire.",
                           firing->name));
}

}  // namespace pawl::schema
