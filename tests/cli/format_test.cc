#include "cli/format.h"

#include <gtest/gtest.h>

namespace pawl::cli {
namespace {

TEST(FormatTest, NumbersAreGroupedByThousands) {
  EXPECT_EQ(Grouped(0), "0");
  EXPECT_EQ(Grouped(999), "999");
  EXPECT_EQ(Grouped(1'000), "1,000");
  EXPECT_EQ(Grouped(1'000'000), "1,000,000");
  EXPECT_EQ(Grouped(-12'345), "-12,345");
  EXPECT_EQ(Grouped(-999), "-999");
  EXPECT_EQ(Grouped(std::int64_t{-9'223'372'036'854'775'807} - 1), "-9,223,372,036,854,775,808");
}

TEST(FormatTest, OneIsSingular) {
  EXPECT_EQ(Rows(1), "1 row");
  EXPECT_EQ(Rows(0), "0 rows");
  EXPECT_EQ(Counted(2'000, "difference"), "2,000 differences");
}

TEST(FormatTest, BytesAreInBinaryUnits) {
  EXPECT_EQ(Bytes(512), "512 bytes");
  EXPECT_EQ(Bytes(1'024), "1.0 KiB");
  EXPECT_EQ(Bytes(1'572'864), "1.5 MiB");
  EXPECT_EQ(Bytes(std::int64_t{20} << 30), "20 GiB");
  EXPECT_EQ(Bytes((1 << 20) - 1), "1.0 MiB");  // Not "1024 KiB".
}

TEST(FormatTest, DurationsHaveAtMostTwoUnits) {
  EXPECT_EQ(Duration(0), "0 ms");
  EXPECT_EQ(Duration(0.25), "250 ms");
  EXPECT_EQ(Duration(6.2), "6.2 s");
  EXPECT_EQ(Duration(45), "45 s");
  EXPECT_EQ(Duration(59.9), "1 min");
  EXPECT_EQ(Duration(185), "3 min 5 s");
  EXPECT_EQ(Duration(4'800), "1 h 20 min");
  EXPECT_EQ(Duration(3'600), "1 h");
  EXPECT_EQ(Duration(51 * 3'600), "2 d 3 h");
  EXPECT_EQ(Duration(-1), "unknown");
  EXPECT_EQ(Duration(1e300), "unknown");
}

TEST(FormatTest, PercentIsNeverRoundedUpToDone) {
  EXPECT_EQ(Percent(0.4239), "42.3 %");
  EXPECT_EQ(Percent(0.9999), "99.9 %");
  EXPECT_EQ(Percent(1), "100.0 %");
  EXPECT_EQ(Percent(0.29), "29.0 %");  // 0.29 * 1000 is a hair below 290.
  EXPECT_EQ(Percent(7), "100.0 %");
}

TEST(FormatTest, AnEstimateIsARange) {
  EXPECT_EQ(DurationRange(180, 300), "3 to 5 min");
  EXPECT_EQ(DurationRange(3.1, 4.9), "3 to 5 s");
  EXPECT_EQ(DurationRange(40, 120), "40 s to 2 min");
  EXPECT_EQ(DurationRange(12.1, 12.2), "12 s");
  EXPECT_EQ(DurationRange(3'600, 7'200), "60 min to 2 h");
  EXPECT_EQ(DurationRange(-1, -1), "");
  EXPECT_EQ(DurationRange(5, 1e300), "");
}

TEST(FormatTest, FittedTextNeverExceedsItsColumns) {
  EXPECT_EQ(Fitted("abcdef", 3), "abc");
  EXPECT_EQ(Fitted("a\nb\tc", 9), "a b c");
  EXPECT_EQ(Fitted("é·█", 2), "é·");
  EXPECT_EQ(Fitted("表表", 3), "表");
  EXPECT_EQ(DisplayWidth("表a█"), 4U);
  EXPECT_EQ(Fitted("\xe8", 5).size(), 1U);  // Cut in the middle of a character.
}

}  // namespace
}  // namespace pawl::cli
