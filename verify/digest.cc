#include "verify/digest.h"

#include <fmt/format.h>

// Inlined: a call into the shared library costs as much as hashing a short row.
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace pawl::verify {

RowDigest DigestRow(std::string_view row) {
  const XXH128_hash_t hash = XXH3_128bits(row.data(), row.size());
  return {.low = hash.low64, .high = hash.high64};
}

void RangeDigest::Add(const RowDigest& row) {
  AddToSum(row.low, row.high);
  ++row_count_;
}

void RangeDigest::Add(const RangeDigest& range) {
  AddToSum(range.sum_low_, range.sum_high_);
  row_count_ += range.row_count_;
}

void RangeDigest::AddToSum(std::uint64_t low, std::uint64_t high) {
  sum_low_ += low;
  const std::uint64_t carry = sum_low_ < low ? 1 : 0;
  sum_high_ += high + carry;
}

std::string RangeDigest::ToText() const {
  return fmt::format("{:016x}{:016x}:{}", sum_high_, sum_low_, row_count_);
}

}  // namespace pawl::verify
