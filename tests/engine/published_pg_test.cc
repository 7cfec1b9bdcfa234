// A published table changes its shape, and its subscriber goes on, because it was given the columns.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "control/private_server.h"
#include "engine/engine.h"
#include "tests/support/test_database.h"

namespace pawl::engine {
namespace {

class PublishedPgTest : public testing::Test {
 protected:
  PublishedPgTest() {
    test::Sql admin(server_.ConnectionString());
    admin.Exec("CREATE DATABASE source");
    admin.Exec("CREATE DATABASE target");
    test::Sql source(source_url());
    source.Exec(
        "CREATE TABLE t (id integer PRIMARY KEY, n integer, note text); "
        "INSERT INTO t SELECT g, g, 'row' FROM generate_series(1, 300) AS g; "
        "CREATE PUBLICATION pub FOR TABLE t");
    source.Exec("SELECT pg_create_logical_replication_slot('sub', 'pgoutput')");
    test::Sql target(target_url());
    target.Exec(
        "CREATE TABLE t (id bigint PRIMARY KEY, n bigint, note text, n_pawl_new bigint, "
        "n_pawl_old integer)");
    // On one server, the slot cannot be made by the subscription: it would wait for itself.
    target.Exec("CREATE SUBSCRIPTION sub CONNECTION '" + source_url() +
                "' PUBLICATION pub WITH (create_slot = false, slot_name = 'sub')");
  }

  std::string source_url() const { return server_.ConnectionString("source"); }
  std::string target_url() const { return server_.ConnectionString("target"); }

  static std::string Rows(const std::string& url) {
    test::Sql sql(url);
    return sql.Value("SELECT string_agg(concat_ws(' ', id, n, note), ',' ORDER BY id) FROM t");
  }

  // Whether the subscriber gets there.
  bool Arrives() const {
    for (int i = 0; i < 600; ++i) {
      if (Rows(target_url()) == Rows(source_url())) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

  control::PrivateServer server_{{.settings = {"wal_level=logical", "fsync=off"}}};
};

TEST_F(PublishedPgTest, ASubscriberThatHasTheColumnsGoesOn) {
  test::Sql source(source_url());
  ASSERT_TRUE(Arrives());
  Engine engine{db::ConnectionString(source_url())};
  const RunResult result =
      engine.Run("m", "-- pawl: allow=publication\nALTER TABLE t ALTER n TYPE bigint", {}, {});
  ASSERT_EQ(result.state, "completed") << result.reason;
  source.Exec(
      "UPDATE t SET n = 5000000000 WHERE id = 7; INSERT INTO t (id, n, note) VALUES (1000, 1, 'new')");
  EXPECT_TRUE(Arrives());
  ASSERT_EQ(engine.Contract(result.run, {}).state, "contracted");
  source.Exec("UPDATE t SET n = n + 1, note = 'after'");
  EXPECT_TRUE(Arrives());
  test::Sql(target_url()).Exec("ALTER TABLE t DROP COLUMN n_pawl_new, DROP COLUMN n_pawl_old");
  source.Exec("UPDATE t SET n = 3");
  EXPECT_TRUE(Arrives());
}

}  // namespace
}  // namespace pawl::engine
