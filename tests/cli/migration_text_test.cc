#include "cli/migration_text.h"

#include <gtest/gtest.h>

#include "schema/statement.h"

namespace pawl::cli {
namespace {

schema::MigrationFile Parsed(const MigrationText& migration) {
  return AsWritten(migration,
                   [&] { return schema::ParseMigration(migration.name, migration.text); });
}

std::string MessageOf(const MigrationText& migration) {
  try {
    Parsed(migration);
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kBadInput);
    return error.what();
  }
  return "no error";
}

TEST(MigrationTextTest, FlagsHoldForTheWholeFile) {
  const auto file =
      Parsed(WithOptions("m", "UPDATE t SET a = 1;\n-- pawl: order=block\nUPDATE t SET b = 2;",
                         {{"order", "key"}, {"undo", "none"}, {"stride", ""}}));
  ASSERT_EQ(file.statements.size(), 2U);
  EXPECT_EQ(file.statements[0].options, (schema::Options{{"order", "key"}, {"undo", "none"}}));
  EXPECT_EQ(file.statements[1].options.at("order"), "block");  // The statement's own word wins.
}

TEST(MigrationTextTest, WithoutFlagsTheTextIsTheFile) {
  const MigrationText migration = WithOptions("m", "UPDATE t SET a = 1", {{"order", ""}});
  EXPECT_EQ(migration.text, "UPDATE t SET a = 1");
  EXPECT_EQ(migration.lines_added, 0);
}

TEST(MigrationTextTest, MessagesNameTheLineOfTheFile) {
  const std::string message =
      MessageOf(WithOptions("m", "UPDATE t SET a = 1;\nSELEC 1;\n", {{"order", "key"}}));
  EXPECT_TRUE(message.starts_with("m.sql, line 2: syntax error")) << message;
}

TEST(MigrationTextTest, AWrongFlagIsOfTheCommandLine) {
  const std::string message =
      MessageOf(WithOptions("m", "UPDATE t SET a = 1;", {{"order", "sideways"}}));
  EXPECT_TRUE(message.starts_with("On the command line: option order=\"sideways\"")) << message;
}

TEST(MigrationTextTest, AValueCannotSmuggleInAnythingElse) {
  EXPECT_THROW(WithOptions("m", "UPDATE t SET a = 1;", {{"allow", "x\nDROP TABLE t;"}}), db::Error);
  const std::string message =
      MessageOf(WithOptions("m", "UPDATE t SET a = 1;", {{"allow", "x\" undo=\"none"}}));
  EXPECT_NE(message.find("not understood"), std::string::npos) << message;
}

TEST(MigrationTextTest, AByteOrderMarkStaysInFront) {
  EXPECT_EQ(Parsed(WithOptions("m", "\xef\xbb\xbfUPDATE t SET a = 1", {{"order", "key"}}))
                .statements.size(),
            1U);
}

TEST(MigrationTextTest, TheNameIsTheBaseName) {
  MigrationOptions options;
  options.file = "/nowhere/at/all.sql";
  try {
    ReadMigration(options);
    FAIL();
  } catch (const db::Error& error) {
    EXPECT_EQ(error.action(), db::Action::kBadInput);
    EXPECT_STREQ(error.what(),
                 "Cannot read /nowhere/at/all.sql: No such file or directory. Check the name, or "
                 "give - for standard input.");
  }
}

}  // namespace
}  // namespace pawl::cli
