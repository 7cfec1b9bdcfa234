// A plan for a tired person: one block a step, what it does, what it costs, what to look out for.
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "schema/catalog.h"
#include "schema/planner.h"

namespace pawl::schema {
namespace {

std::string Count(std::int64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string Size(std::int64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit < 4) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 || value >= 10 ? fmt::format("{:.0f} {}", value, kUnits[unit])
                                  : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string Duration(double seconds) {
  if (seconds < 1) return "1 s";
  if (seconds < 120) return fmt::format("{:.0f} s", std::ceil(seconds));
  if (seconds < 7'200) return fmt::format("{:.0f} min", std::ceil(seconds / 60));
  return fmt::format("{:.1f} h", seconds / 3'600);
}

std::string TimeRange(const Estimate& estimate) {
  const std::string low = Duration(estimate.seconds_low);
  const std::string high = Duration(estimate.seconds_high);
  return low == high ? "about " + high : low + " to " + high;
}

void AddLine(std::string& text, const char* name, const std::string& value) {
  text += fmt::format("     {:<8} {}\n", name, value);
}

std::string OrderText(const Backfill& backfill) {
  std::string order = NameOf(backfill.order);
  if (backfill.stride > 1) order += fmt::format(", 1 row in {}", backfill.stride);
  if (!backfill.key.empty()) {
    std::string columns;
    for (const Column& column : backfill.key) {
      columns += (columns.empty() ? "" : ", ") + column.name;
    }
    order += fmt::format(" (key {}: {})", backfill.key_index, columns);
  }
  return order;
}

void DescribeBackfill(const Step& step, std::string& text) {
  const Backfill& backfill = *step.backfill;
  const Estimate& estimate = step.estimate;
  AddLine(text, "rows",
          fmt::format("about {} of {}, in about {} {}", Count(estimate.rows),
                      Count(backfill.rows_in_table), Count(estimate.batches),
                      estimate.batches == 1 ? "batch" : "batches"));
  AddLine(text, "order", OrderText(backfill));
  AddLine(text, "why", step.why);
  AddLine(text, "lock", step.lock);
  AddLine(text, "time", TimeRange(estimate));
  AddLine(text, "WAL", "about " + Size(estimate.wal_bytes));
  AddLine(text, "undo",
          fmt::format("{}, about {}", NameOf(backfill.undo), Size(estimate.undo_bytes)));
  AddLine(text, "growth", "about " + Size(estimate.growth_bytes));
}

std::string UndoText(const Step& step) {
  if (step.kind == StepKind::kCutOver) {
    return step.inverse.empty() ? "by the steps of the way back"
                                : "the same with the names in each other's place";
  }
  const bool is_for_the_way_back = step.sql.empty() && !step.inverse.empty();
  if (step.kind == StepKind::kWayBack || is_for_the_way_back) {
    return "none: it is done when the run is taken back";
  }
  if (step.inverse.empty()) return "none";
  if (step.is_own && step.kind == StepKind::kDdl && step.inverse.find('\n') != std::string::npos) {
    return "drops what it made";
  }
  if (step.kind == StepKind::kSyncOn) return "drops the trigger and its function";
  if (step.kind == StepKind::kSyncOff) return "creates the trigger and its function again";
  return step.inverse;
}

void DescribeStep(const Plan& plan, const Step& step, std::string& text) {
  text += fmt::format("{:>3}. {}\n", step.number, step.title);
  AddLine(text, "phase", PhaseOf(plan, step));
  if (step.backfill) {
    DescribeBackfill(step, text);
  } else {
    AddLine(text, "lock", step.lock);
    AddLine(text, "why", step.why);
    AddLine(text, "undo", UndoText(step));
  }
  for (const std::string& note : step.notes) AddLine(text, "note", note);
  text += "\n";
}

std::string RetentionText(std::int64_t seconds) {
  const bool is_days = seconds % 86'400 == 0;
  const std::int64_t count = seconds / (is_days ? 86'400 : 3'600);
  return fmt::format("{} {}{}", count, is_days ? "day" : "hour", count == 1 ? "" : "s");
}

Estimate TotalOf(const Plan& plan) {
  Estimate total;
  for (const Step& step : plan.steps) {
    total.rows += step.estimate.rows;
    total.batches += step.estimate.batches;
    total.wal_bytes += step.estimate.wal_bytes;
    total.undo_bytes += step.estimate.undo_bytes;
    total.growth_bytes += step.estimate.growth_bytes;
    total.seconds_low += step.estimate.seconds_low;
    total.seconds_high += step.estimate.seconds_high;
  }
  return total;
}

}  // namespace

std::string Describe(const Plan& plan) {
  std::string text = fmt::format("Plan of {} for database {} (PostgreSQL {})\n\n", plan.migration,
                                 plan.database, plan.server_version / 10000);
  for (const Step& step : plan.steps) DescribeStep(plan, step, text);
  for (const std::string& note : plan.notes) text += "Note: " + note + "\n";
  if (plan.retention_s > 0) {
    text += fmt::format(
        "Note: what is set aside is kept for {} at least: until then `pawl contract` "
        "is refused, but with --now.\n",
        RetentionText(plan.retention_s));
  }
  const Estimate total = TotalOf(plan);
  text += fmt::format(
      "Total: {} {}, about {} rows, {}, WAL {}, undo {}, growth {}.\n"
      "These are estimates from a sample, for one worker and no throttling.\n\n"
      "Plan {}\nNothing was written.\n",
      plan.steps.size(), plan.steps.size() == 1 ? "step" : "steps", Count(total.rows),
      TimeRange(total), Size(total.wal_bytes), Size(total.undo_bytes), Size(total.growth_bytes),
      plan.hash);
  return text;
}

}  // namespace pawl::schema
