// The same address leads to another server now: a restored copy, with an unfinished run in it.
#include <gtest/gtest.h>

#include "tests/cli/half_run.h"
#include "tests/cli/server_tools.h"

namespace pawl::test {
namespace {

TEST(OtherServerE2eTest, AnUnfinishedRunIsNotCarriedOnThere) {
  if (UsesForeignServer()) GTEST_SKIP() << "a server that is not ours";
  TestDatabase database;
  HalfRun half(database);
  control::PrivateServer other({.settings = {"fsync=off"}});
  const std::string dump = SharedServer().directory() + "/copy.sql";
  RunTool({ServerProgram("pg_dump"), "-d", database.url(), "-f", dump}, SharedServer().directory());
  RunTool({ServerProgram("psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-d", other.ConnectionString(),
           "-f", dump},
          SharedServer().directory());
  Sql copy(other.ConnectionString());
  const auto state = [&] {
    return copy.Value(
        "SELECT md5(concat((SELECT string_agg(i::text, ',' ORDER BY id) FROM item AS i), (SELECT "
        "string_agg(r::text, ',') FROM pawl.run AS r), (SELECT string_agg(s::text, ',') FROM "
        "pawl.span AS s), (SELECT count(*) FROM pawl.worker), (SELECT count(*) FROM pawl.audit)))");
  };
  const std::string before = state();
  for (const std::vector<std::string>& words :
       {half.command(), {"resume", "1"}, {"worker", "1"}, {"revert", "1"}}) {
    SCOPED_TRACE(words[0]);
    const Finished finished = RunPawl(words, other.ConnectionString());
    EXPECT_EQ(finished.exit_code, 2) << finished.both();
    EXPECT_NE(finished.err.find("not the one this run began on"), std::string::npos)
        << finished.err;
    EXPECT_NE(finished.err.find("pawl abort"), std::string::npos) << finished.err;
    EXPECT_EQ(state(), before);
  }
  EXPECT_EQ(RunPawl({"abort", "1"}, other.ConnectionString()).exit_code, 0);

  half.ExpectItCarriesOn();
}

}  // namespace
}  // namespace pawl::test
