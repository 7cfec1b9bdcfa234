#include "schema/sync_trigger.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/shape_trigger.h"

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

std::string Derived(const SyncTrigger& trigger) {
  std::string text;
  for (std::size_t i = 0; i < trigger.assigned.size(); ++i) {
    text += fmt::format("        pawl_derived.{} := pawl_computed.x{};\n",
                        QuoteName(trigger.assigned[i].first), i + 1);
  }
  return text;
}

// A condition on its own lines, so that a comment in it ends before what follows.
std::string Condition(const std::string& text) {
  return text.empty() ? "true" : fmt::format("(\n{}\n)", text);
}

std::string Body(const SyncTrigger& trigger) {
  std::string computed;
  std::string assignments;
  std::string untouched;
  std::string held;
  std::string expected;
  for (std::size_t i = 0; i < trigger.assigned.size(); ++i) {
    const auto& [column, expression] = trigger.assigned[i];
    const std::string name = QuoteName(column);
    const char* comma = i == 0 ? "" : ", ";
    computed += fmt::format("{}(\n{}\n) AS x{}", comma, expression, i + 1);
    assignments += fmt::format("    NEW.{} := pawl_computed.x{};\n", name, i + 1);
    untouched += fmt::format(" AND ROW(NEW.{0})::record *= ROW(OLD.{0})::record", name);
    held += fmt::format("{}OLD.{}", comma, name);
    // Assigned, an expression takes the type of its column.
    expected += fmt::format("{}pawl_derived.{}", comma, name);
  }
#ifndef PAWL_MUTANT_sync_where
  const std::string applies = Condition(trigger.where);
#else
  const std::string applies = "true";
#endif
  return fmt::format(
      R"(
#variable_conflict use_column
DECLARE
  pawl_computed record;
  pawl_derived record;
  pawl_applies boolean;
BEGIN
  SELECT true INTO pawl_applies FROM (SELECT NEW.*) AS {alias} WHERE {where};
  IF pawl_applies IS NOT TRUE AND TG_OP = 'UPDATE' THEN
    IF true{untouched} THEN
      SELECT {computed} INTO pawl_computed FROM (SELECT OLD.*) AS {alias} WHERE {base};
      IF FOUND THEN
        pawl_derived := OLD;
{derived}        pawl_applies := ROW({held})::record *= ROW({expected})::record;
      END IF;
    END IF;
  END IF;
  IF pawl_applies IS NOT TRUE THEN
    RETURN NEW;
  END IF;
  SELECT {computed} INTO pawl_computed FROM (SELECT NEW.*) AS {alias} WHERE {base};
  IF FOUND THEN
{assignments}  END IF;
  RETURN NEW;
END
)",
      fmt::arg("alias", QuoteName(trigger.alias)), fmt::arg("where", applies),
      fmt::arg("base", Condition(trigger.base_where)), fmt::arg("computed", computed),
      fmt::arg("untouched", untouched), fmt::arg("held", held), fmt::arg("expected", expected),
      fmt::arg("derived", Derived(trigger)), fmt::arg("assignments", assignments));
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
  return fmt::format(
      R"(CREATE FUNCTION {0}() RETURNS trigger
  LANGUAGE plpgsql{1}
AS {2};
CREATE TRIGGER {3}
  BEFORE {4} ON {5}
  FOR EACH ROW
  EXECUTE FUNCTION {0}())",
      FunctionName(trigger), FunctionSettings(trigger.search_path, trigger.time_zone),
      DollarQuoted(Body(trigger)), TriggerName(trigger), Events(trigger), TableSql(trigger));
}

std::string RenderSyncOff(const SyncTrigger& trigger) {
  return fmt::format(R"(DROP TRIGGER IF EXISTS {} ON {};
DROP FUNCTION IF EXISTS {}())",
                     TriggerName(trigger), TableSql(trigger), FunctionName(trigger));
}

}  // namespace pawl::schema
