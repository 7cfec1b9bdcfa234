#include "schema/sync_trigger.h"

#include <fmt/format.h>

#include "db/quote.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

std::string FunctionName(const SyncTrigger& trigger) {
  return QuoteName("pawl", "sync_" + trigger.suffix);
}

std::string TriggerName(const SyncTrigger& trigger) {
  return QuoteName("zz_pawl_sync_" + trigger.suffix);
}

std::string TableSql(const SyncTrigger& trigger) {
  return QuoteName(trigger.table.schema, trigger.table.name);
}

std::string Settings(const SyncTrigger& trigger) {
  std::string settings;
  if (!trigger.search_path.empty()) settings += "\n  SET search_path = " + trigger.search_path;
  if (!trigger.time_zone.empty()) {
    settings += "\n  SET \"TimeZone\" = " + db::QuoteLiteral(trigger.time_zone);
  }
  return settings;
}

// A tag that does not occur in the body, or the body would end early.
std::string TagFor(const std::string& body) {
  std::string tag = "$pawl$";
  while (body.find(tag) != std::string::npos) tag.insert(tag.size() - 1, "_");
  return tag;
}

std::string Body(const SyncTrigger& trigger) {
  std::string computed;
  std::string assignments;
  for (std::size_t i = 0; i < trigger.assigned.size(); ++i) {
    const auto& [column, expression] = trigger.assigned[i];
    computed += fmt::format("{}({}) AS x{}", i == 0 ? "" : ", ", expression, i + 1);
    assignments += fmt::format("    NEW.{} := pawl_computed.x{};\n", QuoteName(column), i + 1);
  }
  return fmt::format(R"(
#variable_conflict use_column
DECLARE
  pawl_computed record;
BEGIN
  SELECT {} INTO pawl_computed
    FROM (SELECT NEW.*) AS {}
   WHERE {};
  IF FOUND THEN
{}  END IF;
  RETURN NEW;
END
)",
                     computed, QuoteName(trigger.alias),
                     trigger.base_where.empty() ? "true" : trigger.base_where, assignments);
}

std::string Events(const SyncTrigger& trigger) {
  std::string columns;
  for (const std::string& column : trigger.columns_read) {
    columns += (columns.empty() ? "" : ", ") + QuoteName(column);
  }
  return columns.empty() ? "INSERT" : "INSERT OR UPDATE OF " + columns;
}

}  // namespace

std::string RenderSyncOn(const SyncTrigger& trigger) {
  const std::string body = Body(trigger);
  const std::string tag = TagFor(body);
  return fmt::format(R"(CREATE FUNCTION {0}() RETURNS trigger
  LANGUAGE plpgsql{1}
AS {2}{3}{2};
CREATE TRIGGER {4}
  BEFORE {5} ON {6}
  FOR EACH ROW
  EXECUTE FUNCTION {0}())",
                     FunctionName(trigger), Settings(trigger), tag, body, TriggerName(trigger),
                     Events(trigger), TableSql(trigger));
}

std::string RenderSyncOff(const SyncTrigger& trigger) {
  return fmt::format(R"(DROP TRIGGER IF EXISTS {} ON {};
DROP FUNCTION IF EXISTS {}())",
                     TriggerName(trigger), TableSql(trigger), FunctionName(trigger));
}

}  // namespace pawl::schema
