#include "cli/progress_lines.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cli/format.h"

namespace pawl::cli {
namespace {

constexpr std::size_t kBarColumnsMax = 30;
constexpr std::size_t kPlainColumnsMax = 1'000;
constexpr std::size_t kBarColumnsMin = 5;  // Anything shorter says less than the percentage.

std::string RowsText(const engine::Progress& progress) {
  if (progress.rows_estimated <= 0) return Rows(progress.rows_done);
  return fmt::format("{} of about {}", Grouped(progress.rows_done),
                     Rows(std::max(progress.rows_estimated, progress.rows_done)));
}

std::string RateText(const engine::Progress& progress, std::string_view unit) {
  if (progress.rows_per_second <= 0) return "";
  return fmt::format("{}{}", Grouped(std::llround(progress.rows_per_second)), unit);
}

std::string EtaText(const engine::Progress& progress) {
  const std::string range = DurationRange(progress.eta_seconds_low, progress.eta_seconds_high);
  return range.empty() ? range : range + " left";
}

std::string StepText(const engine::Progress& progress) {
  if (progress.step <= 0) return progress.state;
  return fmt::format("step {} of {}", progress.step, progress.steps);
}

std::string Bar(double fraction, std::size_t columns, bool utf8) {
  const double filled = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(columns);
  std::string bar;
  for (std::size_t i = 0; i < columns; ++i) {
    const bool done = static_cast<double>(i + 1) <= filled + 1e-9;
    bar += utf8 ? (done ? "█" : "░") : (done ? "#" : "-");
  }
  return bar;
}

std::string Joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::vector<std::string> filled;
  for (const std::string& part : parts) {
    if (!part.empty()) filled.push_back(part);
  }
  return fmt::format("{}", fmt::join(filled, separator));
}

std::vector<std::string> WorkParts(const engine::Progress& progress) {
  return {progress.workers > 0 ? Counted(progress.workers, "worker") : "",
          progress.batch_rows > 0 ? "batches of " + Grouped(progress.batch_rows) : "",
          progress.hot_share >= 0 ? fmt::format("HOT {:.0f} %", progress.hot_share * 100) : ""};
}

}  // namespace

std::array<std::string, 2> LiveLines(const engine::Progress& progress, const TerminalShape& shape) {
  const std::size_t columns = shape.columns > 1 ? shape.columns - 1 : 1;  // The last one may wrap.
  const auto words = [&](const std::string& rows) {
    return Joined({PaddedLeft(Percent(progress.fraction), 7), rows, RateText(progress, "/s"),
                   EtaText(progress)},
                  "  ");
  };
  std::string first = words(RowsText(progress));
  if (DisplayWidth(first) > columns) first = words(Grouped(progress.rows_done));
  const std::size_t taken = DisplayWidth(first) + 1;
  const std::size_t bar = std::min(columns > taken ? columns - taken : 0, kBarColumnsMax);
  if (bar >= kBarColumnsMin) first = Bar(progress.fraction, bar, shape.utf8) + " " + first;

  // Why it waits is what the reader wants to know most; what is cut off is at the end.
  std::vector<std::string> parts = {StepText(progress), progress.note};
  for (std::string& part : WorkParts(progress)) parts.push_back(std::move(part));
  parts.push_back(progress.step_title);
  return {Fitted(first, columns), Fitted(Joined(parts, shape.utf8 ? " · " : " | "), columns)};
}

std::string PlainLine(const engine::Progress& progress) {
  std::vector<std::string> parts = {Percent(progress.fraction), RowsText(progress),
                                    RateText(progress, " rows/s"), EtaText(progress)};
  for (std::string& part : WorkParts(progress)) parts.push_back(std::move(part));
  parts.push_back(progress.note);
  const std::string line =
      Joined({Joined({StepText(progress), progress.step_title}, ", "), Joined(parts, ", ")}, ": ");
  return Fitted(line, kPlainColumnsMax);
}

}  // namespace pawl::cli
