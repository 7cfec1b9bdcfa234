// Columns added while others write. What the catalogue says afterwards is compared with what the plain
// statement makes; the rows, with what the writers were told is written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "db/error.h"
#include "engine/engine.h"
#include "tests/support/test_database.h"
#include "tests/support/writers.h"

namespace pawl::engine {
namespace {

using test::TestDatabase;
using ::testing::HasSubstr;

// The trigger is that of an application that counts its own changes.
constexpr const char* kSchema = R"sql(
CREATE TABLE other (id bigint PRIMARY KEY);
INSERT INTO other SELECT generate_series(1, 100);
CREATE SEQUENCE own START 1000;
CREATE TABLE t (id bigint PRIMARY KEY, updates integer NOT NULL DEFAULT 0, touched integer NOT NULL DEFAULT 0,
                a integer, b text) WITH (fillfactor = 80);
INSERT INTO t SELECT g, 0, 0, g, 'b' || g FROM generate_series(1, 6000) AS g;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.touched := OLD.touched + 1; RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
ANALYZE t;
)sql";

// An application that knows the new column: it gives it values of its own as soon as it is there, in
// rows that it inserts and in old ones, and remembers what it was told is written.
class Knowing {
 public:
  // `value` makes an SQL value of a number that is never given twice.
  Knowing(const std::string& url, std::string value)
      : value_(std::move(value)), thread_([this, url] { Work(url); }) {}
  ~Knowing() { Stop(); }

  void Stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

  // After Stop(): rows that hold something else than what was acknowledged, in words.
  std::string Mismatch(TestDatabase& database) {
    std::string rows;
    for (const auto& [id, number] : written_) {
      rows += (rows.empty() ? "(" : ", (") + std::to_string(id) + ", " + Value(number) + ")";
    }
    if (rows.empty()) return "it has written nothing";
    const std::string found =
        database.Value("SELECT coalesce(string_agg(w.id::text, ' '), '') FROM (VALUES " + rows +
                       ") AS w (id, c) LEFT JOIN t USING (id) WHERE t.c IS DISTINCT FROM w.c");
    return first_refusal_.empty() ? found : found + first_refusal_;
  }

  std::size_t written() const { return written_.size(); }

 private:
  std::string Value(std::int64_t number) const {
    std::string text = value_;
    text.replace(text.find('%'), 1, std::to_string(number));
    return text;
  }

  void Work(const std::string& url) {
    test::Sql sql(url);
    std::mt19937_64 random(7);
    for (std::int64_t number = 1; !stopping_; ++number) {
      const bool inserts = random() % 3 == 0;
      const std::int64_t id =
          inserts ? 1'000'000 + number : static_cast<std::int64_t>(3'000 + random() % 3'000);
      const std::string key = std::to_string(id);
      try {
        const std::int64_t rows =
            inserts ? sql.Exec("INSERT INTO t (id, a, c) VALUES (" + key + ", 1, " + Value(number) +
                               ")")
                    : sql.Exec("UPDATE t SET c = " + Value(number) + " WHERE id = " + key);
        if (rows == 1) written_[id] = number;
      } catch (const test::SqlError& error) {
        // Not there yet, or not any more.
        if (error.sqlstate() != "42703" && first_refusal_.empty()) first_refusal_ = error.what();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }

  const std::string value_;
  std::atomic<bool> stopping_{false};
  std::map<std::int64_t, std::int64_t> written_;
  std::string first_refusal_;
  std::thread thread_;
};

class AddColumnPgTest : public testing::Test {
 protected:
  AddColumnPgTest() { database_.Exec(kSchema); }

  // All that these statements can change, in words.
  template <typename Connection>
  static std::string Catalogue(Connection& sql) {
    return sql.Value(R"sql(
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
  SELECT concat_ws(' ', 'column', a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef,
                   'identity', a.attidentity, 'generated', a.attgenerated, pg_get_expr(d.adbin, d.adrelid),
                   a.attcollation::regcollation, pg_get_serial_sequence('t', a.attname))
    FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE a.attrelid = 't'::regclass AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid, indisunique, indisprimary, indimmediate)
    FROM pg_index WHERE indrelid = 't'::regclass
  UNION ALL SELECT concat_ws(' ', 'constraint', conname, pg_get_constraintdef(oid), convalidated, condeferrable, condeferred)
    FROM pg_constraint WHERE conrelid = 't'::regclass
  UNION ALL SELECT concat_ws(' ', 'sequence', seqrelid::regclass, format_type(seqtypid, NULL), seqstart, seqincrement, seqmax,
                   seqmin, seqcache, seqcycle, relpersistence, relowner::regrole, relacl)
    FROM pg_sequence JOIN pg_class AS c ON c.oid = seqrelid WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT concat_ws(' ', 'depend', classid::regclass, CASE classid WHEN 'pg_class'::regclass THEN objid::regclass::text END,
                   refobjid::regclass, refobjsubid, deptype)
    FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid = 't'::regclass AND classid <> 'pg_trigger'::regclass
     AND classid <> 'pg_type'::regclass
  UNION ALL SELECT concat_ws(' ', 'trigger', tgname) FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal
) AS lines (line))sql");
  }

  std::string Plain(const std::string& statement) {
    test::Sql session(database_.url());
    session.Exec("BEGIN");
    session.Exec(statement);
    return Catalogue(session);
  }

  test::WriterOptions Options() {
    test::WriterOptions options;
    options.url = database_.url();
    options.table = "t";
    options.key_begin = 1;
    options.key_end = 3'000;  // Above are those of Knowing.
    options.insert_columns = {{"a", "1"}, {"b", "'x' || $1"}};
    return options;
  }

  // Its text is its name: what is completed under a name stays as it is.
  RunResult Run(const std::string& text) { return engine_.Run(text, text, {}, {}); }

  RunResult Back(std::int64_t run, OnConflict policy = OnConflict::kStop) {
    RevertSettings settings;
    settings.on_conflict = policy;
    return engine_.Revert(run, settings, {});
  }

  std::string Message(const std::string& text) {
    try {
      Run(text);
      return {};
    } catch (const db::Error& error) {
      EXPECT_EQ(error.action(), db::Action::kBadInput) << error.what();
      return error.what();
    }
  }

  TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
};

TEST_F(AddColumnPgTest, MakesWhatThePlainStatementMakesAndTakesItBackWhileOthersWrite) {
  engine_.Init();
  test::Writers writers(Options());
  for (
      const std::string statement : {
          "ALTER TABLE t ADD COLUMN c uuid DEFAULT gen_random_uuid()",
          "ALTER TABLE t ADD c uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE",
          "ALTER TABLE t ADD c timestamptz DEFAULT clock_timestamp() NOT NULL",
          "ALTER TABLE t ADD c bigint DEFAULT nextval('own')",
          "ALTER TABLE t ADD c text COLLATE \"C\" DEFAULT 'x' || random() CHECK (c <> '') NOT NULL",
          "ALTER TABLE t ADD c serial",
          "ALTER TABLE t ADD c bigserial UNIQUE CHECK (c > 0)",
          "ALTER TABLE t ADD c bigint GENERATED BY DEFAULT AS IDENTITY",
          "ALTER TABLE t ADD c integer GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 3 CACHE 5) UNIQUE",
          "ALTER TABLE t ADD c bigint DEFAULT 1 REFERENCES other ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
          "ALTER TABLE t ADD c integer CONSTRAINT mine CHECK (c > a) CHECK (a > 0) CHECK (a > c)",
          "ALTER TABLE t ADD c timestamptz DEFAULT now()",
          "ALTER TABLE t ADD c integer NOT NULL DEFAULT 5",
      }) {
    SCOPED_TRACE(statement);
    const std::string before = Catalogue(database_);
    const std::string plain = Plain(statement);
    const RunResult result = Run(statement);
    ASSERT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(Catalogue(database_), plain);
    EXPECT_TRUE(Run(statement).already_done);
    if (statement.find("serial") != std::string::npos ||
        statement.find("random") != std::string::npos ||
        statement.find("IDENTITY") != std::string::npos) {
      EXPECT_EQ(database_.Integer("SELECT count(*) - count(DISTINCT c) FROM t"), 0);
    }
    const RunResult back = Back(result.run, OnConflict::kForce);
    ASSERT_EQ(back.state, "reverted") << back.reason;
    EXPECT_EQ(Catalogue(database_), before);
  }
  const test::WriterCounts counts = writers.Stop();
  EXPECT_GT(counts.acknowledged(), 0);
  EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
  EXPECT_EQ(writers.Mismatch(), "");
  EXPECT_LT(counts.latency_max, std::chrono::seconds(2));
  // The application's own trigger saw its own changes only.
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE touched <> updates"), 0);
}

TEST_F(AddColumnPgTest, WhatTheApplicationWritesItselfStays) {
  engine_.Init();
  for (
      const auto& [statement, value] : std::map<std::string, std::string>{
          {"-- pawl: batch_rows=200 pace=6000\nALTER TABLE t ADD c text DEFAULT 'r' || random() NOT NULL",
           "'own %'"},
          // Numbers of its own, out of the way of those that are drawn.
          {"-- pawl: batch_rows=200 pace=6000\nALTER TABLE t ADD c bigserial UNIQUE", "-%"},
          {"-- pawl: batch_rows=200 pace=6000\nALTER TABLE t ADD c bigint GENERATED BY DEFAULT AS IDENTITY",
           "-%"}}) {
    SCOPED_TRACE(statement);
    test::Writers writers(Options());
    Knowing knowing(database_.url(), value);
    const RunResult result = Run(statement);
    EXPECT_EQ(result.state, "completed") << result.reason;
    EXPECT_TRUE(writers.WaitForMore(50));  // After it as well.
    knowing.Stop();
    EXPECT_EQ(writers.Stop().refused, 0);
    EXPECT_EQ(writers.Mismatch("(SELECT * FROM t WHERE id < 1000000) AS theirs"), "");
    EXPECT_EQ(knowing.Mismatch(database_), "");
    EXPECT_EQ(database_.Integer("SELECT count(*) - count(DISTINCT c) FROM t"), 0);
    ASSERT_EQ(Back(result.run, OnConflict::kForce).state, "reverted");
    database_.Exec("DROP TABLE t_history, t_before; DELETE FROM t WHERE id > 1000000");
  }
}

TEST_F(AddColumnPgTest, AColumnWithValuesOfTheApplicationOrDrawnForItIsKept) {
  const std::string statement = "ALTER TABLE t ADD c serial";
  const std::string before = Catalogue(database_);
  const RunResult alone = Run(statement);
  ASSERT_EQ(alone.state, "completed") << alone.reason;
  const RunResult gone = Back(alone.run);
  EXPECT_EQ(gone.state, "reverted") << gone.reason;
  EXPECT_EQ(gone.conflicts, 0);
  EXPECT_EQ(Catalogue(database_), before);
  const RunResult result = Run(statement);
  database_.Exec("INSERT INTO t (id) VALUES (7001)");
  const std::int64_t drawn = database_.Integer("SELECT last_value FROM t_c_seq");
  const RunResult back = Back(result.run);
  EXPECT_EQ(back.state, "reverted") << back.reason;
  EXPECT_EQ(back.conflicts, 1);
  EXPECT_EQ(database_.Integer("SELECT c FROM t WHERE id = 7001"), 6001);
  EXPECT_EQ(database_.Integer("SELECT count(c) FROM t"), 1);
  EXPECT_EQ(database_.Integer("SELECT last_value FROM t_c_seq"), drawn);
  database_.Exec("INSERT INTO t (id) VALUES (7002)");  // Takes any value, or none.
  EXPECT_EQ(Back(result.run, OnConflict::kForce).state, "reverted");
  EXPECT_EQ(Catalogue(database_), before);
}

// A program that writes back whole rows, as it read them before.
TEST_F(AddColumnPgTest, WhatPostgresGaveTheOldRowsIsNobodysWhateverItsText) {
  const std::string before = Catalogue(database_);
  for (const std::string column :
       {"numeric(8,2) DEFAULT 1.5", "char(5) DEFAULT 'x'", "timestamptz DEFAULT now() NOT NULL",
        "timestamp(0) DEFAULT localtimestamp", "integer[] DEFAULT '{1, 2}'", "boolean DEFAULT true",
        "text DEFAULT ''", "jsonb DEFAULT '{\"a\":1}'"}) {
    SCOPED_TRACE(column);
    const RunResult result = Run("ALTER TABLE t ADD c " + column);
    ASSERT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(Back(result.run).conflicts, 0);
    EXPECT_EQ(Catalogue(database_), before);
  }
  const RunResult result = Run("ALTER TABLE t ADD c timestamptz DEFAULT now()");
  database_.Exec("INSERT INTO t (id) VALUES (7001); UPDATE t SET b = 'other' WHERE id = 1");
  EXPECT_EQ(Back(result.run).conflicts, 1);
  EXPECT_EQ(database_.Integer("SELECT count(c) FROM t WHERE id = 7001"), 1);
}

TEST_F(AddColumnPgTest, ANullOfTheApplicationStopsBeforeNotNullAndRefusesNobody) {
  const RunResult nullable =
      engine_.Run("n", "ALTER TABLE t ADD d uuid DEFAULT gen_random_uuid()", {}, {});
  ASSERT_EQ(nullable.state, "completed") << nullable.reason;
  database_.Exec("UPDATE t SET d = NULL WHERE id = 5");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE d IS NULL"), 1);
  // It is written behind the batches, which walk up.
  database_.Exec(
      "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.c := NULL; RETURN NEW; "
      "END'; CREATE TRIGGER late BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.id = 17) EXECUTE FUNCTION "
      "late(); ALTER TABLE t DISABLE TRIGGER late");
  const std::string statement =
      "-- pawl: quiet_triggers=false order=key\nALTER TABLE t ADD c serial";
  database_.Exec("ALTER TABLE t ENABLE TRIGGER late");
  const RunResult failed = Run(statement);
  EXPECT_EQ(failed.state, "failed");
  EXPECT_THAT(failed.reason, HasSubstr("id 17"));
  // The check has gone: the application may still write what it likes.
  database_.Exec("UPDATE t SET b = 'still' WHERE id = 17");
  database_.Exec("DROP TRIGGER late ON t; UPDATE t SET c = -1 WHERE id = 17");
  const RunResult done = engine_.Resume(failed.run, {}, {});
  EXPECT_EQ(done.state, "completed") << done.reason;
  EXPECT_EQ(database_.Integer("SELECT c FROM t WHERE id = 17"), -1);
}

TEST_F(AddColumnPgTest, ATableWithoutAKeyGetsOne) {
  if (database_.Integer("SHOW server_version_num") < 140000) {
    GTEST_SKIP() << "there is no block order before PostgreSQL 14";
  }
  database_.Exec("ALTER TABLE t DROP CONSTRAINT t_pkey");
  for (const std::string statement :
       {"ALTER TABLE t ADD c bigserial PRIMARY KEY",
        "ALTER TABLE t ADD c bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"}) {
    SCOPED_TRACE(statement);
    const std::string before = Catalogue(database_);
    const std::string plain = Plain(statement);
    const RunResult result = Run(statement);
    ASSERT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(Catalogue(database_), plain);
    EXPECT_EQ(database_.Integer("SELECT count(DISTINCT c) FROM t"), 6000);
    // Without a key nobody can say whose the values are.
    EXPECT_EQ(Back(result.run).conflicts, 1);
    EXPECT_EQ(database_.Integer("SELECT count(DISTINCT c) FROM t"), 6000);
    EXPECT_EQ(Back(result.run, OnConflict::kForce).state, "reverted");
    EXPECT_EQ(Catalogue(database_), before);
  }
}

TEST_F(AddColumnPgTest, TwoRowsAlikeEndAUniqueColumnAndItCanBeTakenBack) {
  const std::string before = Catalogue(database_);
  const RunResult failed = Run("ALTER TABLE t ADD c integer DEFAULT 5 UNIQUE");
  EXPECT_EQ(failed.state, "failed");
  EXPECT_THAT(failed.reason, HasSubstr("duplicated"));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), 0);
  EXPECT_EQ(Back(failed.run).state, "reverted");
  EXPECT_EQ(Catalogue(database_), before);
}

TEST_F(AddColumnPgTest, PartitionsAreFilledOneByOne) {
  database_.Exec(
      "CREATE TABLE p (id bigint, k integer, PRIMARY KEY (id, k)) PARTITION BY RANGE (k); CREATE "
      "TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE p2 PARTITION OF p FOR "
      "VALUES FROM (10) TO (20); INSERT INTO p SELECT g, g % 20 FROM generate_series(1, 2000) AS g");
  const RunResult result = Run("ALTER TABLE p ADD c uuid DEFAULT gen_random_uuid() NOT NULL");
  ASSERT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(database_.Integer("SELECT count(DISTINCT c) FROM p"), 2000);
  EXPECT_EQ(
      database_.Integer("SELECT count(*) FROM pg_attribute WHERE attname = 'c' AND attnotnull"), 3);
  EXPECT_EQ(Back(result.run).state, "reverted");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_attribute WHERE attname = 'c'"), 0);
}

// Of a role that may insert, but is not the owner.
TEST_F(AddColumnPgTest, WhoMayInsertMayDrawFromTheSequence) {
  const std::string role = "pawl_clerk_" + database_.name();
  database_.Exec("CREATE ROLE " + role + "; GRANT INSERT ON t TO " + role);
  for (const std::string type : {"serial", "bigint GENERATED BY DEFAULT AS IDENTITY"}) {
    const RunResult result = Run("ALTER TABLE t ADD c " + type);
    ASSERT_EQ(result.state, "completed") << result.reason;
    test::Sql clerk(database_.url());
    clerk.Exec("SET ROLE " + role);
    EXPECT_EQ(clerk.Exec("INSERT INTO t (id) VALUES (8001)"), 1);
    EXPECT_EQ(database_.Integer("SELECT c FROM t WHERE id = 8001"), 6001);
    ASSERT_EQ(Back(result.run, OnConflict::kForce).state, "reverted");
    database_.Exec("DELETE FROM t WHERE id = 8001");
  }
  database_.Exec("DROP OWNED BY " + role + "; DROP ROLE " + role);
}

TEST_F(AddColumnPgTest, WhatHasNoOnlineFormIsRefusedWithTheReason) {
  database_.Exec(
      "CREATE DOMAIN positive AS integer CHECK (VALUE > 0); CREATE DOMAIN drawn AS uuid DEFAULT "
      "gen_random_uuid(); CREATE TABLE empty (id integer)");
  EXPECT_THAT(Message("ALTER TABLE t ADD c int NOT NULL"), HasSubstr("three statements"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c int NOT NULL DEFAULT NULL"), HasSubstr("has rows"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c int GENERATED ALWAYS AS (a * 2) STORED"),
              HasSubstr("keep_in_sync=contract"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c positive"), HasSubstr("domain with a constraint"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c drawn"), HasSubstr("for every row"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c serial PRIMARY KEY"),
              HasSubstr("a primary key already"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c text GENERATED ALWAYS AS IDENTITY"),
              HasSubstr("smallint, integer or bigint"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c serial DEFAULT 5"), HasSubstr("more than once"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c int DEFAULT a"), HasSubstr("reads a column"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c uuid DEFAULT nowhere()"), HasSubstr("nowhere"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c uuid DEFAULT random()"), HasSubstr("of type uuid"));
  EXPECT_THAT(Message("ALTER TABLE t ADD a serial"), HasSubstr("exists already"));
  EXPECT_THAT(Message("-- pawl: quarantine=5\nALTER TABLE t ADD c serial"),
              HasSubstr("quarantine"));
  EXPECT_THAT(Message("ALTER TABLE t ADD c int UNIQUE WITH (fillfactor = 70)"), HasSubstr("WITH"));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_namespace WHERE nspname = 'pawl'"), 0);
  EXPECT_EQ(Run("ALTER TABLE empty ADD c int NOT NULL").state, "completed");
}

TEST_F(AddColumnPgTest, AFileThatMakesItsTableRunsTheStatementAsItStands) {
  const RunResult result =
      Run("CREATE TABLE made (id integer);\nALTER TABLE made ADD c bigserial PRIMARY KEY;\n"
          "ALTER TABLE made ADD d integer GENERATED ALWAYS AS (id + 1) STORED;");
  EXPECT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_index WHERE indrelid = 'made'::regclass"),
            1);
}

}  // namespace
}  // namespace pawl::engine
