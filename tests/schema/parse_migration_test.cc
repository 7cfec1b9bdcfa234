// Migration files as a whole: statements, lines, options, the hash, and what is said about bad
// ones.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "db/error.h"
#include "schema/statement.h"

namespace pawl::schema {
namespace {

MigrationFile Parse(const std::string& text) { return ParseMigration("orders.sql", text); }

// The message of the error that `text` provokes; empty if it provokes none.
std::string ErrorOf(const std::string& text) {
  try {
    Parse(text);
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kBadInput);
    return error.what();
  }
  return {};
}

std::string OptionError(const std::string& option) {
  return ErrorOf("-- pawl: " + option + "\nUPDATE t SET a = 1");
}

Options OptionsOf(const std::string& line) {
  return Parse("-- pawl: " + line + "\nUPDATE t SET a = 1").statements.at(0).options;
}

bool Says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

TEST(ParseMigrationTest, NameLosesDirectoryAndSuffix) {
  EXPECT_EQ(ParseMigration("a/b/orders.sql", "UPDATE t SET a = 1").name, "orders");
  EXPECT_EQ(ParseMigration("orders", "UPDATE t SET a = 1").name, "orders");
}

TEST(ParseMigrationTest, StatementsKeepTheirOrderTextAndLine) {
  const MigrationFile file = Parse(
      "\xef\xbb\xbf-- first\n"
      "ALTER TABLE t ADD COLUMN c int; ; -- behind\r\n"
      "/* second */ UPDATE t SET c = ';' -- inside\n"
      "  WHERE c IS NULL -- behind\n"
      ";\n"
      "DELETE FROM t");
  ASSERT_EQ(file.statements.size(), 3U);
  EXPECT_EQ(file.statements[0].text, "ALTER TABLE t ADD COLUMN c int");
  EXPECT_EQ(file.statements[0].line, 2);
  EXPECT_EQ(file.statements[1].text, "UPDATE t SET c = ';' -- inside\n  WHERE c IS NULL");
  EXPECT_EQ(file.statements[1].line, 3);
  EXPECT_EQ(file.statements[2].text, "DELETE FROM t");
  EXPECT_EQ(file.statements[2].line, 6);
}

TEST(ParseMigrationTest, SyntaxErrorNamesFileLineAndRemedy) {
  EXPECT_EQ(
      ErrorOf("UPDATE t SET ä = 'ö'\n-- c\nFORM x"),
      "orders.sql, line 3: syntax error at or near \"FORM\". Nothing was changed. Correct "
      "the SQL there, or write it more simply; it was read as PostgreSQL 15's own parser reads "
      "it. What only a later version knows has to be run by hand.");
}

TEST(ParseMigrationTest, SqlOfALaterPostgresIsCalledSo) {
  EXPECT_EQ(ErrorOf("SELECT 1;\nALTER TABLE t ALTER COLUMN a SET STATISTICS DEFAULT"),
            "orders.sql, line 2: syntax error at or near \"DEFAULT\". Nothing was changed. Pawl "
            "reads SQL as PostgreSQL 15 does, and SET STATISTICS DEFAULT is of 17. Write SET "
            "STATISTICS -1.");
  const std::pair<const char*, const char*> newer[] = {
      {"ALTER TABLE t ADD CONSTRAINT x NOT NULL a NOT VALID", "with a name is of 18. Write ALTER"},
      {"ALTER TABLE t ADD NOT NULL a", "is of 18. Write ALTER COLUMN"},
      {"ALTER TABLE t ADD CHECK (a > 0) NOT ENFORCED", "NOT ENFORCED is of 18."},
      {"CREATE TABLE x (a integer CHECK (a > 0) ENFORCED)", "ENFORCED is of 18."},
      {"ALTER TABLE t ADD COLUMN x integer GENERATED ALWAYS AS (a + (1)) VIRTUAL",
       "VIRTUAL is of 18."},
      {"ALTER TABLE t ADD COLUMN x integer GENERATED ALWAYS AS (a + (1))",
       "without STORED is of 18."},
      {"ALTER TABLE t ADD COLUMN x integer GENERATED ALWAYS AS (a + (1)); SELECT 1",
       "without STORED is of 18."},
      {"ALTER TABLE t ADD UNIQUE (id, during WITHOUT OVERLAPS)", "WITHOUT OVERLAPS is of 18."},
      {"ALTER TABLE t ADD FOREIGN KEY (a, PERIOD b) REFERENCES x", "PERIOD is of 18."},
      {"ALTER TABLE t ALTER CONSTRAINT x NO INHERIT", "NO INHERIT is of 18."},
      {"ALTER TABLE t ALTER COLUMN a SET EXPRESSION AS (1)", "SET EXPRESSION is of 17."},
      {"ALTER TABLE t SET ACCESS METHOD DEFAULT", "SET ACCESS METHOD DEFAULT is of 17."},
      {"ALTER TABLE t ALTER a SET STORAGE DEFAULT", "SET STORAGE DEFAULT is of 16."},
      {"CREATE STATISTICS ON a, b FROM t", "without a name is of 16."},
      {"DELETE FROM t WHERE a IS JSON", "IS JSON is of 16."},
      {"DELETE FROM t WHERE a IN (SELECT * FROM (SELECT 1))", "without a name is of 16."},
      {"UPDATE t SET a = 1_000", "such a number is of 16."},
      {"UPDATE t SET a = 0x1F", "such a number is of 16."},
      {"UPDATE t SET a = 1 RETURNING WITH (OLD AS o) o.a", "RETURNING WITH is of 18."},
  };
  for (const auto& [sql, part] : newer) {
    EXPECT_TRUE(Says(ErrorOf(sql), part)) << sql << ": " << ErrorOf(sql);
  }
  // A mistake near such words is a mistake.
  for (const char* sql :
       {"UPDATE t SET a = NOT ENFORCED; FORM x", "UPDATE t SET virtual = 1 FORM x",
        "ALTER TABLE t ADD COLUMN x integer GENERATED ALWAYS AS (1) STORD",
        "UPDATE t SET a = 12x"}) {
    EXPECT_FALSE(Says(ErrorOf(sql), " is of ")) << sql << ": " << ErrorOf(sql);
  }
}

TEST(ParseMigrationTest, FileWithoutStatementIsAnError) {
  EXPECT_TRUE(Says(ErrorOf("-- nothing\n;"), "the file holds no statement. Nothing was changed."));
  EXPECT_TRUE(Says(ErrorOf(""), "the file holds no statement"));
}

TEST(ParseMigrationTest, TextThatIsNotUtf8IsAnError) {
  EXPECT_TRUE(Says(ErrorOf("UPDATE t\nSET a = '\xff'"), "line 2: the text is not UTF-8"));
  EXPECT_TRUE(Says(ErrorOf(std::string("UPDATE t SET a = 1\0;", 20)), "the text is not UTF-8"));
}

TEST(ParseMigrationTest, ParameterIsAnError) {
  EXPECT_TRUE(Says(ErrorOf("UPDATE t SET a = $1"), "the statement has a parameter such as $1"));
}

TEST(ParseMigrationTest, DatabaseInFrontOfATableIsAnError) {
  EXPECT_TRUE(Says(ErrorOf("UPDATE d.s.t SET a = 1"), "with a database in front"));
  EXPECT_TRUE(Says(ErrorOf("ALTER TABLE d.s.t ADD c int"), "with a database in front"));
}

TEST(ParseMigrationTest, EndlessNestingIsAnErrorAndNoCrash) {
  std::string sum = "1";
  for (int i = 0; i < 5'000; ++i) sum += " + 1";
  EXPECT_TRUE(Says(ErrorOf("UPDATE t SET a = " + sum), "nested too deeply"));
}

TEST(ParseMigrationTest, OptionsDirectlyAboveBelongToThatStatementOnly) {
  const MigrationFile file = Parse(
      "-- pawl: order=key\n"
      "-- why\n"
      "-- pawl: batch_rows=100 workers=2\n"
      "UPDATE t SET a = 1;\n"
      "-- pawl: order=block\n"
      "DELETE FROM t;\n"
      "DELETE FROM u");
  EXPECT_EQ(file.statements[0].options,
            (Options{{"order", "key"}, {"batch_rows", "100"}, {"workers", "2"}}));
  EXPECT_EQ(file.statements[1].options, (Options{{"order", "block"}}));
  EXPECT_EQ(file.statements[2].options, Options{});
}

TEST(ParseMigrationTest, OptionsAboveAnEmptyLineAtTheTopHoldForAllUnlessOverridden) {
  const MigrationFile file = Parse(
      "-- pawl: order=key pace=500\n"
      "\n"
      "-- pawl: order=block\n"
      "UPDATE t SET a = 1;\n"
      "DELETE FROM t");
  EXPECT_EQ(file.statements[0].options, (Options{{"order", "block"}, {"pace", "500"}}));
  EXPECT_EQ(file.statements[1].options, (Options{{"order", "key"}, {"pace", "500"}}));
}

TEST(ParseMigrationTest, OptionLineThatBelongsToNoStatementIsAnError) {
  const std::string misplaced = "an option line belongs to no statement";
  EXPECT_TRUE(Says(ErrorOf("UPDATE t SET a = 1;\n-- pawl: pace=1\n"), misplaced));
  EXPECT_TRUE(Says(ErrorOf("UPDATE t SET a = 1;\n-- pawl: pace=1\n\nDELETE FROM t"), misplaced));
  EXPECT_TRUE(Says(ErrorOf("UPDATE t -- pawl: pace=1\nSET a = 1"), misplaced));
  EXPECT_TRUE(Says(ErrorOf("UPDATE t SET a = 1; -- pawl: pace=1\nDELETE FROM t"), misplaced));
  EXPECT_TRUE(Says(ErrorOf("/* pawl: pace=1 */ DELETE FROM t"), "options stand in a /* */"));
}

TEST(ParseMigrationTest, CommentThatOnlyMentionsPawlIsNoOption) {
  EXPECT_EQ(Parse("-- pawl runs in order\nDELETE FROM t").statements[0].options, Options{});
  EXPECT_TRUE(Says(ErrorOf("-- pawl order=key\nDELETE FROM t"), "an option line has no colon"));
}

TEST(ParseMigrationTest, OptionTextInsideAStringIsNoOption) {
  EXPECT_EQ(Parse("UPDATE t SET a = '\n-- pawl: nonsense\n'").statements[0].options, Options{});
}

TEST(ParseMigrationTest, QuotedValueMayHoldSpacesAndDoubledQuotes) {
  EXPECT_EQ(OptionsOf("inverse=\"a = a - 1, \"\"B c\"\" = 2\" undo=inverse"),
            (Options{{"inverse", "a = a - 1, \"B c\" = 2"}, {"undo", "inverse"}}));
}

TEST(ParseMigrationTest, BareNamesHaveTheirMeaning) {
  EXPECT_EQ(OptionsOf("quiet_triggers keep_in_sync"),
            (Options{{"quiet_triggers", "true"}, {"keep_in_sync", "end"}}));
}

TEST(ParseMigrationTest, EveryKnownOptionTakesItsValues) {
  const char* const kLines[] = {"order=auto",
                                "order=key_strides",
                                "stride=64",
                                "undo=none",
                                "inverse=\"a = 1\"",
                                "keep_in_sync=contract",
                                "quiet_triggers=false",
                                "quarantine=0",
                                "batch_rows=1",
                                "batch_time=50ms",
                                "batch_time=2s",
                                "retention=30d",
                                "retention=12h",
                                "workers=8",
                                "pace=0",
                                "allow=self_join,other_name"};
  for (const char* line : kLines) EXPECT_EQ(OptionsOf(line).size(), 1U) << line;
  EXPECT_EQ(KnownOptions().size(), 14U);
}

TEST(ParseMigrationTest, UnknownOptionNamesTheNearestOne) {
  EXPECT_EQ(
      OptionError("odrer=key"),
      "orders.sql, line 1: there is no option \"odrer\". Nothing was changed. Did you mean "
      "\"order\"? The options are order, stride, undo, inverse, keep_in_sync, "
      "quiet_triggers, quarantine, batch_rows, batch_time, retention, workers, pace, allow, ignore.");
  EXPECT_FALSE(Says(OptionError("zzzzzzzzzzzz=1"), "Did you mean"));
}

TEST(ParseMigrationTest, MalformedValueNamesWhatIsAllowed) {
  EXPECT_EQ(OptionError("order=random"),
            "orders.sql, line 1: option order=\"random\" is not understood. Nothing was changed. "
            "Allowed: auto, key, block, key_strides or block_strides.");
  const char* const kLines[] = {"stride=3",
                                "stride=128",
                                "stride=1",
                                "undo=maybe",
                                "inverse=\"a +\"",
                                "inverse=\"a = 1 WHERE b\"",
                                "inverse=\"a = 1; DROP TABLE t\"",
                                "inverse=\"a = 1 FROM u\"",
                                "keep_in_sync=true",
                                "quiet_triggers=1",
                                "quarantine=-1",
                                "quarantine=many",
                                "batch_rows=0",
                                "batch_rows=1.5",
                                "batch_rows=99999999999999999999",
                                "batch_time=50",
                                "batch_time=ms",
                                "batch_time=0s",
                                "batch_time=5h",
                                "retention=30",
                                "retention=0d",
                                "retention=99999d",
                                "retention=1w",
                                "workers=0",
                                "workers=1001",
                                "pace=-1",
                                "pace=",
                                "allow=,",
                                "allow=self_join,",
                                "allow=Self",
                                "order=key,"};
  for (const char* line : kLines) {
    EXPECT_TRUE(Says(OptionError(line), "is not understood. Nothing was changed. Allowed:"))
        << line;
  }
}

TEST(ParseMigrationTest, OptionWithoutAValueItNeedsIsAnError) {
  EXPECT_TRUE(Says(OptionError("order"), "option \"order\" has no value"));
}

TEST(ParseMigrationTest, BrokenOptionLinesAreErrors) {
  EXPECT_TRUE(Says(OptionError("inverse=\"a = 1"), "has no closing double quote"));
  EXPECT_TRUE(Says(OptionError("inverse=\"a = 1\"x"), "after option \"inverse\" stands \"x\""));
  EXPECT_TRUE(Says(OptionError("order=key order=key"), "option \"order\" is given twice"));
  EXPECT_TRUE(Says(OptionError(""), "an option line names no option"));
  EXPECT_TRUE(Says(OptionError("order = key"), "option \"order\" has no value"));
}

TEST(ParseMigrationTest, InverseForTheWholeFileIsAnError) {
  EXPECT_TRUE(Says(ErrorOf("-- pawl: inverse=\"a = 1\"\n\nUPDATE t SET a = 2"),
                   "option \"inverse\" is given for the whole file"));
}

TEST(ParseMigrationTest, OptionErrorNamesItsOwnLine) {
  EXPECT_TRUE(Says(ErrorOf("DELETE FROM t;\n\n-- pawl: order=x\nDELETE FROM u"),
                   "orders.sql, line 3: option order"));
}

TEST(ParseMigrationTest, HashIgnoresSpacingCommentsCaseAndName) {
  const std::string hash = Parse("UPDATE t SET a = 1 WHERE b").hash;
  EXPECT_EQ(hash.size(), 32U);
  EXPECT_EQ(ParseMigration("other", "-- x\nupdate T\n set a=1 /* y */ where B;").hash, hash);
}

TEST(ParseMigrationTest, HashSeesEveryChangeOfMeaning) {
  const std::string hash = Parse("UPDATE t SET a = -1 WHERE b").hash;
  EXPECT_NE(Parse("UPDATE t SET a = -2 WHERE b").hash, hash);
  EXPECT_NE(Parse("UPDATE t SET a = -1 WHERE c").hash, hash);
  EXPECT_NE(Parse("-- pawl: pace=1\nUPDATE t SET a = -1 WHERE b").hash, hash);
  EXPECT_NE(Parse("UPDATE t SET a = -1 WHERE b; DELETE FROM t").hash, hash);
}

TEST(ParseMigrationTest, HashStaysTheSameOverVersions) {
  // Runs are resumed by it, also after an upgrade of Pawl.
  EXPECT_EQ(Parse("-- pawl: order=key\nUPDATE t SET a = 1").hash,
            "2f8a3e19b94d03fa8291a78e76e6ea03");
}

}  // namespace
}  // namespace pawl::schema
