// COPY from a real server: whole, failing in the middle, given up early, cut off.
#include "db/copy_stream.h"

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::db {
namespace {

std::string Copy(const std::string& query) {
  return "COPY (" + query + ") TO STDOUT (FORMAT binary)";
}

// Far more rows than any socket buffers, so that the server is in the middle when something
// happens. In FROM, generate_series would be finished before the first row is sent.
const std::string kEndless = Copy("SELECT generate_series(1, 1000000000), repeat('x', 100)");

class CopyStreamPgTest : public ::testing::Test {
 protected:
  pg_conn* connection() { return sql_.raw(); }

  // Returns the Error that reading all of `copy_sql` throws.
  Error FailureOf(const std::string& copy_sql) {
    try {
      CopyRows(connection(), copy_sql, [](std::string_view) {});
    } catch (const Error& error) {
      return error;
    }
    return Error(Action::kRetryBatch, "no error");
  }

  test::TestDatabase database_;
  test::Sql sql_ = database_.Connect();
};

TEST_F(CopyStreamPgTest, ReadsEveryRowInOrder) {
  std::int64_t expected = 0;
  const std::int64_t row_count = CopyRows(
      connection(), Copy("SELECT i::text, NULL, 'x' FROM generate_series(1, 100000) AS i"),
      [&](std::string_view row) { EXPECT_EQ(FirstField(row), std::to_string(++expected)); });
  EXPECT_EQ(row_count, 100'000);
  EXPECT_EQ(expected, 100'000);
}

TEST_F(CopyStreamPgTest, NoRowsAreNoError) {
  const auto on_row = [](std::string_view) { ADD_FAILURE(); };
  EXPECT_EQ(CopyRows(connection(), Copy("SELECT 1 WHERE false"), on_row), 0);
}

TEST_F(CopyStreamPgTest, RowsWithoutColumnsAreRows) {
  EXPECT_EQ(CopyRows(connection(), Copy("SELECT FROM generate_series(1, 3)"),
                     [](std::string_view row) { EXPECT_EQ(row.size(), 2u); }),
            3);
}

TEST_F(CopyStreamPgTest, BlocksAreBoundedAndAWideRowComesWhole) {
  CopyReader reader(connection(), Copy(R"sql(
      SELECT repeat('x', CASE WHEN i = 1000 THEN 10000000 ELSE 1000 END)
      FROM generate_series(1, 2000) AS i)sql"));
  CopyBlock block;
  std::int64_t row_count = 0;
  std::size_t widest = 0;
  while (reader.Read(block)) {
    row_count += static_cast<std::int64_t>(block.row_count());
    EXPECT_LE(block.row_count(), 300u);
    for (std::size_t index = 0; index < block.row_count(); ++index) {
      widest = std::max(widest, block.row(index).size());
    }
  }
  EXPECT_EQ(row_count, 2000);
  EXPECT_EQ(reader.row_count(), 2000);
  EXPECT_EQ(widest, 10'000'000u + 6);
  EXPECT_EQ(reader.byte_count(), 1999 * 1006 + 10'000'006);
  EXPECT_FALSE(reader.Read(block));
}

TEST_F(CopyStreamPgTest, AnErrorInTheMiddleKeepsItsSqlstate) {
  const Error error = FailureOf(Copy("SELECT 1 / (100000 - i) FROM generate_series(1, 200000) i"));
  EXPECT_EQ(error.action(), Action::kBadData);
  EXPECT_EQ(error.sqlstate(), "22012");
  EXPECT_STREQ(error.what(), "Cannot read rows with COPY: division by zero.");
  EXPECT_EQ(sql_.Integer("SELECT 1"), 1);
}

TEST_F(CopyStreamPgTest, AnErrorAtTheStartLeavesTheConnectionIdle) {
  EXPECT_EQ(FailureOf("COPY missing TO STDOUT (FORMAT binary)").sqlstate(), "42P01");
  EXPECT_EQ(sql_.Integer("SELECT 1"), 1);
}

TEST_F(CopyStreamPgTest, ATimeOutAsksForASmallerBatch) {
  sql_.Exec("SET statement_timeout = '100ms'");
  EXPECT_EQ(FailureOf(kEndless).action(), Action::kSplit);
  EXPECT_EQ(sql_.Integer("SELECT 1"), 1);
}

TEST_F(CopyStreamPgTest, OtherStatementsAreRefusedAndLeaveTheConnectionIdle) {
  sql_.Exec("CREATE TABLE t (a int)");
  for (const char* statement : {"COPY t TO STDOUT", "COPY t FROM STDIN", "SELECT 1", ""}) {
    EXPECT_EQ(FailureOf(statement).action(), Action::kBadInput) << statement;
    EXPECT_EQ(sql_.Integer("SELECT 1"), 1) << statement;
  }
}

TEST_F(CopyStreamPgTest, NothingRidesAlongBehindTheCopy) {
  sql_.Exec("CREATE TABLE t (a int)");
  EXPECT_EQ(FailureOf("COPY t TO STDOUT (FORMAT binary); DROP TABLE t").sqlstate(), "42601");
  EXPECT_EQ(sql_.Value("SELECT to_regclass('t')"), "t");
}

TEST_F(CopyStreamPgTest, GivingUpEarlyIsQuickAndLeavesTheConnectionIdle) {
  for (int round = 0; round < 20; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    {
      CopyReader reader(connection(), kEndless);
      CopyBlock block;
      EXPECT_TRUE(reader.Read(block));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
    // Had the cancel come late, it would hit this one.
    EXPECT_EQ(sql_.Value("SELECT pg_sleep(0.01)"), "");
  }
}

TEST_F(CopyStreamPgTest, ATerminatedSessionAsksForAnotherConnection) {
  CopyReader reader(connection(), kEndless);
  CopyBlock block;
  EXPECT_TRUE(reader.Read(block));
  database_.Exec("SELECT pg_terminate_backend(" + std::to_string(sql_.backend_pid()) + ")");
  try {
    while (reader.Read(block)) {
    }
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.action(), Action::kReconnect) << error.what();
  }
}

TEST_F(CopyStreamPgTest, ABrokenConnectionAsksForAnotherOne) {
  CopyReader reader(connection(), kEndless);
  CopyBlock block;
  EXPECT_TRUE(reader.Read(block));
  shutdown(PQsocket(connection()), SHUT_RDWR);
  try {
    while (reader.Read(block)) {
    }
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.action(), Action::kReconnect) << error.what();
    EXPECT_EQ(error.sqlstate(), "");
  }
}

}  // namespace
}  // namespace pawl::db
