// The test's own tools, tested: databases.
#include <gtest/gtest.h>

#include "tests/support/test_database.h"

namespace pawl::test {
namespace {

TEST(TestDatabaseTest, EachIsFreshAndGoesAway) {
  std::string name;
  {
    TestDatabase first;
    TestDatabase second;
    name = first.name();
    EXPECT_NE(first.name(), second.name());
    EXPECT_EQ(first.Exec("CREATE TABLE t AS SELECT g FROM generate_series(1, 3) g"), 3);
    EXPECT_EQ(second.Value("SELECT to_regclass('t')"), "NULL");
  }
  EXPECT_EQ(
      Sql(ServerUrl()).Value("SELECT count(*) FROM pg_database WHERE datname = '" + name + "'"),
      "0");
}

TEST(TestDatabaseTest, ReadsRowsAndCountsChanges) {
  TestDatabase database;
  EXPECT_EQ(database.Rows("SELECT 1, NULL, 'a' UNION ALL SELECT 2, 'x', 'b' ORDER BY 1"),
            (std::vector<Row>{{"1", "NULL", "a"}, {"2", "x", "b"}}));
  database.Exec("CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10)");
  EXPECT_EQ(database.Exec("DELETE FROM t WHERE id > 4"), 6);
  EXPECT_EQ(database.Integer("SELECT count(*) FROM t"), 4);
  EXPECT_THROW(database.Value("SELECT id FROM t"), SqlError);
}

TEST(TestDatabaseTest, ErrorsCarryTheSqlstate) {
  TestDatabase database;
  try {
    database.Exec("SELECT 1 / 0");
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_EQ(error.sqlstate(), "22012");
  }
}

TEST(TestDatabaseTest, OutlivesACrashOfTheServer) {
  if (UsesForeignServer()) GTEST_SKIP() << "not our server to kill";
  TestDatabase database;
  database.Exec("CREATE TABLE t AS SELECT 7 AS seven");
  SharedServer().Kill9();
  EXPECT_FALSE(SharedServer().running());
  SharedServer().Start();
  EXPECT_EQ(database.Value("SELECT seven FROM t"), "7");
}

}  // namespace
}  // namespace pawl::test
