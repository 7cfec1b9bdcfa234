#include "tests/cli/half_run.h"

#include <gtest/gtest.h>

#include <csignal>

namespace pawl::test {
namespace {

constexpr const char* kRaise =
    "-- pawl: order=key batch_rows=100\nUPDATE item SET price = price + 1;\n";

}  // namespace

std::unique_ptr<PawlProcess> StartSlowRun(TestDatabase& database, const std::string& url) {
  MakeItems(database, HalfRun::kRows);
  // Three seconds: time enough to be caught in the act.
  auto process = std::make_unique<PawlProcess>(
      std::vector<std::string>{"run", MigrationFile("raise.sql", kRaise), "--pace", "1300"}, url);
  EXPECT_TRUE(WaitUntil(
      [&] { return database.Integer("SELECT count(*) FROM item WHERE price = id + 1") > 0; },
      std::chrono::seconds(10)));
  return process;
}

HalfRun::HalfRun(TestDatabase& database, const std::string& url)
    : database_(database), file_(MigrationFile("raise.sql", kRaise)) {
  const auto process = StartSlowRun(database, url.empty() ? database.url() : url);
  process->Signal(SIGINT);
  const Finished paused = process->Wait();
  EXPECT_EQ(paused.exit_code, 130) << paused.both();
  EXPECT_LT(RowsChanged(), kRows);
}

std::int64_t HalfRun::RowsChanged() {
  return database_.Integer("SELECT count(*) FROM item WHERE price = id + 1");
}

std::string HalfRun::Hash() {
  return database_.Value("SELECT md5(string_agg(i::text, ',' ORDER BY id)) FROM item AS i");
}

void HalfRun::ExpectItCarriesOn() {
  const Finished rest = RunPawl({"run", file_, "--pace", "0"}, database_.url());
  EXPECT_EQ(rest.exit_code, 0) << rest.both();
  EXPECT_EQ(RowsChanged(), kRows);
}

}  // namespace pawl::test
