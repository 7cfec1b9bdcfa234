// The test's own tools, tested: the proxy, against what a client and the server see of it.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <thread>

#include "tests/support/cutting_proxy.h"
#include "tests/support/test_database.h"

namespace pawl::test {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class CuttingProxyTest : public ::testing::Test {
 protected:
  CuttingProxyTest() { database_.Exec("CREATE TABLE t (n int)"); }
  std::int64_t RowCount() { return database_.Integer("SELECT count(*) FROM t"); }

  TestDatabase database_;
  CuttingProxy proxy_{database_.url()};
};

TEST_F(CuttingProxyTest, PassesEverythingThrough) {
  Sql sql(proxy_.url());
  EXPECT_EQ(sql.Exec("INSERT INTO t SELECT generate_series(1, 1000)"), 1000);
  EXPECT_EQ(sql.Rows("SELECT repeat('x', 1000), n FROM t, generate_series(1, 20)").size(), 20'000U);
  EXPECT_THROW(sql.Exec("SELECT 1 / 0"), SqlError);
  EXPECT_EQ(sql.Value("SELECT 1"), "1");
  EXPECT_EQ(proxy_.connections(), 1);
  EXPECT_EQ(proxy_.cuts(), 0);
}

TEST_F(CuttingProxyTest, PassesCopyInBothDirections) {
  Sql sql(proxy_.url());
  for (int round = 0; round < 2; ++round) {
    PQclear(PQexecParams(sql.raw(), "COPY t FROM STDIN", 0, nullptr, nullptr, nullptr, nullptr, 0));
    EXPECT_EQ(PQputCopyData(sql.raw(), "1\n2\n", 4), 1);
    EXPECT_EQ(PQputCopyEnd(sql.raw(), nullptr), 1);
    PQclear(PQgetResult(sql.raw()));
    EXPECT_EQ(PQgetResult(sql.raw()), nullptr);
  }
  EXPECT_EQ(RowCount(), 4);
  proxy_.CutAtCommit();
  sql.Exec("BEGIN");
  sql.Exec("INSERT INTO t VALUES (5)");
  EXPECT_THROW(sql.Exec("COMMIT"), SqlError);
  EXPECT_EQ(RowCount(), 5);
}

TEST_F(CuttingProxyTest, PassesCancelRequests) {
  Sql sql(proxy_.url());
  std::thread canceller([&] {
    std::this_thread::sleep_for(milliseconds(200));
    PGcancel* cancel = PQgetCancel(sql.raw());
    std::array<char, 256> error{};
    EXPECT_EQ(PQcancel(cancel, error.data(), error.size()), 1) << error.data();
    PQfreeCancel(cancel);
  });
  EXPECT_THROW(sql.Exec("SELECT pg_sleep(20)"), SqlError);
  canceller.join();
}

TEST_F(CuttingProxyTest, CutAfterExecutedHasCommitted) {
  proxy_.CutAtCommit(CutMoment::kAfterExecuted);
  Sql sql(proxy_.url());
  sql.Exec("BEGIN");
  sql.Exec("INSERT INTO t VALUES (1)");
  EXPECT_THROW(sql.Exec("COMMIT"), SqlError);
  EXPECT_EQ(PQstatus(sql.raw()), CONNECTION_BAD);
  EXPECT_TRUE(proxy_.WaitForCuts());
  EXPECT_EQ(RowCount(), 1);
}

TEST_F(CuttingProxyTest, CutBeforeServerHasNotCommitted) {
  proxy_.CutAtCommit(CutMoment::kBeforeServer);
  Sql sql(proxy_.url());
  sql.Exec("BEGIN");
  sql.Exec("INSERT INTO t VALUES (1)");
  EXPECT_THROW(sql.Exec("COMMIT"), SqlError);
  EXPECT_EQ(RowCount(), 0);
  EXPECT_EQ(proxy_.commits_forwarded(), 0);
}

TEST_F(CuttingProxyTest, CountsToTheNthCommitOfAllSessions) {
  proxy_.CutAtCommit(CutMoment::kAfterExecuted, 3);
  Sql one(proxy_.url());
  Sql two(proxy_.url());
  one.Exec("BEGIN; INSERT INTO t VALUES (1); COMMIT");
  two.Exec("BEGIN; INSERT INTO t VALUES (2); COMMIT");
  EXPECT_THROW(one.Exec("BEGIN; INSERT INTO t VALUES (3); COMMIT"), SqlError);
  EXPECT_EQ(two.Exec("BEGIN; INSERT INTO t VALUES (4); COMMIT"), 0);
  EXPECT_EQ(RowCount(), 4);
  EXPECT_EQ(proxy_.cuts(), 1);
  EXPECT_EQ(proxy_.commits_forwarded(), 4);
}

TEST_F(CuttingProxyTest, SeesAPreparedCommit) {
  Sql sql(proxy_.url());
  PQclear(PQprepare(sql.raw(), "the_end", "COMMIT", 0, nullptr));
  proxy_.CutAtCommit();
  sql.Exec("BEGIN");
  sql.Exec("INSERT INTO t VALUES (1)");
  PQclear(PQexecPrepared(sql.raw(), "the_end", 0, nullptr, nullptr, nullptr, 0));
  EXPECT_EQ(PQstatus(sql.raw()), CONNECTION_BAD);
  EXPECT_EQ(RowCount(), 1);
}

TEST_F(CuttingProxyTest, SeesACommitInAPipeline) {
  Sql sql(proxy_.url());
  proxy_.CutAtCommit();
  ASSERT_EQ(PQenterPipelineMode(sql.raw()), 1);
  for (const char* statement : {"BEGIN", "INSERT INTO t VALUES (1)", "COMMIT"}) {
    ASSERT_EQ(PQsendQueryParams(sql.raw(), statement, 0, nullptr, nullptr, nullptr, nullptr, 0), 1);
  }
  ASSERT_EQ(PQpipelineSync(sql.raw()), 1);
  for (int results = 0; results < 10 && PQstatus(sql.raw()) == CONNECTION_OK; ++results) {
    PQclear(PQgetResult(sql.raw()));
  }
  EXPECT_EQ(PQstatus(sql.raw()), CONNECTION_BAD);
  EXPECT_EQ(RowCount(), 1);
}

TEST_F(CuttingProxyTest, CutsAtAnyStatementAndItsImplicitCommit) {
  Sql sql(proxy_.url());
  proxy_.CutAtStatement([](std::string_view text) { return text.find("INSERT") == 0; },
                        CutMoment::kAfterExecuted, 2);
  const auto insert = [&] {
    PQclear(PQexecParams(sql.raw(), "INSERT INTO t VALUES (1)", 0, nullptr, nullptr, nullptr,
                         nullptr, 0));
  };
  insert();
  EXPECT_EQ(PQstatus(sql.raw()), CONNECTION_OK);
  insert();
  EXPECT_EQ(PQstatus(sql.raw()), CONNECTION_BAD);
  EXPECT_EQ(RowCount(), 2);
}

TEST_F(CuttingProxyTest, ARefusedCommitIsDeliveredAndTheNextOneCut) {
  database_.Exec("CREATE TABLE u (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)");
  Sql sql(proxy_.url());
  proxy_.CutAtCommit();
  sql.Exec("BEGIN");
  sql.Exec("INSERT INTO u VALUES (1), (1)");
  try {
    sql.Exec("COMMIT");
    FAIL();
  } catch (const SqlError& error) {
    EXPECT_EQ(error.sqlstate(), "23505");
  }
  sql.Exec("BEGIN");
  EXPECT_THROW(sql.Exec("SELECT 1 / 0"), SqlError);
  sql.Exec("COMMIT");  // Which rolls back.
  EXPECT_EQ(proxy_.cuts(), 0);
  sql.Exec("BEGIN");
  EXPECT_THROW(sql.Exec("COMMIT"), SqlError);
  EXPECT_EQ(proxy_.cuts(), 1);
}

TEST_F(CuttingProxyTest, DelaysBothWays) {
  Sql sql(proxy_.url());
  proxy_.Delay(milliseconds(100));
  const auto begin = Clock::now();
  sql.Exec("SELECT 1");
  EXPECT_GE(Clock::now() - begin, milliseconds(200));
  proxy_.PassThrough();
}

TEST_F(CuttingProxyTest, ABlackHoleHoldsUntilItEnds) {
  Sql sql(proxy_.url());
  proxy_.BlackHole(Direction::kToClient);
  ASSERT_EQ(PQsendQuery(sql.raw(), "INSERT INTO t VALUES (1)"), 1);
  while (RowCount() == 0) std::this_thread::sleep_for(milliseconds(5));
  std::this_thread::sleep_for(milliseconds(100));
  PQconsumeInput(sql.raw());
  EXPECT_EQ(PQisBusy(sql.raw()), 1);
  proxy_.PassThrough();
  PGresult* result = PQgetResult(sql.raw());
  EXPECT_EQ(PQresultStatus(result), PGRES_COMMAND_OK);
  PQclear(result);
}

TEST_F(CuttingProxyTest, BehindABlackHoleTheServerKeepsTheSessionOfADeadClient) {
  int backend = 0;
  {
    Sql sql(proxy_.url());
    backend = sql.backend_pid();
    proxy_.BlackHole(Direction::kToServer);
  }
  const std::string alive =
      "SELECT count(*) FROM pg_stat_activity WHERE pid = " + std::to_string(backend);
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(database_.Value(alive), "1");
  proxy_.PassThrough();
  for (int tries = 0; tries < 400 && database_.Value(alive) == "1"; ++tries) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(database_.Value(alive), "0");
}

TEST_F(CuttingProxyTest, ResetsAllAndRefusesNew) {
  Sql one(proxy_.url());
  Sql two(proxy_.url());
  EXPECT_EQ(proxy_.ResetAll(), 2);
  EXPECT_THROW(one.Exec("SELECT 1"), SqlError);
  EXPECT_THROW(two.Exec("SELECT 1"), SqlError);
  proxy_.RefuseNew();
  EXPECT_THROW(Sql(proxy_.url()), SqlError);
  proxy_.PassThrough();
  EXPECT_EQ(Sql(proxy_.url()).Value("SELECT 1"), "1");
}

TEST_F(CuttingProxyTest, LeadsNewConnectionsElsewhere) {
  CuttingProxy elsewhere(ServerUrl());
  Sql before(proxy_.url());
  proxy_.LeadTo(elsewhere.port());
  const Sql after(proxy_.url());
  EXPECT_EQ(proxy_.connections(), 2);
  EXPECT_EQ(elsewhere.connections(), 1);
  EXPECT_EQ(before.Value("SELECT 1"), "1");
  proxy_.LeadTo(1);  // Nobody listens there.
  EXPECT_THROW(Sql(proxy_.url()), SqlError);
}

}  // namespace
}  // namespace pawl::test
