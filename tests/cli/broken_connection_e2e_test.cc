// The connection breaks in a command's first moments, before a run is at work and connects again by
// itself: the command ends with a sentence that says what to do, and doing it works.
#include <gtest/gtest.h>

#include <atomic>

#include "tests/cli/half_run.h"
#include "tests/support/cutting_proxy.h"

namespace pawl::test {
namespace {

class BrokenConnectionE2eTest : public testing::Test {
 protected:
  // Runs `words` with the connection cut at each of its first statements in turn.
  void ExpectSentences(const std::vector<std::string>& words, int statements) {
    SCOPED_TRACE(words[0]);
    int broken = 0;
    for (int nth = 1; nth <= statements; ++nth) {
      proxy_.CutAtStatement([](std::string_view) { return true; }, CutMoment::kAfterExecuted, nth);
      const Finished finished = RunPawl(words, proxy_.url());
      proxy_.PassThrough();
      if (finished.exit_code == 0) continue;  // At work already, or fewer statements than that.
      ++broken;
      EXPECT_TRUE(finished.exit_code == 1 || finished.exit_code == 2) << finished.both();
      const bool says_so = finished.err.find("Give the same command again") != std::string::npos ||
                           finished.err.find("Nothing was changed") != std::string::npos;
      EXPECT_TRUE(says_so) << finished.both();
    }
    EXPECT_GT(broken, 0);
  }

  TestDatabase database_;
  CuttingProxy proxy_{database_.url()};
};

TEST_F(BrokenConnectionE2eTest, OfRun) {
  MakeItems(database_, 500);
  const std::string file = MigrationFile("raise.sql", "UPDATE item SET price = price + 1;");
  ExpectSentences({"run", file}, 30);
  EXPECT_EQ(RunPawl({"run", file}, database_.url()).exit_code, 0);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id + 1"), 500);
}

TEST_F(BrokenConnectionE2eTest, OfTheCommandsAboutARun) {
  HalfRun half(database_);
  for (const char* command : {"status", "set", "resume"}) {
    std::vector<std::string> words = {command, half.run()};
    if (words[0] == "set") words.emplace_back("workers=2");
    ExpectSentences(words, 8);
  }
  half.ExpectItCarriesOn();
  ExpectSentences({"verify", half.run()}, 8);
  ExpectSentences({"revert", half.run()}, 12);
  EXPECT_EQ(RunPawl({"revert", half.run()}, database_.url()).exit_code, 0);
  EXPECT_EQ(half.RowsChanged(), 0);
}

}  // namespace
}  // namespace pawl::test
