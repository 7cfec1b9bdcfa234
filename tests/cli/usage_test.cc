// What the command line refuses before it asks any database.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <initializer_list>
#include <string>
#include <vector>

#include "cli/app.h"

namespace pawl::cli {
namespace {

struct Answer {
  int exit_code;
  std::string out;
  std::string err;
};

Answer Ask(std::vector<std::string> words) {
  words.insert(words.begin(), "pawl");
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = Main(static_cast<int>(words.size()), pointers.data());
  const std::string out = testing::internal::GetCapturedStdout();
  return {code, out, testing::internal::GetCapturedStderr()};
}

TEST(UsageTest, WrongWordsExitWithTwoAndOneSentence) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> kCases = {
      {{"frobnicate"}, "There is no command \"frobnicate\""},
      {{"--frobnicate"}, "There is no option \"--frobnicate\""},
      {{"run"}, "FILE is required"},
      {{"run", "/nowhere.sql"}, "Cannot read /nowhere.sql"},
      {{"run", "/"}, "it is a directory"},
      {{"run", "x.sql", "--frobnicate"}, "--frobnicate"},
      {{"run", "x.sql", "--workers", "0"}, "--workers"},
      {{"run", "x.sql", "--workers", "two"}, "--workers"},
      {{"run", "x.sql", "--pace", "-1"}, "--pace"},
      {{"plan", "x.sql", "--log-level", "loud"}, "--log-level"},
      {{"resume"}, "RUN is required"},
      {{"resume", "seven"}, "\"seven\" is not the number of a run"},
      {{"status", "0"}, "\"0\" is not the number of a run"},
      {{"set", "7", "speed=9"}, "There is no setting \"speed\""},
      {{"set", "7", "workers=many"}, "\"workers=many\" is not understood"},
      {{"revert", "7", "--on-conflict", "panic"}, "--on-conflict"},
      {{"revert", "7", "--batch", "x"}, "--batch"},
      {{"demo", "--rows", "3"}, "--rows"},
      {{"completion", "fish"}, "fish"},
  };
  for (const auto& [words, expected] : kCases) {
    const Answer answer = Ask(words);
    EXPECT_EQ(answer.exit_code, 2) << answer.err;
    EXPECT_TRUE(answer.err.starts_with("pawl: ")) << answer.err;
    EXPECT_NE(answer.err.find(expected), std::string::npos) << answer.err;
    EXPECT_EQ(answer.out, "");
  }
}

TEST(UsageTest, WithJsonAnErrorIsAnEventToo) {
  const Answer answer = Ask({"run", "/nowhere.sql", "--json"});
  EXPECT_EQ(answer.exit_code, 2);
  const auto event = boost::json::parse(answer.out).as_object();
  EXPECT_EQ(event.at("event"), "error");
  EXPECT_EQ(event.at("exit"), 2);
  EXPECT_TRUE(event.at("message").as_string().starts_with("Cannot read /nowhere.sql"));
}

TEST(UsageTest, HelpAndVersionAreNoErrors) {
  EXPECT_EQ(Ask({"--help"}).exit_code, 0);
  EXPECT_EQ(Ask({"run", "--help"}).exit_code, 0);
  EXPECT_EQ(Ask({"version"}).out, Ask({"--version"}).out);
  EXPECT_EQ(Ask({}).exit_code, 2);
}

TEST(UsageTest, EveryOptionOfAMigrationIsAFlag) {
  const std::string help = Ask({"run", "--help"}).out;
  for (const char* flag :
       {"--order", "--stride", "--undo", "--keep-in-sync", "--quiet-triggers", "--quarantine",
        "--batch-rows", "--batch-time", "--allow", "--workers", "--pace"}) {
    EXPECT_NE(help.find(flag), std::string::npos) << flag;
  }
}

TEST(UsageTest, CompletionKnowsEveryCommand) {
  const std::string script = Ask({"completion", "bash"}).out;
  for (const char* command :
       {"plan", "run", "status", "pause", "resume", "set", "abort", "worker", "verify", "revert",
        "contract", "drift", "history", "init", "demo", "completion", "version"}) {
    EXPECT_NE(script.find(command), std::string::npos) << command;
  }
}

TEST(UsageTest, InitPrintsWhatARoleWithRightsIsToRun) {
  const std::string sql = Ask({"init", "--print"}).out;
  EXPECT_TRUE(sql.starts_with("BEGIN;"));
  EXPECT_NE(sql.find("INSERT INTO pawl.version"), std::string::npos);
}

}  // namespace
}  // namespace pawl::cli
