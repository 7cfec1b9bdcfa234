#include "verify/row_matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "db/error.h"

namespace pawl::verify {

void PrintTo(const Difference& difference, std::ostream* out) {
  constexpr const char* kKinds[] = {"missing", "extra", "changed"};
  *out << difference.key << " " << kKinds[difference.kind];
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class RowMatcherTest : public ::testing::Test {
 protected:
  void Source(const std::string& key, const std::string& values) {
    matcher_.AddSource(DigestRow(key + "|" + values), key);
  }
  void Target(const std::string& key, const std::string& values) {
    matcher_.AddTarget(DigestRow(key + "|" + values), key);
  }
  std::vector<Difference> Differences(std::int64_t differences_max = 100) {
    return matcher_.Differences(differences_max);
  }

  RowMatcher matcher_{100};
};

TEST_F(RowMatcherTest, EqualRowsCancelInAnyOrder) {
  Source("1", "a");
  Target("2", "b");
  Target("1", "a");
  Source("2", "b");
  EXPECT_THAT(Differences(), IsEmpty());
}

TEST_F(RowMatcherTest, NamesEachKind) {
  Source("1", "only here");
  Target("2", "only there");
  Source("3", "a");
  Target("3", "b");
  EXPECT_THAT(Differences(), ElementsAre(Difference{"1", Difference::kMissing},
                                         Difference{"2", Difference::kExtra},
                                         Difference{"3", Difference::kChanged}));
}

TEST_F(RowMatcherTest, CountsDuplicates) {
  for (int i = 0; i < 3; ++i) Source("1", "a");
  for (int i = 0; i < 2; ++i) Target("1", "a");
  EXPECT_THAT(Differences(), ElementsAre(Difference{"1", Difference::kMissing}));
  for (int i = 0; i < 3; ++i) Target("1", "a");
  EXPECT_THAT(Differences(), ElementsAre(Difference{"1", Difference::kExtra},
                                         Difference{"1", Difference::kExtra}));
}

TEST_F(RowMatcherTest, PairsRowsOfAKeyThatRepeats) {
  Source("1", "a");
  Source("1", "b");
  Source("1", "c");
  Target("1", "x");
  EXPECT_THAT(Differences(), ElementsAre(Difference{"1", Difference::kChanged},
                                         Difference{"1", Difference::kMissing},
                                         Difference{"1", Difference::kMissing}));
}

TEST_F(RowMatcherTest, NullIsAKeyOfItsOwn) {
  matcher_.AddSource(DigestRow("null"), std::nullopt);
  Target("NULL", "text");
  Target("", "empty");
  EXPECT_THAT(Differences(), ElementsAre(Difference{"NULL", Difference::kMissing},
                                         Difference{"", Difference::kExtra},
                                         Difference{"NULL", Difference::kExtra}));
}

TEST_F(RowMatcherTest, IntegersAscend) {
  for (const char* key : {"10", "9", "100", "1"}) Source(key, "a");
  EXPECT_THAT(
      Differences(),
      ElementsAre(Difference{"1", Difference::kMissing}, Difference{"9", Difference::kMissing},
                  Difference{"10", Difference::kMissing}, Difference{"100", Difference::kMissing}));
}

TEST_F(RowMatcherTest, StopsAtTheLimit) {
  for (int i = 0; i < 50; ++i) Source("1", "a");
  Source("2", "a");
  EXPECT_EQ(Differences(50).size(), 50u);
  EXPECT_EQ(Differences(51).size(), 51u);
  EXPECT_EQ(Differences(1000).size(), 51u);
  EXPECT_THAT(Differences(0), IsEmpty());
}

TEST_F(RowMatcherTest, HoldsDifferencesNotRows) {
  for (int i = 0; i < 10'000; ++i) {
    Source(std::to_string(i), "a");
    Target(std::to_string(i), "a");
  }
  EXPECT_THAT(Differences(), IsEmpty());
}

TEST_F(RowMatcherTest, RefusesToHoldMoreThanAllowed) {
  for (int i = 0; i < 100; ++i) Source(std::to_string(i), "a");
  try {
    Source("100", "a");
    FAIL();
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kStop);
    EXPECT_STREQ(error.what(),
                 "Cannot name the rows that differ, because more than 100 would have to be held in "
                 "memory. Compare smaller ranges.");
  }
}

}  // namespace
}  // namespace pawl::verify
