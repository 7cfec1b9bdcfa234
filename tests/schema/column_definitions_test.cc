#include "schema/column_definitions.h"

#include <gtest/gtest.h>

namespace pawl::schema {
namespace {

const ColumnChange kChange{"c", "c new"};

TEST(ColumnDefinitionsTest, AnIndexKeepsAllButTheColumn) {
  EXPECT_EQ(IndexOver("CREATE INDEX i ON public.c USING btree (c, lower(c), ((c || 'c'::text)), a)",
                      kChange, "j", ""),
            "CREATE INDEX CONCURRENTLY \"j\" ON public.c USING btree (\"c new\", lower(\"c new\"), "
            "((\"c new\" || 'c'::text)), a)");
  EXPECT_EQ(IndexOver("CREATE UNIQUE INDEX \"I\" ON t USING gist (c c DESC) INCLUDE (a, c) WITH "
                      "(fillfactor='70') WHERE (c IS NOT NULL)",
                      kChange, "j", "fast"),
            "CREATE UNIQUE INDEX CONCURRENTLY \"j\" ON t USING gist (\"c new\" c DESC) INCLUDE (a, "
            "\"c new\") WITH (fillfactor='70')  TABLESPACE \"fast\" WHERE (\"c new\" IS NOT NULL)");
  EXPECT_EQ(IndexOver("CREATE INDEX i ON t USING btree (c(a))", kChange, "j", ""),
            "CREATE INDEX CONCURRENTLY \"j\" ON t USING btree (c(a))");
  EXPECT_EQ(IndexOver("SELECT 1", kChange, "j", ""), std::nullopt);
}

TEST(ColumnDefinitionsTest, AConstraintToo) {
  EXPECT_EQ(CheckOver("CHECK (((c > 0) AND (c(a) <> 'c'::c))) NOT VALID", kChange),
            "CHECK (((\"c new\" > 0) AND (c(a) <> 'c'::c)))");
  EXPECT_EQ(ForeignKeyOver("FOREIGN KEY (a, c) REFERENCES c(c, d) ON DELETE SET NULL (c) NOT VALID",
                           kChange, {}),
            "FOREIGN KEY (a, \"c new\") REFERENCES c(c, d) ON DELETE SET NULL (\"c new\")");
  EXPECT_EQ(ForeignKeyOver("FOREIGN KEY (c) REFERENCES t(c) DEFERRABLE", {}, kChange),
            "FOREIGN KEY (c) REFERENCES t(\"c new\") DEFERRABLE");
}

TEST(ColumnDefinitionsTest, AnExpressionReadsNothingElse) {
  EXPECT_EQ(ExpressionOver("t.c::text || c || 'c'", "t", "c", "NEW.\"c\""),
            "NEW.\"c\"::text || NEW.\"c\" || 'c'");
  EXPECT_EQ(ExpressionOver("c + d", "t", "c", "x"), std::nullopt);
  EXPECT_EQ(ExpressionOver("(SELECT c)", "t", "c", "x"), std::nullopt);
  EXPECT_EQ(ExpressionOver("c FROM t", "t", "c", "x"), std::nullopt);
}

TEST(ColumnDefinitionsTest, ALongNameIsCutAndToldApart) {
  EXPECT_EQ(SuffixedName("short", "_pawl_new"), "short_pawl_new");
  const std::string one = SuffixedName(std::string(60, 'a') + "1", "_pawl_new");
  const std::string two = SuffixedName(std::string(60, 'a') + "2", "_pawl_new");
  EXPECT_LE(one.size(), kNameBytesMax);
  EXPECT_NE(one, two);
  EXPECT_TRUE(one.ends_with("_pawl_new"));
}

}  // namespace
}  // namespace pawl::schema
