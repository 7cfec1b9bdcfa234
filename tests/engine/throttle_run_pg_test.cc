// Whole runs under the throttle: held and let go by each kind of signal, steered by hand, shared by
// processes and by runs. A run that was held must still finish, and every row be changed once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "db/error.h"
#include "engine/engine.h"
#include "tests/engine/http_gate.h"
#include "tests/engine/run_aside.h"
#include "tests/support/standby_server.h"
#include "tests/support/test_database.h"

namespace pawl::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::TestDatabase;
using ::testing::HasSubstr;

class ThrottleRunPgTest : public testing::Test {
 protected:
  ThrottleRunPgTest() {
    database_.Exec(
        "CREATE TABLE t (id bigint PRIMARY KEY, x integer NOT NULL); INSERT INTO t SELECT n, 0 "
        "FROM generate_series(1, 20000) AS n");
    database_.Exec("VACUUM ANALYZE t");
  }

  static constexpr const char* kRaise = "-- pawl: batch_rows=100\nUPDATE t SET x = x + 1;";

  // What is felt of other tests on this machine does not steer, nor how full its disk is, so that only
  // what is given does.
  static RunSettings With(schema::ThrottleValues throttle) {
    throttle.merge(schema::ThrottleValues{{"limit.latency", "off"},
                                          {"limit.commit", "off"},
                                          {"limit.active", "off"},
                                          {"limit.disk_free", "off"}});
    return WithWhatIsFelt(std::move(throttle));
  }
  static RunSettings WithWhatIsFelt(schema::ThrottleValues throttle) {
    RunSettings settings;
    settings.workers = 2;
    settings.pace = 10'000;
    settings.throttle = std::move(throttle);
    return settings;
  }

  std::string FlagPath() const {
    return (std::filesystem::temp_directory_path() /
            ("pawl-flag-" + database_.name() + "-" + std::to_string(getpid())))
        .string();
  }

  std::int64_t Raised() { return database_.Integer("SELECT count(*) FROM t WHERE x = 1"); }
  // Batches that were under way when the run was held end first, within two seconds.
  bool StandsStill() {
    const auto raises_nothing = [this] {
      const std::int64_t before = Raised();
      std::this_thread::sleep_for(milliseconds(400));
      return Raised() == before;
    };
    return WaitUntil(raises_nothing, seconds(2)) && raises_nothing();
  }
  void ExpectRaisedOnce(const RunResult& result) {
    EXPECT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(Raised(), 20'000);
  }

  TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
};

TEST_F(ThrottleRunPgTest, AFlagFileHoldsWithinTwoSecondsAndLetsGo) {
  const std::string path = FlagPath();
  RunAside run(database_.url(), kRaise, With({{"flag_file", path}}));
  ASSERT_TRUE(WaitUntil([&] { return Raised() > 0; }, seconds(10))) << run.progress().note;
  std::ofstream(path) << "";
  EXPECT_TRUE(WaitUntil(
      [&] { return run.progress().note.find("held: the file") != std::string::npos; }, seconds(2)));
  EXPECT_TRUE(StandsStill());
  // `pawl status` and `pawl throttle` say it too, from the tables.
  EXPECT_TRUE(WaitUntil(
      [&] {
        const ThrottleReport report = engine_.ReportThrottle(1);
        return report.held && report.signal == "flag_file";
      },
      seconds(2)));
  EXPECT_THAT(engine_.Status(1)[0].progress.note, HasSubstr("held: the file"));
  std::filesystem::remove(path);
  EXPECT_TRUE(
      WaitUntil([&] { return run.progress().note.find("held") == std::string::npos; }, seconds(2)));
  ExpectRaisedOnce(run.Wait());
  EXPECT_GT(run.progress().waiting_seconds, 0.3);
}

TEST_F(ThrottleRunPgTest, LimitsAreSetByHandAndRemembered) {
  RunAside run(database_.url(), kRaise, With({}));
  ASSERT_TRUE(WaitUntil([&] { return Raised() > 0; }, seconds(10))) << run.progress().note;
  engine_.Set(1, std::nullopt, std::nullopt, {{"limit.xid_age", "1"}});
  EXPECT_TRUE(WaitUntil(
      [&] { return run.progress().note.find("oldest transaction id") != std::string::npos; },
      seconds(2)));
  EXPECT_TRUE(StandsStill());
  engine_.Set(1, std::nullopt, 0, {{"limit.xid_age", "off"}});
  ExpectRaisedOnce(run.Wait());
  const ThrottleReport report = engine_.ReportThrottle(1);
  EXPECT_EQ(report.values.at("limit.xid_age"), "off");
  ASSERT_GE(report.changes.size(), 2U);
  EXPECT_THAT(report.changes[1].what, HasSubstr("limit.xid_age=1"));
  EXPECT_FALSE(report.changes[0].who.empty());
  EXPECT_FALSE(report.changes[0].from.empty());
  EXPECT_GT(database_.Integer("SELECT count(*) FROM pawl.audit WHERE event = 'set'"), 1);
}

TEST_F(ThrottleRunPgTest, AnotherProcessObeysTheCoordinator) {
  const std::string path = FlagPath();
  std::ofstream(path) << "";
  RunAside first(database_.url(), kRaise, With({{"flag_file", path}}));
  ASSERT_TRUE(WaitUntil([&] { return first.progress().note.find("held") == 0; }, seconds(20)));
  RunAside second(database_.url(), kRaise, {});
  EXPECT_TRUE(
      WaitUntil([&] { return second.progress().note.find("held: the file") == 0; }, seconds(5)));
  EXPECT_EQ(Raised(), 0);
  std::filesystem::remove(path);
  first.Wait();
  second.Wait();
  EXPECT_EQ(Raised(), 20'000);
}

TEST_F(ThrottleRunPgTest, AQueryThatFailsHoldsAndSaysWhy) {
  database_.Exec("CREATE TABLE load AS SELECT 1 AS jobs");
  RunAside run(database_.url(), kRaise,
               With({{"query", "SELECT jobs FROM load"}, {"limit.query", "5"}}));
  ASSERT_TRUE(WaitUntil([&] { return Raised() > 0; }, seconds(10))) << run.progress().note;
  database_.Exec("ALTER TABLE load RENAME TO gone");
  EXPECT_TRUE(WaitUntil(
      [&] { return run.progress().note.find("query cannot be read") != std::string::npos; },
      seconds(3)));
  EXPECT_TRUE(StandsStill());
  database_.Exec("ALTER TABLE gone RENAME TO load");
  ExpectRaisedOnce(run.Wait());
}

TEST_F(ThrottleRunPgTest, AnEndpointThatHangsHoldsAndKeepsNobodyElseFromBeingHeard) {
  test::HttpGate gate;
  const std::string path = FlagPath();
  RunAside run(database_.url(), kRaise, With({{"http", gate.url()}, {"flag_file", path}}));
  ASSERT_TRUE(WaitUntil([&] { return Raised() > 0; }, seconds(10))) << run.progress().note;
  gate.status = 0;
  EXPECT_TRUE(WaitUntil(
      [&] { return run.progress().note.find("no answer within a second") != std::string::npos; },
      seconds(3)));
  EXPECT_TRUE(StandsStill());
  gate.status = 200;
  EXPECT_TRUE(
      WaitUntil([&] { return run.progress().note.find("held") == std::string::npos; }, seconds(3)));
  ExpectRaisedOnce(run.Wait());
}

// The throttle loses its connection while an endpoint is away: it must ask again, not give up.
TEST_F(ThrottleRunPgTest, WhatIsAwayWhenTheThrottleComesBackIsAskedAgain) {
  test::HttpGate gate;
  RunAside run(database_.url(), kRaise, With({{"http", gate.url()}}));
  ASSERT_TRUE(WaitUntil([&] { return Raised() > 0; }, seconds(10))) << run.progress().note;
  gate.status = 404;
  database_.Exec(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
      "AND application_name LIKE 'pawl/throttle%'");
  EXPECT_TRUE(WaitUntil(
      [&] { return run.progress().note.find("http cannot be kept") != std::string::npos; },
      seconds(3)));
  EXPECT_TRUE(StandsStill());
  gate.status = 200;
  ExpectRaisedOnce(run.Wait());
}

// Two signals are broken at once: each can be switched off, and other things set, in spite of the
// other. Only what is given now can be refused.
TEST_F(ThrottleRunPgTest, SettingsAreTakenWhileOtherSignalsAreBroken) {
  test::HttpGate gate;
  database_.Exec("CREATE TABLE load AS SELECT 1 AS jobs");
  RunAside run(
      database_.url(), kRaise,
      With({{"http", gate.url()}, {"query", "SELECT jobs FROM load"}, {"limit.query", "5"}}));
  ASSERT_TRUE(WaitUntil([&] { return Raised() > 0; }, seconds(10))) << run.progress().note;
  gate.status = 404;
  database_.Exec("ALTER TABLE load RENAME TO gone");
  EXPECT_TRUE(WaitUntil(
      [&] { return run.progress().note.find("cannot be read") != std::string::npos; }, seconds(3)));
  EXPECT_TRUE(StandsStill());
  engine_.Set(1, 3, std::nullopt, {{"limit.lock_wait", "400ms"}, {"weight", "2"}});
  EXPECT_EQ(database_.Integer("SELECT workers FROM pawl.run"), 3);
  const auto refused = [&](const schema::ThrottleValues& given) {
    EXPECT_THROW(engine_.Set(1, std::nullopt, std::nullopt, given), db::Error);
  };
  refused({{"canary", "SELECT nosuch"}, {"limit.latency", "+50%"}});
  refused({{"flag_file", "/no/such/dir/x"}});
  refused({{"query", "SELECT nosuch"}});
  engine_.Set(1, std::nullopt, std::nullopt, {{"query", "off"}});
  EXPECT_TRUE(StandsStill());
  engine_.Set(1, std::nullopt, 0, {{"http", "off"}});
  ExpectRaisedOnce(run.Wait());
}

TEST_F(ThrottleRunPgTest, ADrainIsShownAsHeld) {
  std::jthread application([this](const std::stop_token& stop) {
    test::Sql sql(database_.url());
    while (!stop.stop_requested()) sql.Exec("SELECT x FROM t WHERE id = 7");
  });
  RunAside run(database_.url(), kRaise, WithWhatIsFelt({}));
  EXPECT_TRUE(WaitUntil(
      [&] { return run.progress().note.find("held: measures for a moment") == 0; }, seconds(20)));
  EXPECT_TRUE(WaitUntil([&] { return Raised() > 0; }, seconds(20))) << run.progress().note;
  EXPECT_GT(run.progress().waiting_seconds, 0.5);
  engine_.Set(1, std::nullopt, 0, {{"throttle", "off"}});
  ExpectRaisedOnce(run.Wait());
}

TEST_F(ThrottleRunPgTest, WhatCannotBeKeptIsRefusedBeforeAnythingIsWritten) {
  const auto refused = [&](const schema::ThrottleValues& values, const std::string& words) {
    try {
      engine_.Run("m", kRaise, With(values), {});
      ADD_FAILURE() << words;
    } catch (const db::Error& error) {
      EXPECT_EQ(error.action(), db::Action::kBadInput) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(words));
    }
  };
  refused({{"query", "SELECT 'many'"}, {"limit.query", "1"}}, "which is no number");
  refused({{"query", "SELECT 1 WHERE false"}, {"limit.query", "1"}}, "no row");
  refused({{"query", "SELECT 1"}}, "belong together");
  refused({{"window", "22:00-06:00 Mars/Olympus"}}, "pg_timezone_names");
  refused({{"http", "http://127.0.0.1:1/x"}}, "http cannot be kept");
  refused({{"canary", "SELECT nosuch"}, {"limit.latency", "+50%"}}, "canary=");
  EXPECT_EQ(database_.Value("SELECT to_regnamespace('pawl')"), "NULL");
  for (const char* line : {"limit.replica_lag=10", "window=\"22:00-22:00\"", "limit.nosuch=1s"}) {
    EXPECT_THROW(engine_.Compile("m", std::string("-- pawl: ") + line + "\n" + kRaise), db::Error);
  }
}

TEST_F(ThrottleRunPgTest, TheFilesOptionsHoldForTheRun) {
  const RunResult result =
      engine_.Run("m", "-- pawl: limit.replica_lag=7s weight=3\n\n" + std::string(kRaise), {}, {});
  ExpectRaisedOnce(result);
  EXPECT_EQ(engine_.ReportThrottle(1).values.at("limit.replica_lag"), "7s");
  EXPECT_EQ(database_.Value("SELECT weight FROM pawl.throttle"), "3");
}

TEST_F(ThrottleRunPgTest, TwoRunsShareByWeight) {
  database_.Exec("CREATE TABLE u AS SELECT * FROM t; ALTER TABLE u ADD PRIMARY KEY (id)");
  database_.Exec("ANALYZE u");
  RunSettings light = With({{"weight", "1"}});
  RunSettings heavy = With({{"weight", "3"}});
  light.pace = heavy.pace = 3'000;
  RunAside first(database_.url(), kRaise, light);
  RunAside second(database_.url(), "-- pawl: batch_rows=100\nUPDATE u SET x = x + 1;", heavy, "n");
  const auto level_max = [&](const std::string& migration) {
    return database_.Value(
        "SELECT coalesce((SELECT t.level_max::text FROM pawl.throttle AS t JOIN pawl.run AS r USING "
        "(run_id) WHERE r.migration = '" +
        migration + "'), '')");
  };
  ASSERT_TRUE(
      WaitUntil([&] { return database_.Value("SELECT to_regclass('pawl.throttle')") != "NULL"; },
                seconds(20)));
  EXPECT_TRUE(
      WaitUntil([&] { return level_max("m") == "0.5" && level_max("n") == "1.5"; }, seconds(5)));
  for (const std::int64_t run : {1, 2}) engine_.Set(run, std::nullopt, 0);
  first.Wait();
  second.Wait();
  ExpectRaisedOnce(engine_.Run("m", kRaise, {}, {}));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM u WHERE x = 1"), 20'000);
}

TEST_F(ThrottleRunPgTest, GrowthStaysUnderItsLimit) {
  database_.Exec(
      "CREATE TABLE wide (id bigint PRIMARY KEY, x integer NOT NULL, filler text) WITH "
      "(autovacuum_enabled = off); CREATE INDEX ON wide (x); INSERT INTO wide SELECT n, 0, "
      "repeat('f', 150) FROM generate_series(1, 200000) AS n");
  database_.Exec("VACUUM ANALYZE wide");
  const std::int64_t before = database_.Integer("SELECT pg_relation_size('wide')");
  RunSettings settings = With({{"limit.growth", "25%"}});
  settings.pace = 0;
  // As after a crash or a failover: the statistics know of ten rows.
  database_.Exec("SELECT pg_stat_reset()");
  database_.Exec("UPDATE wide SET filler = filler WHERE id <= 10");
  RunAside run(database_.url(), "UPDATE wide SET x = x + 1;", settings);
  const RunResult result = run.Wait();
  EXPECT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM wide WHERE x = 1"), 200'000);
  const std::int64_t after = database_.Integer("SELECT pg_relation_size('wide')");
  const double growth = static_cast<double>(after) / static_cast<double>(before) - 1;
  std::printf("growth: limit 25 %%, %.1f %%\n", 100 * growth);
  EXPECT_LT(growth, 0.30);
}

TEST_F(ThrottleRunPgTest, ThrottleOffAsksNothing) {
  RunSettings settings = With({{"throttle", "off"}});
  settings.pace = 0;
  ExpectRaisedOnce(engine_.Run("m", kRaise, settings, {}));
  EXPECT_TRUE(engine_.ReportThrottle(1).signals.empty());
}

// A standby that replays, at 1 MB/s, far less than the run writes.
TEST(ThrottleStandbyPgTest, LagStaysWithinASecondOfItsLimit) {
  control::PrivateServer server({.settings = {"fsync=off", "wal_keep_size=1GB"}});
  test::Sql sql(server.ConnectionString());
  sql.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, x integer NOT NULL, filler text); INSERT INTO t "
      "SELECT n, 0, repeat('f', 200) FROM generate_series(1, 150000) AS n");
  sql.Exec("VACUUM ANALYZE t");
  test::StandbyServer standby(server, "slow");
  test::Sql replica(standby.url());
  // Its replay is stopped for nine tenths of the time: the receiver receives, the lag grows.
  std::atomic<bool> stop{false};
  std::jthread brake([&] {
    test::Sql hand(standby.url());
    while (!stop) {
      hand.Exec("SELECT pg_wal_replay_pause()");
      std::this_thread::sleep_for(milliseconds(180));
      hand.Exec("SELECT pg_wal_replay_resume()");
      std::this_thread::sleep_for(milliseconds(20));
    }
    hand.Exec("SELECT pg_wal_replay_resume()");
  });
  RunSettings settings;
  settings.workers = 2;
  settings.throttle = {{"limit.replica_lag", "2s"}, {"limit.disk_free", "off"}};
  RunAside run(server.ConnectionString(), "UPDATE t SET x = x + 1;", settings);
  double most = 0;
  // A machine that lets us wait lets the throttle wait as well; that is not its fault.
  std::chrono::duration<double> stall{0};
  auto looked = std::chrono::steady_clock::now();
  while (!run.done()) {
    // By the standby's own account, of what it replays at this moment.
    const std::string lag = replica.Value(
        "SELECT coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), "
        "0) * (pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn())::int");
    most = std::max(most, std::stod(lag));
    std::this_thread::sleep_for(milliseconds(20));
    stall =
        std::max(stall, std::chrono::duration<double>(std::chrono::steady_clock::now() - looked));
    looked = std::chrono::steady_clock::now();
  }
  stop = true;
  EXPECT_EQ(run.Wait().state, "completed");
  std::printf("replica lag: limit 2 s, highest %.2f s; longest stall of the test itself %.2f s\n",
              most, stall.count());
  EXPECT_LT(most, 3.0 + stall.count());
  EXPECT_EQ(sql.Integer("SELECT count(*) FROM t WHERE x = 1"), 150'000);
}

}  // namespace
}  // namespace pawl::engine
