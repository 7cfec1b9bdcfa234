// A plan must come back from JSON as it went in, and its hash must name what it does and no more.
#include "schema/plan.h"

#include <gtest/gtest.h>

#include "db/error.h"

namespace pawl::schema {
namespace {

Plan SamplePlan() {
  Backfill backfill;
  backfill.target = backfill.walked = {"public", "Bestellungen \"neu\""};
  backfill.alias = "o";
  backfill.walked_oid = backfill.target_oid = 4'000'000'000;
  const Column id{"id", "bigint", true, false, false, true, "pg_catalog.hashint8", true};
  const Column cents{"cents", "numeric(10,2)", false, false, false, true, "", false};
  backfill.key = backfill.target_key = {id};
  backfill.target_columns = {id, cents};
  backfill.changed = {{cents, "total * 100"}, {id, std::nullopt}};
  backfill.set_clause = "cents = total * 100";
  backfill.order = Order::kBlockStrides;
  backfill.stride = 16;
  backfill.undo = UndoKind::kImplicit;
  backfill.rows_estimated = 1'000'000;
  Step step;
  step.number = 1;
  step.kind = StepKind::kBackfill;
  step.title = "backfill — ü";
  step.notes = {"one", "two"};
  step.estimate.seconds_low = 1.5;
  step.backfill = backfill;
  Plan plan;
  plan.migration = "orders";
  plan.steps = {step, Step{}};
  plan.hash = HashOf(plan);
  return plan;
}

TEST(PlanTest, ComesBackFromJsonAsItWentIn) {
  const Plan plan = SamplePlan();
  const Plan again = FromJson(ToJson(plan));
  EXPECT_EQ(ToJson(again), ToJson(plan));
  EXPECT_EQ(again.hash, HashOf(again));
  ASSERT_EQ(again.steps.size(), 2U);
  ASSERT_TRUE(again.steps[0].backfill.has_value());
  EXPECT_FALSE(again.steps[1].backfill.has_value());
  const Backfill& backfill = *again.steps[0].backfill;
  EXPECT_EQ(backfill.walked.name, "Bestellungen \"neu\"");
  EXPECT_EQ(backfill.walked_oid, 4'000'000'000);
  EXPECT_EQ(backfill.order, Order::kBlockStrides);
  EXPECT_EQ(backfill.changed[0].expression, "total * 100");
  EXPECT_EQ(backfill.changed[1].expression, std::nullopt);
  EXPECT_EQ(again.steps[0].estimate.seconds_low, 1.5);
}

TEST(PlanTest, EstimatesDoNotEnterTheHash) {
  Plan plan = SamplePlan();
  plan.steps[0].backfill->rows_estimated = 7;
  plan.steps[0].backfill->pages_in_table = 7;
  plan.steps[0].estimate.wal_bytes = 7;
  EXPECT_EQ(HashOf(plan), plan.hash);
}

TEST(PlanTest, WhatAPlanDoesEntersTheHash) {
  Plan plan = SamplePlan();
  plan.steps[0].backfill->stride = 8;
  EXPECT_NE(HashOf(plan), plan.hash);
  plan = SamplePlan();
  plan.steps[0].backfill->changed[0].expression = "total * 10";
  EXPECT_NE(HashOf(plan), plan.hash);
  plan = SamplePlan();
  plan.time_zone = "Asia/Tokyo";
  EXPECT_NE(HashOf(plan), plan.hash);
}

void ExpectRefused(const std::string& json) {
  try {
    FromJson(json);
    FAIL() << "read: " << json.substr(0, 200);
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kStop) << error.what();
  }
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

// As the first version wrote it: a run that it began must be finished or taken back by this one.
TEST(PlanTest, AnOlderVersionsPlanKeepsItsHash) {
  const std::string json =
      R"({"version":1,"migration":"old","migration_hash":"","hash":"5a57e39a45852cc28a86618fbacb9f1d",)"
      R"("database":"","system_identifier":"","server_version":0,"search_path":"","time_zone":"",)"
      R"("workers":0,"pace":0,"throttle":"","notes":[],"steps":[{"number":1,"kind":"ddl","title":"t",)"
      R"("lock":"","why":"","notes":[],"line":0,"sql":"SELECT 1","inverse":"",)"
      R"("table":{"schema":"public","name":"t"},"created_column":"","alone":false,"settled":"",)"
      R"("leftover":"","clear":"","backfill":null,"estimate":{"rows":0,"batches":0,"wal_bytes":0,)"
      R"("undo_bytes":0,"growth_bytes":0,"seconds_low":0E0,"seconds_high":0E0}}]})";
  const Plan plan = FromJson(json);
  EXPECT_EQ(plan.steps.at(0).sql, "SELECT 1");
  EXPECT_EQ(plan.hash, HashOf(plan));
  EXPECT_EQ(ToJson(plan), json);
  ExpectRefused(Replaced(json, "\"clear\":\"\",", "\"clear\":\"\",\"is_own\":false,"));
}

TEST(PlanTest, AnotherVersionsPlanIsRefused) {
  const std::string json = ToJson(SamplePlan());
  ExpectRefused("");
  ExpectRefused("[]");
  ExpectRefused(json.substr(0, json.size() / 2));
  ExpectRefused(Replaced(json, "\"version\":3", "\"version\":0"));
  ExpectRefused(Replaced(json, "\"version\":3", "\"version\":1"));
  ExpectRefused(Replaced(json, "\"version\":3", "\"version\":4"));
  ExpectRefused(Replaced(json, "\"version\":3", "\"version\":3,\"more\":1"));
  ExpectRefused(Replaced(json, "\"stride\":16,", ""));
  ExpectRefused(Replaced(json, "\"stride\":16", "\"stride\":\"16\""));
  ExpectRefused(Replaced(json, "block strides", "spiral"));
}

}  // namespace
}  // namespace pawl::schema
