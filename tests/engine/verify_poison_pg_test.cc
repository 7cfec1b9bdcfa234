// The verifier's verifier: after a completed run somebody changes the data behind its back, and a
// strict `verify` must find each change and name its row, and nothing else. That a poison is a
// difference is said by plain SQL: the two texts differ, byte for byte.
//
// One table has a column for each way in which two values can be nearly the same, and row i is
// poisoned in column i, so that one verification judges all of them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "db/error.h"
#include "engine/engine.h"
#include "tests/support/test_database.h"

namespace pawl::engine {
namespace {

using test::TestDatabase;
using ::testing::HasSubstr;

// A value as the run makes it, and what it becomes. Both are SQL expressions, cast to `type`.
struct Poison {
  const char* type;
  const char* made;
  const char* poisoned;
  bool differs = true;  // Checked against the server's own texts.
};

// A text that TOAST cannot compress, and so keeps out of line.
constexpr const char* kLong =
    "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 600) AS i)";
constexpr const char* kLongOneByte =
    "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 600) AS i) || 'x'";

const std::vector<Poison> kPoisons = {
    // One byte; NULL and empty; trailing spaces; equal under a collation.
    {"text", "'abc'", "'abd'"},
    {"text", "''", "NULL"},
    {"text", "NULL", "''"},
    {"text", "'abc'", "'abc '"},
    {"varchar(10)", "'abc'", "'abc '"},
    {"char(5)", "'abc'", "'abc '", false},
    {"char(5)", "'abc'", "'abd'"},
    {"text COLLATE either_case", "'abc'", "'ABC'"},
    {"text COLLATE either_case", "'é'", "E'e\\u0301'"},
    {"varchar COLLATE either_case", "'abc'", "'ABC'"},
    {"citext", "'abc'", "'ABC'"},
    {"\"char\"", "'a'", "'b'"},
    {"name", "'abc'", "'abd'"},
    // Numbers.
    {"smallint", "1", "2"},
    {"integer", "1", "NULL"},
    {"bigint", "9223372036854775807", "9223372036854775806"},
    {"numeric", "1.0", "1.00"},
    {"numeric", "1.0", "1e0"},
    {"numeric", "1", "1e0", false},
    {"numeric(10,2)", "1.0", "1.00", false},
    {"numeric", "'NaN'", "0"},
    {"numeric", "'Infinity'", "'-Infinity'"},
    {"float8", "1.0", "1e0", false},
    {"float8", "0.0", "'-0'"},
    {"float8", "'NaN'", "0"},
    {"float8", "'NaN'", "'NaN'", false},
    {"float8", "0.1", "'0.10000000000000002'"},
    {"float8", "'Infinity'", "'NaN'"},
    {"float4", "0.0", "'-0'"},
    {"float4", "0.1", "'0.10000001'"},
    {"money", "1.0", "1.01"},
    {"boolean", "true", "false"},
    {"boolean", "false", "NULL"},
    {"oid", "1", "2"},
    // Time. The two hours of 02:30 on the night when summer time ends; equal lengths of time.
    {"timestamptz", "'2021-10-31 02:30:00+02'", "'2021-10-31 02:30:00+01'"},
    {"timestamptz", "'2021-10-31 02:30:00+02'", "'2021-10-31 00:30:00+00'", false},
    {"timestamptz", "'2021-03-28 01:59:59.999999+01'", "'2021-03-28 03:00:00+02'"},
    {"timestamptz", "'infinity'", "'-infinity'"},
    {"timestamptz(0)", "'2021-01-01 00:00:00+00'", "'2021-01-01 00:00:00.4+00'", false},
    {"timestamp", "'2021-01-01 00:00:00'", "'2021-01-01 00:00:00.000001'"},
    {"timestamp(3)", "'2021-01-01 00:00:00'", "'2021-01-01 00:00:00.001'"},
    {"date", "'2021-01-01'", "'0001-01-01 BC'"},
    {"time", "'24:00'", "'00:00'"},
    {"timetz", "'12:00+02'", "'10:00+00'"},
    {"interval", "'1 mon'", "'30 days'"},
    {"interval", "'1 day'", "'24 hours'"},
    // Documents.
    {"jsonb", "'{\"a\": 1, \"b\": 2}'", "'{\"b\":2,\"a\":1}'", false},
    {"jsonb", "'{\"a\": 1, \"b\": 2}'", "'{\"a\": 1, \"b\": 3}'"},
    {"jsonb", "'{\"a\": 1}'", "'{\"a\": 1.0}'"},
    {"jsonb", "'null'", "NULL"},
    {"json", "'{\"a\":1}'", "'{\"a\": 1}'"},
    {"json", "'{\"a\":1,\"b\":2}'", "'{\"b\":2,\"a\":1}'"},
    {"xml", "'<a/>'", "'<a></a>'"},
    {"tsvector", "'a:1 b:2'", "'a:1 b:3'"},
    // Arrays, ranges, made-up types.
    {"integer[]", "'{1,2}'", "'{1,3}'"},
    {"integer[]", "'{1,2}'", "'[0:1]={1,2}'"},
    {"integer[]", "'{}'", "NULL"},
    {"integer[]", "'{1,NULL}'", "'{1}'"},
    {"integer[]", "'{{1,2}}'", "'{1,2}'"},
    {"numeric[]", "'{1.0}'", "'{1.00}'"},
    {"text[]", "'{NULL}'", "'{\"NULL\"}'"},
    {"text[] COLLATE either_case", "'{abc}'", "'{ABC}'"},
    {"float8[]", "'{0}'", "'{-0}'"},
    {"int4range", "'[1,5)'", "'[1,4]'", false},
    {"int4range", "'[1,5)'", "'[1,5]'"},
    {"int4range", "'empty'", "NULL"},
    {"numrange", "'[1.0,2)'", "'[1.00,2)'"},
    {"tstzrange", "'[2021-10-31 02:30:00+02,)'", "'[2021-10-31 02:30:00+01,)'"},
    {"mood", "'sad'", "'glad'"},
    {"amount", "1.0", "1.00"},
    {"pair", "ROW(1, '')", "ROW(1, NULL)"},
    {"pair", "ROW(1.0, 'a')", "ROW(1.00, 'a')"},
    {"pair", "ROW(NULL, NULL)", "NULL"},
    {"pair[]", "ARRAY[ROW(1.0, 'a')::pair]", "ARRAY[ROW(1.00, 'a')::pair]"},
    // Bytes, addresses, shapes.
    {"bytea", "'\\x00'", "'\\x01'"},
    {"bytea", "'\\x00'", "'\\x0000'"},
    {"bytea", "'\\x'", "NULL"},
    {"uuid", "'00000000-0000-0000-0000-000000000000'", "'00000000-0000-0000-0000-000000000001'"},
    {"bit(3)", "B'101'", "B'100'"},
    {"varbit", "B'101'", "B'1010'"},
    {"inet", "'10.0.0.1'", "'10.0.0.1/32'", false},
    {"inet", "'10.0.0.1'", "'10.0.0.1/24'"},
    {"point", "'(0,0)'", "'(-0,0)'"},
    {"box", "'(1,1),(0,0)'", "'(1,1),(0,-0)'"},
    // TOAST: compressed, out of line, and the same value stored in another way.
    {"text", "repeat('x', 100000)", "repeat('x', 99999) || 'y'"},
    {"text", kLong, kLongOneByte},
    {"bytea", "repeat('x', 100000)::bytea", "(repeat('x', 99999) || 'y')::bytea"},
    {"jsonb", "to_jsonb(repeat('x', 100000))", "to_jsonb(repeat('x', 99999) || 'y')"},
    {"text", kLong, kLong, false},
};

constexpr int kRows = 400;  // More than there are poisons; several batches and several windows.

// How the run that is then falsified was made.
struct Shape {
  const char* name;
  const char* options;
  enum Kind { kImage, kImplicit, kOldValue, kInsert, kNothingKept } kind;
};

std::string Column(const char* prefix, std::size_t i) { return prefix + std::to_string(i + 1); }

class VerifyPoisonPgTest : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    if (database_.Integer("SHOW server_version_num") < 140000) {
      GTEST_SKIP() << "Block order and an infinite numeric need PostgreSQL 14.";
    }
  }

  VerifyPoisonPgTest() {
    database_.Exec(R"sql(
DO $$ BEGIN
  -- A server without contrib has plain text instead, which is as good a type as any.
  IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext') THEN
    CREATE EXTENSION citext;
  ELSE
    CREATE DOMAIN citext AS text;
  END IF;
END $$;
CREATE COLLATION either_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN amount AS numeric;
CREATE TYPE pair AS (n numeric, note text))sql");
  }

  // Table t: id, the values a0, a1.. that the statement reads, b0, b1.. that it writes. No two rows
  // have the same a0; the others are `columns` of kPoisons.
  void MakeTable(std::size_t columns_wanted = 3) {
    count_ = columns_wanted;
    const bool with_b = !is_insert() && GetParam().kind != Shape::kImplicit;
    std::string columns = "id bigint PRIMARY KEY, a0 text";
    if (with_b) columns += ", b0 text";
    std::string values = "n, 'row ' || n";
    for (std::size_t i = 0; i < count_; ++i) {
      columns += ", " + Column("a", i) + " " + kPoisons[i].type;
      if (with_b) columns += ", " + Column("b", i) + " " + kPoisons[i].type;
    }
    database_.Exec("CREATE TABLE t (" + columns + (with_b ? ", done integer" : "") +
                   ") WITH (fillfactor = 50)");
    std::string names = "id, a0";
    for (std::size_t i = 0; i < count_; ++i) {
      names += ", " + Column("a", i);
      // Long values in few rows only: 400 rows of them would be the test's whole time.
      values += fmt::format(", CASE WHEN n % 100 = {} % 100 OR length('{}') < 60 THEN {} END",
                            i + 1, Quoted(kPoisons[i].made), Typed(kPoisons[i].made, i));
    }
    database_.Exec(fmt::format("INSERT INTO t ({}) SELECT {} FROM generate_series(1, {}) AS n",
                               names, values, kRows));
    database_.Exec("ANALYZE t");
  }

  static std::string Quoted(std::string text) {
    for (std::size_t at = 0; (at = text.find('\'', at)) != std::string::npos; at += 2) {
      text.insert(at, "'");
    }
    return text;
  }

  static std::string Typed(const std::string& expression, std::size_t i) {
    const std::string type = kPoisons[i].type;
    return "(" + expression + ")::" + type.substr(0, type.find(" COLLATE"));
  }

  RunResult Run() {
    std::string list = "b0 = a0, ", names = ", b0", made = ", a0";
    for (std::size_t i = 0; i < count_; ++i) {
      list += fmt::format("{} = {}, ", Column("b", i), Column("a", i));
      names += ", " + Column("b", i);
      made += ", " + Column("a", i);
    }
    std::string text = std::string("-- pawl: batch_rows=20 workers=2 ") + GetParam().options + "\n";
    switch (GetParam().kind) {
      case Shape::kImage:
        text += "UPDATE t SET " + list + "done = 1 WHERE done IS NULL;";
        break;
      case Shape::kOldValue:  // It reads what it writes, so it does not give the same again.
      case Shape::kNothingKept:
        text += "UPDATE t SET " + list + "done = coalesce(done, 0) + 1;";
        break;
      case Shape::kImplicit: {
        std::string added = "\nALTER TABLE t ADD COLUMN b0 text;\n";
        for (std::size_t i = 0; i < count_; ++i) {
          added +=
              fmt::format("ALTER TABLE t ADD COLUMN {} {};\n", Column("b", i), kPoisons[i].type);
        }
        text = added + "ALTER TABLE t ADD COLUMN done integer;\n" + text + "UPDATE t SET " + list +
               "done = 1 WHERE done IS NULL;";
        break;
      }
      case Shape::kInsert: {
        std::string columns = "id bigint PRIMARY KEY, b0 text";
        for (std::size_t i = 0; i < count_; ++i) {
          columns += ", " + Column("b", i) + " " + kPoisons[i].type;
        }
        database_.Exec("CREATE TABLE made (" + columns + ")");
        text += "INSERT INTO made (id" + names + ") SELECT id" + made + " FROM t;";
        break;
      }
    }
    const RunResult result = engine_.Run("m", text, {}, {});
    EXPECT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(result.rows_done, kRows);
    return result;
  }

  bool is_insert() const { return GetParam().kind == Shape::kInsert; }
  bool keeps_keys() const {
    return GetParam().kind != Shape::kImplicit && GetParam().kind != Shape::kNothingKept;
  }
  std::string target() const { return is_insert() ? "made" : "t"; }

  // Keys of rows in which some b is not its a, by their texts.
  std::set<std::string> DifferingKeys() {
    std::string differ = "s.a0 IS DISTINCT FROM m.b0";
    for (std::size_t i = 0; i < count_; ++i) {
      differ +=
          fmt::format(" OR s.{}::text COLLATE \"C\" IS DISTINCT FROM m.{}::text COLLATE \"C\"",
                      Column("a", i), Column("b", i));
    }
    std::set<std::string> keys;
    for (const test::Row& row : database_.Rows(fmt::format(
             "SELECT id FROM t AS s FULL JOIN {} AS m USING (id) WHERE {}", target(), differ))) {
      keys.insert(row[0]);
    }
    return keys;
  }

  std::set<std::string> ReportedKeys(const VerifyReport& report) {
    std::set<std::string> keys;
    for (const VerifyReport::Difference& difference : report.differences) {
      EXPECT_TRUE(keys.insert(difference.key).second) << "twice: " << difference.key;
    }
    EXPECT_EQ(report.differences_count, static_cast<std::int64_t>(report.differences.size()));
    return keys;
  }

  // What a strict verification names, and that one which accepts later changes passes.
  void ExpectNamed(std::int64_t run, const std::set<std::string>& keys) {
    const VerifyReport report = engine_.Verify(run, false);
    EXPECT_EQ(report.passed, keys.empty());
    EXPECT_EQ(ReportedKeys(report), keys);
    EXPECT_TRUE(engine_.Verify(run, true).passed);
  }

  std::size_t count_ = 0;
  TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
};

TEST_P(VerifyPoisonPgTest, EachPoisonedValueIsNamedAndNoOther) {
  MakeTable(kPoisons.size());
  const RunResult run = Run();
  ExpectNamed(run.run, {});
  std::set<std::string> expected;
  for (std::size_t i = 0; i < count_; ++i) {
    const std::string key = std::to_string(i + 1);
    database_.Exec(fmt::format("UPDATE {} SET {} = {} WHERE id = {}", target(), Column("b", i),
                               Typed(kPoisons[i].poisoned, i), key));
    if (kPoisons[i].differs) expected.insert(key);
  }
  ASSERT_EQ(DifferingKeys(), expected) << "A poison is not what the table of poisons says.";
  // Who wrote a row last is then all there is to know.
  if (GetParam().kind == Shape::kNothingKept) {
    for (std::size_t i = 0; i < kPoisons.size(); ++i) expected.insert(std::to_string(i + 1));
  }
  ASSERT_LT(expected.size(), 100u) << "A report names at most 100.";
  ExpectNamed(run.run, expected);
}

TEST_P(VerifyPoisonPgTest, AMissingRowIsNamed) {
  MakeTable();
  const RunResult run = Run();
  database_.Exec("DELETE FROM " + target() + " WHERE id = 250");
  const VerifyReport report = engine_.Verify(run.run, false);
  ASSERT_EQ(report.differences.size(), 1u);
  EXPECT_EQ(report.differences_count, 1);
  if (keeps_keys()) {
    EXPECT_EQ(report.differences[0].key, "250");
  } else {
    EXPECT_THAT(report.differences[0].what, HasSubstr("keeps no record of their keys"));
  }
  EXPECT_TRUE(engine_.Verify(run.run, true).passed);
}

TEST_P(VerifyPoisonPgTest, SwappedRowsAreNamed) {
  MakeTable();
  const RunResult run = Run();
  std::string list = "b0 = o.b0";
  for (std::size_t i = 0; i < count_; ++i) {
    list += fmt::format(", {} = o.{}", Column("b", i), Column("b", i));
  }
  database_.Exec(fmt::format(
      "UPDATE {0} AS r SET {1} FROM {0} AS o WHERE (r.id, o.id) IN ((40, 30), (30, 40))", target(),
      list));
  ExpectNamed(run.run, {"30", "40"});
}

TEST_P(VerifyPoisonPgTest, ARowThatNobodyWouldKnowAsChangedIsNamed) {
  // As if no batch had been there: the row matches the WHERE clause again.
  MakeTable();
  const RunResult run = Run();
  database_.Exec(fmt::format("UPDATE {} SET b0 = NULL, b1 = NULL{} WHERE id = 77", target(),
                             is_insert() ? "" : ", done = NULL"));
  ExpectNamed(run.run, {"77"});
}

TEST_P(VerifyPoisonPgTest, OneMoreAndOneLessDoNotMakeItEven) {
  MakeTable();
  const RunResult run = Run();
  database_.Exec("DELETE FROM " + target() + " WHERE id = 250");
  // Another that is as the statement would have made it.
  database_.Exec(is_insert() ? "INSERT INTO made (id) VALUES (-1)"
                             : "INSERT INTO t (id, done) VALUES (-1, 1)");
  const VerifyReport report = engine_.Verify(run.run, false);
  // In block order a range has no sum of its own.
  const bool may_be_even = !keeps_keys() && std::string(GetParam().options) == "order=block";
  EXPECT_EQ(report.passed, may_be_even);
  if (keeps_keys()) {
    EXPECT_EQ(ReportedKeys(report), (std::set<std::string>{"250"}));
  }
}

TEST_P(VerifyPoisonPgTest, ARowAddedLaterIsNoDifference) {
  MakeTable();
  const RunResult run = Run();
  database_.Exec(is_insert() ? "INSERT INTO made (id) VALUES (-1)"
                             : "INSERT INTO t (id) VALUES (-1)");
  const VerifyReport report = engine_.Verify(run.run, false);
  EXPECT_TRUE(report.passed);
  EXPECT_EQ(report.rows_verified, kRows);
}

TEST_P(VerifyPoisonPgTest, AVerificationOfNothingFails) {
  MakeTable();
  const RunResult run = Run();
  database_.Exec("TRUNCATE " + target());
  const VerifyReport report = engine_.Verify(run.run, false);
  EXPECT_FALSE(report.passed);
  EXPECT_EQ(report.rows_verified, 0);
}

TEST_P(VerifyPoisonPgTest, AnEmptiedLedgerFails) {
  MakeTable();
  const RunResult run = Run();
  database_.Exec("DELETE FROM pawl.ledger");
  EXPECT_FALSE(engine_.Verify(run.run, true).passed);
  database_.Exec("DELETE FROM pawl.span");
  EXPECT_FALSE(engine_.Verify(run.run, true).passed);
}

// No mark is kept from which a later verification would go on.
TEST_P(VerifyPoisonPgTest, AVerificationThatWasStoppedStartsFromTheFirstRowAgain) {
  MakeTable();
  const RunResult run = Run();
  engine_.RequestPause();
  EXPECT_THROW(engine_.Verify(run.run, false), db::Error);
  Engine another{db::ConnectionString(database_.url())};
  EXPECT_EQ(another.Verify(run.run, false).rows_verified, kRows);
  database_.Exec("UPDATE " + target() + " SET b0 = 'poison' WHERE id = 1");
  EXPECT_EQ(ReportedKeys(another.Verify(run.run, false)), (std::set<std::string>{"1"}));
}

INSTANTIATE_TEST_SUITE_P(
    Runs, VerifyPoisonPgTest,
    testing::Values(Shape{"UpdateByKey", "order=key", Shape::kImage},
                    Shape{"UpdateByBlock", "order=block", Shape::kImage},
                    Shape{"UpdateInKeyStrides", "order=key_strides stride=4", Shape::kImage},
                    Shape{"UpdateInBlockStrides", "order=block_strides stride=4", Shape::kImage},
                    Shape{"UpdateOfOldValues", "order=key", Shape::kOldValue},
                    Shape{"UpdateOfNewColumnsByKey", "order=key", Shape::kImplicit},
                    Shape{"UpdateOfNewColumnsByBlock", "order=block", Shape::kImplicit},
                    Shape{"UpdateThatKeepsNothing", "order=key undo=none", Shape::kNothingKept},
                    Shape{"InsertByKey", "order=key", Shape::kInsert}),
    [](const testing::TestParamInfo<Shape>& shape) { return std::string(shape.param.name); });

// ---- DELETE: its rows are gone, and what may come back is known by its key ----

struct DeleteShape {
  const char* name;
  const char* options;
};

class VerifyDeletePgTest : public testing::TestWithParam<DeleteShape> {
 protected:
  VerifyDeletePgTest() {
    database_.Exec("CREATE TABLE t (id bigint PRIMARY KEY, note text)");
    database_.Exec("INSERT INTO t SELECT n, 'row ' || n FROM generate_series(1, 400) AS n");
    database_.Exec("ANALYZE t");
    const RunResult result =
        engine_.Run("m",
                    std::string("-- pawl: batch_rows=20 workers=2 ") + GetParam().options +
                        "\nDELETE FROM t WHERE id % 2 = 0;",
                    {}, {});
    EXPECT_EQ(result.state, "completed") << result.reason;
    EXPECT_EQ(result.rows_done, 200);
    run_ = result.run;
  }

  TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
  std::int64_t run_ = 0;
};

TEST_P(VerifyDeletePgTest, ARowThatIsBackIsNamed) {
  EXPECT_TRUE(engine_.Verify(run_, false).passed);
  database_.Exec("INSERT INTO t VALUES (20, 'row 20'), (30, NULL)");
  const VerifyReport report = engine_.Verify(run_, false);
  ASSERT_EQ(report.differences.size(), 2u);
  EXPECT_EQ(report.differences[0].key, "20");
  EXPECT_EQ(report.differences[1].key, "30");
  EXPECT_TRUE(engine_.Verify(run_, true).passed);
}

TEST_P(VerifyDeletePgTest, LostRecordsOfWhatWasDeletedAreFound) {
  database_.Exec(fmt::format("DELETE FROM pawl.undo_{}_1 WHERE c1 = 20", run_));
  EXPECT_FALSE(engine_.Verify(run_, true).passed);
  database_.Exec(fmt::format("DELETE FROM pawl.undo_{}_1", run_));
  EXPECT_FALSE(engine_.Verify(run_, true).passed);
}

TEST_P(VerifyDeletePgTest, AnEmptiedLedgerFails) {
  database_.Exec("DELETE FROM pawl.ledger");
  EXPECT_FALSE(engine_.Verify(run_, true).passed);
  database_.Exec("DELETE FROM pawl.span");
  EXPECT_FALSE(engine_.Verify(run_, true).passed);
}

INSTANTIATE_TEST_SUITE_P(Runs, VerifyDeletePgTest,
                         testing::Values(DeleteShape{"ByKey", "order=key"},
                                         DeleteShape{"ByBlock", "order=block"}),
                         [](const testing::TestParamInfo<DeleteShape>& shape) {
                           return std::string(shape.param.name);
                         });

// ---- Values with more than one image, and types that unnest() takes apart ----

class VerifyImagesPgTest : public testing::Test {
 protected:
  void ExpectVerifiedAndTakenBack(const std::string& statement) {
    const std::string before = Rows();
    const RunResult run = engine_.Run("m", statement, {}, {});
    EXPECT_EQ(run.state, "completed") << run.reason;
    EXPECT_TRUE(engine_.Verify(run.run, false).passed);
    const RunResult back = engine_.Revert(run.run, {}, {});
    EXPECT_EQ(back.state, "reverted") << back.reason;
    EXPECT_EQ(back.conflicts, 0);
    EXPECT_EQ(Rows(), before);
  }
  std::string Rows() {
    return database_.Value("SELECT string_agg(t::text, ' ' ORDER BY id) FROM t");
  }

  TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
};

TEST_F(VerifyImagesPgTest, ASliceOfAnArrayWithNullsIsKnownAgain) {
  database_.Exec("CREATE TABLE t (id bigint PRIMARY KEY, tags text[])");
  database_.Exec(
      "INSERT INTO t SELECT n, ARRAY[NULL, 'a' || n, 'b'] FROM generate_series(1, 50) n");
  ExpectVerifiedAndTakenBack("UPDATE t SET tags = tags[2:3];");
}

TEST_F(VerifyImagesPgTest, CompositesAreKeptWhole) {
  database_.Exec("CREATE TYPE pair AS (n numeric, note text)");
  database_.Exec("CREATE TABLE t (id bigint PRIMARY KEY, p pair, x integer, q pair)");
  database_.Exec(
      "INSERT INTO t SELECT n, ROW(n, repeat('x', 5000))::pair, n, ROW(1.50, NULL)::pair "
      "FROM generate_series(1, 50) n");
  ExpectVerifiedAndTakenBack(
      "UPDATE t SET p = ROW((p).n + 1, (p).note || 'y')::pair, x = x + 1, "
      "q = ROW((q).n, (p).note)::pair;");
}

}  // namespace
}  // namespace pawl::engine
