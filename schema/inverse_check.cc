#include "schema/inverse_check.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/quote.h"
#include "schema/statement_check.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

constexpr std::chrono::seconds kTimeMax{20};
constexpr int kRowsMax = 10'000;

Statement InverseStatement(const PlannedStatement& planned, const std::string& inverse) {
  const MigrationFile file = ParseMigration(
      "inverse",
      fmt::format("UPDATE {} AS {} SET {}",
                  QuoteName(planned.statement.target.schema, planned.statement.target.name),
                  QuoteName(planned.statement.alias), inverse));
  std::set<std::string> columns;
  for (const Assignment& assignment : file.statements.at(0).assignments) {
    columns.insert(assignment.column);
    if (!assignment.expression) columns.clear();
  }
  if (columns != planned.facts.assigned) {
    planned.Fail("the inverse does not assign the same columns as the statement",
                 fmt::format("Assign each of: {}.", fmt::join(planned.facts.assigned, ", ")));
  }
  return file.statements.at(0);
}

const ChangedColumn* ChangedOf(const Backfill& backfill, const std::string& name) {
  const auto found =
      std::find_if(backfill.changed.begin(), backfill.changed.end(),
                   [&](const ChangedColumn& changed) { return changed.column.name == name; });
  return found == backfill.changed.end() ? nullptr : &*found;
}

const std::string& ExpressionOf(const Statement& back, const std::string& name) {
  return *std::find_if(back.assignments.begin(), back.assignments.end(),
                       [&](const Assignment& one) { return one.column == name; })
              ->expression;
}

// The changed rows are a table of the walked one's name: with the new values under the columns' own
// names, which the inverse reads, and the old ones beside them.
std::string InverseSql(const PlannedStatement& planned, const TableShape& walked,
                       const Backfill& backfill, const Statement& back) {
  const std::string alias = QuoteName(planned.alias());
  std::vector<std::string> row;
  std::vector<std::string> olds;
  std::vector<std::string> taken_back;
  for (const TableColumn& table_column : walked.columns) {
    const Column& column = table_column.column;
    const std::string name = QuoteName(column.name);
    const ChangedColumn* changed = ChangedOf(backfill, column.name);
    if (changed == nullptr) {
      row.push_back(alias + "." + name);
      continue;
    }
    if (!changed->expression) {
      planned.Fail("the statement has values of no expression of their own", "Use undo=image.");
    }
    olds.push_back(fmt::format("pawl_old_{}", olds.size()));
    taken_back.push_back(fmt::format("({})::{}", ExpressionOf(back, column.name), column.type));
    row.push_back(fmt::format("({})::{} AS {}", *changed->expression, column.type, name));
    row.push_back(fmt::format("{}.{} AS {}", alias, name, olds.back()));
  }
  const std::string& where = planned.statement.where_clause;
  return fmt::format(R"(
SELECT pg_catalog.count(*) FILTER (WHERE NOT old_values OPERATOR(pg_catalog.*=) new_values),
       pg_catalog.count(*)
  FROM (SELECT ROW({}) AS old_values, ROW({}) AS new_values
          FROM (SELECT {} FROM {}{} LIMIT {}) AS {}) AS pawl_rows)",
                     fmt::join(olds, ", "), fmt::join(taken_back, ", "), fmt::join(row, ", "),
                     RelationSql(walked, planned.alias()),
                     where.empty() ? std::string() : " WHERE (" + where + ")", kRowsMax, alias);
}

}  // namespace

void ProveInverse(const PlannedStatement& planned, const TableShape& walked,
                  const Backfill& backfill) {
  const std::string* inverse = OptionOf(planned.statement, "inverse");
  if (inverse == nullptr) {
    planned.Fail("undo=inverse is given without the inverse",
                 "Write inverse=\"column = expression\", which takes a changed row back.");
  }
  if (planned.statement.kind != StatementKind::kUpdate || !planned.statement.from_clause.empty()) {
    planned.Fail("an inverse can be given for an UPDATE of one table only", "Use undo=image.");
  }
  const Statement back = InverseStatement(planned, *inverse);
  std::string error;
  const std::optional<db::Result> result =
      planned.planning.reading.Try(InverseSql(planned, walked, backfill, back), kTimeMax, error);
  if (!result) {
    planned.Fail(fmt::format("the inverse cannot be evaluated: {}", error), "Correct the inverse.");
  }
  const std::int64_t rows_off = db::ToInt(result->rows.at(0)[0]);
  if (rows_off == 0) return;
  planned.Fail(
      fmt::format("the inverse does not give back the old values: {} of {} rows looked at differ",
                  rows_off, db::ToInt(result->rows.at(0)[1])),
      "Correct the inverse, or leave it out: then the old values are kept.");
}

}  // namespace pawl::schema
