// Each signal under the condition that it is there for, on a real server: it must act within two
// seconds, and let go again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "engine/throttle/signals.h"
#include "tests/support/standby_server.h"
#include "tests/support/test_database.h"

namespace pawl::throttle {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Sql;
using ::testing::HasSubstr;

class ThrottleSignalsPgTest : public testing::Test {
 protected:
  // A server of its own, where configuring it disturbs no other test.
  static control::PrivateServer& Server() {
    static control::PrivateServer server(
        {.settings = {"fsync=off", "wal_level=replica", "max_wal_senders=10", "archive_mode=on",
                      "archive_command=true", "wal_keep_size=512MB"}});
    return server;
  }

  ThrottleSignalsPgTest() : sql_(Server().ConnectionString()) {
    sql_.Exec(
        "DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint PRIMARY KEY, x integer) WITH "
        "(autovacuum_enabled = off)");
    sql_.Exec("INSERT INTO t SELECT n, 0 FROM generate_series(1, 20000) AS n");
    sql_.Exec("VACUUM ANALYZE t");
  }

  Scene SceneOf(const schema::ThrottleValues& values) {
    WatchedTable table{sql_.Integer("SELECT 't'::regclass::oid"),
                       "public",
                       "t",
                       {"id"},
                       sql_.Integer("SELECT pg_relation_size('t')")};
    return {db::ConnectionString(Server().ConnectionString()), {table}, values, 1};
  }

  // As the throttle does.
  static db::SessionSettings Settings() {
    db::SessionSettings settings;
    settings.statement_timeout = seconds(1);
    return settings;
  }

  static double Pressure(Signal& signal, db::Session& session) {
    const auto reading = signal.Read(session);
    return reading ? reading->pressure : -1;
  }

  // Reads every 100 ms until `holds`, for at most `limit`.
  static bool ReadsUntil(Signal& signal, db::Session& session,
                         const std::function<bool(double)>& holds,
                         milliseconds limit = seconds(2)) {
    const auto until = Clock::now() + limit;
    while (Clock::now() < until) {
      if (holds(Pressure(signal, session))) return true;
      std::this_thread::sleep_for(milliseconds(100));
    }
    return false;
  }

  static bool Over(double pressure) { return pressure >= 1; }
  static bool Under(double pressure) { return pressure >= 0 && pressure < 0.9; }

  void WriteWal() { sql_.Exec("UPDATE t SET x = x + 1"); }

  // A session reports its counts once a second at most, and when it is idle much later.
  void FlushCounts() {
    if (sql_.Integer("SELECT current_setting('server_version_num')::int") < 150'000) return;
    sql_.Exec("SELECT pg_stat_force_next_flush()");
    sql_.Exec("SELECT 1");
  }

  Sql sql_;
  db::Session session_{db::ConnectionString(Server().ConnectionString()), "throttle", Settings()};
};

TEST_F(ThrottleSignalsPgTest, AReplicaThatReplaysLateIsOverItsLimitUntilItHasCaughtUp) {
  test::StandbyServer standby(Server(), "r1");
  const Scene scene = SceneOf({{"limit.replica_lag", "1s"}});
  const auto signal = MakeReplicaLag(scene);
  const auto itself =
      MakeReplicaItself(SceneOf({{"limit.replica_lag", "1s"}, {"replica", standby.url()}}));
  EXPECT_FALSE(signal->Obstacle(session_));
  EXPECT_FALSE(itself->Obstacle(session_));
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
  Sql replica(standby.url());
  replica.Exec("SELECT pg_wal_replay_pause()");
  WriteWal();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_THAT(signal->Read(session_)->sentence, HasSubstr("replica r1 is "));
  Pressure(*itself, session_);
  EXPECT_TRUE(ReadsUntil(*itself, session_, Over));
  replica.Exec("SELECT pg_wal_replay_resume()");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
  EXPECT_TRUE(ReadsUntil(*itself, session_, Under));
}

TEST_F(ThrottleSignalsPgTest, AReplicaWithADelayIsBehindByIt) {
  test::StandbyServer standby(Server(), "r2");
  Sql replica(standby.url());
  replica.Exec("ALTER SYSTEM SET recovery_min_apply_delay = '4s'");
  replica.Exec("SELECT pg_reload_conf()");
  const auto signal = MakeReplicaLag(SceneOf({{"limit.replica_lag", "1s"}}));
  Pressure(*signal, session_);
  WriteWal();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(8)));
}

TEST_F(ThrottleSignalsPgTest, AReplicaThatIsGoneIsBehind) {
  auto standby = std::make_unique<test::StandbyServer>(Server(), "r3");
  const auto all = MakeReplicaLag(SceneOf({{"limit.replica_lag", "1s"}}));
  const auto named = MakeReplicaLag(SceneOf({{"limit.replica_lag", "1s"}, {"replicas", "r3"}}));
  EXPECT_TRUE(ReadsUntil(*all, session_, Under));
  EXPECT_TRUE(ReadsUntil(*named, session_, Under));
  standby->Stop();
  EXPECT_TRUE(ReadsUntil(*all, session_, Over, seconds(3)));
  EXPECT_THAT(all->Read(session_)->sentence, HasSubstr("not connected"));
  standby->Start();
  EXPECT_TRUE(ReadsUntil(*all, session_, Under));
  EXPECT_TRUE(ReadsUntil(*named, session_, Under));
  const auto stranger = MakeReplicaLag(SceneOf({{"replicas", "nosuch"}}));
  EXPECT_THROW(stranger->Read(session_), db::Error);
}

TEST_F(ThrottleSignalsPgTest, BytesThatAReplicaIsBehind) {
  test::StandbyServer standby(Server(), "r4");
  const auto signal = MakeReplicaLagBytes(SceneOf({{"limit.replica_lag_bytes", "512kB"}}));
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
  Sql replica(standby.url());
  replica.Exec("SELECT pg_wal_replay_pause()");
  WriteWal();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  replica.Exec("SELECT pg_wal_replay_resume()");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
}

TEST_F(ThrottleSignalsPgTest, ASlotThatNobodyReadsKeepsWal) {
  const auto signal = MakeSlotWal(SceneOf({{"limit.slot_wal", "1MB"}}));
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  sql_.Exec("SELECT pg_create_physical_replication_slot('forgotten', true)");
  WriteWal();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_THAT(signal->Read(session_)->sentence, HasSubstr("slot forgotten, which nobody reads"));
  sql_.Exec("SELECT pg_drop_replication_slot('forgotten')");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
}

TEST_F(ThrottleSignalsPgTest, ABrokenArchiveIsSeenAndForgivenOnceItWorks) {
  const auto signal = MakeArchiveBacklog(SceneOf({{"limit.archive_backlog", "32MB"}}));
  const auto command = [&](const std::string& text) {
    sql_.Exec("ALTER SYSTEM SET archive_command = '" + text + "'");
    sql_.Exec("SELECT pg_reload_conf()");
  };
  sql_.Exec("SELECT pg_switch_wal()");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(10)));
  command("false");
  std::this_thread::sleep_for(milliseconds(300));
  for (int i = 0; i < 4; ++i) {
    WriteWal();
    sql_.Exec("SELECT pg_switch_wal()");
  }
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_TRUE(ReadsUntil(
      *signal, session_,
      [&](double) {
        return signal->Read(session_)->sentence.find("archiving fails") != std::string::npos;
      },
      seconds(5)));
  command("true");
  sql_.Exec("SELECT pg_switch_wal()");
  // The archiver tries again once a minute, or when a segment is full; its own pace, not ours.
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(70)));
}

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
  std::atomic<bool> stop{false};
  std::vector<std::jthread> busy;
  for (int i = 0; i < 3; ++i) {
    busy.emplace_back([&stop] {
      Sql sql(Server().ConnectionString());
      while (!stop) sql.Exec("SELECT count(*) FROM generate_series(1, 300000)");
    });
  }
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  stop = true;
  busy.clear();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
}

TEST_F(ThrottleSignalsPgTest, WalRateFollowsWhatIsWritten) {
  const auto signal = MakeWalRate(SceneOf({{"limit.wal_rate", "100kB/s"}}));
  Pressure(*signal, session_);
  std::this_thread::sleep_for(milliseconds(200));
  WriteWal();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(10)));
}

TEST_F(ThrottleSignalsPgTest, RequestedCheckpointsAreCounted) {
  const auto signal = MakeCheckpoints(SceneOf({{"limit.checkpoints", "0.2"}}));
  EXPECT_EQ(Pressure(*signal, session_), 0);
  sql_.Exec("CHECKPOINT");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
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
  sql_.Exec(
      "CREATE SCHEMA IF NOT EXISTS pawl; CREATE TABLE IF NOT EXISTS pawl.ledger (batch_id bigint "
      "GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id bigint, rows bigint)");
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

// Answers every request with what it is told to; a status of 0 is no answer at all.
class Gate {
 public:
  Gate()
      : acceptor_(context_,
                  boost::asio::ip::tcp::endpoint(boost::asio::ip::make_address("127.0.0.1"), 0)) {
    thread_ = std::jthread([this] { Serve(); });
  }
  ~Gate() {
    stop_ = true;
    boost::system::error_code ignored;
    boost::asio::io_context context;
    boost::asio::ip::tcp::socket last(context);
    last.connect(acceptor_.local_endpoint(), ignored);
  }
  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + "/gate";
  }
  std::atomic<int> status{200};

 private:
  void Serve() {
    std::vector<boost::asio::ip::tcp::socket> hanging;
    while (!stop_) {
      boost::asio::ip::tcp::socket socket(context_);
      boost::system::error_code error;
      acceptor_.accept(socket, error);
      if (error || stop_) return;
      if (status == 0) {
        hanging.push_back(std::move(socket));
        continue;
      }
      const std::string answer =
          "HTTP/1.1 " + std::to_string(status) + " so\r\nConnection: close\r\n\r\n";
      boost::asio::write(socket, boost::asio::buffer(answer), error);
    }
  }

  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::atomic<bool> stop_{false};
  std::jthread thread_;
};

TEST_F(ThrottleSignalsPgTest, AnHttpEndpointSaysGoOrHoldOrNothing) {
  Gate gate;
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
  signal->ApplicationPresent(true);
  EXPECT_FALSE(signal->has_baseline());
  const auto drain = [&] {
    signal->DrainBegan();
    ReadsUntil(
        *signal, session_, [](double) { return false; }, seconds(1));
    signal->DrainEnded();
  };
  drain();
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

TEST_F(ThrottleSignalsPgTest, ACommitThatWaitsIsFelt) {
  const auto signal = MakeCommit(SceneOf({{"limit.commit", "200ms"}}));
  signal->ApplicationPresent(true);
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
  // Nobody confirms: a commit waits, and no time-out ends that.
  const auto confirm_by = [&](Sql& sql, const std::string& standby) {
    sql.Exec("ALTER SYSTEM SET synchronous_standby_names = '" + standby + "'");
    sql.Exec("SELECT pg_reload_conf()");
  };
  confirm_by(sql_, "nosuch");
  std::jthread relief([&] {
    std::this_thread::sleep_for(milliseconds(3'500));
    Sql sql(Server().ConnectionString());
    confirm_by(sql, "");
  });
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over, seconds(5)));
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(6)));
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
