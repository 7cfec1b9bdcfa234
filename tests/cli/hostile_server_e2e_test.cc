// What goes on around a run on a server that is in use: clocks that jump, transactions that nobody
// ends, vacuums that must not be stopped. The run ends, proved, with every row changed once.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/cli/half_run.h"

namespace pawl::test {
namespace {

constexpr const char* kFaketime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

class HostileServerE2eTest : public testing::Test {
 protected:
  void ExpectDone(PawlProcess& run) {
    const Finished finished = run.Wait();
    EXPECT_EQ(finished.exit_code, 0) << finished.both();
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price = id + 1"), HalfRun::kRows);
    EXPECT_EQ(database_.Integer("SELECT sum(rows) FROM pawl.ledger"), HalfRun::kRows);
  }

  TestDatabase database_;
};

// Of the tool alone: leases are the server's time, and pauses are measured by a clock that does not
// jump.
TEST_F(HostileServerE2eTest, TheToolsClockJumpsBackAndForth) {
  if (!std::filesystem::exists(kFaketime)) GTEST_SKIP() << "no libfaketime";
  const std::string now = MigrationFile("now", "+0\n");
  for (const auto& [name, value] : {std::pair<const char*, std::string>{"LD_PRELOAD", kFaketime},
                                    {"FAKETIME_TIMESTAMP_FILE", now},
                                    {"FAKETIME_CACHE_DURATION", "0"},
                                    {"DONT_FAKE_MONOTONIC", "1"},
                                    {"ASAN_OPTIONS", "verify_asan_link_order=0"}}) {
    setenv(name, value.c_str(), 1);
  }
  const auto run = StartSlowRun(database_, database_.url());
  for (const char* name : {"LD_PRELOAD", "FAKETIME_TIMESTAMP_FILE", "FAKETIME_CACHE_DURATION",
                           "DONT_FAKE_MONOTONIC"}) {
    unsetenv(name);
  }
  for (const char* jump : {"+1h\n", "-1h\n", "+10d\n", "+0\n"}) {
    std::ofstream(now) << jump;
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  ExpectDone(*run);
  // Nobody took a lease for one that had run out.
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.span WHERE lease_epoch > 2"), 0);
}

TEST_F(HostileServerE2eTest, ATransactionIsIdleForTheWholeRun) {
  Sql other(database_.url());
  other.Exec("CREATE TABLE elsewhere (x integer)");
  other.Exec("BEGIN ISOLATION LEVEL REPEATABLE READ");
  other.Exec("INSERT INTO elsewhere VALUES (1)");
  const auto run = StartSlowRun(database_, database_.url());
  ExpectDone(*run);
  EXPECT_EQ(other.Integer("SELECT count(*) FROM elsewhere"), 1);
  other.Exec("COMMIT");
}

// The table is vacuumed all the while, with every page frozen.
TEST_F(HostileServerE2eTest, VacuumAfterVacuum) {
  const auto run = StartSlowRun(database_, database_.url());
  std::atomic<bool> stop{false};
  std::jthread vacuum([&] {
    Sql session(database_.url());
    while (!stop) session.Exec("VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) item");
  });
  ExpectDone(*run);
  stop = true;
}

// Autovacuum against wraparound gives way to nobody: DDL waits for it, in moments, and names it.
TEST_F(HostileServerE2eTest, AWraparoundVacuumIsWaitedFor) {
  if (UsesForeignServer()) GTEST_SKIP() << "a server that is not ours";
  control::PrivateServer server(
      {.settings = {"fsync=off", "synchronous_commit=off", "autovacuum_naptime=1s",
                    "autovacuum_freeze_max_age=100000", "autovacuum_vacuum_cost_delay=20ms",
                    "autovacuum_vacuum_cost_limit=1"}});
  Sql sql(server.ConnectionString());
  sql.Exec(
      "CREATE TABLE item (id bigint PRIMARY KEY, price bigint) WITH (fillfactor = 20); INSERT INTO "
      "item SELECT g, g FROM generate_series(1, 4000) AS g");
  sql.Exec(
      "DO $$ BEGIN FOR i IN 1..110000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$");
  const std::string at_work =
      "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%item (to prevent wraparound)%' AND "
      "pid <> pg_backend_pid()";
  ASSERT_TRUE(WaitUntil([&] { return sql.Integer(at_work) > 0; }));
  const std::string file = MigrationFile("twice.sql",
                                         "ALTER TABLE item ADD COLUMN twice bigint;\nUPDATE item "
                                         "SET twice = price * 2 WHERE twice IS NULL;\n");
  PawlProcess run({"run", file}, server.ConnectionString());
  const Finished finished = run.Wait();
  EXPECT_EQ(finished.exit_code, 0) << finished.both();
  EXPECT_NE(finished.both().find("to prevent wraparound"), std::string::npos) << finished.both();
  EXPECT_EQ(sql.Integer("SELECT count(*) FROM item WHERE twice = price * 2"), 4'000);
}

}  // namespace
}  // namespace pawl::test
