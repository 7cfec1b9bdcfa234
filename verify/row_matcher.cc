#include "verify/row_matcher.h"

#include <fmt/format.h>

#include <algorithm>

#include "db/error.h"

namespace pawl::verify {
namespace {

using Key = std::optional<std::string>;

struct ReportOrder {
  bool operator()(const Key& left, const Key& right) const {
    if (!left || !right) return !left && right;
    if (left->size() != right->size()) return left->size() < right->size();
    return *left < *right;
  }
};

struct RowCounts {
  std::int64_t source = 0;
  std::int64_t target = 0;
};

}  // namespace

void RowMatcher::Add(const RowDigest& digest, std::optional<std::string_view> key,
                     std::int64_t row_count) {
  const auto [position, is_new] = surpluses_.try_emplace(digest);
  if (is_new && key) position->second.key = *key;
  position->second.row_count += row_count;
  if (position->second.row_count == 0) surpluses_.erase(position);
  if (static_cast<std::int64_t>(surpluses_.size()) > rows_held_max_) {
    throw db::Error(db::Action::kStop,
                    fmt::format("Cannot name the rows that differ, because more than {} would have "
                                "to be held in memory. Compare smaller ranges.",
                                rows_held_max_));
  }
}

std::vector<Difference> RowMatcher::Differences(std::int64_t differences_max) const {
  std::map<Key, RowCounts, ReportOrder> keys;
  for (const auto& [digest, surplus] : surpluses_) {
    RowCounts& counts = keys[surplus.key];
    if (surplus.row_count > 0) counts.source += surplus.row_count;
    if (surplus.row_count < 0) counts.target -= surplus.row_count;
  }

  std::vector<Difference> differences;
  for (const auto& [key, counts] : keys) {
    const auto append = [&](std::int64_t row_count, Difference::Kind kind) {
      const auto room = differences_max - static_cast<std::int64_t>(differences.size());
      const auto appended = static_cast<std::size_t>(std::min(row_count, room));
      differences.insert(differences.end(), appended, {.key = key.value_or("NULL"), .kind = kind});
    };
    const std::int64_t changed = std::min(counts.source, counts.target);
    append(changed, Difference::kChanged);
    append(counts.source - changed, Difference::kMissing);
    append(counts.target - changed, Difference::kExtra);
  }
  return differences;
}

}  // namespace pawl::verify
