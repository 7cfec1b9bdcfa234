// REINDEX, the index of a partitioned table, materialized views, domains and the short statements, in
// the forms that nobody notices. What the catalogue then says is compared with what the plain statement
// makes of a copy, and with what it said before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "db/error.h"
#include "engine/engine.h"
#include "schema/planner.h"
#include "tests/support/test_database.h"
#include "tests/support/writers.h"

namespace pawl::engine {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kSchema = R"sql(
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE t (id bigint PRIMARY KEY, updates integer NOT NULL DEFAULT 0, a integer, b text,
  EXCLUDE USING gist (id WITH =));
INSERT INTO t SELECT g, 0, g % 100, 'b' || g FROM generate_series(1, 5000) AS g;
CREATE INDEX t_a ON t (a);
CREATE TABLE p (id bigint, updates integer NOT NULL DEFAULT 0, a integer, b text, PRIMARY KEY (id))
  PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (1000) TO (9000) PARTITION BY HASH (id);
CREATE TABLE p2a PARTITION OF p2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE p2b PARTITION OF p2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO p SELECT g, 0, g % 100, 'b' || g FROM generate_series(1, 5000) AS g;
CREATE INDEX p_a ON p (a);
CREATE SCHEMA app;
CREATE TABLE app.s (id integer PRIMARY KEY, b text);
CREATE TYPE app.mood AS ENUM ('calm', 'odd');
CREATE DOMAIN positive AS integer;
CREATE TABLE app.d (v positive);
INSERT INTO app.d VALUES (1);
CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n, max(id) AS top FROM t;
)sql";

class ObjectFormsPgTest : public testing::Test {
 protected:
  ObjectFormsPgTest() { database_.Exec(kSchema); }

  static std::string Catalogue(test::TestDatabase& database) {
    return database.Value(R"sql(
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
  SELECT concat_ws(' ', 'index', pg_get_indexdef(indexrelid), indisvalid, i.inhparent::regclass)
    FROM pg_index LEFT JOIN pg_inherits AS i ON i.inhrelid = indexrelid
   WHERE indrelid::regclass::text ~ '^(p[12]?[ab]?|t|app[.].*)$'
  UNION ALL SELECT concat_ws(' ', 'column', attrelid::regclass, attname, attstattarget, attstorage, attcompression)
    FROM pg_attribute WHERE attrelid IN ('t'::regclass, 'p'::regclass) AND attnum > 0
  UNION ALL SELECT concat_ws(' ', 'enum', enumlabel, enumsortorder) FROM pg_enum
  UNION ALL SELECT concat_ws(' ', 'view', viewname, definition) FROM pg_views WHERE schemaname IN ('public', 'app')
  UNION ALL SELECT concat_ws(' ', 'domain', conname, pg_get_constraintdef(oid), convalidated)
    FROM pg_constraint WHERE contypid <> 0 AND connamespace = 'public'::regnamespace) AS lines (line))sql");
  }

  static std::string Plain(const std::string& statement) {
    test::TestDatabase copy;
    copy.Exec(kSchema);
    copy.Exec(statement);
    return Catalogue(copy);
  }

  std::vector<std::pair<std::string, std::string>> Nodes() {
    std::vector<std::pair<std::string, std::string>> nodes;
    for (
        const test::Row& row : database_.Rows(
            "SELECT oid::regclass::text, pg_relation_filenode(oid)::text FROM pg_class WHERE relkind = 'i' "
            "AND relnamespace IN ('public'::regnamespace, 'app'::regnamespace, 'pg_toast'::regnamespace) "
            "AND oid >= 16384 AND oid NOT IN (SELECT i.indexrelid FROM pg_index AS i JOIN pg_class AS t ON t.reltoastrelid = "
            "i.indrelid OR t.oid = i.indrelid WHERE t.relnamespace::regnamespace::text = 'pawl')")) {
      nodes.emplace_back(row[0], row[1]);
    }
    return nodes;
  }

  // How many of the indexes that were there are new ones under the same name.
  std::size_t Rebuilt(const std::vector<std::pair<std::string, std::string>>& before) {
    const auto after = Nodes();
    std::size_t rebuilt = 0;
    for (const auto& [name, node] : before) {
      for (const auto& [other, other_node] : after) {
        if (other == name && other_node != node) ++rebuilt;
      }
    }
    return rebuilt;
  }

  // With a budget that a slow machine does not spend at once, to wait a minute for the next.
  RunResult Run(const std::string& text, const std::string& name = "m") {
    RunSettings settings;
    settings.throttle = {{"limit.stall", "2s"}};
    return engine_.Run(name, text, settings, {});
  }

  schema::Plan PlanOf(const std::string& sql) {
    db::Session session(db::ConnectionString(database_.url()), "plan");
    return schema::MakePlan(session, schema::ParseMigration("m", sql));
  }

  std::string Message(const std::string& text) {
    try {
      PlanOf(text);
      return "was planned: " + text;
    } catch (const db::Error& error) {
      EXPECT_EQ(error.action(), db::Action::kBadInput) << error.what();
      return error.what();
    }
  }

  std::int64_t InvalidIndexes() {
    return database_.Integer("SELECT count(*) FROM pg_index WHERE NOT indisvalid");
  }

  test::TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
};

TEST_F(ObjectFormsPgTest, MakesWhatThePlainStatementMakesAndTakesItBackWhileOthersWrite) {
  test::WriterOptions options;
  options.url = database_.url();
  options.table = "p";
  options.key_begin = 1;
  options.key_end = 5'000;
  options.insert_columns = {{"a", "1"}, {"b", "'x' || $1"}};
  options.with_history = false;
  test::Writers writers(options);
  for (const std::string statement : {
           "CREATE INDEX p_b ON p (b, lower(b)) INCLUDE (a) WHERE a > 0",
           "CREATE UNIQUE INDEX \"P u\" ON public.p USING btree (id, a DESC)",
           "CREATE INDEX p_only ON ONLY p (b)",
           "ALTER TABLE t ALTER COLUMN a SET STATISTICS 500",
           "ALTER TABLE t ALTER COLUMN b SET STORAGE EXTERNAL",
           "ALTER TABLE t ALTER COLUMN b SET COMPRESSION pglz",
           "ALTER TABLE p ALTER COLUMN b SET STORAGE MAIN",
           "ALTER TYPE app.mood RENAME VALUE 'odd' TO 'it''s'",
           "CREATE VIEW app.v AS SELECT id FROM t",
           "ALTER DOMAIN positive ADD CONSTRAINT above CHECK (VALUE > 0)",
           "ALTER DOMAIN positive ADD CONSTRAINT above CHECK (VALUE > 0) NOT VALID",
       }) {
    SCOPED_TRACE(statement);
    const std::string before = Catalogue(database_);
    const RunResult result = Run(statement);
    ASSERT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(Catalogue(database_), Plain(statement));
    const RunResult back = engine_.Revert(result.run, {}, {});
    ASSERT_EQ(back.state, "reverted") << back.reason;
    EXPECT_EQ(Catalogue(database_), before);
  }
  const test::WriterCounts counts = writers.Stop();
  EXPECT_GT(counts.acknowledged(), 0);
  EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
  EXPECT_LT(counts.latency_max, std::chrono::seconds(2));
}

TEST_F(ObjectFormsPgTest, AnIndexOfAPartitionedTableThatCannotBeUniqueLeavesNothing) {
  const std::string before = Catalogue(database_);
  const RunResult failed = Run("CREATE UNIQUE INDEX u ON p (id, a) WHERE a = 1");
  ASSERT_EQ(failed.state, "completed") << failed.reason;
  ASSERT_EQ(engine_.Revert(failed.run, {}, {}).state, "reverted");
  database_.Exec("ALTER TABLE p DROP CONSTRAINT p_pkey; INSERT INTO p (id, a) VALUES (3001, 1)");
  const std::string without = Catalogue(database_);
  const RunResult twice = Run("CREATE UNIQUE INDEX u ON p (id)", "m2");
  EXPECT_EQ(twice.state, "failed");
  EXPECT_THAT(twice.reason, HasSubstr("duplicated"));
  EXPECT_EQ(engine_.Revert(twice.run, {}, {}).state, "reverted");
  EXPECT_EQ(Catalogue(database_), without);
  EXPECT_NE(before, without);
}

TEST_F(ObjectFormsPgTest, ReindexBuildsEachIndexAnewAndLeavesTheSame) {
  const std::string before = Catalogue(database_);
  // Leaves only, with their TOAST tables; t has one that is excluded.
  const std::vector<std::pair<std::string, std::size_t>> kCases = {
      {"REINDEX INDEX t_a", 1},  {"REINDEX (VERBOSE) INDEX CONCURRENTLY p_a", 3},
      {"REINDEX TABLE p", 9},    {"REINDEX TABLE t", 3},
      {"REINDEX SCHEMA app", 2}, {"REINDEX DATABASE " + database_.name(), 14},
  };
  int run = 0;
  for (const auto& [statement, count] : kCases) {
    SCOPED_TRACE(statement);
    const auto nodes = Nodes();
    const RunResult result = Run(statement, "m" + std::to_string(++run));
    ASSERT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(Rebuilt(nodes), count);
    EXPECT_EQ(Catalogue(database_), before);
    EXPECT_EQ(InvalidIndexes(), 0);
    EXPECT_EQ(engine_.Revert(result.run, {}, {}).state, "reverted");
  }
}

// What a REINDEX that was ended leaves beside the index goes, and what the plan leaves out it names.
TEST_F(ObjectFormsPgTest, ReindexRemovesWhatAnEarlierOneHasLeft) {
  test::Sql longest(database_.url());
  longest.Exec("BEGIN; UPDATE t SET b = 'long' WHERE id = 1");
  test::Sql ended(database_.url());
  ended.Exec("SET lock_timeout = '100ms'");
  EXPECT_THROW(ended.Exec("REINDEX INDEX CONCURRENTLY t_a"), test::SqlError);
  longest.Exec("COMMIT");
  ASSERT_EQ(InvalidIndexes(), 1);
  const schema::Plan plan = PlanOf("REINDEX TABLE t");
  EXPECT_THAT(plan.steps.at(0).title, HasSubstr("t_a_ccnew, left by"));
  std::string notes;
  for (const std::string& note : plan.steps[0].notes) notes += note + "\n";
  EXPECT_THAT(notes, AllOf(HasSubstr("exclusion constraints"), HasSubstr("t_id_excl")));
  EXPECT_THAT(PlanOf("REINDEX DATABASE " + database_.name()).steps.at(0).notes.at(1),
              HasSubstr("system catalogues"));
  ASSERT_EQ(Run("REINDEX INDEX t_a").state, "completed");
  EXPECT_EQ(InvalidIndexes(), 0);
  EXPECT_THAT(Message("REINDEX INDEX t_id_excl"), HasSubstr("exclusion constraint"));
  EXPECT_THAT(Message("REINDEX TABLE pg_catalog.pg_class"), HasSubstr("system catalogues"));
  EXPECT_THAT(Message("REINDEX SCHEMA pg_catalog"), HasSubstr("system catalogues"));
  EXPECT_THAT(Message("REINDEX SCHEMA nowhere"), HasSubstr("does not exist"));
  EXPECT_THAT(Message("REINDEX DATABASE template1"), HasSubstr("not \"template1\""));
  EXPECT_THAT(Message("REINDEX TABLE t_a"), HasSubstr("is no table"));
  EXPECT_THAT(Message("REINDEX INDEX t"), HasSubstr("is no index"));
  EXPECT_THAT(Message("REINDEX (TABLESPACE pg_default) TABLE t"), HasSubstr("option tablespace"));
}

TEST_F(ObjectFormsPgTest, AMaterializedViewIsRefreshedWhileOthersReadIt) {
  EXPECT_THAT(Message("REFRESH MATERIALIZED VIEW m"), HasSubstr("no unique index"));
  EXPECT_THAT(Message("REFRESH MATERIALIZED VIEW t"), HasSubstr("no materialized view"));
  database_.Exec("CREATE UNIQUE INDEX m_part ON m (n) WHERE n > 0");
  EXPECT_THAT(Message("REFRESH MATERIALIZED VIEW m"), HasSubstr("no unique index"));
  database_.Exec("CREATE UNIQUE INDEX m_n ON m (n); DELETE FROM t WHERE id = 1");
  test::Sql reader(database_.url());
  reader.Exec("BEGIN; SELECT * FROM m");
  ASSERT_EQ(Run("REFRESH MATERIALIZED VIEW m").state, "completed");
  reader.Exec("COMMIT");
  EXPECT_EQ(database_.Integer("SELECT n FROM m"), 4'999);
}

TEST_F(ObjectFormsPgTest, ADomainThatDoesNotHoldStopsTheRunAndCanBeTakenBack) {
  database_.Exec("INSERT INTO app.d VALUES (-1)");
  const std::string before = Catalogue(database_);
  const RunResult failed = Run("ALTER DOMAIN positive ADD CONSTRAINT above CHECK (VALUE > 0)");
  EXPECT_EQ(failed.state, "failed");
  EXPECT_THAT(failed.reason, AllOf(HasSubstr("\"v\""), HasSubstr("\"d\"")));
  EXPECT_EQ(engine_.Revert(failed.run, {}, {}).state, "reverted");
  EXPECT_EQ(Catalogue(database_), before);
}

}  // namespace
}  // namespace pawl::engine
