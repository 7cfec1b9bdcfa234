#include "verify/ledger_partition.h"

#include <gmock/gmock.h>

namespace pawl::verify {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LedgerPartitionTest : public ::testing::Test {
 protected:
  // Takes batches in the order given, numbered from 1, and collects what is wrong.
  void Add(std::optional<std::string> lo, const std::string& hi, std::int64_t residue_lo = 0,
           std::int64_t residue_hi = 1) {
    ++seq_;
    if (auto fault = partition_.Add({100 + seq_, seq_, lo, hi, residue_lo, residue_hi})) {
      faults_.push_back(*fault);
    }
  }

  std::vector<std::string> Finish() {
    if (auto fault = partition_.Finish()) faults_.push_back(*fault);
    return faults_;
  }

  void Start(std::int64_t stride) { partition_ = LedgerPartition({7, std::nullopt, "z"}, stride); }

  LedgerPartition partition_{{7, std::nullopt, "z"}, 1};
  std::int64_t seq_ = 0;
  std::vector<std::string> faults_;
};

TEST_F(LedgerPartitionTest, PlainBatchesChain) {
  Add(std::nullopt, "c");
  EXPECT_TRUE(partition_.window_done());
  Add("c", "d");
  Add("d", "z");
  EXPECT_THAT(Finish(), IsEmpty());
}

TEST_F(LedgerPartitionTest, AGapIsFoundOnce) {
  Add(std::nullopt, "c");
  Add("d", "f");
  Add("f", "z");
  EXPECT_THAT(Finish(), ElementsAre("Batch 102 of span 7 covers (d, f], residues 0 to 1, where a "
                                    "window begins at c with residue 0: there is a gap or an "
                                    "overlap."));
}

TEST_F(LedgerPartitionTest, AnOverlapIsFound) {
  Add(std::nullopt, "c");
  Add(std::nullopt, "z");
  EXPECT_THAT(Finish(), SizeIs(1));
}

TEST_F(LedgerPartitionTest, AHoleInTheNumbersIsFound) {
  Add(std::nullopt, "c");
  ++seq_;
  Add("c", "z");
  EXPECT_THAT(Finish(), ElementsAre(HasSubstr("number 3 of span 7, where number 2 is expected")));
}

TEST_F(LedgerPartitionTest, AnEndBeforeTheSpansEndIsFound) {
  Add(std::nullopt, "c");
  EXPECT_THAT(Finish(), ElementsAre("The batches of span 7 end at c, but the span ends at z."));
}

TEST_F(LedgerPartitionTest, ASpanWithoutBatchesIsFound) {
  EXPECT_THAT(Finish(), ElementsAre("Span 7 has no batch."));
}

TEST_F(LedgerPartitionTest, ABatchThatCoversNothingIsFound) {
  Add("c", "c");
  Add("c", "z");
  EXPECT_THAT(Finish(), SizeIs(1));
}

TEST_F(LedgerPartitionTest, StridesWalkEachWindowClassByClass) {
  Start(4);
  Add(std::nullopt, "c", 0, 1);
  Add("c", "f", 0, 1);
  Add(std::nullopt, "f", 1, 2);
  EXPECT_FALSE(partition_.window_done());
  Add(std::nullopt, "b", 2, 4);
  Add("b", "f", 2, 4);
  EXPECT_TRUE(partition_.window_done());
  Add("f", "m", 0, 4);
  Add("m", "z", 0, 4);
  EXPECT_THAT(Finish(), IsEmpty());
}

TEST_F(LedgerPartitionTest, AClassLeftOutIsFound) {
  Start(4);
  Add(std::nullopt, "z", 0, 1);
  Add(std::nullopt, "z", 2, 4);
  EXPECT_THAT(Finish(), SizeIs(1));
}

TEST_F(LedgerPartitionTest, TheLastClassLeftOutIsFound) {
  Start(4);
  Add(std::nullopt, "z", 0, 1);
  Add(std::nullopt, "z", 1, 2);
  EXPECT_THAT(Finish(), ElementsAre(HasSubstr("ends within a window")));
}

TEST_F(LedgerPartitionTest, APassShorterThanItsWindowIsFound) {
  Start(2);
  Add(std::nullopt, "c", 0, 1);
  Add("c", "f", 0, 1);
  Add(std::nullopt, "c", 1, 2);
  Add("f", "z", 0, 2);
  EXPECT_THAT(Finish(), SizeIs(1));
}

TEST_F(LedgerPartitionTest, AMergedPassShorterThanItsWindowIsFound) {
  Start(4);
  Add(std::nullopt, "f", 0, 1);
  Add(std::nullopt, "c", 1, 3);
  Add(std::nullopt, "f", 3, 4);
  Add("f", "z", 0, 4);
  EXPECT_THAT(Finish(), SizeIs(1));
}

TEST_F(LedgerPartitionTest, AClassTakenTwiceIsFound) {
  Start(2);
  Add(std::nullopt, "z", 0, 1);
  Add(std::nullopt, "z", 0, 2);
  EXPECT_THAT(Finish(), SizeIs(1));
}

TEST_F(LedgerPartitionTest, AWindowThatBeginsTooEarlyIsFound) {
  Start(2);
  Add(std::nullopt, "c", 0, 1);
  Add("c", "z", 0, 2);
  EXPECT_THAT(Finish(), SizeIs(1));
}

TEST(ChainSpansTest, OrdersSpansByTheirBounds) {
  const SpanChain chain = ChainSpans({{3, "f", "z"}, {1, std::nullopt, "c"}, {2, "c", "f"}});
  EXPECT_THAT(chain.faults, IsEmpty());
  EXPECT_EQ(chain.spans[0].span_id, 1);
  EXPECT_EQ(chain.spans[2].span_id, 3);
}

TEST(ChainSpansTest, AMissingSpanIsFound) {
  EXPECT_THAT(
      ChainSpans({{1, std::nullopt, "c"}, {3, "f", "z"}}).faults,
      ElementsAre("No span begins at c; the next one that was found, span 3, covers (f, z]."));
  EXPECT_THAT(ChainSpans({{2, "c", "f"}}).faults, SizeIs(1));
}

TEST(ChainSpansTest, ASpanTwiceIsFound) {
  EXPECT_THAT(ChainSpans({{1, std::nullopt, "c"}, {2, std::nullopt, "c"}}).faults, SizeIs(1));
}

}  // namespace
}  // namespace pawl::verify
