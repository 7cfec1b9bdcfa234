#include "schema/alter_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pawl::schema {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(AlterSplitTest, EachCommandBecomesAStatement) {
  EXPECT_THAT(SplitAlterTable("ALTER TABLE ONLY app.\"T,1\" DROP a, ADD b numeric(10,2) DEFAULT 1, "
                              "ALTER c SET DEFAULT 'x,y', ADD CHECK (b > 0)")
                  .statements,
              ElementsAre("ALTER TABLE ONLY app.\"T,1\" DROP a",
                          "ALTER TABLE ONLY app.\"T,1\" ADD b numeric(10,2) DEFAULT 1",
                          "ALTER TABLE ONLY app.\"T,1\" ALTER c SET DEFAULT 'x,y'",
                          "ALTER TABLE ONLY app.\"T,1\" ADD CHECK (b > 0)"));
  EXPECT_THAT(SplitAlterTable("ALTER TABLE t * ADD a int, ADD b int").statements,
              ElementsAre("ALTER TABLE t * ADD a int", "ALTER TABLE t * ADD b int"));
}

TEST(AlterSplitTest, WhatIsOneStaysAsItIs) {
  for (const char* text : {"ALTER TABLE t ADD a int", "UPDATE t SET a = 1, b = 2",
                           "CREATE TABLE t (a int, b int)", "ALTER TYPE t ADD VALUE 'x'"}) {
    EXPECT_THAT(SplitAlterTable(text).statements, ElementsAre(text));
    EXPECT_EQ(SplitAlterTable(text).refusal, "");
  }
}

TEST(AlterSplitTest, AnOrderThatIsNotPostgresOwnIsRefused) {
  EXPECT_THAT(SplitAlterTable("ALTER TABLE t ADD a int, DROP a").refusal, HasSubstr("\"DROP a\""));
  EXPECT_THAT(SplitAlterTable("ALTER TABLE t ADD a int, SET LOGGED").refusal,
              HasSubstr("\"SET LOGGED\""));
}

}  // namespace
}  // namespace pawl::schema
