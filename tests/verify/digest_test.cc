#include "verify/digest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace pawl::verify {
namespace {

RangeDigest DigestOf(const std::vector<std::string>& rows) {
  RangeDigest digest;
  for (const std::string& row : rows) digest.Add(DigestRow(row));
  return digest;
}

// From xxHash's own test vectors and command line: `printf abc | xxhsum -H2`.
TEST(DigestTest, IsXxh3AndStaysIt) {
  EXPECT_EQ(DigestRow(""), (RowDigest{.low = 0x6001c324468d497f, .high = 0x99aa06d3014798d8}));
  EXPECT_EQ(DigestOf({"abc"}).ToText(), "06b05ab6733a618578af5f94892f3950:1");
}

TEST(DigestTest, ChangesWithEachByte) {
  for (const std::size_t size : {1, 16, 128, 240, 241, 1024, 5000}) {
    const std::string row(size, 'x');
    for (std::size_t index = 0; index < size; ++index) {
      std::string changed = row;
      changed[index] = 'y';
      EXPECT_NE(DigestRow(changed), DigestRow(row)) << "byte " << index << " of " << size;
    }
  }
}

TEST(DigestTest, DoesNotDependOnOrder) {
  std::vector<std::string> rows;
  for (int i = 0; i < 1000; ++i) rows.push_back(std::to_string(i));
  const RangeDigest ascending = DigestOf(rows);
  std::shuffle(rows.begin(), rows.end(), std::mt19937(1));
  EXPECT_EQ(DigestOf(rows), ascending);
}

TEST(DigestTest, DuplicatesDoNotCancel) {
  EXPECT_NE(DigestOf({"a", "a"}), DigestOf({"b", "b"}));
  EXPECT_NE(DigestOf({"a", "a", "b"}), DigestOf({"a", "b", "b"}));
  EXPECT_NE(DigestOf({"a", "a", "b"}), DigestOf({"b"}));
}

TEST(DigestTest, CountsRowsWhoseDigestIsZero) {
  RangeDigest digest;
  digest.Add(RowDigest{});
  EXPECT_NE(digest, RangeDigest{});
  EXPECT_EQ(digest.row_count(), 1);
}

TEST(DigestTest, RangesAddUp) {
  RangeDigest sum = DigestOf({"a", "b"});
  sum.Add(DigestOf({"c"}));
  sum.Add(RangeDigest{});
  EXPECT_EQ(sum, DigestOf({"a", "b", "c"}));
}

TEST(DigestTest, CarriesIntoTheUpperHalf) {
  RangeDigest digest;
  digest.Add(RowDigest{.low = ~std::uint64_t{0}, .high = 0});
  digest.Add(RowDigest{.low = 1, .high = 0});
  EXPECT_EQ(digest.ToText(), "00000000000000010000000000000000:2");
  digest.Add(digest);
  EXPECT_EQ(digest.ToText(), "00000000000000020000000000000000:4");
}

TEST(DigestTest, EmptyTextIsSpelledOut) {
  EXPECT_EQ(RangeDigest{}.ToText(), "00000000000000000000000000000000:0");
}

}  // namespace
}  // namespace pawl::verify
