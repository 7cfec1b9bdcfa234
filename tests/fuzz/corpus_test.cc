// Feeds every seed and every crasher to its target: what fuzzing found once stays mended.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "schema/plan.h"
#include "tests/fuzz/targets.h"

namespace pawl::fuzz {
namespace {

namespace files = std::filesystem;

const files::path kHere = files::path(PAWL_SOURCE_DIR) / "tests" / "fuzz";

std::vector<files::path> FilesIn(const files::path& folder) {
  std::vector<files::path> found;
  if (!files::exists(folder)) return found;
  for (const files::directory_entry& entry : files::directory_iterator(folder)) {
    if (entry.is_regular_file()) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

class FuzzCorpusTest : public testing::TestWithParam<Target> {
 protected:
  static void FeedAll(const files::path& folder) {
    for (const files::path& path : FilesIn(folder)) {
      SCOPED_TRACE(path);
      std::ifstream file(path, std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      EXPECT_NO_THROW(GetParam().feed(text));
      // Cut short anywhere: what a full disk or a careless copy leaves.
      for (std::size_t size = 0; size < text.size(); size += 1 + text.size() / 40) {
        EXPECT_NO_THROW(GetParam().feed(text.substr(0, size))) << size;
      }
    }
  }
};

TEST_P(FuzzCorpusTest, SeedsBreakNothing) {
  EXPECT_GE(FilesIn(kHere / "corpus" / GetParam().name).size(), 5u);
  FeedAll(kHere / "corpus" / GetParam().name);
}

TEST_P(FuzzCorpusTest, WhatOnceBrokeSomethingDoesSoNoMore) {
  FeedAll(kHere / "crashers" / GetParam().name);
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzCorpusTest, testing::ValuesIn(Targets()),
                         [](const auto& target) { return target.param.name; });

// Deeper than any parser's stack of its own would bear.
TEST(FuzzTest, DeepNestingIsRefusedNotFollowed) {
  for (const Target& target : Targets()) {
    for (const std::string open : {"(", "[", "{\"at\":", "NOT ", "-", "CASE WHEN ", "/*"}) {
      // PostgreSQL's own scanner takes quadratic time for comments in comments.
      const std::size_t depth = open == "/*" ? 5'000 : 100'000;
      std::string text = target.name == "migration" ? "UPDATE t SET x = " : "";
      for (std::size_t i = 0; i < depth; ++i) text += open;
      SCOPED_TRACE(target.name + " " + open);
      EXPECT_NO_THROW(target.feed(text));
    }
  }
}

}  // namespace

// Outside the unnamed namespace, as GoogleTest looks it up by the type.
void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }

}  // namespace pawl::fuzz
