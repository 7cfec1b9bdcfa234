// What a migration compiles to on a real database, and which ones are turned away with which words.
#include "schema/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "db/connection_string.h"
#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::schema {
namespace {

using ::testing::HasSubstr;

class PlannerTest : public ::testing::Test {
 protected:
  PlannerTest() {
    database_.Exec(R"(
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id int NOT NULL, total numeric(10,2) NOT NULL, status text, note text);
INSERT INTO orders (customer_id, total, status, note)
SELECT i % 100, i / 7.0, 'new', repeat('x', 150) FROM generate_series(1, 5000) AS i;
CREATE INDEX ON orders (customer_id);
CREATE TABLE events (id uuid PRIMARY KEY, a int, b int);
INSERT INTO events SELECT md5(i::text)::uuid, i FROM generate_series(1, 5000) AS i;
CREATE TABLE heap (a int, b int);
ANALYZE)");
  }

  Plan PlanOf(const std::string& sql) {
    db::Session session(db::ConnectionString(database_.url()), "plan");
    Plan plan = MakePlan(session, ParseMigration("orders", sql));
    EXPECT_EQ(ToJson(FromJson(ToJson(plan))), ToJson(plan));
    EXPECT_EQ(plan.hash, HashOf(plan));
    return plan;
  }

  // The one backfill of a plan of one step.
  Backfill BackfillOf(const std::string& sql) {
    const Plan plan = PlanOf(sql);
    EXPECT_EQ(plan.steps.size(), 1U);
    return plan.steps.at(0).backfill.value();
  }

  std::string RefusalOf(const std::string& sql) {
    try {
      PlanOf(sql);
    } catch (const db::Error& error) {
      EXPECT_EQ(error.action(), db::Action::kBadInput) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("Nothing was changed"));
      return error.what();
    }
    ADD_FAILURE() << "was planned: " << sql;
    return {};
  }

  test::TestDatabase database_;
};

TEST_F(PlannerTest, AddColumnAndFillItIsStridedAndImplicit) {
  const Plan plan = PlanOf(
      "ALTER TABLE orders ADD COLUMN cents bigint;\n"
      "UPDATE orders SET cents = round(total * 100) WHERE cents IS NULL;");
  ASSERT_EQ(plan.steps.size(), 2U);
  EXPECT_EQ(plan.steps[0].created_column, "cents");
  const Backfill& backfill = plan.steps[1].backfill.value();
  EXPECT_EQ(backfill.target, (TableName{"public", "orders"}));
  EXPECT_EQ(backfill.order, Order::kKeyStrides);
  EXPECT_EQ(backfill.stride, 16);
  EXPECT_EQ(backfill.undo, UndoKind::kImplicit);
  EXPECT_TRUE(backfill.self_excluding);
  EXPECT_TRUE(backfill.re_evaluable);
  EXPECT_EQ(backfill.rows_estimated, 5000);
  ASSERT_EQ(backfill.key.size(), 1U);
  EXPECT_TRUE(backfill.key[0].is_integer);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM information_schema.columns WHERE column_name "
                              "= 'cents'"),
            0);
  const std::string text = Describe(plan);
  EXPECT_THAT(text, HasSubstr("key strides, 1 row in 16"));
  EXPECT_THAT(text, HasSubstr("Nothing was written."));
}

TEST_F(PlannerTest, AColumnWithAValueForEachRowIsAddedEmptyAndFilled) {
  const Plan plan = PlanOf("ALTER TABLE orders ADD COLUMN n serial UNIQUE");
  std::vector<std::string> titles;
  for (const Step& step : plan.steps) titles.push_back(step.title);
  EXPECT_THAT(titles,
              testing::ElementsAre(
                  "add column n serial to public.orders, with its default for new rows",
                  "backfill public.orders: set n", "forbid new nulls in n of public.orders",
                  "validate orders_n_pawl_not_null of public.orders",
                  "make n of public.orders not null", "build index orders_n_key on public.orders",
                  "make it the constraint orders_n_key of public.orders"));
  const Backfill& backfill = plan.steps.at(1).backfill.value();
  EXPECT_EQ(backfill.where_clause, "\"n\" IS NULL");
  EXPECT_EQ(backfill.undo, UndoKind::kImage);
  EXPECT_TRUE(backfill.self_excluding);
  EXPECT_TRUE(backfill.old_is_null);
}

TEST_F(PlannerTest, AColumnWithOneValueForAllRowsIsAddedAsItStands) {
  for (const std::string column :
       {"n int", "n int NOT NULL DEFAULT 5", "n timestamptz DEFAULT now()",
        "n text DEFAULT upper('a') || CURRENT_USER"}) {
    const Plan plan = PlanOf("ALTER TABLE orders ADD COLUMN " + column);
    ASSERT_EQ(plan.steps.size(), 1U) << column;
    EXPECT_EQ(plan.steps[0].sql, "ALTER TABLE orders ADD COLUMN " + column);
  }
}

TEST_F(PlannerTest, TheSecondStatementOnANewColumnKeepsAnImage) {
  const Plan plan = PlanOf(
      "ALTER TABLE orders ADD COLUMN cents bigint;\n"
      "UPDATE orders SET cents = 1;\nUPDATE orders SET cents = 2 WHERE id < 10");
  EXPECT_EQ(plan.steps.at(1).backfill.value().undo, UndoKind::kImplicit);
  EXPECT_EQ(plan.steps.at(2).backfill.value().undo, UndoKind::kImage);
}

TEST_F(PlannerTest, PlansAreTheSameEachTime) {
  const std::string sql = "UPDATE events SET b = a WHERE b IS NULL";
  EXPECT_EQ(PlanOf(sql).hash, PlanOf(sql).hash);
  EXPECT_NE(PlanOf(sql).hash, PlanOf("UPDATE events SET b = a + 1 WHERE b IS NULL").hash);
}

TEST_F(PlannerTest, AScatteredKeyMayBeWalkedByBlocks) {
  if (database_.Integer("SHOW server_version_num") < 140000) {
    GTEST_SKIP() << "Block order needs PostgreSQL 14.";
  }
  const std::string update = "UPDATE events SET b = a WHERE b IS NULL";
  // It is small, and so in the cache.
  EXPECT_EQ(PlanOf(update).steps.at(0).backfill.value().order, Order::kKey);
  const Plan plan = PlanOf("-- pawl: order=block_strides\n" + update);
  ASSERT_EQ(plan.steps.size(), 1U);
  EXPECT_EQ(plan.steps[0].backfill.value().order, Order::kBlockStrides);
  EXPECT_EQ(plan.steps[0].backfill.value().key[0].hash_function, "pg_catalog.uuid_hash");
  EXPECT_FALSE(plan.steps[0].backfill.value().keep_in_sync);
}

TEST_F(PlannerTest, TheSyncTriggerFiresForARoleWithoutRightsOnItsSchema) {
  const Plan plan = PlanOf(
      "-- pawl: keep_in_sync\nUPDATE orders AS o SET note = o.status || '!' WHERE o.total > 10");
  database_.Exec("CREATE SCHEMA pawl");
  database_.Exec(plan.steps.at(0).sql);
  database_.Exec("CREATE ROLE \"" + database_.name() +
                 "_app\" LOGIN; GRANT SELECT, INSERT, UPDATE ON orders TO \"" + database_.name() +
                 "_app\"");
  database_.Exec("SET ROLE \"" + database_.name() + "_app\"");
  database_.Exec(
      "INSERT INTO orders (customer_id, total, status) VALUES (1, 11, 'a'), (1, 9, 'b')");
  EXPECT_EQ(database_.Value("SELECT string_agg(coalesce(note, '-'), ',' ORDER BY id) FROM orders "
                            "WHERE id > 5000"),
            "a!,-");
  database_.Exec("UPDATE orders SET status = 'c' WHERE id = 5001");
  EXPECT_EQ(database_.Value("SELECT note FROM orders WHERE id = 5001"), "c!");
  database_.Exec("UPDATE orders SET note = 'mine' WHERE id = 5001");
  EXPECT_EQ(database_.Value("SELECT note FROM orders WHERE id = 5001"), "mine");
  database_.Exec("RESET ROLE");
  database_.Exec(plan.steps.at(2).sql);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"), 0);
  database_.Exec("DROP OWNED BY \"" + database_.name() + "_app\"; DROP ROLE \"" + database_.name() +
                 "_app\"");
}

TEST_F(PlannerTest, RoundingOnStorageIsNotSelfExcluding) {
  EXPECT_FALSE(BackfillOf("UPDATE orders SET total = round(customer_id / 3.0, 3) WHERE total IS "
                          "DISTINCT FROM round(customer_id / 3.0, 3)")
                   .self_excluding);
  EXPECT_TRUE(BackfillOf("UPDATE orders SET note = status WHERE note IS DISTINCT FROM status")
                  .self_excluding);
  EXPECT_TRUE(BackfillOf("UPDATE orders SET status = 'old' WHERE status = 'new'").self_excluding);
}

TEST_F(PlannerTest, ABeforeTriggerMayUndoWhatAStatementAssigns) {
  database_.Exec(
      "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note := NULL; RETURN "
      "NEW; END'; CREATE TRIGGER mine BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION t()");
  const Plan plan = PlanOf("UPDATE orders SET note = status WHERE note IS NULL");
  EXPECT_FALSE(plan.steps.at(0).backfill.value().self_excluding);
  EXPECT_THAT(plan.steps.at(0).notes, ::testing::Contains(HasSubstr("Trigger mine")));
}

TEST_F(PlannerTest, PartitionsAreWalkedOneByOne) {
  database_.Exec(
      "CREATE TABLE parted (id bigint, region text, v int, w int, PRIMARY KEY (id, region)) "
      "PARTITION BY LIST (region); CREATE TABLE parted_eu PARTITION OF parted FOR VALUES IN "
      "('eu'); CREATE TABLE parted_us PARTITION OF parted FOR VALUES IN ('us'); INSERT INTO parted "
      "SELECT i, 'eu', i FROM generate_series(1, 10) i");
  const Plan plan = PlanOf(
      "ALTER TABLE parted ADD COLUMN z int;\nUPDATE parted AS p SET z = p.v WHERE p.z IS NULL");
  ASSERT_EQ(plan.steps.size(), 3U);
  EXPECT_EQ(plan.steps[1].backfill.value().target.name, "parted_eu");
  EXPECT_EQ(plan.steps[2].backfill.value().target.name, "parted_us");
  EXPECT_EQ(plan.steps[2].backfill.value().alias, "p");
  EXPECT_EQ(plan.steps[2].backfill.value().undo, UndoKind::kImplicit);
  EXPECT_THAT(RefusalOf("UPDATE parted SET region = 'us'"), HasSubstr("which partition"));
  EXPECT_THAT(RefusalOf("UPDATE parted SET v = v + 1"), HasSubstr("allow=row_moves"));
  EXPECT_EQ(PlanOf("-- pawl: allow=row_moves\nUPDATE parted SET v = v + 1").steps.size(), 2U);
  EXPECT_EQ(PlanOf("UPDATE parted_eu SET v = v + 1").steps.size(), 1U);
}

TEST_F(PlannerTest, InsertIntoATableOfTheSameFile) {
  const Plan plan = PlanOf(
      "CREATE TABLE archive (k bigint PRIMARY KEY, t numeric(10,2), UNIQUE (t));\n"
      "INSERT INTO archive SELECT id, total FROM orders WHERE total > 100");
  const Backfill& backfill = plan.steps.at(1).backfill.value();
  EXPECT_EQ(backfill.order, Order::kKey);
  EXPECT_EQ(backfill.target_oid, 0);
  EXPECT_EQ(backfill.walked.name, "orders");
  ASSERT_EQ(backfill.target_key.size(), 1U);
  EXPECT_EQ(backfill.target_key[0].name, "k");
  EXPECT_EQ(backfill.target_columns.at(1).type, "numeric(10,2)");
  EXPECT_EQ(backfill.insert_columns, (std::vector<std::string>{"k", "t"}));
  EXPECT_THAT(RefusalOf("CREATE TABLE archive (k int PRIMARY KEY); UPDATE archive SET k = 1"),
              HasSubstr("will be empty"));
}

TEST_F(PlannerTest, CreateTableLikeTakesColumnsAndKeys) {
  const Plan plan = PlanOf(
      "CREATE TABLE copy (LIKE orders INCLUDING INDEXES);\n"
      "INSERT INTO copy (id, customer_id, total) SELECT id, customer_id, total FROM orders");
  EXPECT_EQ(plan.steps.at(1).backfill.value().target_key.at(0).name, "id");
  EXPECT_EQ(plan.steps.at(1).backfill.value().target_columns.size(), 5U);
}

TEST_F(PlannerTest, WordsThatNameWhatIsWrong) {
  EXPECT_THAT(RefusalOf("UPDATE ordrs SET total = 1"),
              HasSubstr("orders.sql, line 1: table \"ordrs\" does not exist. Nothing was changed. "
                        "Did you mean orders?"));
  EXPECT_THAT(RefusalOf("UPDATE orders SET statu = 1"), HasSubstr("Did you mean \"status\"?"));
  EXPECT_THAT(RefusalOf("UPDATE orders SET status = x"), HasSubstr("column \"x\" does not exist"));
  EXPECT_THAT(RefusalOf("\n\nUPDATE orders SET status = nosuch(1)"),
              HasSubstr("line 3: function nosuch(integer) does not exist"));
  EXPECT_THAT(RefusalOf("UPDATE orders SET customer_id = status"),
              HasSubstr("of type integer, but its expression is of type text"));
  EXPECT_THAT(RefusalOf("UPDATE orders SET customer_id = count(*)"),
              HasSubstr("aggregate functions are not allowed here"));
  EXPECT_THAT(RefusalOf("UPDATE orders SET id = DEFAULT"), HasSubstr("changes the only key"));
  EXPECT_THAT(RefusalOf("ALTER TABLE orders ADD COLUMN note text"), HasSubstr("exists already"));
  EXPECT_THAT(RefusalOf("UPDATE pg_class SET relname = 'x'"), HasSubstr("PostgreSQL itself"));
}

TEST_F(PlannerTest, VolatileExpressionsNeedToBeAllowed) {
  EXPECT_THAT(RefusalOf("UPDATE orders SET total = random()"), HasSubstr("allow=volatile"));
  EXPECT_THAT(RefusalOf("UPDATE orders SET note = now()::text"), HasSubstr("reads the clock"));
  EXPECT_FALSE(
      BackfillOf("-- pawl: allow=volatile\nUPDATE orders SET total = random()").re_evaluable);
}

TEST_F(PlannerTest, CascadesNeedToBeAllowed) {
  database_.Exec(
      "CREATE TABLE lines (id int PRIMARY KEY, o bigint REFERENCES orders ON DELETE CASCADE)");
  EXPECT_THAT(RefusalOf("DELETE FROM orders"), HasSubstr("allow=cascade"));
  EXPECT_TRUE(BackfillOf("-- pawl: allow=cascade\nDELETE FROM orders").self_excluding);
}

TEST_F(PlannerTest, WithoutAKeyBlockOrderAndNoUndo) {
  const std::string refusal = RefusalOf("UPDATE heap SET b = a WHERE b IS NULL");
  if (database_.Integer("SHOW server_version_num") < 140000) {
    EXPECT_THAT(refusal, HasSubstr("PostgreSQL 13 cannot look up a range of blocks (14 can)"));
    EXPECT_THAT(refusal, testing::EndsWith("NOT NULL columns is enough)."));
    return;
  }
  EXPECT_THAT(refusal, HasSubstr("undo=none"));
  EXPECT_THAT(RefusalOf("-- pawl: undo=none\nUPDATE heap SET b = b + 1"),
              HasSubstr("no primary key"));
  EXPECT_EQ(PlanOf("-- pawl: undo=none\nUPDATE heap SET b = a WHERE b IS NULL")
                .steps.at(0)
                .backfill.value()
                .order,
            Order::kBlock);
}

TEST_F(PlannerTest, AnInverseIsProvedOnASample) {
  const std::string statement = "UPDATE orders SET customer_id = customer_id + 1";
  EXPECT_EQ(BackfillOf("-- pawl: inverse=\"customer_id = customer_id - 1\"\n" + statement).undo,
            UndoKind::kInverse);
  EXPECT_THAT(RefusalOf("-- pawl: inverse=\"customer_id = customer_id - 2\"\n" + statement),
              HasSubstr("5000 of 5000 rows"));
}

TEST_F(PlannerTest, AnInverseNeedsAnOrderByKey) {
  const std::string inverse = "inverse=\"b = NULL\"";
  const std::string statement = "\nUPDATE events SET b = a WHERE b IS NULL";
  const Backfill backfill = BackfillOf("-- pawl: " + inverse + statement);
  EXPECT_EQ(backfill.order, Order::kKey);
  EXPECT_EQ(backfill.undo, UndoKind::kInverse);
  EXPECT_FALSE(backfill.keep_in_sync);
  EXPECT_EQ(BackfillOf("-- pawl: order=key_strides " + inverse + statement).order,
            Order::kKeyStrides);
  if (database_.Integer("SHOW server_version_num") < 140000) return;
  for (const std::string order : {"block", "block_strides"}) {
    EXPECT_THAT(RefusalOf("-- pawl: order=" + order + " " + inverse + statement),
                HasSubstr("order is not possible: an inverse takes back the rows of a batch's "
                          "range, and a changed row has moved to another block. Nothing was "
                          "changed. Remove the option \"order\", or the inverse: then the old "
                          "values are kept."));
  }
  EXPECT_EQ(PlanOf("-- pawl: order=block undo=image" + statement).steps.at(0).backfill->order,
            Order::kBlock);
}

TEST_F(PlannerTest, AConditionThatFailsOnTheSampleCountsAllRows) {
  const Plan plan =
      PlanOf("UPDATE orders SET note = 'x' WHERE 1 / (customer_id - customer_id) = 1");
  EXPECT_EQ(plan.steps.at(0).backfill.value().rows_estimated, 5000);
  EXPECT_THAT(plan.steps.at(0).notes, ::testing::Contains(HasSubstr("division by zero")));
}

TEST_F(PlannerTest, AMissingPrivilegeIsNamed) {
  const std::string role = database_.name() + "_reader";
  database_.Exec("CREATE ROLE \"" + role + "\" LOGIN; GRANT SELECT ON orders TO \"" + role + "\"");
  db::Session session(db::ConnectionString(database_.url()), "plan");
  session.Execute("SET SESSION AUTHORIZATION \"" + role + "\"");
  const auto refusal = [&](const std::string& sql) -> std::string {
    try {
      MakePlan(session, ParseMigration("orders", sql));
    } catch (const db::Error& error) {
      return error.what();
    }
    return "planned";
  };
  EXPECT_THAT(refusal("UPDATE orders SET note = 'x'"), HasSubstr("GRANT UPDATE ON"));
  EXPECT_THAT(refusal("DELETE FROM orders"), HasSubstr("GRANT DELETE ON"));
  EXPECT_THAT(refusal("ALTER TABLE orders ADD COLUMN c int"), HasSubstr("only the owner"));
  database_.Exec("GRANT UPDATE (note) ON orders TO \"" + role + "\"");
  EXPECT_EQ(refusal("UPDATE orders SET note = 'x'"), "planned");
  database_.Exec("DROP OWNED BY \"" + role + "\"; DROP ROLE \"" + role + "\"");
}

TEST_F(PlannerTest, AReadOnlySessionIsRefused) {
  db::Session session(db::ConnectionString(database_.url()), "plan");
  session.Execute("SET default_transaction_read_only = on");
  EXPECT_THROW(MakePlan(session, ParseMigration("orders", "DELETE FROM orders")), db::Error);
}

}  // namespace
}  // namespace pawl::schema
