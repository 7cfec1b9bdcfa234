// What reads a column goes along when another one takes over from it: views, policies, triggers. What
// pg_dump says afterwards is compared with what the plain statements make of a copy; an application
// reads and writes through a view all the while.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "control/server_binaries.h"
#include "db/error.h"
#include "engine/engine.h"
#include "tests/support/test_database.h"
#include "tests/support/writers.h"

namespace pawl::engine {
namespace {

using test::TestDatabase;
using ::testing::HasSubstr;

constexpr const char* kTable = R"sql(
CREATE TABLE t (
  id integer PRIMARY KEY,
  updates integer NOT NULL DEFAULT 0,
  name varchar(20) NOT NULL DEFAULT 'nobody',
  price numeric(12,4),
  made timestamptz NOT NULL DEFAULT '2024-01-01'
);
INSERT INTO t SELECT g, 0, 'name ' || g, g + 0.5 FROM generate_series(1, 2000) AS g;
CREATE TABLE other (id bigint PRIMARY KEY, t_id integer, note text);
INSERT INTO other SELECT g, g, 'note' FROM generate_series(1, 50) AS g;
CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO t (id, name) VALUES (NEW.id, NEW.name); RETURN NEW; END $$;
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO log VALUES (NEW.name); RETURN NULL; END $$;
CREATE TABLE log (name text);
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {other};
)sql";

// Views of all kinds, as a user would write them.
constexpr const char* kViews = R"sql(
CREATE VIEW plain AS SELECT id, updates, name FROM t;
ALTER VIEW plain OWNER TO {owner};
REVOKE ALL ON plain FROM {other};
GRANT SELECT, UPDATE ON plain TO {reader};
GRANT INSERT (id, name) ON plain TO PUBLIC;
GRANT DELETE ON plain TO {reader} WITH GRANT OPTION;
COMMENT ON VIEW plain IS 'it''s plain';
COMMENT ON COLUMN plain.id IS 'the id';
ALTER VIEW plain ALTER COLUMN name SET DEFAULT 'by view';
CREATE VIEW joined WITH (security_barrier = true) AS
  SELECT t.id AS key, o.note, t.id + 1.5 AS half, t.name || '!' AS loud, t.price AS cost FROM t JOIN other AS o ON o.t_id = t.id;
CREATE VIEW checked AS SELECT * FROM plain WHERE id < 1000000 WITH LOCAL CHECK OPTION;
CREATE VIEW top AS SELECT c.id, j.half, count(*) OVER () AS n FROM checked AS c LEFT JOIN joined AS j ON j.key = c.id;
CREATE TRIGGER put INSTEAD OF INSERT ON top FOR EACH ROW EXECUTE FUNCTION put();
COMMENT ON TRIGGER put ON top IS 'puts';
CREATE RULE noted AS ON UPDATE TO joined DO INSTEAD UPDATE other SET note = new.note WHERE t_id = old.key;
COMMENT ON RULE noted ON joined IS 'notes';
REVOKE INSERT ON joined FROM CURRENT_USER;
)sql";

// Several cut-overs in one minute, on a machine that is busy with other tests.
const std::string kPatient = "-- pawl: limit.stall=10s\n";

constexpr const char* kDropViews = "DROP VIEW top, checked, joined, plain;";

class DependentsPgTest : public testing::Test {
 protected:
  DependentsPgTest() {
    for (const std::string role : {"{owner}", "{reader}", "{other}"}) {
      database_.Exec(Filled("CREATE ROLE " + role));
    }
    for (TestDatabase* database : {&database_, &copy_}) {
      database->Exec(Filled(kTable));
      database->Exec(
          Filled("GRANT CREATE ON SCHEMA public TO {owner}; GRANT ALL ON t, other TO {owner}"));
    }
  }
  ~DependentsPgTest() override {
    for (const std::string role : {"{owner}", "{reader}", "{other}"}) {
      copy_.Exec(Filled("DROP OWNED BY " + role + " CASCADE"));
      database_.Exec(Filled("DROP OWNED BY " + role + " CASCADE; DROP ROLE " + role));
    }
  }

  std::string Filled(std::string sql) const {
    for (const std::string role : {"owner", "reader", "other"}) {
      const std::string name = "{" + role + "}";
      for (std::size_t at; (at = sql.find(name)) != std::string::npos;) {
        sql.replace(at, name.size(), "pawl_" + role + "_" + database_.name());
      }
    }
    return sql;
  }

  void Both(const std::string& sql) {
    database_.Exec(Filled(sql));
    copy_.Exec(Filled(sql));
  }

  static std::string Dumper() { return control::FindServerBinaries() + "/pg_dump"; }

  // Every line that pg_dump writes, in no order: the place of a column in its table is another one.
  static std::string Dump(const TestDatabase& database) {
    const std::string command = Dumper() + " --schema-only -N pawl '" + database.url() + "'";
    std::multiset<std::string> lines;
    std::array<char, 65536> line{};
    std::FILE* dump = popen(command.c_str(), "r");
    while (std::fgets(line.data(), line.size(), dump) != nullptr) {
      std::string text = line.data();
      text.erase(text.find_last_not_of(",\n") + 1);
      // Its columns stand in the order that they have in the table.
      if (text.starts_with("CREATE STATISTICS")) std::sort(text.begin(), text.end());
      if (!text.empty() && !text.starts_with("--") && text[0] != '\\') lines.insert(text);
    }
    EXPECT_EQ(pclose(dump), 0);
    std::string all;
    for (const std::string& text : lines) all += text + "\n";
    return all;
  }

  RunResult Run(const std::string& text) { return engine_.Run(text, kPatient + text, {}, {}); }

  std::string Message(const std::string& text) {
    try {
      Run(text);
      return {};
    } catch (const db::Error& error) {
      EXPECT_EQ(error.action(), db::Action::kBadInput);
      return error.what();
    }
  }

  test::WriterOptions ThroughAView() const {
    test::WriterOptions options;
    options.url = database_.url();
    options.table = "plain";
    options.key_end = 4'000;
    options.insert_columns = {{"name", "'w' || $1"}};
    options.with_history = false;
    options.inserts_meet = false;
    return options;
  }

  // There, back, there and away, each time beside writers through a view.
  void ExpectAsPlain(const std::string& statement) {
    SCOPED_TRACE(statement);
    const std::string before = Dump(database_);
    const RunResult result = Run(statement);
    ASSERT_EQ(result.state, "completed") << result.reason;
    const RunResult back = engine_.Revert(result.run, {}, {});
    ASSERT_EQ(back.state, "reverted") << back.reason;
    EXPECT_EQ(Dump(database_), before);
    const RunResult again = Run(statement);
    ASSERT_EQ(again.state, "completed") << again.reason;
    ASSERT_EQ(engine_.Contract(again.run, {}).state, "contracted");
    EXPECT_EQ(Dump(database_), Dump(copy_));
  }

  // The types of a view's columns, there and back.
  void ExpectTypesThereAndBack(const std::string& statement, const std::string& view,
                               const std::string& types) {
    const std::string dump = Dump(database_);
    const RunResult result = Run(statement);
    ASSERT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(database_.Value(
                  "SELECT string_agg(format_type(atttypid, atttypmod), ' ') FROM pg_attribute "
                  "WHERE attrelid = '" +
                  view + "'::regclass AND attnum > 0"),
              types);
    ASSERT_EQ(engine_.Revert(result.run, {}, {}).state, "reverted");
    EXPECT_EQ(Dump(database_), dump);
  }

  TestDatabase database_;
  TestDatabase copy_;
  Engine engine_{db::ConnectionString(database_.url())};
};

TEST_F(DependentsPgTest, ViewsAreAsAfterThePlainStatements) {
  if (!std::filesystem::exists(Dumper())) GTEST_SKIP() << "there is no pg_dump of this version";
  Both(kViews);
  engine_.Init();
  test::Writers writers(ThroughAView());
  for (const std::string statement :
       {"ALTER TABLE t ALTER id TYPE bigint", "ALTER TABLE t ALTER price TYPE numeric(10,2)"}) {
    copy_.Exec(Filled(std::string(kDropViews) + statement + ";" + kViews));
    ExpectAsPlain(statement);
  }
  const std::string rename = "ALTER TABLE t RENAME name TO called";
  copy_.Exec(rename);
  ExpectAsPlain(rename);
  const test::WriterCounts counts = writers.Stop();
  EXPECT_GT(counts.acknowledged(), 0);
  EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
  EXPECT_EQ(writers.Mismatch(), "");
}

// Its own short form: the catalogue only, with the views out of the way for that moment.
TEST_F(DependentsPgTest, AShortChangeTakesTheViewsOutOfTheWay) {
  if (!std::filesystem::exists(Dumper())) GTEST_SKIP() << "there is no pg_dump of this version";
  Both(kViews);
  const std::string statement = "ALTER TABLE t ALTER name TYPE varchar(40)";
  copy_.Exec(Filled(std::string(kDropViews) + statement + ";" + kViews));
  const std::string node = database_.Value("SELECT pg_relation_filenode('t')");
  ASSERT_EQ(Run(statement).state, "completed");
  EXPECT_EQ(database_.Value("SELECT pg_relation_filenode('t')"), node);
  EXPECT_EQ(Dump(database_), Dump(copy_));
}

TEST_F(DependentsPgTest, PoliciesTriggersAndStatisticsAreAsAfterThePlainStatements) {
  if (!std::filesystem::exists(Dumper())) GTEST_SKIP() << "there is no pg_dump of this version";
  const std::string made = R"sql(
CREATE POLICY own ON t TO {reader}, {owner} USING (id < 100 AND name <> 'x') WITH CHECK (id < 200);
CREATE POLICY never ON t AS RESTRICTIVE FOR DELETE USING (id = -1);
COMMENT ON POLICY own ON t IS 'one''s own';
CREATE TRIGGER seen AFTER UPDATE OF id ON t FOR EACH ROW WHEN (new.id > 5) EXECUTE FUNCTION seen();
CREATE TRIGGER off BEFORE UPDATE ON t FOR EACH ROW WHEN (old.id > 5) EXECUTE FUNCTION seen();
COMMENT ON TRIGGER seen ON t IS 'sees';
ALTER TABLE t ENABLE ALWAYS TRIGGER seen, DISABLE TRIGGER off;)sql";
  const std::string away =
      "DROP POLICY own ON t; DROP POLICY never ON t; DROP TRIGGER seen ON t; DROP TRIGGER off ON t;";
  // The plain statement forgets these two.
  const std::string kept =
      "ALTER STATISTICS st SET STATISTICS 50; ALTER STATISTICS st OWNER TO {owner};";
  Both(
      "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE STATISTICS st (ndistinct) ON id, name FROM t; "
      "COMMENT ON STATISTICS st IS 'st'; GRANT ALL ON t TO {reader};" +
      kept);
  Both(made);
  const std::string statement = "ALTER TABLE t ALTER id TYPE bigint";
  copy_.Exec(Filled(away + statement + ";" + made + kept));
  ExpectAsPlain("-- pawl: quiet_triggers=false\n" + statement);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_statistic_ext_data"), 1);
  Both(
      "DROP TRIGGER off ON t; DROP TRIGGER seen ON t; "
      "CREATE TRIGGER seen AFTER UPDATE ON t FOR EACH ROW WHEN (new.id > 5) EXECUTE FUNCTION seen()");
  for (const std::string rename :
       {"ALTER TABLE t RENAME id TO key", "ALTER TABLE t RENAME name TO called"}) {
    copy_.Exec(rename);
    ExpectAsPlain(rename);
  }
}

// Whoever may see some rows only never sees others.
TEST_F(DependentsPgTest, RowSecurityHoldsAtEveryMoment) {
  database_.Exec(
      Filled("ALTER TABLE t ENABLE ROW LEVEL SECURITY; GRANT SELECT ON t TO {reader}; "
             "CREATE POLICY few ON t FOR SELECT TO {reader} USING (id <= 7)"));
  std::atomic<std::int64_t> asked{0};
  std::string wrong;
  std::jthread reader([&](const std::stop_token& stop) {
    test::Sql sql(database_.url());
    sql.Exec(Filled("SET ROLE {reader}"));
    while (!stop.stop_requested() && wrong.empty()) {
      const std::string count = sql.Value("SELECT count(*) FROM t");
      if (count != "7") wrong = count;
      ++asked;
    }
  });
  const RunResult result = Run("ALTER TABLE t ALTER id TYPE bigint");
  ASSERT_EQ(result.state, "completed") << result.reason;
  ASSERT_EQ(engine_.Revert(result.run, {}, {}).state, "reverted");
  reader = {};
  EXPECT_GT(asked, 0);
  EXPECT_EQ(wrong, "");
}

TEST_F(DependentsPgTest, WhatSomebodyChangedMeanwhileStopsTheCutOver) {
  Both(kViews);
  database_.Exec("CREATE POLICY few ON t FOR SELECT USING (id <= 7)");
  const std::string widen = "ALTER TABLE t ALTER id TYPE bigint";
  struct Case {
    const char* change;
    const char* named;
    const char* back;
  };
  const std::string checked = "CREATE OR REPLACE VIEW checked AS SELECT * FROM plain WHERE id < ";
  const std::string end = " WITH LOCAL CHECK OPTION";
  const std::string altered = checked + "500" + end;
  const std::string restored = checked + "1000000" + end;
  const std::string other_grant = Filled(
      "GRANT SELECT ON joined TO {reader} WITH GRANT OPTION; SET ROLE {reader}; "
      "GRANT SELECT ON joined TO {owner}; RESET ROLE");
  const std::string no_grant = Filled("REVOKE ALL ON joined FROM {reader} CASCADE");
  for (const Case& item :
       {Case{altered.c_str(), "id < 500", restored.c_str()},
        Case{other_grant.c_str(), "could not be made again", no_grant.c_str()},
        Case{"CREATE VIEW late AS SELECT id FROM top", "VIEW public.late", "DROP VIEW late"},
        Case{"ALTER POLICY few ON t USING (id <= 8)", "id <= 8",
             "ALTER POLICY few ON t USING (id <= 7)"}}) {
    SCOPED_TRACE(item.change);
    bool made = false;
    const auto change = [&](const Progress& progress) {
      if (made || progress.step != 2) return;
      made = true;
      database_.Exec(item.change);
    };
    const RunResult failed = engine_.Run("m", kPatient + widen, {}, change);
    ASSERT_TRUE(made);
    ASSERT_EQ(failed.state, "failed");
    EXPECT_THAT(failed.reason, HasSubstr(item.named));
    database_.Exec(item.back);
    ASSERT_EQ(engine_.Resume(failed.run, {}, {}).state, "completed");
    database_.Exec(item.change);
    EXPECT_THAT(engine_.Revert(failed.run, {}, {}).reason, HasSubstr(item.named));
    database_.Exec(item.back);
    ASSERT_EQ(engine_.Revert(failed.run, {}, {}).state, "reverted");
  }
  // Nobody could tell later whether it is to come back with the old shape.
  bool made = false;
  const RunResult failed = engine_.Run("m", kPatient + widen, {}, [&](const Progress& progress) {
    if (!made && progress.step == 2)
      database_.Exec("CREATE VIEW early AS SELECT id_pawl_new FROM t");
    made = made || progress.step == 2;
  });
  ASSERT_EQ(failed.state, "failed");
  EXPECT_THAT(failed.reason, HasSubstr("view early reads column id_pawl_new"));
  ASSERT_EQ(engine_.Revert(failed.run, {}, {}).state, "failed");
  database_.Exec("DROP VIEW early");
  ASSERT_EQ(engine_.Revert(failed.run, {}, {}).state, "reverted");
  // What is no part of a definition goes along as it is then.
  const RunResult result = engine_.Run("m", kPatient + widen, {}, [&](const Progress& progress) {
    if (progress.step == 2) database_.Exec(Filled("GRANT SELECT ON joined TO {reader}"));
  });
  ASSERT_EQ(result.state, "completed") << result.reason;
  EXPECT_EQ(database_.Value(Filled("SELECT has_table_privilege('{reader}', 'joined', 'SELECT')")),
            "t");
}

// A cast to the type that the column gets is lost in what PostgreSQL makes of the definition. The way
// back has the words of before.
TEST_F(DependentsPgTest, ACastThatBecomesOneOfNothingComesBack) {
  if (!std::filesystem::exists(Dumper())) GTEST_SKIP() << "there is no pg_dump of this version";
  database_.Exec("CREATE VIEW wide AS SELECT id::bigint AS id FROM t");
  ExpectTypesThereAndBack("ALTER TABLE t ALTER id TYPE bigint", "wide", "bigint");
}

TEST_F(DependentsPgTest, WhatCannotBeMadeAgainIsNamed) {
  struct Case {
    const char* made;
    const char* statement;
    const char* named;
    const char* away;
  };
  const char* const widen = "ALTER TABLE t ALTER id TYPE bigint";
  const char* const rename = "ALTER TABLE t RENAME id TO key";
  for (
      const Case& item : {
          Case{"CREATE MATERIALIZED VIEW m AS SELECT id FROM t", widen,
               "m reads it and is a materialized view", "DROP MATERIALIZED VIEW m"},
          Case{"CREATE MATERIALIZED VIEW m AS SELECT id FROM t", rename,
               "m reads it and is a materialized view", "DROP MATERIALIZED VIEW m"},
          Case{"CREATE VIEW v AS SELECT id FROM t; CREATE MATERIALIZED VIEW m AS SELECT id FROM v",
               widen, "public.m reads it", "DROP VIEW v CASCADE"},
          Case{
              "CREATE VIEW v AS SELECT id FROM t; CREATE FUNCTION f(v) RETURNS integer LANGUAGE sql AS 'SELECT 1'",
              widen, "function f(v)", "DROP VIEW v CASCADE"},
          Case{
              "CREATE VIEW v AS SELECT id FROM t; CREATE POLICY p ON other USING (t_id IN (SELECT id FROM v))",
              widen, "policy p on table other", "DROP VIEW v CASCADE"},
          Case{"CREATE POLICY p ON other USING (t_id IN (SELECT id FROM t))", widen,
               "policy p on table other", "DROP POLICY p ON other"},
          Case{"CREATE VIEW v AS SELECT a FROM t AS x (a, b, c)", widen, "by their place",
               "DROP VIEW v"},
          Case{"CREATE VIEW v AS SELECT id FROM t JOIN other USING (id)", rename, "USING (id)",
               "DROP VIEW v"},
          Case{"CREATE VIEW v AS SELECT id, name FROM t GROUP BY id", rename, "groups by a key",
               "DROP VIEW v"},
          Case{
              "CREATE VIEW v AS SELECT id FROM t; GRANT SELECT ON v TO {reader} WITH GRANT OPTION; SET ROLE {reader}; GRANT SELECT ON v TO {owner}; RESET ROLE",
              widen, "another role than its owner", "DROP VIEW v"},
          Case{
              "CREATE VIEW v AS SELECT id FROM t WHERE price > 7",
              "-- pawl: inverse=\"price = price::numeric(12,4)\"\nALTER TABLE t ALTER price TYPE text USING price::text",
              "view public.v cannot be made again over text", "DROP VIEW v"},
          Case{
              "CREATE POLICY p ON t USING (price > 7)",
              "-- pawl: inverse=\"price = price::numeric(12,4)\"\nALTER TABLE t ALTER price TYPE text USING price::text",
              "policy p cannot be made again over text", "DROP POLICY p ON t"},
          Case{"CREATE TRIGGER seen AFTER UPDATE OF id ON t FOR EACH ROW EXECUTE FUNCTION seen()",
               rename, "trigger seen", "DROP TRIGGER seen ON t"},
          Case{
              "CREATE VIEW v AS SELECT 1 AS one; CREATE RULE r AS ON INSERT TO v DO INSTEAD INSERT INTO t (id) VALUES (1)",
              widen, "rule r on view v", "DROP VIEW v"},
          Case{"CREATE PUBLICATION pub FOR TABLE t", widen, "allow=publication",
               "DROP PUBLICATION pub"},
          Case{"CREATE VIEW v AS SELECT id FROM t", "ALTER TABLE t DROP COLUMN id", "view v",
               "DROP VIEW v"},
      }) {
    SCOPED_TRACE(item.made);
    database_.Exec(Filled(item.made));
    EXPECT_THAT(Message(item.statement), HasSubstr(item.named));
    database_.Exec(item.away);
  }
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pg_namespace WHERE nspname = 'pawl'"), 0);
}

}  // namespace
}  // namespace pawl::engine
