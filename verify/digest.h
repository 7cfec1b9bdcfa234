// The digest of a row and of a set of rows.
//
// A row's canonical form is its binary COPY bytes (db/copy_stream.h); its digest is their XXH3-128.
// Equal forms are stricter than SQL's `=`: numeric 1.0 and 1.00, 0.0 and -0.0, text with and
// without trailing spaces, NULL and '' all differ; one jsonb written with its keys in another order
// does not, because jsonb stores no order. Text is in the session's client_encoding. Arrays and
// composites carry the OIDs of their types, so across databases cast those of user-defined types to
// text.
//
// A range digest is the sum of its row digests modulo 2^128, and their count. It does not depend on
// the order of rows, and, unlike with xor, a row that comes twice does not vanish. It finds
// accidents; it is not meant to stop someone who builds rows in order to collide.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pawl::verify {

struct RowDigest {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  friend auto operator<=>(const RowDigest&, const RowDigest&) = default;
};

// Returns the digest of a row's canonical form. The value is the same on every machine and in every
// version of Pawl: digests are stored in reports and compared years later.
RowDigest DigestRow(std::string_view row);

// The digest of a multiset of rows; a value like an int.
//
// Thread safety: const methods.
class RangeDigest {
 public:
  // Adds one row.
  void Add(const RowDigest& row);

  // Adds all rows of another range.
  void Add(const RangeDigest& range);

  std::int64_t row_count() const { return row_count_; }

  // Returns the sum as 32 hexadecimal digits, a colon and the count:
  // "00000000000000000000000000000000:0" for no rows. Two digests are equal when their texts are.
  std::string ToText() const;

  friend bool operator==(const RangeDigest&, const RangeDigest&) = default;

 private:
  void AddToSum(std::uint64_t low, std::uint64_t high);

  std::uint64_t sum_low_ = 0;
  std::uint64_t sum_high_ = 0;
  std::int64_t row_count_ = 0;
};

}  // namespace pawl::verify
