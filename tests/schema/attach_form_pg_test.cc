// ATTACH PARTITION in its online form, step by step against a real server: whatever the key and the
// bounds, the step that attaches reads no row, neither of the partition nor of the default partition,
// and the catalogue is then that of the plain statement.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "db/connection_string.h"
#include "db/error.h"
#include "schema/form_steps.h"
#include "schema/planner.h"
#include "tests/support/test_database.h"

namespace pawl::schema {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// A table p that is partitioned by `key`, a table c to attach, and other partitions of p.
struct Case {
  std::string columns;
  std::string key;
  std::string rows;  // Of c, a select list.
  std::string bound;
  std::vector<std::string> others;  // "pd DEFAULT", "p1 FOR VALUES …"
};

const std::vector<Case> kCases = {
    {"a integer, b text",
     "RANGE (a)",
     "g % 10, 'b'",
     "FOR VALUES FROM (0) TO (10)",
     {"pd DEFAULT"}},
    {"a integer NOT NULL", "RANGE (a)", "-g", "FOR VALUES FROM (MINVALUE) TO (0)", {"pd DEFAULT"}},
    {"a bigint", "RANGE (a)", "g", "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)", {}},
    {"t timestamptz NOT NULL",
     "RANGE (t)",
     "'2024-01-15'::timestamptz + g * interval '1 minute'",
     "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
     {"pd DEFAULT", "p1 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')"}},
    {"d date",
     "RANGE (d)",
     "'2024-01-15'::date",
     "FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
     {"pd DEFAULT"}},
    {"n numeric(10,2)", "RANGE (n)", "g % 5", "FOR VALUES FROM (0) TO (5.50)", {"pd DEFAULT"}},
    {"a integer, v varchar(20), t timestamptz",
     "RANGE (a, v, t)",
     "1, 'm', '2024-01-15'::timestamptz",
     "FOR VALUES FROM (1, 'k', '2024-01-01') TO (1, 'x', '2025-01-01')",
     {"pd DEFAULT"}},
    {"a integer, b integer, c integer",
     "RANGE (a, b, c)",
     "1, g % 7, g",
     "FOR VALUES FROM (1, 0, MINVALUE) TO (1, 7, MAXVALUE)",
     {"pd DEFAULT"}},
    {"a integer, b integer",
     "RANGE (a, b)",
     "g % 3, g",
     "FOR VALUES FROM (0, 0) TO (4, MINVALUE)",
     {"pd DEFAULT"}},
    {"a integer, b integer",
     "RANGE (b, (a / 10))",
     "g, 5",
     "FOR VALUES FROM (5, MINVALUE) TO (6, 3)",
     {"pd DEFAULT"}},
    {"v text COLLATE \"C\"",
     "RANGE (lower(v))",
     "'M'",
     "FOR VALUES FROM ('a') TO ('z')",
     {"pd DEFAULT"}},
    {"v text", "RANGE (v COLLATE \"C\")", "'m'", "FOR VALUES FROM ('a') TO ('z')", {"pd DEFAULT"}},
    {"\"Key\" text",
     "LIST (\"Key\")",
     "'it''s'",
     "FOR VALUES IN ('it''s', 'b', NULL)",
     {"pd DEFAULT"}},
    {"v varchar(9)", "LIST (v)", "'x'", "FOR VALUES IN ('x')", {"pd DEFAULT"}},
    {"k char(3)", "LIST (k)", "'x'", "FOR VALUES IN ('x', 'y')", {"pd DEFAULT"}},
    {"e mood", "LIST (e)", "'calm'::mood", "FOR VALUES IN ('calm', 'odd')", {"pd DEFAULT"}},
    {"f boolean", "LIST (f)", "true", "FOR VALUES IN (true)", {"pd DEFAULT"}},
    {"u uuid",
     "LIST (u)",
     "'00000000-0000-0000-0000-000000000001'::uuid",
     "FOR VALUES IN ('00000000-0000-0000-0000-000000000001')",
     {"pd DEFAULT"}},
    {"a integer", "LIST (a)", "NULL::integer", "FOR VALUES IN (NULL)", {"pd DEFAULT"}},
    {"a integer[]", "LIST (a)", "'{1}'::integer[]", "FOR VALUES IN ('{1}', '{2}')", {"pd DEFAULT"}},
    {"a integer, b uuid",
     "HASH (a, b)",
     "0, NULL::uuid",
     "FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
     {}},
    {"a integer",
     "RANGE (a)",
     "g",
     "DEFAULT",
     {"p1 FOR VALUES FROM (-10) TO (0)", "p2 FOR VALUES FROM (MINVALUE) TO (-10)"}},
    {"a integer, b integer",
     "RANGE (a, b)",
     "g, g",
     "DEFAULT",
     {"p1 FOR VALUES FROM (-10, 0) TO (-10, 5)", "p2 FOR VALUES FROM (-9, 0) TO (-5, 5)"}},
    {"v text",
     "LIST (v)",
     "'x'",
     "DEFAULT",
     {"p1 FOR VALUES IN ('b', NULL)", "p2 FOR VALUES IN ('a')"}},
    {"v text", "LIST (v)", "'x'", "DEFAULT", {}},
};

class AttachFormPgTest : public ::testing::Test {
 protected:
  static void Make(test::TestDatabase& database, const Case& one) {
    database.Exec(
        "DROP TABLE IF EXISTS p, c CASCADE; DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('calm', 'odd', 'wild')");
    database.Exec(fmt::format("CREATE TABLE p ({}) PARTITION BY {}", one.columns, one.key));
    for (const std::string& other : one.others) {
      const std::size_t space = other.find(' ');
      database.Exec(fmt::format("CREATE TABLE {} PARTITION OF p {}", other.substr(0, space),
                                other.substr(space + 1)));
    }
    database.Exec(fmt::format("CREATE TABLE c ({})", one.columns));
    database.Exec(
        fmt::format("INSERT INTO c SELECT {} FROM generate_series(1, 1000) AS g", one.rows));
  }

  static Plan PlanOf(test::TestDatabase& database, const std::string& sql) {
    db::Session session(db::ConnectionString(database.url()), "plan");
    return MakePlan(session, ParseMigration("attach", sql));
  }

  static std::string Catalogue(test::TestDatabase& database) {
    return database.Value(R"sql(
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
  SELECT concat_ws(' ', relname, relkind, relispartition, pg_get_expr(relpartbound, oid),
                   pg_get_partition_constraintdef(oid))
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
    FROM pg_constraint WHERE conrelid <> 0) AS lines (line))sql");
  }
};

TEST_F(AttachFormPgTest, TheStepThatAttachesReadsNoRow) {
  test::TestDatabase plain;
  test::TestDatabase database;
  for (const Case& one : kCases) {
    const std::string statement = "ALTER TABLE p ATTACH PARTITION c " + one.bound;
    SCOPED_TRACE(one.columns + ": " + one.key + ": " + statement);
    Make(plain, one);
    Make(database, one);
    plain.Exec(statement);
    const Plan plan = PlanOf(database, statement);
    int attached = 0;
    for (const Step& step : plan.steps) {
      SCOPED_TRACE(step.title + ": " + step.sql);
      if (!IsBrief(step)) {
        database.Exec(step.sql);
        if (!step.question.empty()) {
          EXPECT_EQ(database.Rows(step.question).size(), 0U);
        }
        continue;
      }
      ++attached;
      // A session counts on until its counters are taken over, some time after its commit.
      const auto scans = [&] {
        return database.Integer(
            "SELECT sum(pg_stat_get_xact_numscans(oid)) FROM pg_class WHERE "
            "relname IN ('c', 'pd')");
      };
      database.Exec("BEGIN");
      const std::int64_t before = scans();
      database.Exec(step.sql);
      EXPECT_EQ(scans(), before);
      database.Exec("COMMIT");
    }
    EXPECT_EQ(attached, 1);
    // The number of the table in a hash condition is each database's own.
    if (one.key.starts_with("HASH")) continue;
    EXPECT_EQ(Catalogue(database), Catalogue(plain));
  }
}

// Else the counters above could be blind.
TEST_F(AttachFormPgTest, ThePlainStatementDoesReadThem) {
  test::TestDatabase database;
  Make(database, kCases[0]);
  database.Exec("BEGIN; ALTER TABLE p ATTACH PARTITION c " + kCases[0].bound);
  EXPECT_EQ(database.Integer("SELECT count(*) FROM pg_class WHERE relname IN ('c', 'pd') AND "
                             "pg_stat_get_xact_numscans(oid) > 0"),
            2);
  database.Exec("ROLLBACK");
}

TEST_F(AttachFormPgTest, WhatPostgresWouldRefuseIsRefusedBeforeAnythingIsBuilt) {
  test::TestDatabase database;
  database.Exec(R"sql(
CREATE TABLE p (a integer NOT NULL, b text, CONSTRAINT positive CHECK (a > 0)) PARTITION BY RANGE (a);
CREATE TABLE pd PARTITION OF p DEFAULT;
CREATE TABLE h (a text) PARTITION BY HASH (a);
CREATE TABLE plain (a integer NOT NULL, b text);
CREATE TABLE missing (a integer NOT NULL);
CREATE TABLE more (a integer NOT NULL, b text, c text);
CREATE TABLE other_type (a bigint NOT NULL, b text);
CREATE TABLE nullable (a integer, b text);
CREATE TABLE ht (a text);
CREATE TABLE good (LIKE p INCLUDING CONSTRAINTS))sql");
  const auto message = [&](const std::string& sql) -> std::string {
    try {
      PlanOf(database, sql);
    } catch (const db::Error& error) {
      EXPECT_EQ(error.action(), db::Action::kBadInput) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("Nothing was changed"));
      return error.what();
    }
    return "was planned: " + sql;
  };
  const std::string range = " FOR VALUES FROM (1) TO (5)";
  const auto attach = [&](const std::string& table) {
    return message("ALTER TABLE p ATTACH PARTITION " + table + range);
  };
  EXPECT_THAT(attach("plain"), HasSubstr("no validated constraint positive"));
  EXPECT_THAT(attach("missing"), HasSubstr("no column b"));
  EXPECT_THAT(attach("more"), HasSubstr("has no column c"));
  EXPECT_THAT(attach("other_type"), HasSubstr("column a is of another type"));
  EXPECT_THAT(attach("nullable"), HasSubstr("column a is not NOT NULL"));
  database.Exec("CREATE TABLE p4 PARTITION OF p FOR VALUES FROM (4) TO (8)");
  EXPECT_THAT(attach("good"), AllOf(HasSubstr("in common"), HasSubstr("public.p4")));
  EXPECT_THAT(message("ALTER TABLE p ATTACH PARTITION good FOR VALUES FROM (8) TO (MAXVALUE)"),
              HasSubstr("was planned"));
  EXPECT_THAT(attach("pd"), HasSubstr("is a partition already"));
  EXPECT_THAT(attach("nowhere"), HasSubstr("nowhere"));
  EXPECT_THAT(message("ALTER TABLE plain ATTACH PARTITION good" + range),
              HasSubstr("not a partitioned table"));
  EXPECT_THAT(message("ALTER TABLE p ATTACH PARTITION good DEFAULT"),
              HasSubstr("a default partition already"));
  EXPECT_THAT(message("ALTER TABLE p ATTACH PARTITION good FOR VALUES IN (1)"),
              HasSubstr("partitioned by range"));
  EXPECT_THAT(message("ALTER TABLE p ATTACH PARTITION good FOR VALUES FROM (1, 2) TO (3, 4)"),
              HasSubstr("2 values for a key of 1"));
  EXPECT_THAT(message("ALTER TABLE p ATTACH PARTITION good FOR VALUES FROM (5) TO (5)"),
              HasSubstr("the same"));
  EXPECT_THAT(message("ALTER TABLE p ATTACH PARTITION good FOR VALUES FROM ('x') TO (5)"),
              HasSubstr("cannot be computed"));
  EXPECT_THAT(message("ALTER TABLE h ATTACH PARTITION ht FOR VALUES WITH (MODULUS 2, REMAINDER 0)"),
              HasSubstr("no CHECK can"));
}

}  // namespace
}  // namespace pawl::schema
