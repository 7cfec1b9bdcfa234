#include "cli/drift_lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/format.h"

namespace pawl::cli {
namespace {

// Each line of it a comment, so that psql runs none.
std::string Commented(const std::string& sql) {
  std::string text = "-- loses data: ";
  for (const char c : sql) text += c == '\n' ? std::string("\n-- ") : std::string(1, c);
  return text;
}

std::string Target(const engine::DriftReport& report) {
  if (report.recorded_at.empty()) return report.against + " is";
  if (report.run)
    return fmt::format("it was when run {} had ended, {}", *report.run, report.recorded_at);
  return fmt::format("{} recorded it, {}", report.against, report.recorded_at);
}

}  // namespace

std::string DriftLines(const engine::DriftReport& report, const std::string& database) {
  const auto& statements = report.statements;
  if (statements.empty())
    return fmt::format("No difference: {} is as {}.", database, Target(report));
  const std::int64_t losing = std::count_if(statements.begin(), statements.end(),
                                            [](const auto& one) { return one.loses_data; });
  std::string text = fmt::format("-- {} would make {}\n-- as {}.\n",
                                 Counted(static_cast<std::int64_t>(statements.size()), "statement"),
                                 database, Target(report));
  if (losing > 0) {
    text += fmt::format("-- {} would lose data, and so {}: read before you run them.\n",
                        losing == 1 ? "One of them" : fmt::format("{} of them", losing),
                        losing == 1 ? "is a comment" : "are comments");
  }
  for (const auto& statement : statements) {
    text += "\n" + (statement.loses_data ? Commented(statement.sql) : statement.sql) + ";\n";
  }
  return text;
}

}  // namespace pawl::cli
