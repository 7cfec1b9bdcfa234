#include "cli/throttle_lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/format.h"

namespace pawl::cli {
namespace {

// A coordinator decides eight times a second; what is older was decided by none that lives.
constexpr double kOldSeconds = 5;

std::string Verdict(const engine::ThrottleReport& report) {
  if (!report.decided) return "nothing was decided yet";
  if (report.age_seconds > kOldSeconds) {
    return fmt::format("no process has decided anything for {}", Duration(report.age_seconds));
  }
  if (!report.sentence.empty()) return report.sentence;
  return report.application_present ? "at full speed"
                                    : "at full speed: nobody else is at work in the database";
}

std::string SignalLine(const engine::ThrottleReport::Signal& signal) {
  const std::string pressure =
      signal.readable ? fmt::format("{:.0f} %", 100 * std::min(signal.pressure, 99.0)) : "unread";
  return fmt::format("\n  {}  {}  {}  {}", PaddedRight(signal.name, 17),
                     PaddedRight(signal.kind, 6), PaddedLeft(pressure, 6), signal.sentence);
}

// Equal moments that follow each other are one line.
std::string Minute(const engine::ThrottleReport& report) {
  std::string text;
  std::size_t i = 0;
  while (i < report.minute.size()) {
    const auto& first = report.minute[i];
    std::size_t end = i + 1;
    double level = first.level;
    while (end < report.minute.size() && report.minute[end].held == first.held &&
           end - i < (first.held ? report.minute.size() : 10)) {
      level += report.minute[end++].level;
    }
    const double mean = level / static_cast<double>(end - i);
    text +=
        fmt::format("\n  {:>3.0f} s ago  {}", first.seconds_ago,
                    first.held ? first.sentence
                               : fmt::format("{:.2f} workers of {:g}{}{}", mean, report.level_max,
                                             first.sentence.empty() ? "" : ", ", first.sentence));
    i = end;
  }
  return text;
}

}  // namespace

std::string ThrottleText(const engine::ThrottleReport& report, bool why) {
  std::string text = fmt::format("Run {} ({}) is {}: {}", report.run, report.migration,
                                 report.state, Verdict(report));
  if (report.decided && !report.held) {
    text += fmt::format("\n  level {:.2f} of {:g} workers' worth", report.level, report.level_max);
    if (report.pace > 0) text += fmt::format(", pace {} rows/s", Grouped(report.pace));
  }
  if (!why) return text;
  for (const auto& signal : report.signals) text += SignalLine(signal);
  for (const std::string& note : report.notes) text += "\n  " + note;
  if (!report.minute.empty()) text += "\nThe last minute" + Minute(report);
  if (!report.values.empty()) {
    text += "\nSettings";
    for (const auto& [name, value] : report.values) text += fmt::format("\n  {}={}", name, value);
  }
  for (std::size_t i = 0; i < report.changes.size(); ++i) {
    const auto& change = report.changes[i];
    text += fmt::format("{}\n  {} {} from {}: {}", i == 0 ? "\nSet by hand" : "", change.at,
                        change.who, change.from, change.what);
  }
  return text;
}

}  // namespace pawl::cli
