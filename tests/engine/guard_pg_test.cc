// What the guard says about plans that a real server makes.
#include "engine/guard.h"

#include <gtest/gtest.h>

#include <string>

#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::engine {
namespace {

constexpr const char* kByKey = "UPDATE t SET v = v + 1 WHERE id > $1::bigint AND id <= $2::bigint";
constexpr const char* kByBlock =
    "UPDATE t SET v = v + 1 WHERE ctid >= '(0,0)'::tid AND ctid < '(10,0)'::tid";
constexpr const char* kByNothing =
    "UPDATE t SET v = v + 1 WHERE v > $1::bigint AND v <= $2::bigint";

class GuardPgTest : public testing::Test {
 protected:
  GuardPgTest() {
    database_.Exec(
        "CREATE TABLE t (id bigint CONSTRAINT t_pkey PRIMARY KEY, v bigint); INSERT INTO t SELECT "
        "n, n FROM generate_series(1, 20000) AS n; CREATE TABLE other AS TABLE t; ANALYZE t, "
        "other");
    backfill_.walked = {"public", "t"};
    backfill_.alias = "t";
    backfill_.order = schema::Order::kKey;
    backfill_.key_index = "t_pkey";
    backfill_.walked_oid = database_.Integer("SELECT 't'::regclass::oid::bigint");
    pipeline_.Execute("SET enable_seqscan = off");  // As a worker does.
  }

  // The message of the refusal; empty where there was none.
  std::string Refusal(const std::string& sql) {
    try {
      const bool by_block = sql.find('$') == std::string::npos;
      CheckPlan(pipeline_, backfill_,
                {sql, by_block ? std::vector<db::Value>{} : std::vector<db::Value>{"100", "200"}});
      return {};
    } catch (const db::Error& error) {
      EXPECT_EQ(error.action(), db::Action::kStop);
      return error.what();
    }
  }

  std::string Failure(const db::Call& call) {
    try {
      pipeline_.Run({call});
      return {};
    } catch (const db::Error& error) {
      return error.what();
    }
  }

  test::TestDatabase database_;
  db::Pipeline pipeline_{db::ConnectionString(database_.url()), "guard", {}};
  schema::Backfill backfill_;
};

TEST_F(GuardPgTest, BatchesThatAnIndexOrBlocksBoundPass) {
  EXPECT_EQ(Refusal(kByKey), "");
  EXPECT_EQ(Refusal(kByBlock), "");
}

TEST_F(GuardPgTest, AScanOfTheWholeTableIsRefusedAndNamesTheIndex) {
  EXPECT_NE(Refusal(kByNothing).find("scan all of public.t"), std::string::npos);
  database_.Exec("ALTER TABLE t DROP CONSTRAINT t_pkey");
  EXPECT_NE(Refusal(kByKey).find("t_pkey"), std::string::npos);
}

TEST_F(GuardPgTest, AScanOfTheWholeIndexIsRefused) {
  // Without a condition on its first column an index bounds nothing.
  EXPECT_NE(Refusal("UPDATE t SET v = 1 FROM (SELECT id FROM t ORDER BY id) AS s WHERE t.id = s.id "
                    "AND t.v > $1::bigint AND t.v < $2::bigint"),
            "");
}

TEST_F(GuardPgTest, AnotherTableMayBeReadWhole) {
  EXPECT_EQ(Refusal(std::string(kByKey) + " AND EXISTS (SELECT FROM other WHERE other.v = t.v)"),
            "");
}

TEST_F(GuardPgTest, TheTableThatWasPlannedForIsTheSame) {
  EXPECT_EQ(Failure(SameTableCall(backfill_)), "");
}

TEST_F(GuardPgTest, ATableThatTookTheNameIsNot) {
  database_.Exec("ALTER TABLE t RENAME TO old; CREATE TABLE t (LIKE old INCLUDING ALL)");
  EXPECT_NE(Failure(SameTableCall(backfill_)).find(kReplaced), std::string::npos);
}

TEST_F(GuardPgTest, AnIndexThatIsGoneShows) {
  database_.Exec("ALTER TABLE t DROP CONSTRAINT t_pkey");
  EXPECT_NE(Failure(SameTableCall(backfill_)).find(kIndexGone), std::string::npos);
  backfill_.order = schema::Order::kBlock;  // Which needs none.
  EXPECT_EQ(Failure(SameTableCall(backfill_)), "");
}

}  // namespace
}  // namespace pawl::engine
