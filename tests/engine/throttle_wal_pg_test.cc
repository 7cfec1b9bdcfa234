// The signals about WAL, its commit, its archive and its replicas, each under the condition that it is
// there for, on real servers: it must act within two seconds, and let go again.
#include <gmock/gmock.h>

#include <memory>

#include "tests/engine/signal_scene.h"
#include "tests/support/standby_server.h"

namespace pawl::throttle {
namespace {

using ::testing::HasSubstr;

using ThrottleWalPgTest = SignalScene;

TEST_F(ThrottleWalPgTest, AReplicaThatReplaysLateIsOverItsLimitUntilItHasCaughtUp) {
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

TEST_F(ThrottleWalPgTest, AReplicaWithADelayIsBehindByIt) {
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

TEST_F(ThrottleWalPgTest, AReplicaThatIsGoneIsBehind) {
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

TEST_F(ThrottleWalPgTest, BytesThatAReplicaIsBehind) {
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

TEST_F(ThrottleWalPgTest, ASlotThatNobodyReadsKeepsWal) {
  const auto signal = MakeSlotWal(SceneOf({{"limit.slot_wal", "1MB"}}));
  EXPECT_TRUE(Under(Pressure(*signal, session_)));
  sql_.Exec("SELECT pg_create_physical_replication_slot('forgotten', true)");
  WriteWal();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_THAT(signal->Read(session_)->sentence, HasSubstr("slot forgotten, which nobody reads"));
  sql_.Exec("SELECT pg_drop_replication_slot('forgotten')");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under));
}

TEST_F(ThrottleWalPgTest, ABrokenArchiveIsSeenAndForgivenOnceItWorks) {
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

TEST_F(ThrottleWalPgTest, WalRateFollowsWhatIsWritten) {
  const auto signal = MakeWalRate(SceneOf({{"limit.wal_rate", "100kB/s"}}));
  Pressure(*signal, session_);
  std::this_thread::sleep_for(milliseconds(200));
  WriteWal();
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(10)));
}

TEST_F(ThrottleWalPgTest, RequestedCheckpointsAreCounted) {
  const auto signal = MakeCheckpoints(SceneOf({{"limit.checkpoints", "20"}}), seconds(3));
  EXPECT_EQ(Pressure(*signal, session_), 0);
  sql_.Exec("CHECKPOINT");
  EXPECT_TRUE(ReadsUntil(*signal, session_, Over));
  EXPECT_TRUE(ReadsUntil(*signal, session_, Under, seconds(5)));
}

TEST_F(ThrottleWalPgTest, ACommitThatWaitsIsFelt) {
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

}  // namespace
}  // namespace pawl::throttle
