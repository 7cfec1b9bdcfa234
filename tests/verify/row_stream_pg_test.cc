// The pipeline on a real server: what it adds up, how it stops, what it leaves behind.
#include "verify/row_stream.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "db/error.h"
#include "tests/support/test_database.h"
#include "tests/verify/pipeline_threads.h"

namespace pawl::verify {
namespace {

std::string Copy(const std::string& query) {
  return "COPY (" + query + ") TO STDOUT (FORMAT binary)";
}

const std::string kRows = Copy(
    "SELECT i, repeat('x', i % 300), CASE WHEN i % 3 = 0 THEN i END FROM generate_series(1, 50000) "
    "AS i");
// In FROM, generate_series would be finished before the first row is sent.
const std::string kEndless = Copy("SELECT generate_series(1, 1000000000), repeat('x', 100)");

// The parameter is the number of threads.
class RowStreamPgTest : public ::testing::TestWithParam<int> {
 protected:
  test::TestDatabase database_;
  test::Sql sql_ = database_.Connect();
};

INSTANTIATE_TEST_SUITE_P(Threads, RowStreamPgTest, ::testing::Range(1, kPipelineThreadsMax + 1));

TEST_P(RowStreamPgTest, AddsUpEveryRowOnce) {
  RangeDigest expected;
  std::int64_t byte_count = 0;
  db::CopyRows(sql_.raw(), kRows, [&](std::string_view row) {
    expected.Add(DigestRow(row));
    byte_count += static_cast<std::int64_t>(row.size());
  });
  for (int round = 0; round < 5; ++round) {
    const StreamDigest digest = DigestCopy(sql_.raw(), kRows, GetParam());
    EXPECT_EQ(digest.digest, expected);
    EXPECT_EQ(digest.byte_count, byte_count);
  }
  EXPECT_EQ(expected.row_count(), 50'000);
}

TEST_P(RowStreamPgTest, NoRowsHaveTheEmptyDigest) {
  EXPECT_EQ(DigestCopy(sql_.raw(), Copy("SELECT 1 WHERE false"), GetParam()).digest, RangeDigest{});
}

TEST_P(RowStreamPgTest, CombinesBlocksInOrder) {
  std::int64_t expected = 0;
  const std::string copy_sql =
      Copy("SELECT i::text, repeat('x', 100) FROM generate_series(1, 50000) AS i");
  StreamRows(
      sql_.raw(), copy_sql, GetParam(), {}, [](HashedBlock&) {},
      [&](const HashedBlock& hashed) {
        for (std::size_t index = 0; index < hashed.block.row_count(); ++index) {
          EXPECT_EQ(db::FirstField(hashed.block.row(index)), std::to_string(++expected));
        }
      });
  EXPECT_EQ(expected, 50'000);
}

TEST_P(RowStreamPgTest, AServersErrorComesThroughWhole) {
  const std::string failing = Copy("SELECT 1 / (100000 - i) FROM generate_series(1, 200000) AS i");
  try {
    DigestCopy(sql_.raw(), failing, GetParam());
    FAIL();
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kBadData);
    EXPECT_EQ(error.sqlstate(), "22012");
  }
  EXPECT_EQ(sql_.Integer("SELECT 1"), 1);
}

TEST_P(RowStreamPgTest, AnErrorOfAStageEndsTheReading) {
  const auto fail = [](const HashedBlock&) { throw std::runtime_error("enough"); };
  EXPECT_THROW(StreamRows(
                   sql_.raw(), kEndless, GetParam(), {}, [](HashedBlock&) {}, fail),
               std::runtime_error);
  EXPECT_THROW(StreamRows(sql_.raw(), kEndless, GetParam(), {}, fail, [](const HashedBlock&) {}),
               std::runtime_error);
  EXPECT_EQ(sql_.Integer("SELECT 1"), 1);
}

TEST_P(RowStreamPgTest, AStopEndsTheReading) {
  std::stop_source stop;
  StreamRows(
      sql_.raw(), kEndless, GetParam(), stop.get_token(), [](HashedBlock&) {},
      [&](const HashedBlock&) { stop.request_stop(); });
  EXPECT_EQ(sql_.Integer("SELECT 1"), 1);
}

}  // namespace
}  // namespace pawl::verify
