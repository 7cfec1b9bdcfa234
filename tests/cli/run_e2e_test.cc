// plan, run and status as a user meets them.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/cli/pawl_process.h"

namespace pawl::test {
namespace {

constexpr const char* kDouble = "UPDATE item SET price = price * 2;\n";

class RunE2eTest : public testing::Test {
 protected:
  TestDatabase database_;
};

TEST_F(RunE2eTest, PlanWritesNothing) {
  MakeItems(database_, 5'000);
  const std::string file = MigrationFile("double_price.sql", kDouble);
  const std::string before =
      database_.Value("SELECT md5(string_agg(i::text, ',' ORDER BY id)) FROM item i");
  const Finished plan = RunPawl({"plan", file}, database_.url());
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_NE(plan.out.find("item"), std::string::npos) << plan.out;
  const Finished json = RunPawl({"plan", file, "--json"}, database_.url());
  EXPECT_EQ(json.exit_code, 0) << json.err;
  EXPECT_TRUE(json.LastJson().as_object().contains("steps")) << json.out;
  EXPECT_EQ(database_.Value("SELECT to_regnamespace('pawl')"), "NULL");
  EXPECT_EQ(database_.Value("SELECT md5(string_agg(i::text, ',' ORDER BY id)) FROM item i"),
            before);
}

TEST_F(RunE2eTest, RunsProvesAndSaysSoWhenRunAgain) {
  MakeItems(database_, 20'000);
  const std::string file = MigrationFile("double_price.sql", kDouble);
  const Finished first = RunPawl({"run", file}, database_.url());
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_NE(first.out.find("Done and proved: 20,000 rows changed, 20,000 verified, 0 differences"),
            std::string::npos)
      << first.out;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id * 2"), 20'000);

  const Finished second = RunPawl({"run", file}, database_.url());
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_NE(second.out.find("already done"), std::string::npos) << second.out;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id * 2"), 20'000);
}

TEST_F(RunE2eTest, AChangedFileIsRefusedAndTheHistoryKeepsTheOldOne) {
  MakeItems(database_, 100);
  const Finished none = RunPawl({"history"}, database_.url());
  EXPECT_EQ(none.exit_code, 0) << none.err;
  EXPECT_EQ(none.out, "Nothing was applied yet.\n");
  ASSERT_EQ(RunPawl({"run", MigrationFile("price.sql", kDouble)}, database_.url()).exit_code, 0);
  const Finished changed =
      RunPawl({"run", MigrationFile("price.sql", "UPDATE item SET price = 1")}, database_.url());
  EXPECT_EQ(changed.exit_code, 2);
  EXPECT_NE(changed.err.find("price was changed after it had been applied"), std::string::npos)
      << changed.err;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id * 2"), 100);
  const std::string hash = database_.Value("SELECT migration_hash FROM pawl.run");
  const Finished history = RunPawl({"history"}, database_.url());
  EXPECT_NE(history.out.find("price      " + hash + "    1  completed"), std::string::npos)
      << history.out;
  const auto line =
      RunPawl({"history", "--json"}, database_.url()).LastJson().as_array().at(0).as_object();
  EXPECT_EQ(line.at("migration_hash").as_string(), hash);
  EXPECT_EQ(line.at("state").as_string(), "completed");
}

TEST_F(RunE2eTest, ReadsStandardInput) {
  MakeItems(database_, 100);
  const Finished run = RunPawl({"run", "-", "--name", "from_pipe"}, database_.url(), kDouble);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(database_.Value("SELECT migration FROM pawl.run"), "from_pipe");
}

TEST_F(RunE2eTest, FlagsReachThePlan) {
  MakeItems(database_, 1'000);
  const std::string file = MigrationFile("double_price.sql", kDouble);
  const Finished plan = RunPawl(
      {"plan", file, "--order", "key", "--undo=none", "--batch-rows", "123"}, database_.url());
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_NE(plan.out.find("none"), std::string::npos) << plan.out;
}

TEST_F(RunE2eTest, JsonEndsWithOneResult) {
  MakeItems(database_, 5'000);
  const std::string file = MigrationFile("double_price.sql", kDouble);
  const Finished run = RunPawl({"run", file, "--json"}, database_.url());
  EXPECT_EQ(run.exit_code, 0) << run.err;
  const auto result = run.LastJson().as_object();
  EXPECT_EQ(result.at("event"), "result");
  EXPECT_EQ(result.at("migration"), "double_price");
  EXPECT_EQ(result.at("state"), "completed");
  EXPECT_EQ(result.at("rows_done"), 5'000);
  EXPECT_EQ(result.at("rows_verified"), 5'000);
  EXPECT_TRUE(result.at("differences").as_array().empty());
  // Every line is JSON, and only the last is a result.
  std::size_t results = 0;
  for (std::size_t begin = 0; begin < run.out.size();) {
    const std::size_t end = run.out.find('\n', begin);
    const auto line = boost::json::parse(run.out.substr(begin, end - begin)).as_object();
    results += line.at("event") == "result" ? 1U : 0U;
    begin = end + 1;
  }
  EXPECT_EQ(results, 1U);
}

TEST_F(RunE2eTest, StatusIsAnArrayOfRuns) {
  const Finished none = RunPawl({"status", "--json"}, database_.url());
  EXPECT_EQ(none.exit_code, 0) << none.err;
  EXPECT_TRUE(none.LastJson().as_array().empty());

  MakeItems(database_, 1'000);
  const std::string file = MigrationFile("double_price.sql", kDouble);
  ASSERT_EQ(RunPawl({"run", file}, database_.url()).exit_code, 0);
  const Finished status = RunPawl({"status", "--json"}, database_.url());
  EXPECT_EQ(status.exit_code, 0) << status.err;
  const auto runs = status.LastJson().as_array();
  ASSERT_EQ(runs.size(), 1U);
  const auto& run = runs[0].as_object();
  EXPECT_EQ(run.at("migration"), "double_price");
  EXPECT_EQ(run.at("state"), "completed");
  EXPECT_EQ(run.at("rows_done"), 1'000);
  for (const char* name : {"run", "rows_estimated", "step", "steps", "rows_per_second", "workers",
                           "started_at", "reason"}) {
    EXPECT_TRUE(run.contains(name)) << name;
  }
  EXPECT_EQ(RunPawl({"status"}, database_.url()).exit_code, 0);
  EXPECT_EQ(RunPawl({"status", "1", "--watch"}, database_.url()).exit_code, 0);
  EXPECT_EQ(RunPawl({"status", "99"}, database_.url()).exit_code, 2);
}

TEST_F(RunE2eTest, InitByHandAndByCommandAreTheSame) {
  const Finished printed = RunPawl({"init", "--print"}, database_.url());
  ASSERT_EQ(printed.exit_code, 0) << printed.err;
  database_.Exec(printed.out);
  const Finished init = RunPawl({"init"}, database_.url());
  EXPECT_EQ(init.exit_code, 0) << init.err;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.version"), 1);
}

TEST_F(RunE2eTest, TheLogHoldsNoPassword) {
  if (UsesForeignServer()) GTEST_SKIP() << "its password may be needed";
  MakeItems(database_, 1'000);
  std::string url = database_.url();
  url.insert(url.find('@'), ":sesame-4711");
  const std::string file = MigrationFile("double_price.sql", kDouble);
  const Finished run =
      RunPawl({"run", file, "-d", url, "--log", "-", "--log-level", "debug"}, database_.url());
  EXPECT_EQ(run.exit_code, 0) << run.err;
  const Finished init = RunPawl({"init", "-d", url}, database_.url());
  EXPECT_EQ((run.both() + init.both()).find("sesame"), std::string::npos);
}

}  // namespace
}  // namespace pawl::test
