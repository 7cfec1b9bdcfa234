// The residue classes of a range partition its rows, whatever the key and the salt, and probing
// finds the rows that sifting finds.
#include "schema/render_slice.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

#include <fmt/format.h>

#include "db/session.h"
#include "tests/support/test_database.h"

namespace pawl::schema {
namespace {

using Keys = std::multiset<std::string>;

Backfill Strided(const std::string& type, std::int64_t stride, std::int64_t salt) {
  Backfill backfill;
  backfill.walked = {"public", "t"};
  backfill.alias = "t";
  backfill.order = Order::kKeyStrides;
  backfill.stride = stride;
  backfill.salt = salt;
  Column key;
  key.name = "id";
  key.type = type;
  key.is_integer = type != "uuid";
  key.hash_function = "pg_catalog.uuid_hash";
  backfill.key = {key};
  return backfill;
}

class RenderSlicePgTest : public testing::Test {
 protected:
  void Fill(const std::string& type, const std::string& select) {
    database_.Exec("DROP TABLE IF EXISTS t; CREATE TABLE t (id " + type +
                   " PRIMARY KEY); INSERT INTO t " + select);
  }

  Keys In(const Backfill& backfill, const Slice& slice) {
    Binder binder;
    const std::string sql = fmt::format("SELECT id::text FROM {} WHERE {}", Walked(backfill),
                                        InSlice(backfill, slice, binder));
    Keys keys;
    for (const db::Row& row : session_.Query(sql, binder.Take()).rows) {
      keys.insert(db::ToText(row[0]));
    }
    return keys;
  }

  // All classes of (lo, hi], each found by probing (where the key allows it) and by sifting.
  void ExpectPartition(const std::string& type, const Range& range) {
    for (const std::int64_t stride : {2, 16, 64}) {
      for (const std::int64_t salt : {0, 1, 2, 7, 15}) {
        SCOPED_TRACE(fmt::format("{}, stride {}, salt {}", type, stride, salt));
        const Backfill backfill = Strided(type, stride, salt);
        Keys found;
        for (std::int64_t residue = 0; residue < stride; ++residue) {
          const Slice sifted{range, residue, residue + 1, 0};
          const Slice probed{range, residue, residue + 1, 1'000'000};
          const Keys keys = In(backfill, sifted);
          EXPECT_EQ(In(backfill, probed), keys);
          found.insert(keys.begin(), keys.end());
        }
        EXPECT_EQ(found, In(backfill, {range, 0, stride, 0}));
        EXPECT_FALSE(found.empty());
      }
    }
  }

  test::TestDatabase database_;
  db::Session session_{db::ConnectionString(database_.url()), "test"};
};

TEST_F(RenderSlicePgTest, AroundZero) {
  Fill("integer", "SELECT n FROM generate_series(-500, 500) AS n WHERE n % 5 <> 0");
  ExpectPartition("integer", {Position{"-333"}, {"471"}});
}

TEST_F(RenderSlicePgTest, AtBothEndsOfBigint) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  Fill("bigint",
       fmt::format(
           "SELECT '{}'::bigint + n FROM generate_series(0, 200) AS n UNION ALL SELECT {} - n FROM "
           "generate_series(0, 200) AS n",
           kMin, kMax));
  ExpectPartition("bigint", {Position{std::to_string(kMin)}, {std::to_string(kMin + 150)}});
  ExpectPartition("bigint", {Position{std::to_string(kMax - 150)}, {std::to_string(kMax)}});
}

TEST_F(RenderSlicePgTest, AtBothEndsOfSmallint) {
  Fill("smallint", "SELECT n FROM generate_series(-32768, 32767) AS n WHERE abs(n) > 32500");
  ExpectPartition("smallint", {Position{"-32768"}, {"-32501"}});
  ExpectPartition("smallint", {Position{"32600"}, {"32767"}});
}

TEST_F(RenderSlicePgTest, OfHashedKeys) {
  Fill("uuid", "SELECT md5(n::text)::uuid FROM generate_series(1, 2000) AS n");
  ExpectPartition("uuid", {Position{"00000000-0000-0000-0000-000000000000"},
                           {"ffffffff-ffff-ffff-ffff-ffffffffffff"}});
}

}  // namespace
}  // namespace pawl::schema
