// Runs in the control schema, where two sessions meet.
#include "checkpoints/run_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "checkpoints/control_schema.h"
#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::checkpoints {
namespace {

using ::testing::HasSubstr;

class RunStorePgTest : public testing::Test {
 protected:
  RunStorePgTest() {
    EnsureControlSchema(session_);
    database_.Exec(R"sql(
INSERT INTO pawl.migration (migration_hash, name, text) VALUES ('m', 'm', '');
INSERT INTO pawl.plan (plan_hash, migration_hash, version, content) VALUES ('p', 'm', 1, ''))sql");
    AddRun(1, "completed");
    schema::Step step;
    step.table = {"public", "orders"};
    plan_.steps.push_back(step);
  }

  void AddRun(int run, const std::string& state) {
    database_.Exec(
        "INSERT INTO pawl.run (run_id, migration, migration_hash, plan_hash, state) "
        "VALUES (" +
        std::to_string(run) + ", 'm', 'm', 'p', '" + state +
        "'); "
        "INSERT INTO pawl.step (run_id, step, kind, title, schema_name, table_name) "
        "VALUES (" +
        std::to_string(run) + ", 1, 'backfill', 't', 'public', 'orders')");
  }
  std::string State() { return database_.Value("SELECT state FROM pawl.run WHERE run_id = 1"); }

  test::TestDatabase database_;
  db::Session session_{db::ConnectionString(database_.url()), "test"};
  schema::Plan plan_;
};

TEST_F(RunStorePgTest, ARevertSeesTheRunThatBeginsAtTheSameMoment) {
  // As CreateRun does, up to its commit.
  test::Sql other = database_.Connect();
  other.Exec("BEGIN; SELECT pg_advisory_xact_lock(7240615, 2)");
  std::string refusal;
  std::jthread revert([&] {
    try {
      BeginRevert(session_, plan_, 1, "{}");
    } catch (const db::Error& error) {
      refusal = error.what();
    }
  });
  while (database_.Integer("SELECT count(*) FROM pg_locks WHERE NOT granted") == 0) {
  }
  AddRun(2, "running");
  other.Exec("COMMIT");
  revert.join();
  EXPECT_THAT(refusal, HasSubstr("Run 2 (m) is running and works on public.orders"));
  EXPECT_EQ(State(), "completed");
}

TEST_F(RunStorePgTest, ARevertBeginsWhereNobodyElseIsAtTheTable) {
  AddRun(2, "reverted");
  BeginRevert(session_, plan_, 1, "{}");
  EXPECT_EQ(State(), "reverting");
}

TEST_F(RunStorePgTest, ASettingThatIsNotGivenStays) {
  database_.Exec("UPDATE pawl.run SET workers = 7, pace = 1000");
  SetRun(session_, 1, std::nullopt, 5000);
  EXPECT_EQ(LoadRun(session_, 1).workers, 7);
  EXPECT_EQ(LoadRun(session_, 1).pace, 5000);
  EXPECT_THROW(SetRun(session_, 9, 3, std::nullopt), db::Error);
}

// Two processes with one file: while the second one planned, the first one has ended it.
TEST_F(RunStorePgTest, WhatWasCompletedMeanwhileIsNotBegunAgain) {
  plan_.migration = "m";
  plan_.migration_hash = "m";
  plan_.hash = "p";
  EXPECT_EQ(CreateRun(session_, plan_, "", {}).run, 1);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.run"), 1);
}

}  // namespace
}  // namespace pawl::checkpoints
