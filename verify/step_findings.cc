#include "verify/step_findings.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace pawl::verify {

void StepFindings::AddVerified(std::int64_t rows) {
  const std::scoped_lock lock(mutex_);
  check_.rows_verified += rows;
}

void StepFindings::AddChangedSince(std::int64_t rows) {
  const std::scoped_lock lock(mutex_);
  check_.rows_changed_since += rows;
}

void StepFindings::AddDifferences(std::int64_t count) {
  const std::scoped_lock lock(mutex_);
  check_.differences_count += count;
}

void StepFindings::AddFinding(const std::string& key, const std::string& what) {
  const std::scoped_lock lock(mutex_);
  if (static_cast<std::int64_t>(check_.differences.size()) < differences_max_) {
    check_.differences.push_back({key, what});
  }
}

std::int64_t StepFindings::room() const {
  const std::scoped_lock lock(mutex_);
  return differences_max_ - static_cast<std::int64_t>(check_.differences.size());
}

void StepFindings::AddNote(const std::string& note) {
  const std::scoped_lock lock(mutex_);
  if (std::ranges::find(check_.notes, note) == check_.notes.end()) check_.notes.push_back(note);
}

void StepFindings::AddNoted(std::int64_t rows, const std::string& what) {
  if (rows == 0) return;
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find(noted_, what, [](const auto& noted) { return noted.first; });
  if (found == noted_.end()) {
    noted_.emplace_back(what, rows);
  } else {
    found->second += rows;
  }
}

StepCheck StepFindings::Take() {
  const std::scoped_lock lock(mutex_);
  for (const auto& [what, rows] : noted_) {
    check_.notes.push_back(fmt::format("{} {} {}", rows, rows == 1 ? "row" : "rows", what));
  }
  noted_.clear();
  // Shorter keys first, so that integers ascend.
  std::ranges::stable_sort(check_.differences, [](const Finding& left, const Finding& right) {
    return std::tuple(left.key.size(), left.key) < std::tuple(right.key.size(), right.key);
  });
  return std::move(check_);
}

}  // namespace pawl::verify
