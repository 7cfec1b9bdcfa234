// The control schema as an older pawl left it, and who may upgrade it.
#include "checkpoints/control_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::checkpoints {
namespace {

using ::testing::HasSubstr;

class ControlSchemaPgTest : public testing::Test {
 protected:
  ControlSchemaPgTest() {
    EnsureControlSchema(session_);
    database_.Exec(
        "DROP TABLE pawl.picture; DELETE FROM pawl.version WHERE version = 2; CREATE ROLE " +
        role_);
  }
  ~ControlSchemaPgTest() override {
    database_.Exec("DROP OWNED BY " + role_ + "; DROP ROLE " + role_);
  }

  test::TestDatabase database_;
  std::string role_ = database_.name() + "_role";
  db::Session session_{db::ConnectionString(database_.url()), "test"};
};

TEST_F(ControlSchemaPgTest, AnUpgradeGivesWhatTheOlderTablesGive) {
  EXPECT_EQ(ControlSchemaVersion(session_), 1);
  database_.Exec("GRANT SELECT, INSERT ON pawl.run TO " + role_ +
                 "; GRANT SELECT ON pawl.run TO PUBLIC");
  EnsureControlSchema(session_);
  EXPECT_EQ(ControlSchemaVersion(session_), 2);
  EXPECT_EQ(
      database_.Value("SELECT string_agg(has_table_privilege('" + role_ +
                      "', 'pawl.picture', p)::text, ' ') FROM unnest(ARRAY['SELECT', 'INSERT', "
                      "'DELETE']) AS p"),
      "true true false");
}

// A run of an older pawl goes on: what its batches lock is not waited for.
TEST_F(ControlSchemaPgTest, AnUpgradeWaitsForNoBatch) {
  test::Sql batch = database_.Connect();
  batch.Exec(
      "BEGIN; LOCK TABLE pawl.run, pawl.step, pawl.span, pawl.ledger, pawl.worker, pawl.plan IN ROW "
      "EXCLUSIVE MODE; LOCK TABLE pawl.version IN ACCESS SHARE MODE");
  session_.Execute("SET lock_timeout = '100ms'");
  EnsureControlSchema(session_);
  EXPECT_EQ(ControlSchemaVersion(session_), 2);
}

TEST_F(ControlSchemaPgTest, OnlyTheOwnerUpgrades) {
  database_.Exec("GRANT USAGE, CREATE ON SCHEMA pawl TO " + role_ +
                 "; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pawl TO " + role_);
  session_.Execute("SET ROLE " + role_);
  try {
    EnsureControlSchema(session_);
    ADD_FAILURE() << "a role that does not own it has upgraded it";
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kBadInput);
    EXPECT_THAT(error.what(), HasSubstr("has version 1, this program writes version 2"));
    EXPECT_THAT(error.what(), HasSubstr("run `pawl init`"));
  }
  session_.Execute("RESET ROLE");
  EXPECT_EQ(ControlSchemaVersion(session_), 1);
}

}  // namespace
}  // namespace pawl::checkpoints
