// Files that are no migration: exit code 2, a sentence that names the file, nothing changed.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/cli/pawl_process.h"

namespace pawl::test {
namespace {

class OddFileE2eTest : public testing::Test {
 protected:
  OddFileE2eTest() { MakeItems(database_, 100); }

  void ExpectRefused(const std::string& file, const std::string& named) {
    for (const char* command : {"plan", "run"}) {
      SCOPED_TRACE(command);
      const Finished finished = RunPawl({command, file}, database_.url());
      EXPECT_EQ(finished.exit_code, 2) << finished.both();
      EXPECT_NE(finished.err.find(named), std::string::npos) << finished.err;
      EXPECT_LT(finished.err.size(), 500U) << "a sentence, not the file";
    }
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id"), 100);
    EXPECT_EQ(database_.Value("SELECT to_regnamespace('pawl')"), "NULL");
  }

  TestDatabase database_;
};

TEST_F(OddFileE2eTest, Empty) { ExpectRefused(MigrationFile("empty.sql", ""), "empty.sql"); }

TEST_F(OddFileE2eTest, Binary) {
  std::string junk;
  for (int i = 0; i < 100'000; ++i) junk += static_cast<char>(i * 7919 >> 3);
  ExpectRefused(MigrationFile("junk.sql", junk), "junk.sql");
}

// What stands behind a zero byte would be lost on the way to the parser.
TEST_F(OddFileE2eTest, AZeroByte) {
  ExpectRefused(MigrationFile("zero.sql", std::string("UPDATE item SET price = 0;\n\0 oops", 33)),
                "zero.sql, line 2");
}

TEST_F(OddFileE2eTest, AnotherEncoding) {
  ExpectRefused(MigrationFile("latin.sql", "UPDATE item SET label = 'K\xf6ln';"), "UTF-8");
  ExpectRefused(MigrationFile("wide.sql", std::string("\xff\xfeU\0P\0D\0", 8)), "UTF-8");
}

TEST_F(OddFileE2eTest, ADirectory) {
  const std::string file = MigrationFile("inside.sql", "");
  ExpectRefused(file.substr(0, file.find_last_of('/')), "directory");
}

TEST_F(OddFileE2eTest, OneThatMayNotBeRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const std::string file = MigrationFile("secret.sql", "UPDATE item SET price = 0;");
  chmod(file.c_str(), 0);
  ExpectRefused(file, "secret.sql");
}

TEST_F(OddFileE2eTest, NothingButFiveMegabytesOfRemarks) {
  std::string remarks;
  while (remarks.size() < 5U << 20) {
    remarks += "-- nothing here, and nothing there\n/* nor here */\n";
  }
  ExpectRefused(MigrationFile("remarks.sql", remarks), "no statement");
  const std::string file =
      MigrationFile("long.sql", remarks + "UPDATE item SET price = price + 1;\n");
  const Finished run = RunPawl({"run", file}, database_.url());
  EXPECT_EQ(run.exit_code, 0) << run.both();
}

}  // namespace
}  // namespace pawl::test
