// The signals about the table, the sessions and what the user names, each under the condition that it
// is there for, on a real server: it must act within two seconds, and let go again.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/engine/http_gate.h"
#include "tests/engine/signal_scene.h"

namespace pawl::throttle {
namespace {

using ::testing::HasSubstr;

using ThrottleSignalsPgTest = SignalScene;

TEST_F(ThrottleSignalsPgTest, ALockQueueBehindUsIsSeen) {
  const auto signal = MakeLockWait(SceneOf({{"limit.lock_wait", "500ms"}}));
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  db::Session ours(db::ConnectionString(Server().ConnectionString()), "worker");
  auto holding = std::make_unique<db::Transaction>(ours);
  ours.Query("UPDATE t SET x = 1 WHERE id = 1");
  std::jthread waiter(
      [] { Sql(Server().ConnectionString()).Exec("UPDATE t SET x = 2 WHERE id = 1"); });
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_THAT(signal->Read(session_)->sentence, HasSubstr("for a lock of our session"));
  holding.reset();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
}

TEST_F(ThrottleSignalsPgTest, SessionsAtWorkAreCountedWithoutOurs) {
  const auto signal = MakeActive(SceneOf({{"limit.active", "1"}, {"cores", "1"}}));
  EXPECT_FALSE(signal->Obstacle(session_));
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  std::vector<std::jthread> busy;
  for (int i = 0; i < 3; ++i) {
    busy.emplace_back([](const std::stop_token& stop) {
      Sql sql(Server().ConnectionString());
      while (!stop.stop_requested()) sql.Exec("SELECT count(*) FROM generate_series(1, 300000)");
    });
  }
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  busy.clear();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
}

TEST_F(ThrottleSignalsPgTest, DeadRowsUntilAVacuum) {
  const auto signal = MakeDeadTuples(SceneOf({{"limit.dead_tuples", "20%"}}));
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  WriteWal();
  FlushCounts();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  sql_.Exec("VACUUM t");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
}

TEST_F(ThrottleSignalsPgTest, GrowthIsKeptByVacuums) {
  MakeLedger();
  const auto signal = MakeGrowth(SceneOf({{"limit.growth", "50%"}}));
  EXPECT_FALSE(signal->Obstacle(session_));
  const std::int64_t before = sql_.Integer("SELECT pg_relation_size('t')");
  // As a run does: a slice, unless it is held.
  int slices = 0;
  for (int i = 0; i < 600 && slices < 80; ++i) {
    if (const double pressure = Pressure(*signal, session_); pressure < 0.9) {
      const std::string lo = std::to_string(slices % 40 * 500);
      sql_.Exec("UPDATE t SET x = x + 1 WHERE id > " + lo + " AND id <= " + lo + " + 500");
      ++slices;
      sql_.Exec("INSERT INTO pawl.ledger (run_id, rows) VALUES (1, 500)");
    } else {
      std::this_thread::sleep_for(milliseconds(50));
    }
  }
  EXPECT_EQ(slices, 80);  // Every row twice.
  const std::int64_t after = sql_.Integer("SELECT pg_relation_size('t')");
  EXPECT_LT(static_cast<double>(after), 1.6 * static_cast<double>(before));
}

TEST_F(ThrottleSignalsPgTest, GrowthThatALongTransactionKeepsIsHeldAndTheTransactionNamed) {
  MakeLedger();
  const auto signal = MakeGrowth(SceneOf({{"limit.growth", "50%"}}));
  EXPECT_FALSE(signal->Obstacle(session_));
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  Sql old(Server().ConnectionString());
  old.Exec("BEGIN ISOLATION LEVEL REPEATABLE READ");
  const std::string pid = old.Value("SELECT pg_backend_pid()");
  WriteWal();
  FlushCounts();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_TRUE(ReadsUntil(
      *signal, session_,
      [&](double) {
        return signal->Read(session_)->sentence.find("session " + pid + " holds its snapshot") !=
               std::string::npos;
      },
      seconds(5)));
  old.Exec("COMMIT");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(10)));
}

TEST_F(ThrottleSignalsPgTest, AVacuumOfSomebodyElseIsWaitedFor) {
  const auto signal = MakeVacuum(SceneOf({{"limit.vacuum", "any"}}));
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  WriteWal();
  std::jthread vacuum([] {
    Sql sql(Server().ConnectionString());
    sql.Exec("SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 100");
    EXPECT_THROW(sql.Exec("VACUUM t"), test::SqlError);  // Cancelled below.
  });
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  sql_.Exec("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_vacuum");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
  vacuum.join();
}

TEST_F(ThrottleSignalsPgTest, AgesRoomAndConnectionsAgainstTheirLimits) {
  EXPECT_TRUE(Over(Pressure(*MakeXidAge(SceneOf({{"limit.xid_age", "1"}})), session_)));
  EXPECT_TRUE(Under(Pressure(*MakeXidAge(SceneOf({})), session_)));
  const auto room = MakeDiskFree(SceneOf({{"limit.disk_free", "900TB"}}));
  ASSERT_FALSE(room->Obstacle(session_)) << *room->Obstacle(session_);
  EXPECT_TRUE(Over(Pressure(*room, session_)));
  const auto little = MakeDiskFree(SceneOf({{"limit.disk_free", "1MB"}}));
  ASSERT_FALSE(little->Obstacle(session_));
  EXPECT_TRUE(Under(Pressure(*little, session_)));
  // A small table does not ask for 5 GB.
  EXPECT_EQ(MakeDiskFree(SceneOf({{"limit.disk_free", "off"}})), nullptr);
  const auto suitable = MakeDiskFree(SceneOf({}));
  ASSERT_FALSE(suitable->Obstacle(session_));
  const auto reading = suitable->Read(session_);
  ASSERT_TRUE(reading);
  EXPECT_GT(reading->limit, std::pow(2, 30));
  EXPECT_LT(reading->limit, 1.5 * std::pow(2, 30));
  EXPECT_TRUE(Over(Pressure(*MakeConnections(SceneOf({{"limit.connections", "500"}})), session_)));
  EXPECT_TRUE(Under(Pressure(*MakeConnections(SceneOf({})), session_)));
}

TEST_F(ThrottleSignalsPgTest, AQueryOfTheUsersOwn) {
  sql_.Exec("DROP TABLE IF EXISTS queue; CREATE TABLE queue AS SELECT 50 AS length");
  const auto signal =
      MakeQuery(SceneOf({{"query", "SELECT length FROM queue"}, {"limit.query", "100"}}));
  EXPECT_FALSE(signal->Obstacle(session_));
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  sql_.Exec("UPDATE queue SET length = 150");
  EXPECT_TRUE(Over(Pressure(*signal, session_)));
  sql_.Exec("DELETE FROM queue");
  EXPECT_THROW(signal->Read(session_), db::Error);
  for (const char* bad : {"SELECT 'many'", "SELECT 1 WHERE false", "SELECT NULL", "SELECT 1, 2",
                          "DELETE FROM t RETURNING 1", "SELECT nosuch"}) {
    const auto wrong = MakeQuery(SceneOf({{"query", bad}, {"limit.query", "1"}}));
    EXPECT_THROW(wrong->Obstacle(session_), db::Error) << bad;
  }
  EXPECT_EQ(sql_.Integer("SELECT count(*) FROM t"), 20'000);
}

TEST_F(ThrottleSignalsPgTest, AFlagFile) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("pawl-hold-" + std::to_string(getpid()))).string();
  const auto signal = MakeFlagFile(SceneOf({{"flag_file", path}}));
  EXPECT_FALSE(signal->Obstacle(session_));
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  std::ofstream(path) << "hold";
  EXPECT_TRUE(Over(Pressure(*signal, session_)));
  std::filesystem::remove(path);
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  EXPECT_TRUE(MakeFlagFile(SceneOf({{"flag_file", "/no/such/dir/x"}}))->Obstacle(session_));
}

TEST_F(ThrottleSignalsPgTest, AWindowInItsTimeZone) {
  const auto minute = [&](const std::string& offset) {
    return sql_.Value("SELECT to_char(now() AT TIME ZONE 'Asia/Tokyo' + interval '" + offset +
                      "', 'HH24:MI')");
  };
  const auto pressure = [&](const std::string& window) {
    const auto signal = MakeWindow(SceneOf({{"window", window}}));
    EXPECT_FALSE(signal->Obstacle(session_));
    return Pressure(*signal, session_);
  };
  EXPECT_EQ(pressure(minute("-10 min") + "-" + minute("10 min") + " Asia/Tokyo"), 0);
  EXPECT_EQ(pressure(minute("10 min") + "-" + minute("20 min") + " Asia/Tokyo"), 1);
  EXPECT_EQ(pressure(minute("-10 min") + "-" + minute("10 min") + " America/New_York"), 1);
  EXPECT_TRUE(MakeWindow(SceneOf({{"window", "22:00-06:00 Mars/Olympus"}}))->Obstacle(session_));
}

TEST_F(ThrottleSignalsPgTest, AnHttpEndpointSaysGoOrHoldOrNothing) {
  test::HttpGate gate;
  const auto signal = MakeHttp(SceneOf({{"http", gate.url()}}));
  EXPECT_FALSE(signal->Obstacle(session_));
  EXPECT_EQ(Pressure(*signal, session_), 0);
  for (const int status : {429, 503}) {
    gate.status = status;
    EXPECT_EQ(Pressure(*signal, session_), 1);
  }
  gate.status = 404;
  EXPECT_THROW(signal->Read(session_), db::Error);
  gate.status = 0;
  const auto began = Clock::now();
  EXPECT_THROW(signal->Read(session_), db::Error);
  EXPECT_LT(Clock::now() - began, milliseconds(1'500));
  EXPECT_THAT(signal->Obstacle(session_).value_or(""), HasSubstr("no answer within a second"));
  gate.status = 200;
  EXPECT_EQ(Pressure(*signal, session_), 0);
}

TEST_F(ThrottleSignalsPgTest, TheCanaryFeelsWhatTheApplicationWould) {
  const auto signal = MakeCanary(SceneOf({{"limit.latency", "+100%"}}));
  EXPECT_FALSE(signal->has_baseline());
  LearnBaseline(*signal);
  EXPECT_TRUE(signal->has_baseline());
  EXPECT_TRUE(ReadsUntil(*signal, session_, [](double pressure) { return pressure >= 0; }));
  // Nobody can read the table: the canary runs into its time-out, which is no answer, never zero.
  Sql rival(Server().ConnectionString());
  rival.Exec("BEGIN");
  rival.Exec("LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
  EXPECT_THROW(signal->Read(session_), db::Error);
  rival.Exec("COMMIT");
  EXPECT_NO_THROW(signal->Read(session_));
}

// Without keys it would ask nothing of the table, and find that quick.
TEST_F(ThrottleSignalsPgTest, ACanaryThatCouldNotTakeItsKeysTakesThemAgain) {
  const auto signal = MakeCanary(SceneOf({{"limit.latency", "1s"}}));
  signal->ApplicationPresent(true);
  sql_.Exec("ALTER TABLE t RENAME TO t_elsewhere");
  for (int i = 0; i < 10; ++i) EXPECT_THROW(signal->Read(session_), db::Error);
  sql_.Exec("ALTER TABLE t_elsewhere RENAME TO t");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
  EXPECT_THAT(signal->Read(session_)->sentence, HasSubstr("a read of public.t takes"));
}

TEST_F(ThrottleSignalsPgTest, ACanaryOfTheUsersOwnIsSlowAndQuickAgain) {
  MakeWork();
  const auto signal =
      MakeCanary(SceneOf({{"limit.latency", "+200%"}, {"canary", "SELECT work()"}}));
  EXPECT_FALSE(signal->Obstacle(session_));
  LearnBaseline(*signal);
  SetWork("0.05");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  SetWork("0.002");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(5)));
}

TEST_F(ThrottleSignalsPgTest, TheApplicationsStatementsAreSlowAndQuickAgain) {
  sql_.Exec("CREATE EXTENSION IF NOT EXISTS pg_stat_statements");
  MakeWork();
  std::jthread application([](const std::stop_token& stop) {
    Sql sql(Server().ConnectionString());
    while (!stop.stop_requested()) sql.Exec("SELECT work()");
  });
  std::this_thread::sleep_for(milliseconds(200));
  const auto signal = MakeStatements(SceneOf({{"limit.latency", "+200%"}}));
  EXPECT_FALSE(signal->Obstacle(session_));
  LearnBaseline(*signal);
  SetWork("0.05");
  ASSERT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_THAT(signal->Read(session_)->sentence, HasSubstr("the application's statements take"));
  SetWork("0.002");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(5)));
}

TEST_F(ThrottleSignalsPgTest, MissingPrivilegesAreSaidAtPlanTimeAndAskedForOnesRefused) {
  sql_.Exec("DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN");
  sql_.Exec("GRANT SELECT, UPDATE ON t TO clerk");
  const std::string url = "host=" + Server().directory() +
                          " port=" + std::to_string(Server().port()) +
                          " user=clerk dbname=postgres";
  db::Session clerk(db::ConnectionString(url), "plan");
  Scene scene = SceneOf({});
  scene.where = db::ConnectionString(url);
  auto signals = MakeSignals(scene);
  const std::vector<std::string> notes = LeaveOutUnreadable(clerk, scene, signals);
  EXPECT_THAT(notes, testing::Contains(HasSubstr("limit.lock_wait is not kept: the role may not "
                                                 "see what other sessions wait for. GRANT "
                                                 "pg_monitor TO clerk")));
  scene.values = {{"limit.lock_wait", "1s"}};
  signals = MakeSignals(scene);
  EXPECT_THROW(LeaveOutUnreadable(clerk, scene, signals), db::Error);
}

}  // namespace
}  // namespace pawl::throttle
