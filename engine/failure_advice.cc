#include "engine/failure_advice.h"

#include <string_view>

#include <fmt/format.h>

namespace pawl::engine {
namespace {

// Empty where the message already says it, or there is nothing to say but what went wrong.
std::string_view AdviceFor(std::string_view sqlstate) {
  if (sqlstate == "53100") return "Make room on the server's disk, then resume.";
  if (sqlstate == "53200") {
    return "Give the server more memory, or the run fewer workers, then resume.";
  }
  if (sqlstate == "42501") return "GRANT it to the role, as docs/operations.md says, then resume.";
  if (sqlstate == "25006") return "Make the server or the role take writes again, then resume.";
  // Undefined or mismatched: schema, table, column, function, operator, type, cast, and a prepared
  // statement whose table has changed.
  if (sqlstate == "3F000" || sqlstate == "42P01" || sqlstate == "42703" || sqlstate == "42883" ||
      sqlstate == "42704" || sqlstate == "42804" || sqlstate == "42846" || sqlstate == "0A000") {
    return "The table is no longer as it was planned: put it back as it was and resume, or give the run "
           "up and plan anew.";
  }
  return {};
}

}  // namespace

std::string WithAdvice(const db::Error& error) {
  std::string message = error.what();
  const std::string_view advice = AdviceFor(error.sqlstate());
  if (advice.empty() || message.find(advice) != std::string::npos) return message;
  return fmt::format("{}{} {}", message, message.ends_with('.') ? "" : ".", advice);
}

db::Error NoConnection(const db::Error& error) {
  return {
      db::Action::kStop,
      fmt::format("{} Or give the run fewer --workers. What is done is kept: the same command, or "
                  "`pawl resume`, carries on.",
                  error.what()),
      error.sqlstate()};
}

}  // namespace pawl::engine
