// Matches the rows of two readings, in any order, and names those that differ. Knows no database.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "verify/digest.h"

namespace pawl::verify {

struct Difference {
  enum Kind {
    kMissing,  // In the source, not in the target.
    kExtra,    // In the target, not in the source.
    kChanged,  // On both sides under one key, with different values.
  };

  std::string key;  // The key's text; "NULL" if it is NULL.
  Kind kind = kMissing;

  friend bool operator==(const Difference&, const Difference&) = default;
};

// Two multisets of rows. Equal rows of the two sides cancel as they come, so that what is held is
// the difference so far and not the rows.
//
// Thread safety: none.
class RowMatcher {
 public:
  // Takes `rows_held_max` rows at most: 100 bytes each, and the key.
  explicit RowMatcher(std::int64_t rows_held_max) : rows_held_max_(rows_held_max) {}

  // Adds a row. `digest` is that of the whole row, key included; `key` nullopt is a key that is
  // NULL. Throws db::Error (kStop) if more rows than allowed would be held.
  void AddSource(const RowDigest& digest, std::optional<std::string_view> key) {
    Add(digest, key, 1);
  }
  void AddTarget(const RowDigest& digest, std::optional<std::string_view> key) {
    Add(digest, key, -1);
  }

  // Returns the differing rows, ordered by the length of their keys, then by the keys' bytes, so
  // that integers ascend; at most `differences_max`. If a key has n rows in the source only and m
  // in the target only, min(n, m) of them are kChanged and the rest kMissing or kExtra.
  std::vector<Difference> Differences(std::int64_t differences_max) const;

 private:
  // Rows with one digest, more often on one side: positive for the source.
  struct Surplus {
    std::optional<std::string> key;
    std::int64_t row_count = 0;
  };

  void Add(const RowDigest& digest, std::optional<std::string_view> key, std::int64_t row_count);

  std::int64_t rows_held_max_;
  std::map<RowDigest, Surplus> surpluses_;
};

}  // namespace pawl::verify
