// What the linter says from the text alone, and where it holds its tongue.
#include "schema/lint.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

namespace pawl::schema {
namespace {

// "line severity rule", one a line.
std::string Said(const std::string& text) {
  std::string said;
  for (const Finding& finding : Lint("m.sql", text, nullptr)) {
    said += std::to_string(finding.line) + " " + std::string(NameOf(finding.severity)) + " " +
            finding.rule + "\n";
    EXPECT_FALSE(finding.reason.empty()) << finding.rule;
    EXPECT_FALSE(finding.statement.empty()) << finding.rule;
  }
  return said;
}

TEST(LintTest, WhatStopsTheApplicationIsAnError) {
  EXPECT_EQ(Said("ALTER TABLE t ALTER COLUMN a SET NOT NULL;"), "1 error set_not_null\n");
  EXPECT_EQ(Said("CREATE INDEX i ON t (a);"), "1 error create_index\n");
  EXPECT_EQ(Said("CREATE UNIQUE INDEX i ON t (a);"), "1 error create_index\n");
  EXPECT_EQ(Said("REINDEX INDEX i;"), "1 error reindex\n");
  EXPECT_EQ(Said("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);"), "1 error add_check\n");
  EXPECT_EQ(Said("ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u;"),
            "1 error add_foreign_key\n");
  EXPECT_EQ(Said("ALTER TABLE t ADD COLUMN x bigserial;"), "1 error add_serial_column\n");
  EXPECT_EQ(Said("ALTER TABLE t SET LOGGED;"), "1 error set_logged\n");
  EXPECT_EQ(Said("VACUUM FULL t;"), "1 error vacuum_full\n");
}

TEST(LintTest, WhatTheTextDoesNotShowIsAWarning) {
  EXPECT_EQ(Said("ALTER TABLE t ALTER COLUMN a TYPE bigint;"), "1 warning alter_column_type\n");
  EXPECT_EQ(Said("ALTER TABLE t ADD COLUMN x uuid DEFAULT gen_random_uuid();"),
            "1 warning add_column_default\n");
  EXPECT_EQ(Said("ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (1) TO (2);"),
            "1 warning attach_partition\n");
}

TEST(LintTest, LossAndBrokenReadersAreWarnings) {
  EXPECT_EQ(Said("ALTER TABLE t DROP COLUMN a;"), "1 warning drop_column\n");
  EXPECT_EQ(Said("DROP TABLE t;"), "1 warning drop_table\n");
  EXPECT_EQ(Said("ALTER TABLE t RENAME COLUMN a TO b;"), "1 warning rename_column\n");
  EXPECT_EQ(Said("ALTER TABLE t RENAME TO u;"), "1 warning rename_table\n");
}

TEST(LintTest, SafeFormsAreNotSpokenOf) {
  EXPECT_EQ(Said("CREATE INDEX CONCURRENTLY i ON t (a);\n"
                 "ALTER TABLE t VALIDATE CONSTRAINT c;\n"
                 "CREATE TABLE u (a int REFERENCES u);\n"
                 "CREATE TYPE mood AS ENUM ('good');\n"
                 "SELECT 1;"),
            "");
}

TEST(LintTest, AShortLockIsANoteOnceAndNotWithATimeout) {
  EXPECT_EQ(Said("ALTER TABLE t ADD COLUMN x int;\nALTER TABLE t ADD COLUMN y int DEFAULT 5;"),
            "1 note no_lock_timeout\n");
  EXPECT_EQ(Said("SET lock_timeout = '50ms';\nALTER TABLE t ADD COLUMN x int;"), "");
}

TEST(LintTest, ATableThatTheFileMakesIsItsOwn) {
  EXPECT_EQ(Said("CREATE TABLE t (a int);\n"
                 "CREATE INDEX i ON t (a);\n"
                 "ALTER TABLE t ALTER COLUMN a SET NOT NULL;\n"
                 "ALTER TABLE t ADD PRIMARY KEY (a);\n"
                 "UPDATE t SET a = 1;\n"
                 "DROP TABLE t;"),
            "");
  // But not the other end of its foreign key.
  EXPECT_EQ(Said("CREATE TABLE t (a int);\nALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u;"),
            "2 error add_foreign_key\n");
}

TEST(LintTest, TransactionsAreUnderstood) {
  EXPECT_EQ(Said("BEGIN;\nCREATE INDEX CONCURRENTLY i ON t (a);\nCOMMIT;"),
            "2 error not_in_transaction\n");
  EXPECT_EQ(Said("SET lock_timeout = 50;\nBEGIN;\nALTER TABLE t ADD COLUMN x int;\n"
                 "ALTER TABLE u ADD COLUMN x int;\nCOMMIT;"),
            "4 warning several_locks\n");
  EXPECT_EQ(Said("SET lock_timeout = 50;\nBEGIN;\nALTER TABLE t ADD COLUMN x int;\n"
                 "UPDATE t SET x = 1;\nCOMMIT;"),
            "4 error backfill_under_lock\n4 warning backfill\n");
  EXPECT_EQ(Said("SET lock_timeout = 50;\nBEGIN;\nALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT "
                 "VALID;\nALTER TABLE t VALIDATE CONSTRAINT c;\nCOMMIT;"),
            "4 error long_work_under_lock\n");
  EXPECT_EQ(Said("SET lock_timeout = 50;\nBEGIN;\nALTER TABLE t ADD COLUMN x int;\nCOMMIT;\n"
                 "CREATE INDEX CONCURRENTLY i ON t (x);"),
            "");
}

TEST(LintTest, BackfillsAreSeenWithWhatKeepsThemFromBatches) {
  EXPECT_EQ(Said("UPDATE t SET a = 1;"), "1 warning backfill\n");
  EXPECT_EQ(Said("UPDATE t SET a = random();\nDELETE FROM t WHERE a < (SELECT max(a) FROM t);"),
            "1 warning backfill\n2 warning backfill\n2 warning not_in_batches\n");
  EXPECT_EQ(Said("INSERT INTO t VALUES (1);"), "");
}

TEST(LintTest, WhatIsNotInTheTableIsNotTakenForHarmless) {
  EXPECT_EQ(Said("ALTER EXTENSION postgis UPDATE;"), "1 warning unknown_statement\n");
}

TEST(LintTest, FindingsCanBeSilencedByName) {
  EXPECT_EQ(Said("-- pawl: ignore=set_not_null\nALTER TABLE t ALTER COLUMN a SET NOT NULL;\n"
                 "ALTER TABLE t ALTER COLUMN b SET NOT NULL;"),
            "3 error set_not_null\n");
  EXPECT_EQ(Said("-- pawl: ignore=backfill,drop_table\n\nUPDATE t SET a = 1;\nDROP TABLE t;"), "");
}

TEST(LintTest, AThousandStatementsTakeAMoment) {
  std::string text;
  for (int i = 0; i < 250; ++i) {
    const std::string table = "t" + std::to_string(i);
    text += "CREATE TABLE " + table + " (id bigint PRIMARY KEY, a int);\n" + "ALTER TABLE u" +
            std::to_string(i) + " ADD COLUMN x int;\n" + "CREATE INDEX CONCURRENTLY ON " + table +
            " (a);\n" + "UPDATE v SET a = a + 1 WHERE id > " + std::to_string(i) + ";\n";
  }
  const std::clock_t began = std::clock();  // Of this process: others may be at work, too.
  EXPECT_GT(Lint("m.sql", text, nullptr).size(), 250U);
  const int took_ms = static_cast<int>((std::clock() - began) * 1'000 / CLOCKS_PER_SEC);
  RecordProperty("milliseconds", took_ms);
#if defined(NDEBUG)
  EXPECT_LT(took_ms, 300);  // About 100.
#endif
}

}  // namespace
}  // namespace pawl::schema
