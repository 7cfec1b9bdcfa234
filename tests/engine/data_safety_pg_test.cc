// Ways in which a row of the user's was once lost, changed twice, wrongly taken back, or wrongly
// proved. Each test is one of them, and fails where the mistake comes back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "db/error.h"
#include "engine/engine.h"
#include "tests/engine/run_aside.h"
#include "tests/support/test_database.h"

namespace pawl::engine {
namespace {

using test::TestDatabase;
using ::testing::HasSubstr;

class DataSafetyPgTest : public testing::Test {
 protected:
  // Its text is its name: what is completed under a name stays as it is.
  RunResult Run(const std::string& text, const RunSettings& settings = {}) {
    return engine_.Run(text, text, settings, {});
  }

  RunResult Completed(const std::string& text) {
    const RunResult result = Run(text);
    EXPECT_EQ(result.state, "completed") << result.reason;
    return result;
  }

  RunResult Back(std::int64_t run, OnConflict on_conflict = OnConflict::kStop,
                 const std::vector<std::int64_t>& batches = {}) {
    RevertSettings settings;
    settings.on_conflict = on_conflict;
    settings.batches = batches;
    return engine_.Revert(run, settings, {});
  }

  static std::string Refusal(const std::function<void()>& work) {
    try {
      work();
      return {};
    } catch (const db::Error& error) {
      return error.what();
    }
  }

  // While a run of `text` is at work, slowly: `work`. Returns how the run ended.
  RunResult Meanwhile(const std::string& text, std::int64_t pace,
                      const std::function<void()>& work) {
    RunSettings settings;
    settings.pace = pace;
    settings.workers = 1;
    std::jthread thread([&] {
      while (true) {
        try {
          if (database_.Integer("SELECT count(*) FROM pawl.ledger WHERE rows > 0") > 0) break;
        } catch (const test::SqlError&) {
          // No control schema yet.
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      work();
      engine_.Set(1, std::nullopt, 0);
    });
    return Run(text, settings);
  }

  TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
};

// A user's table may have any name, also one that our statements use for themselves.
TEST_F(DataSafetyPgTest, TablesAndAliasesMayBeCalledAsOurOwn) {
  for (const char* name : {"batch", "changed", "summary", "undo", "before", "packed", "written",
                           "removed", "added", "rec", "restored", "conflicts", "listed"}) {
    SCOPED_TRACE(name);
    const std::string table = name;
    const std::string alias = table == "rec" ? "changed" : "rec";
    database_.Exec(
        "CREATE TABLE t (id bigint PRIMARY KEY, batch_id bigint, x integer); INSERT INTO "
        "t SELECT g, g % 10, 0 FROM generate_series(1, 100) AS g; CREATE TABLE " +
        table + " (id bigint PRIMARY KEY); INSERT INTO " + table + " VALUES (3), (4)");
    const RunResult update =
        engine_.Run("update_" + table,
                    "UPDATE t AS " + alias + " SET x = 1 WHERE EXISTS (SELECT FROM " + table +
                        " WHERE " + table + ".id = " + alias + ".batch_id)",
                    {}, {});
    EXPECT_EQ(update.state, "completed") << update.reason;
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE (x = 1) <> (batch_id IN (3, 4))"), 0);
    EXPECT_EQ(Back(update.run).state, "reverted");
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x = 1"), 0);
    const RunResult removal = engine_.Run("delete_" + table,
                                          "DELETE FROM t WHERE EXISTS (SELECT FROM " + table +
                                              " WHERE " + table + ".id = t.batch_id)",
                                          {}, {});
    EXPECT_EQ(removal.state, "completed") << removal.reason;
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE batch_id IN (3, 4)"), 0);
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t"), 80);
    EXPECT_EQ(Back(removal.run).state, "reverted");
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t"), 100);
    database_.Exec("DROP TABLE t; DROP TABLE " + table);
  }
}

TEST_F(DataSafetyPgTest, KeepingInSyncTouchesOnlyWhatTheStatementMeans) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, a integer, total integer); INSERT INTO t SELECT g, "
      "g, NULL FROM generate_series(1, 4000) AS g; INSERT INTO t VALUES (5000, 1, 99)");
  const RunResult result = Meanwhile(
      "-- pawl: keep_in_sync batch_rows=100\nUPDATE t SET total = a * 2 WHERE total IS NULL", 2'000,
      [&] {
        database_.Exec("INSERT INTO t VALUES (6000, 5, 42), (6001, 5, NULL)");
        database_.Exec("UPDATE t SET a = 7 WHERE id = 5000");  // Its total was its own.
        database_.Exec("UPDATE t SET a = 8 WHERE id = 10");    // Converted: keeps in step.
        database_.Exec("UPDATE t SET a = 9 WHERE id = 3999");  // Not yet.
        database_.Exec("UPDATE t SET a = 6, total = 1 WHERE id = 11");
      });
  EXPECT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(
      database_.Value("SELECT string_agg(id || '=' || total, ' ' ORDER BY id) FROM t WHERE id "
                      "IN (10, 11, 3999, 5000, 6000, 6001)"),
      "10=16 11=1 3999=18 5000=99 6000=42 6001=10");
}

TEST_F(DataSafetyPgTest, KeepingInSyncIsRefusedWhereATriggerCannotSeeTheColumn) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, a integer, g integer GENERATED ALWAYS AS (a + 1) "
      "STORED, c integer)");
  EXPECT_THAT(
      Refusal([&] { Run("-- pawl: keep_in_sync\nUPDATE t SET c = g + 1 WHERE c IS NULL"); }),
      HasSubstr("generated column"));
}

TEST_F(DataSafetyPgTest, AnInverseIsNeverForced) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, kind text, x integer); INSERT INTO t SELECT g, CASE "
      "WHEN g % 3 = 0 THEN 'a' ELSE 'b' END, 100 FROM generate_series(1, 900) AS g");
  const RunResult result = Completed(
      "-- pawl: inverse=\"x = x - 1\" undo=inverse\nUPDATE t SET x = x + 1 WHERE kind = 'a'");
  database_.Exec("UPDATE t SET x = 7 WHERE id = 3");
  EXPECT_THAT(Refusal([&] { Back(result.run, OnConflict::kForce); }), HasSubstr("Use skip"));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE kind = 'b' AND x <> 100"), 0);
  EXPECT_EQ(Back(result.run, OnConflict::kSkip).state, "reverted");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x <> 100"), 1);
}

TEST_F(DataSafetyPgTest, RowsThatOthersReferToAreNotTakenBackWithThem) {
  database_.Exec(
      "CREATE TABLE source (id bigint PRIMARY KEY); INSERT INTO source SELECT generate_series(1, "
      "500); CREATE TABLE customer (id bigint PRIMARY KEY); CREATE TABLE purchase (id bigint PRIMARY "
      "KEY, customer_id bigint REFERENCES customer ON DELETE CASCADE)");
  const RunResult result = Completed("INSERT INTO customer SELECT id FROM source");
  database_.Exec("INSERT INTO purchase SELECT g, g FROM generate_series(1, 50) AS g");
  EXPECT_THAT(Refusal([&] { Back(result.run); }), HasSubstr("purchase"));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM purchase"), 50);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM customer"), 500);
}

TEST_F(DataSafetyPgTest, AColumnThatTheApplicationHasWrittenIsKept) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, a integer); INSERT INTO t SELECT g, g FROM "
      "generate_series(1, 1000) AS g");
  const RunResult result = Completed(
      "ALTER TABLE t ADD COLUMN c integer;\n-- pawl: undo=image\nUPDATE t SET c = a WHERE id <= 900");
  database_.Exec("UPDATE t SET c = 777 WHERE id = 950");
  const RunResult back = Back(result.run);
  EXPECT_EQ(back.conflicts, 1);
  EXPECT_EQ(database_.Integer("SELECT count(c) FROM t"), 1);
  EXPECT_EQ(database_.Integer("SELECT c FROM t WHERE id = 950"), 777);
}

TEST_F(DataSafetyPgTest, ATableThatTheApplicationHasFilledIsKept) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 900)");
  const RunResult result =
      Completed("CREATE TABLE copy (id bigint PRIMARY KEY);\nINSERT INTO copy SELECT id FROM t");
  database_.Exec("INSERT INTO copy SELECT generate_series(2001, 2050)");
  EXPECT_EQ(Back(result.run).conflicts, 1);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM copy"), 50);
}

TEST_F(DataSafetyPgTest, AColumnAddedMeanwhileStopsADeleteThatCouldNotBringItBack) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, a integer); INSERT INTO t SELECT g, g FROM "
      "generate_series(1, 4000) AS g");
  const RunResult result = Meanwhile(
      "-- pawl: batch_rows=100\nDELETE FROM t WHERE a > 0", 2'000,
      [&] { database_.Exec("ALTER TABLE t ADD COLUMN extra integer; UPDATE t SET extra = a"); });
  EXPECT_EQ(result.state, "failed");
  EXPECT_THAT(result.reason, HasSubstr("other columns"));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE extra IS NULL"), 0);
  EXPECT_EQ(Back(result.run).state, "reverted");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t"), 4'000);
}

TEST_F(DataSafetyPgTest, SingleBatchesAreTakenBackOfACompletedRunOnly) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, x integer); INSERT INTO t SELECT g, 0 FROM "
      "generate_series(1, 4000) AS g");
  const RunResult result = Meanwhile("-- pawl: batch_rows=100\nUPDATE t SET x = x + 1", 2'000,
                                     [&] { engine_.Abort(1); });
  EXPECT_EQ(result.state, "aborted");
  EXPECT_THAT(Refusal([&] { Back(1, OnConflict::kStop, {1}); }), HasSubstr("completed run"));
  // And to begin anew would change some rows twice.
  const auto again = [&] {
    return engine_.Run(result.migration, "-- pawl: batch_rows=200\nUPDATE t SET x = x + 1", {}, {});
  };
  EXPECT_THAT(Refusal(again), HasSubstr("pawl revert 1"));
  EXPECT_EQ(Back(1).state, "reverted");
  EXPECT_EQ(again().rows_done, 4'000);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x <> 1"), 0);
}

TEST_F(DataSafetyPgTest, ATriggerThatAltersWhatIsRestoredStopsTheRevert) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, v text); INSERT INTO t SELECT g, ' v ' FROM "
      "generate_series(1, 300) AS g");
  const RunResult update = engine_.Run("u", "UPDATE t SET v = 'new'", {}, {});
  const RunResult removal = engine_.Run("d", "DELETE FROM t WHERE id <= 100", {}, {});
  database_.Exec(
      "CREATE FUNCTION trim_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := btrim(NEW.v) || "
      "''!''; IF NEW.id % 10 = 0 THEN RETURN NULL; END IF; RETURN NEW; END'; CREATE TRIGGER trim "
      "BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION trim_it()");
  const RunResult failed = Back(removal.run);
  EXPECT_EQ(failed.state, "failed");
  EXPECT_THAT(failed.reason, HasSubstr("A trigger on public.t"));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t"), 200);
  database_.Exec("ALTER TABLE t DISABLE TRIGGER trim");
  EXPECT_EQ(engine_.Resume(removal.run, {}, {}).state, "reverted");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE v = 'new'"), 300);
  database_.Exec("ALTER TABLE t ENABLE TRIGGER trim");
  EXPECT_EQ(Back(update.run).state, "failed");
  database_.Exec("ALTER TABLE t DISABLE TRIGGER trim");
  EXPECT_EQ(engine_.Resume(update.run, {}, {}).state, "reverted");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE v = ' v '"), 300);
}

TEST_F(DataSafetyPgTest, CompositesComeBackAsTheyWere) {
  database_.Exec(
      "CREATE TYPE mon AS (amount bigint, currency text); CREATE TABLE t (id bigint PRIMARY KEY, m "
      "mon, n mon); INSERT INTO t SELECT g, ROW(g, 'EUR')::mon, CASE WHEN g % 2 = 0 THEN ROW(NULL, "
      "NULL)::mon END FROM generate_series(1, 500) AS g");
  const std::string before =
      database_.Value("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t");
  const RunResult result = Completed(
      "UPDATE t SET m = ROW((m).amount + 1, 'USD')::mon, n = ROW(1, 'x')::mon WHERE n IS NULL");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE (m).amount = id + 1"), 500);
  EXPECT_EQ(Back(result.run).state, "reverted");
  EXPECT_EQ(database_.Value("SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t"), before);
}

// The application makes rows longer that the sweep has not reached, so that they move to pages that
// it has left behind: the first pages are empty, and no row finds room where it is.
TEST_F(DataSafetyPgTest, BlockOrderMissesNoRowThatMoves) {
  if (database_.Integer("SHOW server_version_num") < 140000) {
    GTEST_SKIP() << "Block order needs PostgreSQL 14.";
  }
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, filler text, c integer) WITH (autovacuum_enabled = "
      "off, fillfactor = 50); INSERT INTO t SELECT g, repeat('x', 300), NULL FROM "
      "generate_series(1, 12000) AS g; DELETE FROM t WHERE id <= 4000");
  database_.Exec("VACUUM t");
  RunSettings settings;
  settings.workers = 1;
  settings.pace = 4'000;
  settings.throttle = {{"throttle", "off"}};
  RunAside run(database_.url(), "-- pawl: order=block\nUPDATE t SET c = id WHERE c IS NULL",
               settings);
  const auto changed = [&] { return database_.Integer("SELECT count(c) FROM t"); };
  ASSERT_TRUE(WaitUntil([&] { return changed() >= 500; }, std::chrono::seconds(60)));
  const std::int64_t moved =
      database_.Exec("UPDATE t SET filler = repeat('y', 900) WHERE c IS NULL");
  ASSERT_GT(moved, 0);
  engine_.Set(1, std::nullopt, 0);
  const RunResult result = run.Wait();
  EXPECT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE c IS DISTINCT FROM id"), 0);
  EXPECT_EQ(result.rows_done, 8'000);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass"), 0);
}

TEST_F(DataSafetyPgTest, BadRowsInBlockOrderAreSetAsideOnceByTheirKey) {
  if (database_.Integer("SHOW server_version_num") < 140000) {
    GTEST_SKIP() << "Block order needs PostgreSQL 14.";
  }
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, a integer, c integer CHECK (c <> 1717)); INSERT INTO t "
      "SELECT g, g, NULL FROM generate_series(1, 3000) AS g");
  const RunResult result =
      Run("-- pawl: order=block batch_rows=1 quarantine=3\nUPDATE t SET c = a WHERE c IS NULL");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE c IS NULL"), 1);
  EXPECT_EQ(database_.Value("SELECT string_agg(key, ',') FROM pawl.quarantine"), "[\"1717\"]");
  EXPECT_EQ(result.rows_done, 2'999);
}

// The application may write what the expression cannot read. Such a row is a conflict like others.
TEST_F(DataSafetyPgTest, ARowThatNoLongerSuitsTheExpressionIsAConflict) {
  for (const char* order : {"key", "block"}) {
    if (order[0] == 'b' && database_.Integer("SHOW server_version_num") < 140000) break;
    SCOPED_TRACE(order);
    database_.Exec(
        "CREATE TABLE t (id bigint PRIMARY KEY, note text); INSERT INTO t SELECT g, g FROM "
        "generate_series(1, 2000) AS g");
    const RunResult result =
        engine_.Run(order,
                    std::string("ALTER TABLE t ADD COLUMN n bigint;\n-- pawl: order=") + order +
                        "\nUPDATE t SET n = note::bigint WHERE n IS NULL",
                    {}, {});
    EXPECT_EQ(result.state, "completed") << result.reason;
    database_.Exec("UPDATE t SET note = 'abc' WHERE id IN (7, 1500)");
    EXPECT_TRUE(engine_.Verify(result.run, true).passed);
    EXPECT_FALSE(engine_.Verify(result.run, false).passed);
    EXPECT_EQ(engine_.PreviewRevert(result.run, {}).conflicts, 1);
    const RunResult stopped = Back(result.run);
    EXPECT_EQ(stopped.state, "failed");
    EXPECT_THAT(stopped.reason, HasSubstr("The application has changed rows of public.t"));
    const RunResult reverted = Back(result.run, OnConflict::kSkip);
    EXPECT_EQ(reverted.state, "reverted") << reverted.reason;
    EXPECT_EQ(reverted.conflicts, 2);
    EXPECT_EQ(database_.Value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t WHERE n = id"),
              "7 1500");
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE n IS NULL"), 1'998);
    database_.Exec("DROP TABLE t");
  }
}

// However many rows are set aside, one that comes behind the worker's back is still found.
TEST_F(DataSafetyPgTest, AThousandBadRowsDoNotHideOneThatIsLeft) {
  if (database_.Integer("SHOW server_version_num") < 140000) {
    GTEST_SKIP() << "Block order needs PostgreSQL 14.";
  }
  database_.Exec(R"sql(
CREATE TABLE t (id bigint PRIMARY KEY, a integer, c integer CHECK (c < 2)) WITH (fillfactor = 100);
INSERT INTO t SELECT g, g, NULL FROM generate_series(1, 1001) AS g;
-- The new row goes to a block that the first round does not know yet.
CREATE TABLE blocks AS SELECT pg_relation_size('t') / current_setting('block_size')::bigint AS n;
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..400 LOOP
    INSERT INTO t VALUES (-i, 1, 1);
    EXIT WHEN (SELECT t.ctid >= format('(%s,1)', n)::tid FROM t, blocks WHERE id = -i);
  END LOOP;
  INSERT INTO t VALUES (0, 1, NULL);
  RETURN NULL;
END $$;
CREATE TRIGGER follow AFTER UPDATE ON t FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION follow())sql");
  const RunResult result =
      Run("-- pawl: order=block batch_rows=1 quarantine=2000\nUPDATE t SET c = a WHERE c IS NULL");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.quarantine"), 1'000) << result.reason;
  EXPECT_EQ(database_.Value("SELECT c FROM t WHERE id = 0"), "1") << result.reason;
}

// The question whether a row is left may scan a large table for long.
TEST_F(DataSafetyPgTest, ARunThatLooksForRowsLeftCanBePaused) {
  if (database_.Integer("SHOW server_version_num") < 140000) {
    GTEST_SKIP() << "Block order needs PostgreSQL 14.";
  }
  database_.Exec(R"sql(
CREATE TABLE t (id bigint PRIMARY KEY, c integer);
INSERT INTO t SELECT g, NULL FROM generate_series(0, 100) AS g;
CREATE FUNCTION is_wanted(id bigint) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  IF id = 0 AND current_setting('application_name') = 'pawl/count' THEN PERFORM pg_sleep(60); END IF;
  RETURN id > 0;
END $$)sql");
  std::jthread pause([this] {
    test::Sql sql = database_.Connect();
    for (int i = 0; i < 3'000; ++i) {
      if (sql.Integer("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pawl/count' "
                      "AND datname = current_database() AND wait_event = 'PgSleep'") > 0) {
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    engine_.RequestPause();
  });
  const auto began = std::chrono::steady_clock::now();
  const RunResult paused =
      Run("-- pawl: order=block undo=none\nUPDATE t SET c = 1 WHERE c IS NULL AND is_wanted(id)");
  EXPECT_EQ(paused.state, "paused") << paused.reason;
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(40));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE c = 1"), 100);
}

// Server messages quote values: a row must not be able to say that a lease was lost. And what could
// not be evaluated in a batch cannot be in the proof.
TEST_F(DataSafetyPgTest, ARowThatSaysWhatTheFenceSaysIsBadDataLikeAnyOther) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, said text, n bigint); INSERT INTO t SELECT g, g::text, "
      "NULL FROM generate_series(1, 100) AS g; UPDATE t SET said = 'pawl: lost lease 0' WHERE id = "
      "50");
  const RunResult result =
      Completed("-- pawl: quarantine=1\nUPDATE t SET n = said::bigint WHERE n IS NULL");
  EXPECT_EQ(result.rows_quarantined, 1);
  EXPECT_EQ(result.rows_done, 99);
}

TEST_F(DataSafetyPgTest, APartitionedTargetIsProvedRowByRow) {
  database_.Exec(
      "CREATE TABLE source (id bigint PRIMARY KEY, v integer); INSERT INTO source SELECT g, g FROM "
      "generate_series(1, 1000) AS g; CREATE TABLE target (id bigint PRIMARY KEY, v integer) "
      "PARTITION BY RANGE (id); CREATE TABLE target_1 PARTITION OF target FOR VALUES FROM (0) TO "
      "(500); CREATE TABLE target_2 PARTITION OF target DEFAULT");
  const RunResult result = Completed("INSERT INTO target SELECT id, v FROM source");
  ASSERT_TRUE(result.verification);
  EXPECT_EQ(result.verification->rows_verified, 1'000);
  database_.Exec("UPDATE target SET v = -1 WHERE id = 7; DELETE FROM target WHERE id = 900");
  const VerifyReport report = engine_.Verify(result.run, false);
  EXPECT_FALSE(report.passed);
  EXPECT_EQ(report.differences_count, 2);
}

TEST_F(DataSafetyPgTest, BlockOrderIsProvedInEveryRound) {
  if (database_.Integer("SHOW server_version_num") < 140000) {
    GTEST_SKIP() << "Block order needs PostgreSQL 14.";
  }
  database_.Exec(
      "CREATE FUNCTION doubled(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2'; "
      "CREATE TABLE t (id bigint PRIMARY KEY, a integer, c integer); INSERT INTO t SELECT g, g FROM "
      "generate_series(1, 2000) AS g");
  const RunResult result =
      Completed("-- pawl: order=block\nUPDATE t SET c = doubled(a) WHERE c IS NULL");
  database_.Exec(
      "CREATE OR REPLACE FUNCTION doubled(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS "
      "'SELECT CASE WHEN $1 <= 1000 THEN $1 ELSE $1 * 2 END'");
  const VerifyReport report = engine_.Verify(result.run, false);
  EXPECT_FALSE(report.passed);
  EXPECT_EQ(report.differences_count, 1'000);
}

TEST_F(DataSafetyPgTest, AConditionIsUnderstoodInCapitalsToo) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, status text); INSERT INTO t SELECT g, CASE WHEN g % 2 "
      "= 0 THEN 'old' ELSE 'older' END FROM generate_series(1, 1000) AS g");
  const RunResult result = Completed("UPDATE t SET STATUS = 'gone' WHERE STATUS IN ('old', 'x')");
  ASSERT_TRUE(result.verification);
  EXPECT_EQ(result.verification->rows_verified, 500);
}

}  // namespace
}  // namespace pawl::engine
