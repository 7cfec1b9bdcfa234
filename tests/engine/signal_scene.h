// A server of its own with a table, and what a test of a signal does with them: read it until it acts,
// and until it lets go.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "control/private_server.h"
#include "engine/throttle/signals.h"
#include "tests/support/test_database.h"

namespace pawl::throttle {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Sql;

class SignalScene : public testing::Test {
 protected:
  // A server of its own, where configuring it disturbs no other test.
  static control::PrivateServer& Server() {
    static control::PrivateServer server(
        {.settings = {"fsync=off", "wal_level=replica", "max_wal_senders=10", "archive_mode=on",
                      "archive_command=true", "wal_keep_size=512MB",
                      "shared_preload_libraries=pg_stat_statements"}});
    return server;
  }

  SignalScene() : sql_(Server().ConnectionString()) {
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

  // What growth is counted by.
  void MakeLedger() {
    sql_.Exec(
        "CREATE SCHEMA IF NOT EXISTS pawl; CREATE TABLE IF NOT EXISTS pawl.ledger (batch_id bigint "
        "GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id bigint, rows bigint)");
  }

  // A statement of the application that takes as long as SetWork says.
  void MakeWork() {
    sql_.Exec(
        "DROP TABLE IF EXISTS slowness; CREATE TABLE slowness AS SELECT 0.002::float8 AS seconds;"
        "CREATE OR REPLACE FUNCTION work() RETURNS void LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep((SELECT seconds FROM slowness)); END'");
  }
  void SetWork(const std::string& duration) {
    sql_.Exec("UPDATE slowness SET seconds = " + duration);
  }

  void LearnBaseline(Signal& signal) {
    signal.ApplicationPresent(true);
    signal.DrainBegan();
    ReadsUntil(
        signal, session_, [](double) { return false; }, seconds(1));
    signal.DrainEnded();
  }

  // A session reports its counts once a second at most, and when it is idle much later.
  void FlushCounts() {
    if (sql_.Integer("SELECT current_setting('server_version_num')::int") < 150'000) return;
    sql_.Exec("SELECT pg_stat_force_next_flush()");
    sql_.Exec("SELECT 1");
  }

  Sql sql_;
  db::Session session_{db::ConnectionString(Server().ConnectionString()), "throttle", Settings()};
};

}  // namespace pawl::throttle
