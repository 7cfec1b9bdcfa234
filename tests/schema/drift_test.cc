// What of a difference would lose data. That the statements run is proved on a server
// (tests/cli/drift_pg_test.cc).
#include "schema/drift.h"

#include <gtest/gtest.h>

namespace pawl::schema {
namespace {

PictureObject Made(const std::string& create, const std::string& drop) {
  PictureObject object;
  object.definition = create;
  object.create = create;
  object.drop = drop;
  return object;
}

TEST(DriftTest, ATypeThatHoldsLessLosesData) {
  for (const auto& [from, to] : {std::pair{"integer", "bigint"},
                                 {"smallint", "numeric"},
                                 {"character varying(10)", "character varying(20)"},
                                 {"character varying(10)", "text"},
                                 {"numeric(10,2)", "numeric(12,2)"},
                                 {"uuid", "text"}}) {
    EXPECT_FALSE(LosesValues(from, to)) << from << " " << to;
    EXPECT_TRUE(LosesValues(to, from) || std::string(to) == "text") << to << " " << from;
  }
  EXPECT_FALSE(LosesValues("character varying(5)", "character varying(9) COLLATE \"C\""));
  EXPECT_TRUE(LosesValues("numeric(10,2)", "numeric(11,1)"));
  EXPECT_TRUE(LosesValues("timestamp with time zone", "date"));
  EXPECT_TRUE(LosesValues("text", "character varying(5)"));
}

TEST(DriftTest, WhatCannotRunWithoutALossIsMarkedAsWell) {
  Picture from;
  from["table t"] = Made("CREATE TABLE t ()", "DROP TABLE t");
  from["domain d"] = Made("CREATE DOMAIN d AS text", "DROP DOMAIN d");
  PictureObject column = Made("ADD c", "DROP c");
  column.loses_data = true;
  column.belongs_to = {"table t"};
  column.needs = {"domain d"};
  from["column t.c"] = column;
  PictureObject comment = Made("COMMENT", "NO COMMENT");
  comment.belongs_to = {"table t"};
  Picture to = from;
  to["domain d"] = Made("CREATE DOMAIN d AS integer", "DROP DOMAIN d");
  to["comment t"] = comment;
  std::string text;
  for (const DriftStatement& statement : Difference(from, to)) {
    text += (statement.loses_data ? "-- " : "") + statement.sql + "\n";
  }
  EXPECT_EQ(text,
            "-- DROP c\n-- DROP DOMAIN d\n-- CREATE DOMAIN d AS integer\n-- ADD c\nCOMMENT\n");
  EXPECT_TRUE(Difference(from, from).empty());
}

}  // namespace
}  // namespace pawl::schema
