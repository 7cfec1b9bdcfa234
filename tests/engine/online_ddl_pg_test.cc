// Changes of the schema in their online forms. What the catalogue then says is compared with what
// the plain statement makes of it; the application writes meanwhile and waits for nobody.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>
#include <thread>

#include "db/error.h"
#include "db/session.h"
#include "engine/ddl.h"
#include "engine/engine.h"
#include "tests/engine/run_aside.h"
#include "tests/support/test_database.h"
#include "tests/support/writers.h"

namespace pawl::engine {
namespace {

using test::TestDatabase;
using ::testing::HasSubstr;

constexpr const char* kSchema = R"sql(
CREATE TABLE other (id bigint PRIMARY KEY);
INSERT INTO other SELECT generate_series(1, 100);
CREATE TABLE t (id bigint NOT NULL, updates integer NOT NULL DEFAULT 0, a integer, b text, o bigint);
INSERT INTO t SELECT g, 0, g, 'b' || g, 1 + g % 100 FROM generate_series(1, 20000) AS g;
CREATE UNIQUE INDEX t_id ON t (id);
CREATE INDEX t_b ON t (b);
ALTER TABLE t ADD CONSTRAINT later CHECK (a > 0) NOT VALID;
)sql";

class OnlineDdlPgTest : public testing::Test {
 protected:
  OnlineDdlPgTest() { database_.Exec(kSchema); }

  // All that these statements can change, in words.
  template <typename Connection>
  static std::string Catalogue(Connection& sql) {
    return sql.Value(R"sql(
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
  SELECT 'column ' || attname || ' ' || attnotnull FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0
  UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) || ' ' || indisvalid || indisunique || indisprimary
    FROM pg_index WHERE indrelid = 't'::regclass
  UNION ALL SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated || condeferrable
    FROM pg_constraint WHERE conrelid = 't'::regclass) AS lines (line))sql");
  }

  std::string Plain(const std::string& statement) {
    test::Sql session(database_.url());
    session.Exec("BEGIN");
    session.Exec(statement);
    return Catalogue(session);
  }

  // Whether a cut-over of these statements comes to its end within so many tries.
  bool CutsOver(const std::string& sql, int tries, LockTerms& terms) {
    db::Session session(db::ConnectionString(database_.url()), "test");
    Ddl ddl;
    ddl.sql = sql;
    ddl.is_cut_over = true;
    return RunDdl(
        session, ddl, terms, [] {}, [&](const std::string&) { return --tries > 0; });
  }

  // Its text is its name: what is completed under a name stays as it is.
  RunResult Run(const std::string& text) { return engine_.Run(text, text, {}, {}); }

  std::string Message(const std::string& text) {
    try {
      Run(text);
      return {};
    } catch (const db::Error& error) {
      EXPECT_EQ(error.action(), db::Action::kBadInput);
      return error.what();
    }
  }

  std::int64_t InvalidIndexes() {
    return database_.Integer("SELECT count(*) FROM pg_index WHERE NOT indisvalid");
  }

  TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
};

TEST_F(OnlineDdlPgTest, MakesWhatThePlainStatementMakesAndTakesItBackWhileOthersWrite) {
  test::WriterOptions options;
  options.url = database_.url();
  options.table = "t";
  options.key_begin = 1;
  options.key_end = 20'000;
  options.insert_columns = {{"a", "$1"}, {"b", "'x' || $1"}, {"o", "1"}};
  options.with_history = false;
  test::Writers writers(options);
  for (
      const std::string statement : {
          "CREATE INDEX t_a ON t (a)",
          "CREATE UNIQUE INDEX t_ab ON t (a, lower(b)) INCLUDE (o) WHERE a > 0",
          "CREATE INDEX IF NOT EXISTS \"T A\" ON t USING hash (a)",
          "DROP INDEX t_b",
          "ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0)",
          "ALTER TABLE t ADD CONSTRAINT o_other FOREIGN KEY (o) REFERENCES other ON DELETE CASCADE",
          "ALTER TABLE t ADD CONSTRAINT unproved CHECK (a > -5) NOT VALID",
          "ALTER TABLE t ADD CONSTRAINT o_unproved FOREIGN KEY (o) REFERENCES other NOT VALID",
          "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
          "ALTER TABLE t ADD CONSTRAINT t_a_unique UNIQUE (a) DEFERRABLE",
          "ALTER TABLE t ADD UNIQUE (a, b)",
          "ALTER TABLE t ADD PRIMARY KEY (id)",
          "ALTER TABLE t ADD CONSTRAINT t_key PRIMARY KEY (id, a) INCLUDE (b)",
      }) {
    SCOPED_TRACE(statement);
    const std::string before = Catalogue(database_);
    const std::string plain = Plain(statement);
    const RunResult result = engine_.Run("m", statement, {}, {});
    ASSERT_EQ(result.state, "completed") << result.reason;
    // NOT NULL of the key's columns stays behind in neither.
    EXPECT_EQ(Catalogue(database_), plain);
    const RunResult back = engine_.Revert(result.run, {}, {});
    ASSERT_EQ(back.state, "reverted") << back.reason;
    EXPECT_EQ(Catalogue(database_), before);
    // The same file again does it again.
    database_.Exec("DELETE FROM pawl.conflict");
  }
  const test::WriterCounts counts = writers.Stop();
  EXPECT_GT(counts.acknowledged(), 0);
  EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
  EXPECT_LT(counts.latency_max, std::chrono::seconds(2));
}

TEST_F(OnlineDdlPgTest, AValidationAndAReindexHaveNothingToTakeBack) {
  ASSERT_EQ(Run("ALTER TABLE t VALIDATE CONSTRAINT later").state, "completed");
  EXPECT_EQ(database_.Value("SELECT convalidated FROM pg_constraint WHERE conname = 'later'"), "t");
  const std::string node = database_.Value("SELECT pg_relation_filenode('t_b')");
  ASSERT_EQ(engine_.Run("n", "REINDEX INDEX t_b", {}, {}).state, "completed");
  EXPECT_NE(database_.Value("SELECT pg_relation_filenode('t_b')"), node);
  ASSERT_EQ(engine_.Run("o", "REINDEX TABLE t", {}, {}).state, "completed");
  EXPECT_EQ(InvalidIndexes(), 0);
}

TEST_F(OnlineDdlPgTest, TwoRowsAlikeEndAUniqueIndexAndLeaveNothing) {
  database_.Exec("UPDATE t SET a = 1 WHERE id = 2");
  const RunResult failed = Run("ALTER TABLE t ADD CONSTRAINT a_key UNIQUE (a)");
  EXPECT_EQ(failed.state, "failed");
  EXPECT_THAT(failed.reason, HasSubstr("duplicated"));
  EXPECT_EQ(InvalidIndexes(), 0);
  database_.Exec("UPDATE t SET a = 2 WHERE id = 2");
  EXPECT_EQ(engine_.Resume(failed.run, {}, {}).state, "completed");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_constraint WHERE conname = 'a_key'"), 1);
}

TEST_F(OnlineDdlPgTest, ARowThatViolatesACheckEndsItAndItCanBeTakenBack) {
  database_.Exec("ALTER TABLE t DROP CONSTRAINT later; UPDATE t SET a = -1 WHERE id = 7");
  const std::string before = Catalogue(database_);
  const RunResult failed = Run("ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0)");
  EXPECT_EQ(failed.state, "failed");
  EXPECT_THAT(failed.reason, HasSubstr("positive"));
  EXPECT_EQ(engine_.Revert(failed.run, {}, {}).state, "reverted");
  EXPECT_EQ(Catalogue(database_), before);
}

TEST_F(OnlineDdlPgTest, AnInvalidLeftOverIsReplaced) {
  database_.Exec("UPDATE t SET a = 1 WHERE id = 2");
  test::Sql session(database_.url());
  EXPECT_THROW(session.Exec("CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)"), test::SqlError);
  EXPECT_EQ(InvalidIndexes(), 1);
  ASSERT_EQ(Run("CREATE INDEX t_a ON t (a)").state, "completed");
  EXPECT_EQ(InvalidIndexes(), 0);
  EXPECT_THAT(database_.Value("SELECT pg_get_indexdef('t_a'::regclass)"),
              HasSubstr("INDEX t_a ON"));
}

// A long transaction holds up CREATE INDEX CONCURRENTLY for as long as it likes: the run can be
// paused in the middle, and nobody else waits.
TEST_F(OnlineDdlPgTest, CanBePausedWhileItWaitsAndLeavesNothingInvalid) {
  test::Sql longest(database_.url());
  longest.Exec("BEGIN; UPDATE t SET b = 'long' WHERE id = 1");
  auto running = std::async(std::launch::async, [&] {
    Engine engine{db::ConnectionString(database_.url())};
    RunSettings settings;
    return engine.Run("m", "CREATE INDEX t_a ON t (a)", settings, {});
  });
  while (InvalidIndexes() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  database_.Exec("UPDATE t SET b = 'other' WHERE id = 2");  // Waits for nobody.
  engine_.Abort(1);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  longest.Exec("COMMIT");
  EXPECT_EQ(running.get().state, "aborted");
  EXPECT_LT(std::chrono::steady_clock::now(), deadline);
  EXPECT_EQ(InvalidIndexes(), 0);
}

// Longer than a control session waits for a lock of any other kind.
TEST_F(OnlineDdlPgTest, WaitsForALongTransactionUntilItEnds) {
  test::Sql longest(database_.url());
  longest.Exec("BEGIN; UPDATE t SET b = 'long' WHERE id = 1");
  auto running = std::async(std::launch::async, [&] {
    Engine engine{db::ConnectionString(database_.url())};
    return engine.Run("m", "CREATE INDEX t_a ON t (a)", {}, {});
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(6'500));
  longest.Exec("COMMIT");
  const RunResult result = running.get();
  EXPECT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(InvalidIndexes(), 0);
}

TEST_F(OnlineDdlPgTest, WhatHasNoOnlineFormThereIsRefusedWithTheReason) {
  database_.Exec(
      "CREATE TABLE p (id integer) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR "
      "VALUES FROM (0) TO (100)");
  EXPECT_THAT(Message("ALTER TABLE p ADD PRIMARY KEY (id)"), HasSubstr("partitioned"));
  EXPECT_THAT(Message("CREATE INDEX ON t (a)"), HasSubstr("no name"));
  EXPECT_THAT(Message("CREATE INDEX t_b ON t (a)"), HasSubstr("already"));
  EXPECT_THAT(Message("ALTER TABLE t ADD CHECK (a > 0)"), HasSubstr("no name"));
  EXPECT_THAT(Message("ALTER TABLE t ADD CONSTRAINT later CHECK (a > 0)"), HasSubstr("already"));
  EXPECT_THAT(Message("ALTER TABLE t ALTER COLUMN z SET NOT NULL"), HasSubstr("does not exist"));
  EXPECT_THAT(Message("DROP INDEX nowhere"), HasSubstr("does not exist"));
  EXPECT_THAT(Message("DROP INDEX t_id, t_b"), HasSubstr("several"));
  EXPECT_THAT(Message("CREATE INDEX x ON nowhere (a)"), HasSubstr("nowhere"));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_namespace WHERE nspname = 'pawl'"), 0);
}

// The check of SET NOT NULL has a name that nobody gave and nobody could change.
TEST_F(OnlineDdlPgTest, NamesOfAllLengthsBecomeNotNull) {
  const std::string name(63, 'n');
  database_.Exec("CREATE TABLE " + name + " (" + name + " integer)");
  EXPECT_EQ(Run("ALTER TABLE " + name + " ALTER " + name + " SET NOT NULL").state, "completed");
  EXPECT_EQ(database_.Value("SELECT attnotnull FROM pg_attribute WHERE attname = '" + name + "'"),
            "t");
  EXPECT_EQ(
      database_.Integer("SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = '" +
                        name + "'::regclass"),
      0);
}

TEST_F(OnlineDdlPgTest, AFileOfBothKindsIsOneRun) {
  const RunResult result =
      Run("ALTER TABLE t ADD COLUMN c integer;\n"
          "UPDATE t SET c = a * 2 WHERE c IS NULL;\n"
          "ALTER TABLE t ALTER COLUMN c SET NOT NULL;\n"
          "CREATE INDEX t_c ON t (c);");
  ASSERT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE c IS DISTINCT FROM a * 2"), 0);
  EXPECT_EQ(
      database_.Value("SELECT attnotnull FROM pg_attribute WHERE attname = 'c' AND attrelid = "
                      "'t'::regclass"),
      "t");
  const RunResult back = engine_.Revert(result.run, {}, {});
  EXPECT_EQ(back.state, "reverted") << back.reason;
  EXPECT_EQ(
      database_.Integer("SELECT count(*) FROM pg_attribute WHERE attname = 'c' AND attrelid = "
                        "'t'::regclass AND NOT attisdropped"),
      0);
}

// The server's time-outs begin anew with each statement.
TEST_F(OnlineDdlPgTest, ACutOverAsAWholeTakesNoLongerThanTheBudget) {
  const std::string slow =
      "INSERT INTO other VALUES (1001); DO $$ BEGIN PERFORM pg_sleep(0.12); END $$; "
      "SELECT pg_sleep(0.12); INSERT INTO other VALUES (1002)";
  LockTerms terms(1, {});
  EXPECT_FALSE(CutsOver(slow, 1, terms));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM other WHERE id > 1000"), 0);
  LockTerms fresh(1, {});
  EXPECT_TRUE(CutsOver("INSERT INTO other VALUES (1003); SELECT pg_sleep(0.01);", 20, fresh));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM other WHERE id > 1000"), 1);
  LockTerms more(1, {{"limit.stall", "2s"}});
  EXPECT_TRUE(CutsOver(slow, 1, more));
}

TEST_F(OnlineDdlPgTest, TheCutOversOfARunShareTheBudgetOfAMinute) {
  LockTerms stalls(1, {});
  EXPECT_TRUE(CutsOver("INSERT INTO other VALUES (1001); SELECT pg_sleep(0.145)", 1, stalls));
  EXPECT_GE(stalls.spent, std::chrono::milliseconds(145));
  EXPECT_FALSE(CutsOver("INSERT INTO other VALUES (1002)", 1, stalls));
  stalls.minute_from -= std::chrono::minutes(2);
  EXPECT_TRUE(CutsOver("INSERT INTO other VALUES (1002)", 20, stalls));
}

// A session that forgot its transaction stands in the way. It is named; it is ended only where the user
// allows it for its role, which is in the books then.
TEST_F(OnlineDdlPgTest, SessionsOfNamedRolesMayBeEnded) {
  const std::string role = "forgetful_" + database_.name();
  database_.Exec("CREATE ROLE " + role + " LOGIN; GRANT SELECT ON t TO " + role);
  EXPECT_THAT(Message("-- pawl: end_sessions=nobody_of_that_name\nALTER TABLE t ADD u integer"),
              HasSubstr("\"nobody_of_that_name\", which does not exist"));
  test::Sql forgotten(database_.url() + "?user=" + role);
  forgotten.Exec("BEGIN; SELECT count(*) FROM t");
  database_.Exec("CREATE ROLE another_" + database_.name());
  RunSettings settings;
  settings.throttle = {{"end_sessions", "another_" + database_.name()}};
  RunAside run(database_.url(), "ALTER TABLE t ADD u integer", settings);
  EXPECT_TRUE(WaitUntil([&] { return run.progress().note.find("waiting for the lock") == 0; },
                        std::chrono::seconds(10)))
      << run.progress().note;
  std::this_thread::sleep_for(std::chrono::seconds(8));
  EXPECT_FALSE(run.done());
  EXPECT_EQ(forgotten.Value("SELECT count(*) FROM t"), "20000");
  engine_.Set(1, std::nullopt, std::nullopt,
              {{"end_sessions", "another_" + database_.name() + "," + role}});
  EXPECT_EQ(run.Wait().state, "completed");
  EXPECT_THROW(forgotten.Value("SELECT 1"), test::SqlError);
  EXPECT_THAT(database_.Value("SELECT detail FROM pawl.audit WHERE event = 'end session'"),
              AllOf(HasSubstr("of role " + role), HasSubstr("idle in transaction"),
                    HasSubstr("held the lock on public.t")));
  database_.Exec("DROP OWNED BY " + role + "; DROP ROLE " + role + ", another_" + database_.name());
}

}  // namespace
}  // namespace pawl::engine
