// A control connection is one session of the server, for as long as it lives.
#include "db/session.h"

#include <gtest/gtest.h>

#include <functional>

#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::db {
namespace {

class SessionPgTest : public ::testing::Test {
 protected:
  // Ends the server's side of the session, and waits until it is gone.
  void Break() {
    const std::string pid = std::to_string(session_.backend_pid());
    sql_.Exec("SELECT pg_terminate_backend(" + pid + ")");
    while (sql_.Integer("SELECT count(*) FROM pg_stat_activity WHERE pid = " + pid) > 0) {
    }
  }

  template <typename Work>
  Action ActionOf(Work&& work) {
    try {
      work();
    } catch (const Error& error) {
      return error.action();
    }
    ADD_FAILURE() << "it works";
    return Action::kRetryBatch;
  }

  test::TestDatabase database_;
  test::Sql sql_ = database_.Connect();
  Session session_{ConnectionString(database_.url()), "test"};
};

// Accident otherwise: the library connects anew by itself, and what follows runs on a session
// without our settings, without our advisory locks, outside of the transaction that it belongs to.
TEST_F(SessionPgTest, ABrokenOneStaysBroken) {
  Break();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ActionOf([&] { session_.Query("SELECT 1"); }), Action::kReconnect);
  }
}

TEST_F(SessionPgTest, ABrokenOneBeginsNoTransaction) {
  Break();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ActionOf([&] { const Transaction transaction(session_); }), Action::kReconnect);
  }
  EXPECT_EQ(ActionOf([&] { session_.Query("SELECT 1"); }), Action::kReconnect);
}

TEST_F(SessionPgTest, ATransactionThatBrokeCommitsNothingMore) {
  sql_.Exec("CREATE TABLE t (a integer)");
  EXPECT_EQ(ActionOf([&] {
              Transaction transaction(session_);
              session_.Execute("INSERT INTO t VALUES (1)");
              Break();
              ActionOf([&] { session_.Execute("INSERT INTO t VALUES (2)"); });
              ActionOf([&] { session_.Execute("INSERT INTO t VALUES (3)"); });
              transaction.Commit();
            }),
            Action::kReconnect);
  EXPECT_EQ(sql_.Integer("SELECT count(*) FROM t"), 0);
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
