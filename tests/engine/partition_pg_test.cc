// ATTACH and DETACH PARTITION in their online forms, while an application writes to the partitioned
// table: what the catalogue says is compared with what the plain statement makes of a copy, and with
// what it said before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "db/error.h"
#include "engine/engine.h"
#include "tests/engine/run_aside.h"
#include "tests/support/test_database.h"
#include "tests/support/writers.h"

namespace pawl::engine {
namespace {

using ::testing::HasSubstr;

// c lacks the unique index and the foreign key, and its plain index has another name.
constexpr const char* kSchema = R"sql(
CREATE TABLE other (id bigint PRIMARY KEY);
INSERT INTO other SELECT generate_series(0, 9);
CREATE TABLE p (id bigint NOT NULL, updates integer NOT NULL DEFAULT 0, b text, o bigint,
  CONSTRAINT sane CHECK (id > -5), CONSTRAINT o_other FOREIGN KEY (o) REFERENCES other,
  PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE INDEX p_b ON p (b) WITH (fillfactor = 80);
CREATE INDEX p_low ON p (lower(b), o) WHERE o > 0;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER whole BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
INSERT INTO p SELECT g, 0, 'b' || g, g % 10 FROM generate_series(1, 999) AS g;
CREATE TABLE c (o bigint, id bigint NOT NULL, b text, updates integer NOT NULL DEFAULT 0,
  CONSTRAINT sane CHECK (id > -5));
INSERT INTO c SELECT g % 10, g, 'b' || g, 0 FROM generate_series(1000, 5999) AS g;
CREATE INDEX my_b ON c (b);
)sql";

constexpr const char* kAttach = "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (1000) TO (6000)";
constexpr const char* kDefault = "CREATE TABLE pd PARTITION OF p DEFAULT";

class PartitionPgTest : public testing::Test {
 protected:
  static std::string Catalogue(test::TestDatabase& database) {
    return database.Value(R"sql(
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
  SELECT concat_ws(' ', 'table', c.relname, c.relkind, c.relispartition, pg_get_expr(c.relpartbound, c.oid), i.inhparent::regclass, c.reloptions)
    FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
   WHERE c.relnamespace = 'public'::regnamespace AND c.relname !~ '_(history|before)'
  UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attinhcount, attislocal)
    FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid IN ('p'::regclass, 'c'::regclass)
  UNION ALL SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid, indisready)
    FROM pg_index WHERE indrelid::regclass::text IN ('p', 'p1', 'c', 'pd')
  UNION ALL SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(k.oid), convalidated, conislocal, coninhcount, conindid::regclass)
    FROM pg_constraint AS k WHERE conrelid::regclass::text IN ('p', 'p1', 'c', 'pd')
  UNION ALL SELECT concat_ws(' ', 'trigger', tgrelid::regclass, CASE WHEN tgisinternal THEN tgfoid::regproc::text ELSE tgname END, tgenabled, tgparentid <> 0)
    FROM pg_trigger WHERE tgrelid::regclass::text IN ('p', 'p1', 'c', 'pd', 'other')) AS lines (line))sql");
  }

  // What the plain statements make of a copy.
  static std::string Plain(const std::string& before, const std::string& statement) {
    test::TestDatabase copy;
    copy.Exec(kSchema + before);
    copy.Exec(statement);
    return Catalogue(copy);
  }

  test::WriterOptions WriterOptionsOf(std::int64_t begin, std::int64_t end) const {
    test::WriterOptions options;
    options.url = database_.url();
    options.table = "p";
    options.key_begin = begin;
    options.key_end = end;
    options.insert_columns = {{"b", "'x' || $1"}, {"o", "1"}};
    options.with_history = false;
    return options;
  }

  static void ExpectUnhurt(test::Writers& writers) {
    const test::WriterCounts counts = writers.Stop();
    EXPECT_GT(counts.acknowledged(), 0);
    EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
    EXPECT_LT(counts.latency_max, std::chrono::seconds(2));
  }

  // With a budget that a slow machine does not spend at once, to wait a minute for the next.
  RunResult Run(const std::string& text) {
    RunSettings settings;
    settings.throttle = {{"limit.stall", "2s"}};
    return engine_.Run("m", text, settings, {});
  }

  std::string Message(const std::string& text) {
    try {
      Run(text);
      return {};
    } catch (const db::Error& error) {
      EXPECT_EQ(error.action(), db::Action::kBadInput);
      return error.what();
    }
  }

  test::TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
};

TEST_F(PartitionPgTest, AttachesAsThePlainStatementAndTakesItBackWhileOthersWrite) {
  database_.Exec(kSchema);
  const std::string before = Catalogue(database_);
  test::Writers writers(WriterOptionsOf(1, 1'000));
  const RunResult result = Run(kAttach);
  ASSERT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(Catalogue(database_), Plain("", kAttach));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM p WHERE id >= 1000"), 5'000);
  const RunResult back = engine_.Revert(result.run, {}, {});
  ASSERT_EQ(back.state, "reverted") << back.reason;
  EXPECT_EQ(Catalogue(database_), before);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM c"), 5'000);
  ExpectUnhurt(writers);
}

TEST_F(PartitionPgTest, AttachesBesideADefaultPartitionThatIsInUse) {
  database_.Exec(std::string(kSchema) + kDefault +
                 "; INSERT INTO p SELECT g, 0, 'd', 1 FROM "
                 "generate_series(6000, 8000) AS g");
  const std::string before = Catalogue(database_);
  test::Writers writers(WriterOptionsOf(6'000, 10'000));
  const RunResult result = Run(kAttach);
  ASSERT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(Catalogue(database_), Plain(kDefault, kAttach));
  const RunResult back = engine_.Revert(result.run, {}, {});
  ASSERT_EQ(back.state, "reverted") << back.reason;
  EXPECT_EQ(Catalogue(database_), before);
  ExpectUnhurt(writers);
}

TEST_F(PartitionPgTest, ARowThatDoesNotFitIsNamedAndNothingIsLeft) {
  database_.Exec(std::string(kSchema) + kDefault);
  const std::string before = Catalogue(database_);
  database_.Exec("ALTER TABLE c ADD UNIQUE (id); INSERT INTO c (id, o) VALUES (7777, 1)");
  const std::string keyed = Catalogue(database_);
  const RunResult failed = Run(kAttach);
  EXPECT_EQ(failed.state, "failed");
  EXPECT_THAT(failed.reason, AllOf(HasSubstr("id 7777"), HasSubstr("public.c")));
  EXPECT_EQ(Catalogue(database_), keyed);
  database_.Exec("DELETE FROM c WHERE id = 7777; INSERT INTO p (id, o) VALUES (4242, 1)");
  const RunResult again = engine_.Resume(failed.run, {}, {});
  EXPECT_EQ(again.state, "failed");
  EXPECT_THAT(again.reason, AllOf(HasSubstr("id 4242"), HasSubstr("public.pd")));
  EXPECT_EQ(engine_.Revert(failed.run, {}, {}).state, "reverted");
  EXPECT_EQ(Catalogue(database_), keyed);
  database_.Exec("ALTER TABLE c DROP CONSTRAINT c_id_key");
  EXPECT_EQ(Catalogue(database_), before);
}

TEST_F(PartitionPgTest, TwoRowsAlikeEndItBeforeAnybodyIsRefusedARow) {
  database_.Exec(kSchema);
  const std::string before = Catalogue(database_);
  database_.Exec("INSERT INTO c (id, o) VALUES (1000, 1)");
  const RunResult failed = Run(kAttach);
  EXPECT_EQ(failed.state, "failed");
  EXPECT_THAT(failed.reason, HasSubstr("duplicated"));
  database_.Exec("INSERT INTO c (id, o) VALUES (9999, 1); DELETE FROM c WHERE id = 9999");
  EXPECT_EQ(engine_.Revert(failed.run, {}, {}).state, "reverted");
  EXPECT_EQ(Catalogue(database_), before);
}

// A writer that waits for no lock longer than half a second, and one that reads all, see nothing of it.
TEST_F(PartitionPgTest, ANewPartitionAndSeveralInOneFile) {
  database_.Exec(std::string(kSchema) + kDefault);
  const std::string statements =
      "CREATE TABLE n1 (LIKE p INCLUDING DEFAULTS INCLUDING CONSTRAINTS);\n"
      "ALTER TABLE p ATTACH PARTITION n1 FOR VALUES FROM (20000) TO (30000);\n"
      "CREATE TABLE n2 (LIKE p INCLUDING DEFAULTS INCLUDING CONSTRAINTS);\n"
      "ALTER TABLE p ATTACH PARTITION n2 FOR VALUES FROM (30000) TO (40000);\n" +
      std::string(kAttach);
  const std::string before = Catalogue(database_);
  const RunResult result = Run(statements);
  ASSERT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(Catalogue(database_), Plain(kDefault, statements));
  EXPECT_EQ(engine_.Revert(result.run, {}, {}).state, "reverted");
  EXPECT_EQ(Catalogue(database_), before);
}

TEST_F(PartitionPgTest, DetachesConcurrentlyAndAttachesAgainWithoutAScan) {
  database_.Exec(std::string(kSchema) + kAttach);
  for (const std::string statement :
       {"ALTER TABLE p DETACH PARTITION c", "ALTER TABLE p DETACH PARTITION c CONCURRENTLY"}) {
    SCOPED_TRACE(statement);
    const std::string before = Catalogue(database_);
    test::Writers writers(WriterOptionsOf(1, 1'000));
    const std::string plain = Plain(kAttach, "ALTER TABLE p DETACH PARTITION c CONCURRENTLY");
    // A session tells its counters once a second at most: those of the plain ATTACH above come first.
    std::this_thread::sleep_for(std::chrono::milliseconds(1'100));
    const RunResult result = Run(statement);
    ASSERT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(Catalogue(database_), plain);
    const std::int64_t scans =
        database_.Integer("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'c'");
    const RunResult back = engine_.Revert(result.run, {}, {});
    ASSERT_EQ(back.state, "reverted") << back.reason;
    EXPECT_EQ(Catalogue(database_), before);
    EXPECT_EQ(database_.Integer("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'c'"),
              scans);
    ExpectUnhurt(writers);
  }
}

// Whoever reads the partitioned table for long is waited for; new readers and writers are not stopped
// meanwhile, and neither is who uses the partition by its own name.
TEST_F(PartitionPgTest, DetachWaitsForALongReaderAndStopsNobody) {
  database_.Exec(std::string(kSchema) + kAttach);
  test::Sql longest(database_.url());
  longest.Exec("BEGIN; SELECT count(*) FROM p");
  test::Sql direct(database_.url());
  direct.Exec("BEGIN; SELECT count(*) FROM c");
  RunAside run(database_.url(), "ALTER TABLE p DETACH PARTITION c", {});
  EXPECT_TRUE(WaitUntil(
      [&] {
        return database_.Integer("SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == 1;
      },
      std::chrono::seconds(10)));
  test::Sql other(database_.url());
  other.Exec("SET lock_timeout = '1s'");
  for (int i = 0; i < 20; ++i) {
    other.Exec("UPDATE p SET updates = updates + 1 WHERE id = 7");
    other.Exec("UPDATE c SET updates = updates + 1 WHERE id = 2000");
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  EXPECT_FALSE(run.done());
  longest.Exec("COMMIT");
  direct.Exec("COMMIT");
  const RunResult result = run.Wait();
  EXPECT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(Catalogue(database_), Plain(kAttach, "ALTER TABLE p DETACH PARTITION c CONCURRENTLY"));
}

TEST_F(PartitionPgTest, AnInterruptedDetachIsEndedByDetachAndByFinalize) {
  database_.Exec(std::string(kSchema) + kAttach);
  const std::string before = Catalogue(database_);
  for (const std::string statement :
       {"ALTER TABLE p DETACH PARTITION c", "ALTER TABLE p DETACH PARTITION c FINALIZE"}) {
    SCOPED_TRACE(statement);
    test::Sql reader(database_.url());
    reader.Exec("BEGIN; SELECT count(*) FROM p");
    test::Sql interrupted(database_.url());
    interrupted.Exec("SET lock_timeout = '50ms'");
    EXPECT_THROW(interrupted.Exec("ALTER TABLE p DETACH PARTITION c CONCURRENTLY"), test::SqlError);
    reader.Exec("COMMIT");
    const RunResult result = Run(statement);
    ASSERT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(Catalogue(database_),
              Plain(kAttach, "ALTER TABLE p DETACH PARTITION c CONCURRENTLY"));
    ASSERT_EQ(engine_.Revert(result.run, {}, {}).state, "reverted");
    EXPECT_EQ(Catalogue(database_), before);
  }
}

TEST_F(PartitionPgTest, WithADefaultPartitionItTakesOneShortLockAndTheWayBackMakesTheChecks) {
  database_.Exec(std::string(kSchema) + kAttach + ";" + kDefault);
  const std::string statement = "ALTER TABLE p DETACH PARTITION c";
  const std::string before = Catalogue(database_);
  test::Writers writers(WriterOptionsOf(1, 1'000));
  const RunResult result = Run(statement);
  ASSERT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(Catalogue(database_), Plain(std::string(kAttach) + ";" + kDefault, statement));
  // What has come into the default partition since keeps it from being attached again.
  database_.Exec("INSERT INTO p (id, o) VALUES (2222, 1)");
  const std::string detached = Catalogue(database_);
  const RunResult stopped = engine_.Revert(result.run, {}, {});
  EXPECT_NE(stopped.state, "reverted");
  EXPECT_THAT(stopped.reason, AllOf(HasSubstr("id 2222"), HasSubstr("public.pd")));
  database_.Exec("DELETE FROM p WHERE id = 2222");
  const RunResult back = engine_.Resume(result.run, {}, {});
  ASSERT_EQ(back.state, "reverted") << back.reason;
  EXPECT_EQ(Catalogue(database_), before);
  ExpectUnhurt(writers);
}

TEST_F(PartitionPgTest, WhatWouldReadRowsUnderALockIsRefusedWithTheReason) {
  database_.Exec(
      std::string(kSchema) + kAttach + ";" + kDefault +
      "; CREATE TABLE q (id bigint) PARTITION BY RANGE (id); CREATE TABLE q1 PARTITION OF q "
      "FOR VALUES FROM (0) TO (9); CREATE TABLE r (id bigint PRIMARY KEY) PARTITION BY RANGE "
      "(id); CREATE TABLE r1 PARTITION OF r FOR VALUES FROM (0) TO (9); CREATE TABLE s (r "
      "bigint REFERENCES r)");
  EXPECT_THAT(Message("ALTER TABLE p DETACH PARTITION c CONCURRENTLY"),
              HasSubstr("default partition, public.pd"));
  EXPECT_THAT(Message("ALTER TABLE q DETACH PARTITION c"), HasSubstr("no partition of public.q"));
  EXPECT_THAT(Message("ALTER TABLE q DETACH PARTITION q1 FINALIZE"), HasSubstr("was interrupted"));
  EXPECT_THAT(Message("ALTER TABLE r DETACH PARTITION r1"), HasSubstr("s_r_fkey of s refers to"));
  EXPECT_THAT(Message("ALTER TABLE p DETACH PARTITION c;\n"
                      "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (1000) TO (6000)"),
              HasSubstr("file of its own"));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_namespace WHERE nspname = 'pawl'"), 0);
}

}  // namespace
}  // namespace pawl::engine
