#include "schema/dependent_trial.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/dependents.h"
#include "schema/shape_trigger.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

// Fails where a type can be the reason: no such operator or function, several of them, no cast, two types
// that do not meet, no collation, a constant that is none of that type.
std::string TrialSql(const std::string& query) {
  return "DO " + DollarQuoted(fmt::format(R"(
BEGIN
  EXECUTE {};
EXCEPTION
  WHEN undefined_function OR ambiguous_function OR cannot_coerce OR datatype_mismatch
    OR indeterminate_datatype OR collation_mismatch OR indeterminate_collation OR data_exception THEN
    RAISE;
  WHEN OTHERS THEN
    NULL;
END
)",
                                          db::QuoteLiteral(query)));
}

// A query of the table's name that gives it with the other type.
std::string StandIn(const TableShape& table, const std::string& column, const std::string& type) {
  std::string columns;
  for (const TableColumn& each : table.columns) {
    const std::string name = QuoteName(each.column.name);
    if (each.is_created) continue;
    columns += (columns.empty() ? "" : ", ") +
               (each.column.name == column ? fmt::format("NULL::{} AS {}", type, name) : name);
  }
  return fmt::format("{} AS (SELECT {} FROM {})", QuoteName(table.name.name), columns,
                     QuoteName(table.name.schema, table.name.name));
}

}  // namespace

std::string TrialObstacle(Planning& planning, const TableShape& table, const std::string& column,
                          const std::string& type) {
  db::Session& session = planning.reading.session();
  const auto set_path = [&](const std::string& path) {
    session.Execute("SET LOCAL search_path = " + path);
  };
  // Names of the table's schema are not qualified then, and mean what stands in for them.
  const std::string path = QuoteName(table.name.schema) + ", " + planning.search_path;
  set_path(path);
  const auto dependents = ReadDependents(session, table.name, column, ColumnFate::kNewType);
  std::string query = "WITH " + StandIn(table, column, type);
  for (std::size_t i = 0; i < dependents.size(); ++i) {
    const Dependent& dependent = dependents[i];
    const bool is_named =
        dependent.kind == DependentKind::kView && dependent.name.schema == table.name.schema;
    query += fmt::format(",\n{} AS ({})",
                         is_named ? QuoteName(dependent.name.name) : fmt::format("pawl_{}", i),
                         dependent.asking);
    set_path(path);
    std::string error;
    if (!planning.reading.Try(TrialSql(query + "\nSELECT 1"), std::chrono::seconds(2), error)) {
      return fmt::format("the {} cannot be made again over {}: {}", Readable(dependent), type,
                         error);
    }
  }
  set_path(planning.search_path);
  return {};
}

}  // namespace pawl::schema
