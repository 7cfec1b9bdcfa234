// What a plan makes of things that PostgreSQL has only from 18 on, and that the parser of this build
// cannot read.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/connection_string.h"
#include "db/error.h"
#include "schema/planner.h"
#include "tests/support/test_database.h"

namespace pawl::schema {
namespace {

using ::testing::HasSubstr;

class NewerServersPgTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (database_.Integer("SHOW server_version_num") < 180000) {
      GTEST_SKIP() << "what is tested here is of PostgreSQL 18";
    }
    database_.Exec(R"(
CREATE TABLE t (id bigint PRIMARY KEY, a integer, b integer, c integer, u integer,
                v integer GENERATED ALWAYS AS (b + 1) VIRTUAL);
INSERT INTO t (id, a, b, c) SELECT g, nullif(g, 3), g, g FROM generate_series(1, 100) AS g;
ALTER TABLE t ADD CONSTRAINT given NOT NULL a NOT VALID;
ALTER TABLE t ADD CONSTRAINT hoped CHECK (c > 0) NOT ENFORCED;
CREATE TABLE stay (room int4range, during tsrange, note text,
                   CONSTRAINT once PRIMARY KEY (room, during WITHOUT OVERLAPS));
CREATE TABLE keyless (a integer, b integer);
ALTER TABLE keyless ADD CONSTRAINT given NOT NULL a NOT VALID;
CREATE UNIQUE INDEX ON keyless (a);
ANALYZE)");
  }

  Plan PlanOf(const std::string& sql) {
    db::Session session(db::ConnectionString(database_.url()), "plan");
    return MakePlan(session, ParseMigration("m", sql));
  }

  std::string RefusalOf(const std::string& sql) {
    try {
      PlanOf(sql);
    } catch (const db::Error& error) {
      return error.what();
    }
    ADD_FAILURE() << "was planned: " << sql;
    return {};
  }

  test::TestDatabase database_;
};

TEST_F(NewerServersPgTest, ANotNullThatIsNotValidIsValidated) {
  const Plan plan = PlanOf("ALTER TABLE t ALTER COLUMN a SET NOT NULL");
  ASSERT_EQ(plan.steps.size(), 1U);
  EXPECT_EQ(plan.steps[0].sql, R"(ALTER TABLE "public"."t" VALIDATE CONSTRAINT "given")");
}

// What takes the column's place would hold the rule for rows that break it.
TEST_F(NewerServersPgTest, AColumnWithANotNullThatIsNotValidKeepsItsType) {
  EXPECT_THAT(RefusalOf("ALTER TABLE t ALTER COLUMN a TYPE bigint"),
              HasSubstr("its NOT NULL, constraint given, is NOT VALID: validate it first"));
}

TEST_F(NewerServersPgTest, ARuleThatIsNotEnforcedIsNotGuessedAt) {
  EXPECT_THAT(RefusalOf("ALTER TABLE t ALTER COLUMN c TYPE bigint"),
              HasSubstr("the definition of constraint hoped is not understood"));
}

TEST_F(NewerServersPgTest, AKeyWithoutOverlapsIsAnExclusion) {
  EXPECT_THAT(RefusalOf("ALTER TABLE stay ALTER COLUMN during TYPE tstzrange"),
              HasSubstr("exclusion constraint once"));
}

TEST_F(NewerServersPgTest, SuchKeysOrderNoBatches) {
  EXPECT_THAT(RefusalOf("UPDATE stay SET note = note || 'x'"), HasSubstr("no primary key"));
  EXPECT_THAT(RefusalOf("UPDATE keyless SET b = b + 1"), HasSubstr("no primary key"));
}

TEST_F(NewerServersPgTest, AVirtualColumnIsGenerated) {
  EXPECT_THAT(RefusalOf("UPDATE t SET v = 5"), HasSubstr("generated"));
  EXPECT_THAT(RefusalOf("ALTER TABLE t ALTER COLUMN b TYPE bigint"),
              HasSubstr("column v of table t depends on it"));
  EXPECT_EQ(PlanOf("UPDATE t SET u = v WHERE u IS NULL").steps.size(), 1U);
}

}  // namespace
}  // namespace pawl::schema
