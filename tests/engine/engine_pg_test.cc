// The engine on a real server. Most migrations here are not idempotent (x = x + 1), so that a row
// that was missed and a row that was changed twice both show; what a revert must restore is
// compared by hashes that the server computes, not the engine.
#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "db/error.h"
#include "tests/support/test_database.h"
#include "tests/support/writers.h"

namespace pawl::engine {
namespace {

using test::TestDatabase;
using ::testing::HasSubstr;

bool WaitUntil(const std::function<bool()>& holds,
               std::chrono::milliseconds limit = std::chrono::seconds(30)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

class EnginePgTest : public testing::Test {
 protected:
  Engine NewEngine() const { return Engine(db::ConnectionString(database_.url())); }

  RunResult Run(const std::string& text, const RunSettings& settings = {},
                const std::string& name = "m") {
    return engine_.Run(name, text, settings, {});
  }

  RunResult Completed(const std::string& text, const RunSettings& settings = {}) {
    const RunResult result = Run(text, settings);
    EXPECT_EQ(result.state, "completed") << result.reason;
    EXPECT_TRUE(result.verification && result.verification->passed);
    return result;
  }

  void ExpectReverted(std::int64_t run) {
    const RunResult result = engine_.Revert(run, {}, {});
    EXPECT_EQ(result.state, "reverted") << result.reason;
    EXPECT_EQ(result.conflicts, 0);
  }

  // Of all rows as text, in an order that depends on nothing but the rows.
  std::string Hash(const std::string& table) {
    return database_.Value(
        "SELECT count(*) || ' ' || coalesce(md5(string_agg(md5(r::text), '' ORDER BY "
        "md5(r::text))), '') FROM " +
        table + " AS r");
  }

  // The ledger's batches add up to `rows`, and none is there twice.
  void ExpectLedger(std::int64_t run, std::int64_t rows) {
    const std::string of_run =
        " FROM pawl.ledger WHERE kind = 'change' AND run_id = " + std::to_string(run);
    EXPECT_EQ(database_.Integer("SELECT coalesce(sum(rows), 0)" + of_run), rows);
    EXPECT_EQ(database_.Integer("SELECT count(*) - count(DISTINCT (step, span_id, seq))" + of_run),
              0);
  }

  // Table t (columns of the key, then x integer and before_x = x) with every row raised by one,
  // verified, and taken back.
  void RaiseAndTakeBack(const std::string& options = {}) {
    database_.Exec("ANALYZE t");
    const std::string before = Hash("t");
    const std::int64_t rows = database_.Integer("SELECT count(*) FROM t");
    const RunResult result = Completed(options + "UPDATE t SET x = x + 1;");
    EXPECT_EQ(result.rows_done, rows);
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x IS DISTINCT FROM before_x + 1"), 0);
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t"), rows);
    ExpectLedger(result.run, rows);
    EXPECT_TRUE(engine_.Verify(result.run, false).passed);
    ExpectReverted(result.run);
    EXPECT_EQ(Hash("t"), before);
  }

  void MakeT(const std::string& key_columns, const std::string& key_values,
             const std::string& source) {
    database_.Exec("CREATE TABLE t (" + key_columns + ", x integer, before_x integer)");
    database_.Exec("INSERT INTO t SELECT " + key_values + ", n % 7, n % 7 FROM " + source);
  }

  // 10,000 rows, in batches so small that a run can be caught in the act.
  void MakeLongTable() { MakeT("id bigint PRIMARY KEY", "n", "generate_series(1, 10000) AS n"); }
  static constexpr const char* kLongRun = "-- pawl: batch_rows=100\nUPDATE t SET x = x + 1;";
  static RunSettings Slowly() {
    RunSettings settings;
    settings.workers = 2;
    settings.pace = 4'000;
    return settings;
  }
  std::int64_t RowsRaised() {
    return database_.Integer("SELECT count(*) FROM t WHERE x = before_x + 1");
  }
  void ExpectLongTableRaisedOnce() { EXPECT_EQ(RowsRaised(), 10'000); }

  // Runs `work` on a thread; its exception fails the test.
  static std::jthread Aside(std::function<void()> work) {
    return std::jthread([work = std::move(work)] {
      try {
        work();
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
    });
  }

  TestDatabase database_;
  Engine engine_ = NewEngine();
};

// ---- Keys of every kind ----

constexpr const char* kSmall = "-- pawl: batch_rows=300 workers=2\n";

TEST_F(EnginePgTest, BigintKeysNegativeAndSparse) {
  MakeT("id bigint PRIMARY KEY", "n",
        "(SELECT generate_series(-500, 1000) AS n UNION ALL "
        "SELECT 300000000000 + 17 * i FROM generate_series(1, 1000) AS i UNION ALL "
        "SELECT i FROM (VALUES (-9223372036854775808), (9223372036854775807)) AS v (i)) AS s");
  RaiseAndTakeBack(kSmall);
}

TEST_F(EnginePgTest, StridesOverNegativeKeysAreExact) {
  MakeT("id bigint PRIMARY KEY", "n", "generate_series(-6000, 6000) AS n");
  RaiseAndTakeBack("-- pawl: order=key_strides stride=8 batch_rows=100 workers=2\n");
}

TEST_F(EnginePgTest, CompositeKeys) {
  MakeT("a text, b integer, PRIMARY KEY (a, b)",
        "(ARRAY['', 'a', 'A', 'é', 'zz', '[\"', 'x,y'])[1 + abs(n % 7)], n",
        "generate_series(-1000, 2000) AS n");
  RaiseAndTakeBack(kSmall);
}

TEST_F(EnginePgTest, CompositeKeysInStrides) {
  MakeT("a text, b integer, PRIMARY KEY (a, b)", "chr(97 + n % 5), n",
        "generate_series(1, 6000) AS n");
  RaiseAndTakeBack("-- pawl: order=key_strides stride=4 batch_rows=200\n");
}

TEST_F(EnginePgTest, UuidKeys) {
  MakeT("id uuid PRIMARY KEY", "md5(n::text)::uuid", "generate_series(1, 3000) AS n");
  RaiseAndTakeBack(kSmall);
}

TEST_F(EnginePgTest, TextKeysInTheirOwnCollation) {
  const auto found = database_.Rows(
      "SELECT quote_ident(collname) FROM pg_collation WHERE collcollate <> 'C' AND collname IN "
      "('en_US', 'en_US.utf8', 'en-x-icu', 'de-x-icu', 'C.UTF-8', 'C.utf8') ORDER BY collprovider "
      "= 'i' DESC, collname DESC LIMIT 1");
  if (found.empty()) GTEST_SKIP() << "no collation but C";
  MakeT("id text COLLATE " + found[0][0] + " PRIMARY KEY",
        "(ARRAY['a', 'A', 'ä', 'Z', 'z', '-a', '_', '']) [1 + n % 8] || n",
        "generate_series(1, 3000) AS n");
  RaiseAndTakeBack(kSmall);
}

TEST_F(EnginePgTest, NumericKeys) {
  MakeT("id numeric PRIMARY KEY", "n / 8.0 * 10 ^ (n % 30)", "generate_series(-1500, 1500) AS n");
  RaiseAndTakeBack(kSmall);
}

TEST_F(EnginePgTest, TimestampKeys) {
  database_.Exec("SET TIME ZONE 'Europe/Berlin'");
  MakeT("id timestamptz PRIMARY KEY",
        "'2021-10-31 00:00+00'::timestamptz + n * interval '7.000001 s'",
        "generate_series(-1500, 1500) AS n");
  database_.Exec("INSERT INTO t VALUES ('-infinity', 1, 1), ('infinity', 2, 2)");
  RaiseAndTakeBack(kSmall);
}

TEST_F(EnginePgTest, AUniqueIndexServesWhereThereIsNoPrimaryKey) {
  MakeT("code bigint NOT NULL", "n * 3", "generate_series(1, 3000) AS n");
  database_.Exec("CREATE UNIQUE INDEX ON t (code)");
  RaiseAndTakeBack(kSmall);
}

TEST_F(EnginePgTest, NoRows) {
  MakeT("id bigint PRIMARY KEY", "n", "generate_series(1, 0) AS n");
  RaiseAndTakeBack();
}

TEST_F(EnginePgTest, OneRow) {
  MakeT("id bigint PRIMARY KEY", "n", "generate_series(5, 5) AS n");
  RaiseAndTakeBack();
}

TEST_F(EnginePgTest, BatchesOfOneRow) {
  MakeT("id bigint PRIMARY KEY", "n", "generate_series(1, 50) AS n");
  RaiseAndTakeBack("-- pawl: batch_rows=1\n");
}

TEST_F(EnginePgTest, RowsThatAreAllAlike) {
  database_.Exec("CREATE TABLE t (id bigint PRIMARY KEY, x integer, before_x integer)");
  database_.Exec("INSERT INTO t SELECT n, 0, 0 FROM generate_series(1, 3000) AS n");
  RaiseAndTakeBack(kSmall);
}

TEST_F(EnginePgTest, NullsStayNulls) {
  MakeT("id bigint PRIMARY KEY", "n", "generate_series(1, 3000) AS n");
  database_.Exec("UPDATE t SET x = NULL, before_x = NULL WHERE id % 3 = 0");
  RaiseAndTakeBack(kSmall);
}

// ---- Other statements ----

TEST_F(EnginePgTest, DeleteAndBack) {
  MakeT("id bigint PRIMARY KEY, note text DEFAULT 'a'", "n, 'row ' || n",
        "generate_series(1, 5000) AS n");
  const std::string before = Hash("t");
  const RunResult result = Completed("-- pawl: batch_rows=300\nDELETE FROM t WHERE id % 3 = 0;");
  EXPECT_EQ(result.rows_done, 1'666);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE id % 3 = 0"), 0);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t"), 3'334);
  ExpectLedger(result.run, 1'666);
  ExpectReverted(result.run);
  EXPECT_EQ(Hash("t"), before);
}

TEST_F(EnginePgTest, InsertSelectAndBack) {
  MakeT("id bigint PRIMARY KEY", "n", "generate_series(1, 5000) AS n");
  database_.Exec("CREATE TABLE copy (id bigint PRIMARY KEY, doubled integer)");
  database_.Exec("INSERT INTO copy VALUES (-1, 1)");
  const std::string before = Hash("copy");
  const RunResult result = Completed(
      "-- pawl: batch_rows=300\nINSERT INTO copy (id, doubled) SELECT id, x * 2 FROM t WHERE id > "
      "100;");
  EXPECT_EQ(result.rows_done, 4'900);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM copy JOIN t USING (id) WHERE doubled = x * 2"),
            4'900);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM copy"), 4'901);
  ExpectReverted(result.run);
  EXPECT_EQ(Hash("copy"), before);
}

TEST_F(EnginePgTest, APartitionedTableLeafByLeaf) {
  database_.Exec(R"sql(
CREATE TABLE t (id bigint, x integer, before_x integer, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (MINVALUE) TO (1000);
CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (1000) TO (3000) PARTITION BY HASH (id);
CREATE TABLE t_2a PARTITION OF t_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t_2b PARTITION OF t_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE t_3 PARTITION OF t DEFAULT;
INSERT INTO t SELECT n, n % 7, n % 7 FROM generate_series(1, 4000) AS n)sql");
  RaiseAndTakeBack(std::string("-- pawl: allow=row_moves\n") + kSmall);
}

TEST_F(EnginePgTest, ARevertLeavesAloneWhatTheApplicationChanged) {
  MakeT("id bigint PRIMARY KEY", "n", "generate_series(1, 2000) AS n");
  const RunResult result = Completed("UPDATE t SET x = x + 1;");
  database_.Exec("UPDATE t SET x = -17 WHERE id IN (5, 1500); DELETE FROM t WHERE id = 700");
  EXPECT_EQ(engine_.PreviewRevert(result.run, {}).conflicts, 3);
  const RunResult stopped = engine_.Revert(result.run, {}, {});
  EXPECT_EQ(stopped.state, "failed");
  RevertSettings skip;
  skip.on_conflict = OnConflict::kSkip;
  const RunResult reverted = engine_.Revert(result.run, skip, {});
  EXPECT_EQ(reverted.state, "reverted") << reverted.reason;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x = -17"), 2);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x = before_x"), 1'997);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.conflict"), 3);
  const RunResult again = engine_.Revert(result.run, skip, {});
  EXPECT_TRUE(again.already_done);
  EXPECT_EQ(again.conflicts, 3);
}

// ---- Bad rows ----

class QuarantinePgTest : public EnginePgTest {
 protected:
  QuarantinePgTest() {
    database_.Exec(
        "CREATE TABLE t (id bigint PRIMARY KEY, x numeric(6, 2), before_x numeric(6, 2), "
        "CONSTRAINT sane CHECK (x <> 778))");
    database_.Exec("INSERT INTO t SELECT n, n % 50, n % 50 FROM generate_series(1, 3000) AS n");
  }
  void ExpectOthersRaised(std::int64_t set_aside) {
    EXPECT_EQ(RowsRaised(), 3'000 - set_aside);
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x = before_x"), set_aside);
  }
};

TEST_F(QuarantinePgTest, OneBadRowStopsTheRunWhichNamesItsKey) {
  database_.Exec("UPDATE t SET x = 9999, before_x = 9999 WHERE id = 1234");
  const RunResult result = Run("UPDATE t SET x = x + 1;");
  EXPECT_EQ(result.state, "failed");
  EXPECT_THAT(result.reason, HasSubstr("1234"));
  EXPECT_THAT(result.reason, HasSubstr("overflow"));
  database_.Exec("UPDATE t SET x = 9, before_x = 9 WHERE id = 1234");  // Mended.
  const RunResult resumed = Completed("UPDATE t SET x = x + 1;");
  ExpectOthersRaised(0);
  ExpectLedger(resumed.run, 3'000);
}

TEST_F(QuarantinePgTest, BadRowsAreSetAsideExactly) {
  database_.Exec("UPDATE t SET x = 9999, before_x = 9999 WHERE id IN (1, 1234, 3000)");
  database_.Exec("UPDATE t SET x = 777, before_x = 777 WHERE id IN (1235, 2000)");
  const RunResult result = Run("-- pawl: quarantine=5\nUPDATE t SET x = x + 1;");
  EXPECT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(result.rows_quarantined, 5);
  ExpectOthersRaised(5);
  EXPECT_EQ(database_.Value(
                "SELECT string_agg(substring(key FROM '\\[\"(\\d+)\"\\]'), ' ' ORDER BY key) FROM "
                "pawl.quarantine"),
            "1 1234 1235 2000 3000");
}

TEST_F(QuarantinePgTest, OneRowTooManyStopsTheRun) {
  database_.Exec("UPDATE t SET x = 777, before_x = 777 WHERE id IN (10, 20, 30)");
  const RunResult result = Run("-- pawl: quarantine=2\nUPDATE t SET x = x + 1;");
  EXPECT_EQ(result.state, "failed");
  EXPECT_THAT(result.reason, HasSubstr("30"));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.quarantine"), 2);
}

TEST_F(QuarantinePgTest, BadRowsInStrides) {
  database_.Exec("UPDATE t SET x = 777, before_x = 777 WHERE id IN (7, 1000, 1008, 2999)");
  const RunResult result =
      Run("-- pawl: quarantine=5 order=key_strides stride=8\nUPDATE t SET x = x + 1;");
  EXPECT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(result.rows_quarantined, 4);
  ExpectOthersRaised(4);
}

// ---- Writers meanwhile ----

TEST_F(EnginePgTest, BlockOrderWithSyncLeavesNoRowBehind) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, updates integer NOT NULL DEFAULT 0, total integer "
      "NOT NULL DEFAULT 3, doubled integer)");
  database_.Exec("INSERT INTO t (id) SELECT n FROM generate_series(1, 8000) AS n; ANALYZE t");
  test::WriterOptions options;
  options.url = database_.url();
  options.table = "t";
  options.key_end = 9'000;
  options.changes_per_second = 400;
  test::Writers writers(options);
  ASSERT_TRUE(writers.WaitForMore(20));
  RunSettings settings;
  settings.pace = 8'000;
  const RunResult result =
      Run("-- pawl: order=block keep_in_sync batch_rows=200\nUPDATE t SET doubled = total * 2 "
          "WHERE doubled IS NULL;",
          settings);
  const test::WriterCounts counts = writers.Stop();
  EXPECT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
  EXPECT_EQ(writers.Mismatch(), "");
  // What was inserted after the proof, when the trigger was gone, is the application's.
  EXPECT_EQ(database_.Integer(
                "SELECT count(*) FROM t WHERE doubled IS DISTINCT FROM total * 2 AND id NOT IN "
                "(SELECT id FROM t WHERE doubled IS NULL AND xmin::text::bigint > (SELECT "
                "max(xid::text::bigint) FROM pawl.ledger))"),
            0);
}

// ---- Commands while running ----

TEST_F(EnginePgTest, PausedFromASecondEngineAndResumed) {
  MakeLongTable();
  RunResult first;
  std::atomic<bool> ended = false;
  {
    const auto runner = Aside([&] {
      first = NewEngine().Run("m", kLongRun, Slowly(), {});
      ended = true;
    });
    ASSERT_TRUE(WaitUntil([&] { return RowsRaised() > 0; }));
    const std::int64_t run = database_.Integer("SELECT run_id FROM pawl.run");
    engine_.Pause(run);
    ASSERT_TRUE(
        WaitUntil([&] { return database_.Value("SELECT state FROM pawl.run") == "paused"; }));
    std::int64_t raised = -1;
    ASSERT_TRUE(WaitUntil([&] {  // Running batches finish.
      const std::int64_t before = std::exchange(raised, RowsRaised());
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      return before == raised;
    }));
    EXPECT_LT(raised, 10'000);
    RunSettings fast;
    fast.pace = 0;
    engine_.Resume(run, fast, {});
    ASSERT_TRUE(
        WaitUntil([&] { return database_.Value("SELECT state FROM pawl.run") == "completed"; }));
    EXPECT_TRUE(WaitUntil([&] { return ended.load(); }));
  }
  ExpectLongTableRaisedOnce();
  ExpectLedger(first.run, 10'000);
}

TEST_F(EnginePgTest, InterruptedAndCarriedOn) {
  MakeLongTable();
  Engine interrupted = NewEngine();
  RunResult first;
  {
    const auto runner = Aside([&] { first = interrupted.Run("m", kLongRun, Slowly(), {}); });
    ASSERT_TRUE(WaitUntil([&] { return RowsRaised() > 0; }));
    interrupted.RequestPause();
  }
  EXPECT_EQ(first.state, "paused");
  EXPECT_LT(RowsRaised(), 10'000);
  RunSettings fast;
  fast.pace = 0;
  ExpectLedger(Completed(kLongRun, fast).run, 10'000);
  ExpectLongTableRaisedOnce();
}

TEST_F(EnginePgTest, WorkersAreSetWhileRunning) {
  MakeLongTable();
  std::atomic<int> workers = 0;
  RunSettings settings = Slowly();
  settings.workers.reset();
  {
    const auto runner = Aside([&] {
      const RunResult result = NewEngine().Run(
          "m", kLongRun, settings, [&](const Progress& progress) { workers = progress.workers; });
      EXPECT_EQ(result.state, "completed");
    });
    ASSERT_TRUE(WaitUntil([&] { return RowsRaised() > 0; }));
    const std::int64_t run = database_.Integer("SELECT run_id FROM pawl.run");
    engine_.Set(run, 4, std::nullopt);
    EXPECT_TRUE(WaitUntil([&] { return workers == 4; }));
    engine_.Set(run, 1, std::nullopt);
    EXPECT_TRUE(WaitUntil([&] { return workers == 1; }));
    engine_.Set(run, 3, 0);
  }
  ExpectLongTableRaisedOnce();
}

TEST_F(EnginePgTest, TwoEnginesFinishOneRunTogether) {
  MakeLongTable();
  RunResult first;
  RunResult second;
  {
    const auto one = Aside([&] { first = NewEngine().Run("m", kLongRun, Slowly(), {}); });
    ASSERT_TRUE(WaitUntil([&] { return RowsRaised() > 0; }));
    const auto other = Aside([&] { second = NewEngine().Run("m", kLongRun, {}, {}); });
    ASSERT_TRUE(
        WaitUntil([&] { return database_.Integer("SELECT count(*) FROM pawl.worker") == 2; }));
    engine_.Set(database_.Integer("SELECT run_id FROM pawl.run"), std::nullopt, 0);
  }
  EXPECT_EQ(first.run, second.run);
  EXPECT_EQ(first.state, "completed") << first.reason;
  EXPECT_EQ(second.state, "completed") << second.reason;
  ExpectLongTableRaisedOnce();
  ExpectLedger(first.run, 10'000);
}

TEST_F(EnginePgTest, StartedTwiceAtOnceItIsOneRun) {
  MakeLongTable();
  NewEngine().Init();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.push_back(Aside([&] {
        RunSettings settings;
        settings.workers = 1;
        EXPECT_EQ(NewEngine().Run("m", kLongRun, settings, {}).state, "completed");
      }));
    }
  }
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.run"), 1);
  ExpectLongTableRaisedOnce();
}

TEST_F(EnginePgTest, ASecondRunOfTheSameFileDoesNothing) {
  MakeLongTable();
  Completed(kLongRun);
  EXPECT_TRUE(Run(kLongRun).already_done);
  ExpectLongTableRaisedOnce();
}

TEST_F(EnginePgTest, AFileThatWasAppliedMayNotChange) {
  MakeLongTable();
  const RunResult done = Completed(kLongRun);
  const std::string changed = "UPDATE t SET x = before_x + 2;";
  try {
    Run(changed);
    ADD_FAILURE() << "a changed file was run";
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kBadInput);
    EXPECT_THAT(error.what(),
                HasSubstr("m was changed after it had been applied: run 1 completed"));
    EXPECT_THAT(error.what(), HasSubstr("--name"));
    EXPECT_THAT(error.what(), HasSubstr("pawl revert 1"));
  }
  ExpectLongTableRaisedOnce();
  ExpectReverted(done.run);
  Completed(changed);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x = before_x + 2"), 10'000);
}

TEST_F(EnginePgTest, HistorySaysWhatWasAppliedByWhom) {
  EXPECT_TRUE(engine_.History().empty());
  MakeLongTable();
  const RunResult done = Completed(kLongRun);
  ExpectReverted(done.run);
  ASSERT_EQ(Run("UPDATE t SET x = x;", {}, "n").state, "completed");
  const std::vector<AppliedMigration> history = engine_.History();
  ASSERT_EQ(history.size(), 2U);
  EXPECT_EQ(history[0].migration, "m");
  EXPECT_EQ(history[0].state, "reverted");
  EXPECT_EQ(history[1].migration, "n");
  EXPECT_EQ(history[1].state, "completed");
  EXPECT_EQ(history[0].started_by, database_.Value("SELECT current_user"));
  EXPECT_EQ(history[0].migration_hash,
            database_.Value("SELECT migration_hash FROM pawl.run WHERE run_id = 1"));
  EXPECT_FALSE(history[1].finished_at.empty());
}

}  // namespace
}  // namespace pawl::engine
