#include "schema/assigned_columns.h"

#include <algorithm>

#include <fmt/format.h>

#include "schema/near_name.h"

namespace pawl::schema {
namespace {

std::string NearColumn(const TableShape& target, const std::string& name) {
  std::vector<std::string> names;
  for (const TableColumn& column : target.columns) names.push_back(column.column.name);
  const std::string near = NearName(name, names);
  return near.empty() ? "Check its name." : fmt::format("Did you mean \"{}\"?", near);
}

const TableColumn& RequireAssignable(const PlannedStatement& planned, const std::string& name) {
  const TableColumn* column = planned.target.Find(name);
  if (column == nullptr) {
    planned.Fail(fmt::format("column \"{}\" of table {} does not exist", name,
                             Readable(planned.target.name)),
                 NearColumn(planned.target, name));
  }
  if (column->is_generated) {
    planned.Fail(fmt::format("column \"{}\" of table {} is generated and cannot be assigned", name,
                             Readable(planned.target.name)),
                 "Assign the columns that it is computed from.");
  }
  return *column;
}

}  // namespace

std::vector<std::string> ResolveInsertColumns(const PlannedStatement& planned) {
  std::vector<std::string> columns = planned.statement.insert_columns;
  if (columns.empty()) {
    for (const TableColumn& column : planned.target.columns) {
      if (columns.size() == planned.statement.select_items.size()) break;
      columns.push_back(column.column.name);
    }
  }
  if (columns.size() != planned.statement.select_items.size()) {
    planned.Fail(fmt::format("the INSERT has {} columns and the SELECT has {}", columns.size(),
                             planned.statement.select_items.size()),
                 "Name the columns on both sides.");
  }
  for (const std::string& name : columns) {
    if (RequireAssignable(planned, name).is_identity_always &&
        planned.statement.overriding.empty()) {
      planned.Fail(fmt::format("column \"{}\" is GENERATED ALWAYS AS IDENTITY", name),
                   "Leave it out, or write OVERRIDING SYSTEM VALUE.");
    }
  }
  return columns;
}

void CheckAssignedColumns(const PlannedStatement& planned) {
  const std::vector<std::string> partition_columns =
      planned.target.oid == 0 ? std::vector<std::string>{}
                              : ReadPartitionColumns(planned.session(), planned.target.oid);
  for (const Assignment& assignment : planned.statement.assignments) {
    RequireAssignable(planned, assignment.column);
    if (std::find(partition_columns.begin(), partition_columns.end(), assignment.column) !=
        partition_columns.end()) {
      planned.Fail(
          fmt::format("column \"{}\" decides in which partition of {} a row lies, so changing "
                      "it moves rows between tables",
                      assignment.column, Readable(planned.target.name)),
          "INSERT … SELECT the rows into their new partition and DELETE the old ones.");
    }
  }
}

}  // namespace pawl::schema
