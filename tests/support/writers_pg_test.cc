// The test's own tools, tested: the application's account must hold without a migration, or it
// could not judge one, and must not hold when a single row is wrong.
#include <gtest/gtest.h>

#include "tests/support/cutting_proxy.h"
#include "tests/support/writers.h"

namespace pawl::test {
namespace {

class WritersTest : public ::testing::Test {
 protected:
  WritersTest() {
    database_.Exec(
        "CREATE TABLE t (id bigint PRIMARY KEY, payload text NOT NULL,"
        " updates int NOT NULL DEFAULT 0);"
        " INSERT INTO t SELECT g, 'row ' || g, g % 3 FROM generate_series(1, 400) g");
  }
  WriterOptions Options() {
    WriterOptions options;
    options.url = database_.url();
    options.table = "t";
    options.key_end = 800;
    options.insert_columns = {{"payload", "'row ' || $1"}};
    options.changes_per_second = 0;
    return options;
  }
  TestDatabase database_;
};

TEST_F(WritersTest, TheAccountHoldsWithAndWithoutHistory) {
  for (const bool with_history : {true, false}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      WriterOptions options = Options();
      options.with_history = with_history;
      options.seed = seed;
      Writers writers(options);
      ASSERT_TRUE(writers.WaitForMore(300));
      const WriterCounts counts = writers.Stop();
      EXPECT_GT(counts.inserts, 0);
      EXPECT_GT(counts.updates, 0);
      EXPECT_GT(counts.deletes, 0);
      EXPECT_GT(counts.latency_max.count(), 0);
      EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
      EXPECT_EQ(counts.acknowledged(), writers.acknowledged());
      EXPECT_EQ(writers.Mismatch(), "");
      if (with_history) database_.Exec("DROP TABLE t_history, t_before");
    }
  }
}

TEST_F(WritersTest, OneWrongRowIsNoticed) {
  for (const char* damage :
       {"DELETE FROM t WHERE id = (SELECT max(id) FROM t)",
        "UPDATE t SET updates = updates + 1 WHERE id = (SELECT min(id) FROM t)",
        "INSERT INTO t VALUES (9999, 'a phantom', 0)"}) {
    for (const bool with_history : {true, false}) {
      WriterOptions options = Options();
      options.with_history = with_history;
      Writers writers(options);
      ASSERT_TRUE(writers.WaitForMore(20));
      writers.Stop();
      EXPECT_EQ(writers.Mismatch(), "");
      database_.Exec(damage);
      EXPECT_NE(writers.Mismatch(), "") << damage;
      database_.Exec("DELETE FROM t WHERE id = 9999");
      if (with_history) database_.Exec("DROP TABLE t_history, t_before");
    }
  }
}

TEST_F(WritersTest, ComparesAnotherTable) {
  Writers writers(Options());
  ASSERT_TRUE(writers.WaitForMore(50));
  writers.Stop();
  database_.Exec("CREATE TABLE copy AS TABLE t");
  EXPECT_EQ(writers.Mismatch("copy"), "");
  database_.Exec("DELETE FROM copy WHERE id = (SELECT min(id) FROM copy)");
  EXPECT_NE(writers.Mismatch("copy"), "");
}

TEST_F(WritersTest, KeepsToItsRate) {
  WriterOptions options = Options();
  options.changes_per_second = 100;
  options.inserts = options.deletes = false;
  options.key_end = 400;  // Every update hits.
  const auto begin = std::chrono::steady_clock::now();
  Writers writers(options);
  ASSERT_TRUE(writers.WaitForMore(50));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_GT(took.count(), 0.4);
  EXPECT_EQ(writers.Stop().missed, 0);
}

TEST_F(WritersTest, ReconnectsAndStaysExactWhereTheOutcomeIsInDoubt) {
  CuttingProxy proxy(database_.url());
  WriterOptions options = Options();
  options.url = proxy.url();
  Writers writers(options);
  for (int cut = 1; cut <= 5; ++cut) {
    proxy.CutAtStatement(
        [](std::string_view sql) { return sql.find("INSERT INTO t ") != sql.npos; },
        cut % 2 ? CutMoment::kAfterExecuted : CutMoment::kBeforeServer);
    ASSERT_TRUE(proxy.WaitForCuts(cut));
    ASSERT_TRUE(writers.WaitForMore(20));
  }
  const WriterCounts counts = writers.Stop();
  EXPECT_EQ(counts.in_doubt, 5);
  EXPECT_EQ(writers.Mismatch(), "");
}

TEST_F(WritersTest, OutlivesACrashOfTheServer) {
  if (UsesForeignServer()) GTEST_SKIP() << "not our server to kill";
  Writers writers(Options());
  ASSERT_TRUE(writers.WaitForMore(50));
  SharedServer().Kill9();
  SharedServer().Start();
  ASSERT_TRUE(writers.WaitForMore(50));
  writers.Stop();
  EXPECT_EQ(writers.Mismatch(), "");
}

}  // namespace
}  // namespace pawl::test
