// A session whose connection is gone says so each time it is used, whatever libpqxx makes of it.
#include "db/session.h"

#include <gtest/gtest.h>

#include <functional>

#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::db {
namespace {

class SessionPgTest : public ::testing::Test {
 protected:
  void Break() {
    database_.Exec("SELECT pg_terminate_backend(" + std::to_string(session_.backend_pid()) + ")");
  }

  static void ExpectToReconnect(const std::function<void()>& work) {
    try {
      work();
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.action(), Action::kReconnect) << error.what();
    }
  }

  test::TestDatabase database_;
  Session session_{ConnectionString(database_.url()), "test"};
};

TEST_F(SessionPgTest, AConnectionThatHasBrokenIsToBeMadeAnewHoweverOftenItIsUsed) {
  Break();
  for (int i = 0; i < 3; ++i) {
    ExpectToReconnect([&] { session_.Query("SELECT $1::integer", {"1"}); });
    ExpectToReconnect([&] { session_.Execute("SELECT 1"); });
    ExpectToReconnect([&] { const Transaction transaction(session_); });
  }
}

TEST_F(SessionPgTest, OneThatBreaksInATransactionTooUpToItsCommit) {
  Transaction transaction(session_);
  session_.Execute("SELECT 1");
  Break();
  ExpectToReconnect([&] { session_.Query("SELECT $1::integer", {"1"}); });
  ExpectToReconnect([&] { session_.Query("SELECT $1::integer", {"1"}); });
  ExpectToReconnect([&] { transaction.Commit(); });
}

// A catalog function gives one for what another session drops at that moment. It ended the program.
TEST(ValueTest, ANullWhereAValueIsAskedForIsAnErrorAndNoCrash) {
  for (const std::function<void()>& read :
       {std::function<void()>([] { ToInt({}); }), std::function<void()>([] { ToDouble({}); }),
        std::function<void()>([] { ToBool({}); }), std::function<void()>([] { ToText({}); })}) {
    try {
      read();
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.action(), Action::kStop);
    }
  }
}

}  // namespace
}  // namespace pawl::db
