// UPDATE, DELETE and INSERT … SELECT: the pieces they are taken apart into, and why some are
// refused.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "db/error.h"
#include "schema/statement.h"

namespace pawl::schema {
namespace {

using Names = std::set<std::string>;
using Texts = std::vector<std::string>;

Statement Parse(const std::string& text) {
  return ParseMigration("orders.sql", text).statements.at(0);
}

Texts ConjunctTexts(const Statement& statement) {
  Texts texts;
  for (const Conjunct& conjunct : statement.conjuncts) texts.push_back(conjunct.text);
  return texts;
}

// True where the first operand of the WHERE clause hides a changed row.
bool ExcludesItself(const std::string& text) {
  const Statement statement = Parse(text);
  EXPECT_FALSE(statement.conjuncts.empty()) << text;
  return !statement.conjuncts.empty() && statement.conjuncts[0].self_excluding;
}

// The refusals' names; "name+" for one that can be allowed.
Texts RefusalNames(const std::string& text) {
  Texts names;
  for (const Refusal& refusal : Parse(text).refusals) {
    EXPECT_TRUE(refusal.reason.ends_with(".")) << refusal.reason;
    names.push_back(refusal.name + (refusal.can_be_allowed ? "+" : ""));
  }
  return names;
}

TEST(UpdateStatementTest, EveryClauseIsCutAsWritten) {
  const Statement update = Parse(
      "UPDATE ONLY app.orders AS o SET total = o.a  *  2, note = 'x' FROM rates r JOIN z USING "
      "(id) WHERE r.id = o.rate AND o.total IS NULL");
  EXPECT_EQ(update.kind, StatementKind::kUpdate);
  EXPECT_EQ(update.target, (TableName{"app", "orders"}));
  EXPECT_EQ(update.alias, "o");
  EXPECT_TRUE(update.only);
  EXPECT_EQ(update.set_clause, "total = o.a  *  2, note = 'x'");
  EXPECT_EQ(update.from_clause, "rates r JOIN z USING (id)");
  EXPECT_EQ(update.where_clause, "r.id = o.rate AND o.total IS NULL");
  EXPECT_EQ(update.other_tables, (std::vector<TableName>{{"", "rates"}, {"", "z"}}));
  EXPECT_TRUE(update.refusals.empty());
}

TEST(UpdateStatementTest, TableIsItsOwnAliasAndNamesAreFolded) {
  const Statement update = Parse("UPDATE Orders SET \"Total\" = 1");
  EXPECT_EQ(update.target, (TableName{"", "orders"}));
  EXPECT_EQ(update.alias, "orders");
  EXPECT_EQ(update.assignments.at(0).column, "Total");
  EXPECT_EQ(update.where_clause, "");
  EXPECT_TRUE(update.conjuncts.empty());
}

TEST(UpdateStatementTest, DistinctFromInsideSetIsNotTheFromClause) {
  const Statement update = Parse("UPDATE t SET a = b IS NOT DISTINCT FROM c FROM u WHERE u.id = 1");
  EXPECT_EQ(update.set_clause, "a = b IS NOT DISTINCT FROM c");
  EXPECT_EQ(update.from_clause, "u");
  EXPECT_EQ(Parse("UPDATE t SET a = b IS DISTINCT FROM c").from_clause, "");
}

TEST(UpdateStatementTest, KeyWordsAsNamesAreNoClauses) {
  const Statement update = Parse("UPDATE set SET set = set.from, b = set.where WHERE set.and > 1");
  EXPECT_EQ(update.target.name, "set");
  EXPECT_EQ(update.set_clause, "set = set.from, b = set.where");
  EXPECT_EQ(update.where_clause, "set.and > 1");
  EXPECT_EQ(update.assignments.at(0).columns_read, (Names{"from"}));
}

TEST(UpdateStatementTest, StringsAndCommentsHideNothingAndShowNothing) {
  const Statement update = Parse(
      "UPDATE t SET a = $q$ FROM x WHERE $q$, b = E'it\\'s, WHERE', c = U&'\\0041' /* , d = 1 */\n"
      ", e = 'one'\n' WHERE' -- WHERE nothing\n WHERE a = 'AND' -- AND more\n AND b IS NULL");
  ASSERT_EQ(update.assignments.size(), 4U);
  EXPECT_EQ(update.assignments[0].expression, "$q$ FROM x WHERE $q$");
  EXPECT_EQ(update.assignments[1].expression, "E'it\\'s, WHERE'");
  EXPECT_EQ(update.assignments[2].expression, "U&'\\0041'");
  EXPECT_EQ(update.assignments[3].expression, "'one'\n' WHERE'");
  EXPECT_EQ(ConjunctTexts(update), (Texts{"a = 'AND'", "b IS NULL"}));
}

TEST(UpdateStatementTest, NonAsciiTextBeforeACutMovesNoCut) {
  const Statement update = Parse("UPDATE größe SET ä = 'ö€', b = c WHERE ü = 'ß' AND d IS NULL");
  EXPECT_EQ(update.assignments.at(0).expression, "'ö€'");
  EXPECT_EQ(update.assignments.at(1).expression, "c");
  EXPECT_EQ(ConjunctTexts(update), (Texts{"ü = 'ß'", "d IS NULL"}));
}

TEST(UpdateStatementTest, ClausesInsideParenthesesAndCaseAreLeftAlone) {
  const Statement update = Parse(
      "UPDATE t SET a = CASE WHEN b AND c THEN (SELECT max(x) FROM u WHERE u.id = t.id) ELSE 0 "
      "END, d = substring(e from 2 for 3), f = extract(year from g)");
  ASSERT_EQ(update.assignments.size(), 3U);
  EXPECT_EQ(update.assignments[0].columns_read, (Names{"b", "c", "x", "id"}));
  EXPECT_EQ(update.assignments[1].expression, "substring(e from 2 for 3)");
  EXPECT_TRUE(update.has_subselect);
  EXPECT_EQ(update.from_clause, "");
}

TEST(UpdateStatementTest, RowAssignmentsAreSplitIntoTheirColumns) {
  const Statement update = Parse("UPDATE t SET (a, b) = (x + 1, f(y, z)), (c) = ROW(3), d = 4");
  ASSERT_EQ(update.assignments.size(), 4U);
  EXPECT_EQ(update.assignments[0].expression, "x + 1");
  EXPECT_EQ(update.assignments[0].columns_read, (Names{"x"}));
  EXPECT_EQ(update.assignments[1].expression, "f(y, z)");
  EXPECT_EQ(update.assignments[1].columns_read, (Names{"y", "z"}));
  EXPECT_EQ(update.assignments[2].expression, "3");
  EXPECT_EQ(update.assignments[3].expression, "4");
}

TEST(UpdateStatementTest, ValuesWithoutAnExpressionOfTheirOwnHaveNone) {
  const Statement update = Parse(
      "UPDATE t SET a = DEFAULT, (b, c) = (SELECT x, y FROM u), d[i] = 1, e.f = g, (h, j) = "
      "(DEFAULT, 2)");
  const std::map<std::string, Names> read = {{"a", {}},         {"b", {"x", "y"}},
                                             {"c", {"x", "y"}}, {"d", {"d", "i"}},
                                             {"e", {"e", "g"}}, {"h", {}}};
  ASSERT_EQ(update.assignments.size(), 7U);
  for (const Assignment& assignment : update.assignments) {
    if (assignment.column == "j") {
      EXPECT_EQ(assignment.expression, "2");
      continue;
    }
    EXPECT_FALSE(assignment.expression) << assignment.column;
    EXPECT_EQ(assignment.columns_read, read.at(assignment.column)) << assignment.column;
  }
}

TEST(UpdateStatementTest, WrongNumberOfValuesIsAnError) {
  EXPECT_THROW(Parse("UPDATE t SET (a, b) = (1, 2, 3)"), db::Error);
}

TEST(UpdateStatementTest, ColumnsReadAreTheBareAndTheTargetsOwn) {
  const Statement update = Parse("UPDATE t AS o SET a = b + o.c + u.d + (o.e).f FROM u");
  EXPECT_EQ(update.assignments.at(0).columns_read, (Names{"b", "c", "e"}));
}

TEST(UpdateStatementTest, FunctionsAreListedOnceWithSchemaAndArguments) {
  const Statement update = Parse(
      "UPDATE t SET a = f(1), b = f(2), c = f(1, 2), d = app.g() FROM series(1) s WHERE now() > e");
  const std::vector<FunctionCall> expected = {
      {"", "f", 1}, {"", "f", 2}, {"app", "g", 0}, {"", "series", 1}, {"", "now", 0}};
  EXPECT_EQ(update.functions, expected);
}

TEST(UpdateStatementTest, ClockIsSeenInEveryForm) {
  for (const char* value : {"CURRENT_TIMESTAMP", "CURRENT_DATE", "localtime(0)", "now()",
                            "'now'::timestamptz", "date 'today'"}) {
    EXPECT_TRUE(Parse(std::string("UPDATE t SET a = ") + value).reads_clock) << value;
  }
  EXPECT_FALSE(Parse("UPDATE t SET a = CURRENT_USER, b = 'now'").reads_clock);
}

TEST(UpdateStatementTest, OtherTablesLeaveOutWithQueriesInScopeOnly) {
  const Statement update = Parse(
      "UPDATE t SET a = (WITH w AS (SELECT 1 FROM s.x) SELECT 1 FROM w, s.w) WHERE EXISTS (SELECT "
      "FROM w)");
  EXPECT_EQ(update.other_tables, (std::vector<TableName>{{"s", "x"}, {"s", "w"}, {"", "w"}}));
}

TEST(ConjunctTest, OnlyTheOutermostAndsAreCut) {
  EXPECT_EQ(ConjunctTexts(Parse(
                "DELETE FROM t WHERE a AND (b OR c AND d) AND e BETWEEN 1 AND 2 AND f NOT BETWEEN "
                "SYMMETRIC 1 AND 2 AND CASE WHEN g AND h THEN i END AND NOT j AND k IN (1, 2)")),
            (Texts{"a", "(b OR c AND d)", "e BETWEEN 1 AND 2", "f NOT BETWEEN SYMMETRIC 1 AND 2",
                   "CASE WHEN g AND h THEN i END", "NOT j", "k IN (1, 2)"}));
}

TEST(ConjunctTest, ParenthesesAroundAndsAreOpened) {
  EXPECT_EQ(ConjunctTexts(Parse("DELETE FROM t WHERE ((a AND (b AND c)) AND (d))")),
            (Texts{"a", "b", "c", "(d)"}));
}

TEST(ConjunctTest, OrAtTheTopIsOneOperand) {
  EXPECT_EQ(ConjunctTexts(Parse("DELETE FROM t WHERE a AND b OR c")), (Texts{"a AND b OR c"}));
}

TEST(ConjunctTest, ColumnsReadReachIntoSubSelects) {
  const Statement statement =
      Parse("DELETE FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.x = t.y AND z)");
  EXPECT_EQ(statement.conjuncts.at(0).columns_read, (Names{"y", "z"}));
}

TEST(SelfExcludingTest, IsNullOfAnAssignedColumn) {
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = 1 WHERE c IS NULL"));
  EXPECT_TRUE(ExcludesItself("UPDATE t AS o SET c = c + f(d) WHERE o.c IS NULL"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET (b, c) = (1, 2) WHERE c IS NULL"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = 1 WHERE d IS NULL"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = 1 WHERE c IS NOT NULL"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = 1 FROM u WHERE u.c IS NULL"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = 1 WHERE c IS NULL OR d"));
  EXPECT_FALSE(ExcludesItself("DELETE FROM t WHERE c IS NULL"));
}

TEST(SelfExcludingTest, AssignedNullOrNothingExcludesNothing) {
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = NULL WHERE c IS NULL"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = NULL::int::text WHERE c IS NULL"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = DEFAULT WHERE c IS NULL"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c[1] = 1 WHERE c IS NULL"));
}

TEST(SelfExcludingTest, DifferenceFromTheAssignedExpression) {
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = a + b WHERE c IS DISTINCT FROM a+b"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = t.a WHERE a IS DISTINCT FROM t.c"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = lower(a) WHERE c <> lower( a )"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = -1 WHERE c != -1"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = a::text WHERE c <> a::text"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = a::text WHERE c <> a"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = a + b WHERE c IS DISTINCT FROM b + a"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = a WHERE c IS NOT DISTINCT FROM a"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = a WHERE c < a"));
}

TEST(SelfExcludingTest, NegativeNumbersAreToldApart) {
  // libpg_query 15 leaves them out of its JSON.
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = -1 WHERE c <> -2"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = 0 WHERE c <> - 2"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = -1 WHERE c = -2"));
}

TEST(SelfExcludingTest, ExpressionThatReadsAnAssignedColumnExcludesNothing) {
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = lower(c) WHERE c <> lower(c)"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = a, a = 1 WHERE c IS DISTINCT FROM a"));
}

TEST(SelfExcludingTest, ExpressionThatMayChangeMeanwhileExcludesNothing) {
  for (const char* value : {"now()", "CURRENT_DATE", "random()", "my_function(a)", "concat(a, 1)",
                            "(SELECT x FROM u)", "'now'", "'today'::date", "CURRENT_USER"}) {
    const std::string text(value);
    EXPECT_FALSE(ExcludesItself("UPDATE t SET c = " + text + " WHERE c <> " + text)) << text;
  }
}

TEST(SelfExcludingTest, WithAFromClauseColumnsMustBeTheTargetsForCertain) {
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = t.a FROM u WHERE c IS DISTINCT FROM t.a"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = a FROM u WHERE c IS DISTINCT FROM a"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = u.a FROM u WHERE c IS DISTINCT FROM u.a"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = 'x' FROM u WHERE c <> 'x'"));
}

TEST(SelfExcludingTest, AnotherLiteral) {
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = 'done' WHERE c = 'new'"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = 2 WHERE 1 = c"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = true WHERE c = false"));
  EXPECT_TRUE(ExcludesItself("UPDATE t SET c = 'b'::kind WHERE c = 'a'::kind"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = 'b'::kind WHERE c = 'a'"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = 1 WHERE c = 1"));
  EXPECT_FALSE(ExcludesItself("UPDATE t SET c = d WHERE c = 1"));
}

TEST(SelfExcludingTest, LiteralsThatMayBeTheSameValueExcludeNothing) {
  const std::vector<std::pair<std::string, std::string>> kPairs = {
      {"'A'", "'a'"},
      {"'1'", "'01'"},
      {"1", "1.0"},
      {"'t'", "'yes'"},
      {"'inf'", "'infinity'"},
      {"16777216", "16777217"},
      {"'a-b'", "'ab'"},
      {"'é'", "'e'"},
      {"'pa'::char(1)", "'pe'::char(1)"},
      {"1::bool", "2::bool"},
      {"'ab'::\"char\"", "'ac'::\"char\""}};
  for (const auto& [left, right] : kPairs) {
    EXPECT_FALSE(ExcludesItself("UPDATE t SET c = " + left + " WHERE c = " + right)) << left;
  }
}

TEST(SelfExcludingTest, EachOperandSpeaksForItself) {
  const Statement update = Parse("UPDATE t SET c = 1 WHERE d AND c IS NULL");
  EXPECT_FALSE(update.conjuncts.at(0).self_excluding);
  EXPECT_TRUE(update.conjuncts.at(1).self_excluding);
}

TEST(DeleteStatementTest, EveryClauseIsCutAsWritten) {
  const Statement statement = Parse(
      "DELETE FROM ONLY s.t AS o USING u, v JOIN w USING (id) "
      "WHERE o.using = 'USING' AND u.id = 1");
  EXPECT_EQ(statement.kind, StatementKind::kDelete);
  EXPECT_EQ(statement.target, (TableName{"s", "t"}));
  EXPECT_EQ(statement.alias, "o");
  EXPECT_TRUE(statement.only);
  EXPECT_EQ(statement.from_clause, "u, v JOIN w USING (id)");
  EXPECT_EQ(ConjunctTexts(statement), (Texts{"o.using = 'USING'", "u.id = 1"}));
  EXPECT_EQ(Parse("DELETE FROM t").where_clause, "");
}

TEST(InsertStatementTest, EveryPieceIsCutAsWritten) {
  const Statement insert = Parse(
      "INSERT INTO app.copy AS k (id, \"B\", c) OVERRIDING SYSTEM VALUE\n"
      "SELECT s.id, CASE WHEN b IS DISTINCT FROM c THEN 1 END AS from, f(x, y) z\n"
      "FROM ONLY app.orders s LEFT JOIN c USING (id), d WHERE s.id > 1 AND c.k IS NULL");
  EXPECT_EQ(insert.kind, StatementKind::kInsertSelect);
  EXPECT_EQ(insert.target, (TableName{"app", "copy"}));
  EXPECT_EQ(insert.alias, "k");
  EXPECT_EQ(insert.insert_columns, (Texts{"id", "B", "c"}));
  EXPECT_EQ(insert.overriding, "OVERRIDING SYSTEM VALUE");
  EXPECT_EQ(insert.select_items,
            (Texts{"s.id", "CASE WHEN b IS DISTINCT FROM c THEN 1 END", "f(x, y)"}));
  EXPECT_EQ(insert.source, (TableName{"app", "orders"}));
  EXPECT_EQ(insert.source_alias, "s");
  EXPECT_TRUE(insert.source_only);
  EXPECT_EQ(insert.source_joins, "LEFT JOIN c USING (id), d");
  EXPECT_EQ(insert.where_clause, "s.id > 1 AND c.k IS NULL");
  EXPECT_EQ(insert.conjuncts.at(0).columns_read, (Names{"id"}));
  EXPECT_EQ(insert.other_tables, (std::vector<TableName>{{"", "c"}, {"", "d"}}));
  EXPECT_TRUE(insert.refusals.empty());
}

TEST(InsertStatementTest, PlainFormLeavesTheRestEmpty) {
  const Statement insert = Parse("INSERT INTO t SELECT a FROM s");
  EXPECT_TRUE(insert.insert_columns.empty());
  EXPECT_EQ(insert.source_alias, "s");
  EXPECT_EQ(insert.source_joins, "");
  EXPECT_EQ(insert.where_clause, "");
  EXPECT_EQ(insert.overriding, "");
}

TEST(InsertStatementTest, ParenthesesAroundTheSelectAreOpened) {
  const Statement insert = Parse("INSERT INTO t (a) ((SELECT ALL a FROM ONLY (s) x, y WHERE a))");
  EXPECT_EQ(insert.select_items, (Texts{"a"}));
  EXPECT_EQ(insert.source_alias, "x");
  EXPECT_EQ(insert.source_joins, ", y");
  EXPECT_EQ(insert.where_clause, "a");
}

TEST(InsertStatementTest, SourceInsideParenthesesIsAnError) {
  EXPECT_THROW(Parse("INSERT INTO t SELECT a FROM (s JOIN c USING (id)) JOIN d USING (id)"),
               db::Error);
}

TEST(InsertStatementTest, PartOfAColumnIsAnError) {
  EXPECT_THROW(Parse("INSERT INTO t (a[1]) SELECT a FROM s"), db::Error);
}

TEST(DmlRefusalTest, EachIsNamed) {
  const std::vector<std::pair<std::string, Texts>> kCases = {
      {"UPDATE t SET a = 1 RETURNING a", {"returning"}},
      {"DELETE FROM t RETURNING *", {"returning"}},
      {"INSERT INTO t SELECT a FROM s RETURNING a", {"returning"}},
      {"WITH w AS (SELECT 1) UPDATE t SET a = 1", {"with"}},
      {"WITH w AS (SELECT 1) INSERT INTO t SELECT a FROM s", {"with"}},
      {"INSERT INTO t WITH w AS (SELECT 1) SELECT a FROM s", {"with"}},
      {"UPDATE t SET a = 1 WHERE CURRENT OF c", {"current_of"}},
      {"UPDATE t SET a = o.b FROM t o WHERE o.id = t.id", {"self_join+"}},
      {"DELETE FROM t USING public.t o WHERE o.id = t.id", {"self_join+"}},
      {"UPDATE t SET a = (SELECT max(b) FROM t x)", {"self_join+"}},
      {"INSERT INTO t SELECT a FROM s WHERE NOT EXISTS (SELECT 1 FROM t)", {"self_join+"}},
      {"UPDATE t SET a = rank() OVER (ORDER BY b)", {"window"}},
      {"UPDATE t SET a = x.r FROM (SELECT rank() OVER () r FROM t) x", {"self_join+", "window"}},
      {"UPDATE t SET a = public.t.b", {"qualified_column"}},
      {"UPDATE t SET a = f(t)", {"whole_row"}},
      {"UPDATE t SET a = f(t.*)", {"whole_row"}},
      {"DELETE FROM t o WHERE o IS NULL", {"whole_row"}},
      {"INSERT INTO t SELECT a FROM s WHERE s IS NULL", {"whole_row"}},
      {"INSERT INTO t SELECT * FROM s", {"star"}},
      {"INSERT INTO t SELECT s.* FROM s", {"star", "whole_row"}},
      {"INSERT INTO t SELECT (a).* FROM s", {"star"}},
      {"INSERT INTO t TABLE s", {"star"}},
      {"INSERT INTO t VALUES (1), (2)", {"no_source"}},
      {"INSERT INTO t DEFAULT VALUES", {"no_source"}},
      {"INSERT INTO t SELECT 1", {"no_source"}},
      {"INSERT INTO t SELECT a FROM f(1) a", {"no_source"}},
      {"INSERT INTO t SELECT a FROM (SELECT 1 AS a) s", {"no_source"}},
      {"INSERT INTO t SELECT a FROM (VALUES (1)) s(a)", {"no_source"}},
      {"INSERT INTO t SELECT a FROM s TABLESAMPLE system (1)", {"no_source"}},
      {"INSERT INTO t SELECT a FROM s AS x (a)", {"no_source"}},
      {"INSERT INTO t SELECT a FROM s ON CONFLICT DO NOTHING", {"on_conflict"}},
      {"INSERT INTO t SELECT a FROM s ORDER BY a", {"order_limit"}},
      {"INSERT INTO t SELECT a FROM s LIMIT 1", {"order_limit"}},
      {"INSERT INTO t SELECT a FROM s OFFSET 1", {"order_limit"}},
      {"INSERT INTO t SELECT a FROM s FETCH FIRST ROW ONLY", {"order_limit"}},
      {"INSERT INTO t SELECT DISTINCT a FROM s", {"order_limit"}},
      {"INSERT INTO t SELECT a FROM s GROUP BY a", {"aggregate"}},
      {"INSERT INTO t SELECT 1 FROM s HAVING true", {"aggregate"}},
      {"INSERT INTO t SELECT 1 + max(a) FROM s", {"aggregate"}},
      {"INSERT INTO t SELECT count(*) FROM s", {"aggregate"}},
      {"INSERT INTO t SELECT mine(DISTINCT a) FROM s", {"aggregate"}},
      {"INSERT INTO t SELECT sum(a) OVER () FROM s", {"window"}},
      {"INSERT INTO t SELECT a FROM s WINDOW w AS ()", {"window"}},
      {"INSERT INTO t SELECT a FROM s UNION ALL SELECT b FROM r", {"set_operation"}},
      {"INSERT INTO t SELECT a FROM t", {"self_insert"}},
      {"INSERT INTO public.t SELECT a FROM t x", {"self_insert"}},
      {"INSERT INTO t SELECT a FROM s FOR UPDATE", {"locking"}},
      {"INSERT INTO t SELECT a FROM s RIGHT JOIN c USING (id)", {"outer_join"}},
      {"INSERT INTO t SELECT a FROM s JOIN b USING (id) FULL JOIN c USING (id)", {"outer_join"}},
  };
  for (const auto& [text, names] : kCases) EXPECT_EQ(RefusalNames(text), names) << text;
}

TEST(DmlRefusalTest, NeighboursOfTheRefusedAreFine) {
  for (const char* text : {
           "UPDATE t SET a = (SELECT max(b) FROM u ORDER BY 1 LIMIT 1)",
           "UPDATE t SET a = (SELECT rank() OVER () FROM u)",
           "UPDATE t SET t = t || 'x'",
           "UPDATE t SET a = (SELECT count(*) FROM u WHERE EXISTS (SELECT * FROM v))",
           "UPDATE a.t SET a = 1 FROM b.t x",
           "UPDATE t SET a = other.u.b FROM other.u",
           "DELETE FROM t USING (WITH w AS (SELECT 1 AS id) SELECT * FROM w) x WHERE x.id = t.id",
           "INSERT INTO t SELECT (SELECT max(a) FROM u) FROM s CROSS JOIN c",
           "INSERT INTO t SELECT a FROM s LEFT JOIN (b FULL JOIN c USING (id)) USING (id)",
           "INSERT INTO t SELECT a FROM s, b RIGHT JOIN c USING (id)",
           "INSERT INTO archive.t SELECT a FROM public.t",
       }) {
    EXPECT_EQ(RefusalNames(text), Texts{}) << text;
  }
}

TEST(DmlRefusalTest, RefusedForGoodHasNoPiecesToRender) {
  const Statement update = Parse("UPDATE t SET a = 1 FROM u WHERE b RETURNING a");
  EXPECT_EQ(update.target.name, "t");
  EXPECT_EQ(update.other_tables, (std::vector<TableName>{{"", "u"}}));
  EXPECT_EQ(update.set_clause, "");
  EXPECT_TRUE(update.assignments.empty());
}

TEST(DmlRefusalTest, AllowableLeavesThePiecesThere) {
  EXPECT_EQ(Parse("UPDATE t SET a = 1 FROM t o WHERE o.id = t.id").from_clause, "t o");
}

}  // namespace
}  // namespace pawl::schema
