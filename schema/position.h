// A place in the order of a table's rows: the key values of a row as text, or a tid in block order.
// Ranges are half open on the left, (lo, hi], so that a range ends with the key of its last row.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::schema {

using Position = std::vector<std::string>;

// nullopt as `lo` means: from the very first row.
struct Range {
  std::optional<Position> lo;
  Position hi;
};

// The JSON array of strings in which positions are stored: ["17"], ["a","2021-01-01"].
std::string ToText(const Position& position);
// Throws db::Error (kStop) when `text` is not such an array.
Position PositionFrom(const std::string& text);

// Throws db::Error (kStop): the control schema holds `text`, which is no `what`.
[[noreturn]] void FailDamaged(std::string_view what, const std::string& text);

// "17" or "(a, 2021-01-01)", for people.
std::string Display(const Position& position);

}  // namespace pawl::schema
