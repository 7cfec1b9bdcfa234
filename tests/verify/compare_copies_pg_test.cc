// Poisoned copies: every kind of damage is found and named, and nothing that is equal is.
#include "verify/compare_copies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <tuple>

#include "db/error.h"
#include "tests/support/test_database.h"
#include "tests/verify/pipeline_threads.h"

namespace pawl::verify {

void PrintTo(const Difference& difference, std::ostream* out) {
  constexpr const char* kKinds[] = {"missing", "extra", "changed"};
  *out << difference.key << " " << kKinds[difference.kind];
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Difference Missing(const std::string& key) { return {key, Difference::kMissing}; }
Difference Extra(const std::string& key) { return {key, Difference::kExtra}; }
Difference Changed(const std::string& key) { return {key, Difference::kChanged}; }

std::string Copy(const std::string& query) {
  return "COPY (" + query + ") TO STDOUT (FORMAT binary)";
}

std::string CopyTable(const std::string& table, const std::string& key = "id::text") {
  return Copy("SELECT " + key + ", t.* FROM " + table + " AS t");
}

class TwoSides {
 protected:
  void OnBothSides(const std::string& sql) {
    for (const std::string table : {"source", "target"}) {
      std::string filled = sql;
      filled.replace(filled.find("$t"), 2, table);
      source_.Exec(filled);
    }
  }

  Comparison Compare(CompareLimits limits = {}) {
    return CompareQueries(CopyTable("source"), CopyTable("target"), limits);
  }

  Comparison CompareQueries(const std::string& source_copy, const std::string& target_copy,
                            CompareLimits limits = {}) {
    limits.threads_per_connection = threads_;
    return CompareCopies(source_.raw(), source_copy, target_.raw(), target_copy, limits);
  }

  // Both connections can still be used.
  void ExpectIdle() {
    EXPECT_EQ(source_.Integer("SELECT 1"), 1);
    EXPECT_EQ(target_.Integer("SELECT 1"), 1);
  }

  int threads_ = kPipelineThreadsMax;
  test::TestDatabase database_;
  test::Sql source_ = database_.Connect();
  test::Sql target_ = database_.Connect();
};

// ---- One value of one row ----

struct Poison {
  std::string name;
  std::string type;
  std::string source;
  std::string target;
  bool is_difference = true;
};

const Poison kPoisons[] = {
    {"OneByte", "text", "'abcdef'", "'abcdeg'"},
    {"NullAgainstEmpty", "text", "NULL", "''"},
    {"TrailingSpaces", "text", "'a'", "'a '"},
    {"UnicodeForms", "text", "U&'\\00e9'", "U&'e\\0301'"},
    {"PaddedChar", "char(5)", "'a'", "'a  '", false},
    {"NegativeZero", "float8", "0.0", "'-0'"},
    {"NegativeZeroReal", "real", "0.0", "'-0'"},
    {"NotANumber", "float8", "'NaN'", "0"},
    {"NotANumberAgainstNull", "float8", "'NaN'", "NULL"},
    {"NotANumberTwice", "float8", "'NaN'", "'NaN'", false},
    {"LastBitOfADouble", "float8", "0.3", "0.1::float8 + 0.2::float8"},
    {"NumericScale", "numeric", "1.0", "1.00"},
    {"NumericNotANumber", "numeric", "'NaN'", "NULL"},
    {"NumericZeroAgainstNull", "numeric", "0", "NULL"},
    {"JsonbKeyOrder", "jsonb", R"('{"a": 1, "b": 2}')", R"('{"b": 2,   "a": 1}')", false},
    {"JsonKeyOrder", "json", R"('{"a": 1, "b": 2}')", R"('{"b": 2, "a": 1}')"},
    {"JsonbValue", "jsonb", R"('{"a": {"b": [1, 2]}}')", R"('{"a": {"b": [2, 1]}}')"},
    {"JsonbNullAgainstNull", "jsonb", "'null'", "NULL"},
    {"ArrayOrder", "int[]", "'{1,2,3}'", "'{1,3,2}'"},
    {"ArrayElementNull", "text[]", "'{a,NULL}'", "ARRAY['a', 'NULL']"},
    {"ArrayShape", "int[]", "'{{1,2},{3,4}}'", "'{1,2,3,4}'"},
    {"ArrayEmptyAgainstNull", "int[]", "'{}'", "NULL"},
    {"ByteaZeros", "bytea", R"('\x00')", R"('\x0000')"},
    {"Microsecond", "timestamptz", "'2024-01-01 00:00:00+00'", "'2024-01-01 00:00:00.000001+00'"},
    {"SameInstant", "timestamptz", "'2024-01-01 00:00:00+00'", "'2024-01-01 02:00:00+02'", false},
    {"IntervalUnits", "interval", "'1 day'", "'24 hours'"},
    {"Toasted", "text", "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 4000) i)",
     "(SELECT string_agg(md5(i::text), '') || 'x' FROM generate_series(1, 4000) i)"},
    {"ToastedByteInTheMiddle", "text",
     "(SELECT string_agg(md5(i::text), 'x') FROM generate_series(1, 4000) i)",
     "(SELECT overlay(string_agg(md5(i::text), 'x') placing 'y' from 66000) "
     "FROM generate_series(1, 4000) i)"},
};

class PoisonPgTest : public TwoSides,
                     public ::testing::TestWithParam<std::tuple<Poison, int /* threads */>> {};

INSTANTIATE_TEST_SUITE_P(Values, PoisonPgTest,
                         ::testing::Combine(::testing::ValuesIn(kPoisons),
                                            ::testing::Range(1, kPipelineThreadsMax + 1)),
                         [](const auto& test) {
                           return std::get<0>(test.param).name +
                                  std::to_string(std::get<1>(test.param));
                         });

TEST_P(PoisonPgTest, IsFoundAndNamed) {
  const auto& [poison, threads] = GetParam();
  OnBothSides("CREATE TABLE $t (id bigint, v " + poison.type + ")");
  OnBothSides("INSERT INTO $t SELECT i FROM generate_series(1, 3000) AS i");
  source_.Exec("UPDATE source SET v = " + poison.source + " WHERE id = 1234");
  source_.Exec("UPDATE target SET v = " + poison.target + " WHERE id = 1234");

  threads_ = threads;
  const Comparison comparison = Compare();
  EXPECT_EQ(comparison.equal(), !poison.is_difference);
  EXPECT_TRUE(comparison.complete);
  EXPECT_EQ(comparison.source.row_count(), 3000);
  EXPECT_EQ(comparison.target.row_count(), 3000);
  if (poison.is_difference) {
    EXPECT_THAT(comparison.differences, ElementsAre(Changed("1234")));
  } else {
    EXPECT_THAT(comparison.differences, IsEmpty());
  }
}

// ---- Rows ----

class CompareCopiesPgTest : public TwoSides, public ::testing::Test {
 protected:
  void Fill(int row_count) {
    OnBothSides("CREATE TABLE $t (id bigint, a text, b text)");
    OnBothSides("INSERT INTO $t SELECT i, 'a' || i, 'b' || i FROM generate_series(1, " +
                std::to_string(row_count) + ") AS i");
  }

  db::Error FailureOf(const std::string& source_copy, const std::string& target_copy) {
    try {
      CompareQueries(source_copy, target_copy);
    } catch (const db::Error& error) {
      return error;
    }
    return db::Error(db::Action::kRetryBatch, "no error");
  }
};

TEST_F(CompareCopiesPgTest, EqualTablesAreReadOnce) {
  Fill(20'000);
  const Comparison comparison = Compare();
  EXPECT_TRUE(comparison.equal());
  EXPECT_TRUE(comparison.complete);
  EXPECT_THAT(comparison.differences, IsEmpty());
  const StreamDigest digest = DigestCopy(source_.raw(), CopyTable("source"), 1);
  EXPECT_EQ(comparison.source, digest.digest);
  EXPECT_EQ(comparison.byte_count, 2 * digest.byte_count);
}

TEST_F(CompareCopiesPgTest, EmptyTablesAreEqual) {
  Fill(0);
  EXPECT_TRUE(Compare().equal());
}

TEST_F(CompareCopiesPgTest, OrderIsNoDifference) {
  Fill(20'000);
  target_.Exec("CREATE TABLE shuffled AS SELECT * FROM target ORDER BY md5(id::text)");
  EXPECT_TRUE(CompareQueries(CopyTable("source"), CopyTable("shuffled")).equal());
}

TEST_F(CompareCopiesPgTest, NamesMissingExtraAndChanged) {
  Fill(100'000);
  source_.Exec("DELETE FROM target WHERE id IN (1, 100000)");
  source_.Exec("INSERT INTO target VALUES (100001, 'a', 'b')");
  source_.Exec("UPDATE target SET b = 'other' WHERE id = 777");
  const Comparison comparison = Compare();
  EXPECT_FALSE(comparison.equal());
  EXPECT_TRUE(comparison.complete);
  EXPECT_THAT(comparison.differences,
              ElementsAre(Missing("1"), Changed("777"), Missing("100000"), Extra("100001")));
}

TEST_F(CompareCopiesPgTest, NamesValuesSwappedBetweenRows) {
  Fill(20'000);
  source_.Exec("UPDATE target SET a = 'a' || (12 - id) WHERE id IN (5, 7)");
  EXPECT_THAT(Compare().differences, ElementsAre(Changed("5"), Changed("7")));
}

TEST_F(CompareCopiesPgTest, NamesValuesSwappedBetweenColumns) {
  Fill(20'000);
  source_.Exec("UPDATE target SET a = b, b = a WHERE id = 9");
  EXPECT_THAT(Compare().differences, ElementsAre(Changed("9")));
}

TEST_F(CompareCopiesPgTest, NamesBytesMovedBetweenColumns) {
  Fill(100);
  source_.Exec("UPDATE target SET a = 'a9b', b = '9' WHERE id = 9");
  EXPECT_THAT(Compare().differences, ElementsAre(Changed("9")));
}

TEST_F(CompareCopiesPgTest, NamesEveryRowThatIsOnOneSideOnly) {
  Fill(50);
  source_.Exec("TRUNCATE target");
  const Comparison comparison = Compare();
  EXPECT_THAT(comparison.differences, SizeIs(50));
  EXPECT_THAT(comparison.differences,
              ::testing::Each(::testing::Field(&Difference::kind, Difference::kMissing)));
}

TEST_F(CompareCopiesPgTest, CountsDuplicateRows) {
  Fill(1'000);
  source_.Exec("INSERT INTO source SELECT s.* FROM source s, generate_series(1, 2) WHERE id = 7");
  source_.Exec("INSERT INTO target SELECT * FROM target WHERE id IN (7, 8)");
  EXPECT_THAT(Compare().differences, ElementsAre(Missing("7"), Extra("8")));
}

TEST_F(CompareCopiesPgTest, PairsOfDuplicatesDoNotHideEachOther) {
  Fill(1'000);
  source_.Exec("INSERT INTO source SELECT * FROM source WHERE id = 7");
  source_.Exec("INSERT INTO target SELECT * FROM target WHERE id = 8");
  EXPECT_THAT(Compare().differences, ElementsAre(Missing("7"), Extra("8")));
}

TEST_F(CompareCopiesPgTest, KeysMayBeNull) {
  Fill(1'000);
  source_.Exec("INSERT INTO source VALUES (NULL, 'a', 'b'), (NULL, 'x', 'x')");
  source_.Exec("INSERT INTO target VALUES (NULL, 'a', 'c'), (NULL, 'x', 'x')");
  EXPECT_THAT(Compare().differences, ElementsAre(Changed("NULL")));
}

TEST_F(CompareCopiesPgTest, RowsWithoutKeyAreNamedByTheirText) {
  Fill(1'000);
  source_.Exec("UPDATE target SET b = 'c' WHERE id = 3");
  EXPECT_THAT(
      CompareQueries(CopyTable("source", "t::text"), CopyTable("target", "t::text")).differences,
      ElementsAre(Extra("(3,a3,c)"), Missing("(3,a3,b3)")));
}

TEST_F(CompareCopiesPgTest, StorageIsNoDifference) {
  Fill(0);
  source_.Exec("ALTER TABLE target ALTER a SET STORAGE EXTERNAL");
  OnBothSides("INSERT INTO $t SELECT i, repeat('x', 100000), NULL FROM generate_series(1, 20) i");
  EXPECT_GT(source_.Integer("SELECT pg_total_relation_size('target')"),
            2 * source_.Integer("SELECT pg_total_relation_size('source')"));
  EXPECT_TRUE(Compare().equal());
}

// ---- Limits ----

TEST_F(CompareCopiesPgTest, GivesAsManyAsAskedForAndSaysThatThereAreMore) {
  Fill(20'000);
  source_.Exec("UPDATE target SET a = 'x'");
  const Comparison comparison = Compare({.differences_max = 10});
  EXPECT_FALSE(comparison.complete);
  EXPECT_THAT(comparison.differences, SizeIs(10));
  for (const Difference& difference : comparison.differences) {
    EXPECT_EQ(difference.kind, Difference::kChanged) << difference.key;
  }
  EXPECT_EQ(Compare({.differences_max = 10}).differences, comparison.differences);
}

TEST_F(CompareCopiesPgTest, ExactlyAsManyAsAskedForIsComplete) {
  Fill(1'000);
  source_.Exec("UPDATE target SET a = 'x' WHERE id <= 10");
  EXPECT_TRUE(Compare({.differences_max = 10}).complete);
  EXPECT_THAT(Compare({.differences_max = 10}).differences, SizeIs(10));
  EXPECT_FALSE(Compare({.differences_max = 9}).complete);
}

TEST_F(CompareCopiesPgTest, NoneAskedForComparesDigestsOnly) {
  Fill(1'000);
  EXPECT_TRUE(Compare({.differences_max = 0}).complete);
  source_.Exec("DELETE FROM target WHERE id = 10");
  const Comparison comparison = Compare({.differences_max = 0});
  EXPECT_FALSE(comparison.equal());
  EXPECT_FALSE(comparison.complete);
  EXPECT_THAT(comparison.differences, IsEmpty());
}

TEST_F(CompareCopiesPgTest, ReadsAgainWhereTheRowsHeldAreFew) {
  Fill(5'000);
  source_.Exec("UPDATE target SET a = 'x' WHERE id <= 20");
  const Comparison once = Compare();
  const Comparison often = Compare({.rows_held_max = 4});
  EXPECT_THAT(once.differences, SizeIs(20));
  EXPECT_EQ(often.differences, once.differences);
  EXPECT_TRUE(often.complete);
  EXPECT_GT(often.byte_count, once.byte_count);
}

TEST_F(CompareCopiesPgTest, NamesARowAmongManyOfOneKey) {
  Fill(0);
  OnBothSides("INSERT INTO $t SELECT 1, 'a' || i, 'b' FROM generate_series(1, 5000) AS i");
  source_.Exec("DELETE FROM target WHERE a = 'a17'");
  EXPECT_THAT(Compare({.rows_held_max = 100}).differences, ElementsAre(Missing("1")));
  source_.Exec("UPDATE target SET b = 'c' WHERE a = 'a18'");
  source_.Exec("INSERT INTO source VALUES (2, 'a', 'b')");
  EXPECT_THAT(Compare({.rows_held_max = 100}).differences,
              ElementsAre(Changed("1"), Missing("1"), Missing("2")));
}

TEST_F(CompareCopiesPgTest, CountsMoreEqualRowsThanMayBeHeld) {
  Fill(0);
  OnBothSides("INSERT INTO $t SELECT 1, 'a', 'b' FROM generate_series(1, 5000)");
  source_.Exec("INSERT INTO source VALUES (1, 'a', 'b'), (1, 'a', 'b')");
  EXPECT_THAT(Compare({.rows_held_max = 100}).differences, ElementsAre(Missing("1"), Missing("1")));
}

// ---- Failures ----

// In FROM, generate_series would be finished before the first row is sent.
const std::string kEndless = Copy("SELECT generate_series(1, 1000000000)::text, repeat('x', 100)");
const std::string kFailing = Copy("SELECT (1 / (1000 - i))::text FROM generate_series(1, 2000) i");

TEST_F(CompareCopiesPgTest, AFailureOfOneSideStopsTheOther) {
  EXPECT_EQ(FailureOf(kEndless, kFailing).sqlstate(), "22012");
  ExpectIdle();
  EXPECT_EQ(FailureOf(kFailing, kEndless).sqlstate(), "22012");
  ExpectIdle();
  EXPECT_EQ(FailureOf(kFailing, kFailing).sqlstate(), "22012");
  ExpectIdle();
}

TEST_F(CompareCopiesPgTest, RowsThatChangeBetweenReadingsAreNoVerdict) {
  source_.Exec("CREATE SEQUENCE numbers");
  const db::Error error =
      FailureOf(Copy("SELECT nextval('numbers')::text FROM generate_series(1, 100)"),
                Copy("SELECT 'a' FROM generate_series(1, 100)"));
  EXPECT_EQ(error.action(), db::Action::kStop);
  EXPECT_STREQ(error.what(),
               "Cannot name the rows that differ, because they changed between two readings. "
               "Compare inside REPEATABLE READ transactions.");
  ExpectIdle();
}

TEST_F(CompareCopiesPgTest, ASnapshotHidesWhatOthersWriteMeanwhile) {
  Fill(1'000);
  source_.Exec("BEGIN ISOLATION LEVEL REPEATABLE READ");
  const std::string snapshot = source_.Value("SELECT pg_export_snapshot()");
  target_.Exec("BEGIN ISOLATION LEVEL REPEATABLE READ");
  target_.Exec("SET TRANSACTION SNAPSHOT '" + snapshot + "'");
  database_.Exec("UPDATE target SET a = 'x'");
  EXPECT_TRUE(Compare().equal());
}

TEST_F(CompareCopiesPgTest, RowsWithoutColumnsCannotBeNamed) {
  const std::string copy_sql = Copy("SELECT FROM generate_series(1, 10)");
  EXPECT_EQ(FailureOf(copy_sql, copy_sql).action(), db::Action::kBadInput);
  ExpectIdle();
}

}  // namespace
}  // namespace pawl::verify
