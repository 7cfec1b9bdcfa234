#include "verify/backfill_check.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <fstream>
#include <iterator>
#include <ostream>

#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::verify {

void PrintTo(const Finding& finding, std::ostream* out) {
  *out << finding.key << ": " << finding.what;
}

namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Tests of this floor do not link the owner of the control schema.
std::string ControlSchema() {
  std::ifstream file(PAWL_SOURCE_DIR "/checkpoints/control_schema.cc");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t begin = text.find("R\"sql(") + 6;
  return text.substr(begin, text.find(")sql\"", begin) - begin);
}

schema::Column Typed(const std::string& name, const std::string& type) {
  schema::Column column;
  column.name = name;
  column.type = type;
  return column;
}

constexpr std::int64_t kRows = 1'000;

// A run of one step, its batches written by hand: 10 of 100 rows in 2 spans.
class BackfillCheckPgTest : public ::testing::Test {
 protected:
  BackfillCheckPgTest() {
    database_.Exec(ControlSchema());
    database_.Exec(R"sql(
CREATE TABLE orders (id bigint PRIMARY KEY, total numeric(10,2), cents bigint, note text);
INSERT INTO orders SELECT i, i * 1.5, NULL, 'n' || i FROM generate_series(1, 1000) AS i;
INSERT INTO pawl.migration VALUES ('m', 'm', 'm');
INSERT INTO pawl.plan (plan_hash, migration_hash, version, content) VALUES ('p', 'm', 1, '');
INSERT INTO pawl.run (run_id, migration, migration_hash, plan_hash, state)
VALUES (1, 'm', 'm', 'p', 'verifying');
INSERT INTO pawl.step (run_id, step, kind, title, round) VALUES (1, 1, 'backfill', 't', 1);
INSERT INTO pawl.span (span_id, run_id, step, begin_key, end_key, cursor)
VALUES (1, 1, 1, NULL, '["500"]', '["500"]'), (2, 1, 1, '["500"]', '["1000"]', '["1000"]');
)sql");
    plan_.target = plan_.walked = {"public", "orders"};
    plan_.alias = "orders";
    plan_.key = plan_.target_key = {Typed("id", "bigint")};
    plan_.target_columns = {Typed("id", "bigint"), Typed("total", "numeric(10,2)"),
                            Typed("cents", "bigint"), Typed("note", "text")};
    plan_.rows_in_table = kRows;
    plan_.pages_in_table = 8;
  }

  // UPDATE orders SET cents = round(total * 100) WHERE cents IS NULL
  void PlanReEvaluable() {
    plan_.undo = schema::UndoKind::kImplicit;
    plan_.changed = {{Typed("cents", "bigint"), "round(total * 100) -- exact"}};
    plan_.set_clause = "cents = round(total * 100)";
    plan_.where_clause = "cents IS NULL";
    plan_.self_excluding = plan_.re_evaluable = true;
  }

  // The same value, from the digits of the note as well.
  void PlanReadingNotes() {
    plan_.changed[0].expression = "round(total * 100) + 0 * substr(note, 2)::bigint";
  }

  // UPDATE orders SET total = total + 1 WHERE id % 2 = 0
  void PlanImage() {
    plan_.undo = schema::UndoKind::kImage;
    plan_.changed = {{Typed("total", "numeric(10,2)"), "total + 1"}};
    plan_.set_clause = "total = total + 1";
    plan_.where_clause = plan_.base_where = "id % 2 = 0";
    database_.Exec(R"sql(CREATE TABLE pawl.undo_1_1 (batch_id bigint PRIMARY KEY, k1 bigint[],
      o1 numeric(10,2)[], w1 numeric(10,2)[]))sql");
  }

  // DELETE FROM orders WHERE id % 2 = 0
  void PlanDelete() {
    plan_.kind = schema::StatementKind::kDelete;
    plan_.undo = schema::UndoKind::kImage;
    plan_.where_clause = plan_.base_where = "id % 2 = 0";
    plan_.self_excluding = true;
    database_.Exec(R"sql(CREATE TABLE pawl.undo_1_1 (batch_id bigint, c1 bigint, c2 numeric(10,2),
      c3 bigint, c4 text))sql");
  }

  // INSERT INTO copies (total, note) SELECT total * 2, note FROM orders WHERE id % 2 = 0
  void PlanInsert() {
    plan_.kind = schema::StatementKind::kInsertSelect;
    plan_.undo = schema::UndoKind::kImage;
    plan_.target = {"public", "copies"};
    plan_.where_clause = "id % 2 = 0";
    plan_.insert_columns = {"total", "note"};
    plan_.select_items = {"total * 2", "orders.note"};
    plan_.target_key = {Typed("id", "bigint")};
    plan_.target_columns = {Typed("id", "bigint"), Typed("total", "numeric(12,2)"),
                            Typed("note", "text")};
    database_.Exec(R"sql(
CREATE TABLE copies (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, total numeric(12,2), note text);
CREATE TABLE pawl.undo_1_1 (batch_id bigint PRIMARY KEY, k1 bigint[], h bigint[]);)sql");
  }

  // The change of the rows > $lo and <= $hi except `skip`, undo record included; `rows` its count.
  std::string Change(std::int64_t skip) const {
    const std::string in = fmt::format("id > $lo AND id <= $hi AND id <> {}", skip);
    if (plan_.kind == schema::StatementKind::kDelete) {
      return "WITH gone AS (DELETE FROM orders WHERE id % 2 = 0 AND " + in +
             " RETURNING *), rows AS (INSERT INTO pawl.undo_1_1 SELECT $batch, * FROM gone "
             "RETURNING 1)";
    }
    if (plan_.kind == schema::StatementKind::kInsertSelect) {
      return "WITH made AS (INSERT INTO copies (total, note) SELECT total * 2, note FROM orders "
             "WHERE id % 2 = 0 AND " +
             in +
             " RETURNING *), kept AS (INSERT INTO pawl.undo_1_1 SELECT $batch, array_agg(id), "
             "array_agg(0) FROM made), rows AS (SELECT FROM made)";
    }
    if (plan_.undo == schema::UndoKind::kImage) {
      return "WITH old AS (SELECT id, total FROM orders WHERE id % 2 = 0 AND " + in +
             "), new AS (UPDATE orders AS t SET total = old.total + 1 FROM old WHERE t.id = old.id "
             "RETURNING t.id, old.total AS o, t.total AS w), kept AS (INSERT INTO pawl.undo_1_1 "
             "SELECT $batch, array_agg(id), array_agg(o), array_agg(w) FROM new), rows AS (SELECT "
             "FROM new)";
    }
    return "WITH rows AS (UPDATE orders SET cents = round(total * 100) WHERE cents IS NULL AND " +
           in + " RETURNING 1)";
  }

  void Run(std::int64_t skip = 0) {
    for (int batch = 1; batch <= 10; ++batch) {
      std::string sql = Change(skip) + R"sql(
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, duration_us)
SELECT $batch, 1, 1, 1, $span, $seq, 'change', $json, '["$hi"]', 0, 1, count(*), 1 FROM rows)sql";
      Fill(sql, "$batch", std::to_string(batch));
      Fill(sql, "$span", batch <= 5 ? "1" : "2");
      Fill(sql, "$seq", std::to_string((batch - 1) % 5 + 1));
      Fill(sql, "$json", batch == 1 ? "NULL" : fmt::format(R"('["{}"]')", 100 * (batch - 1)));
      Fill(sql, "$lo", std::to_string(100 * (batch - 1)));
      Fill(sql, "$hi", std::to_string(100 * batch));
      database_.Exec(sql);
    }
  }

  static void Fill(std::string& sql, const std::string& mark, const std::string& value) {
    for (std::size_t at; (at = sql.find(mark)) != std::string::npos;) {
      sql.replace(at, mark.size(), value);
    }
  }

  StepCheck Check(bool accept_changed = false, int threads = 2) {
    return CheckBackfill(db::ConnectionString(database_.url()), {}, plan_, 1, 1,
                         {.accept_changed = accept_changed, .threads = threads});
  }

  void ExpectPassed(const StepCheck& check, std::int64_t verified, std::int64_t changed_since = 0) {
    EXPECT_THAT(check.differences, IsEmpty());
    EXPECT_TRUE(check.passed());
    EXPECT_EQ(check.rows_verified, verified);
    EXPECT_EQ(check.rows_changed_since, changed_since);
  }

  void ExpectOne(const StepCheck& check, const std::string& key, const std::string& what) {
    EXPECT_EQ(check.differences_count, 1);
    EXPECT_THAT(check.differences, ElementsAre(Finding{key, what}));
  }

  static constexpr const char* kMissed =
      "The row matches the WHERE clause and was there when its batch ran, but was not changed.";
  static constexpr const char* kWrong = "The row does not hold what its batch should have left.";
  static constexpr const char* kChanged = "The row was changed after its batch.";
  static constexpr const char* kFailing =
      "The row was written after its batch, and what it should hold cannot be computed over it any "
      "more.";

  test::TestDatabase database_;
  schema::Backfill plan_;
};

// Rewrites rows as if the batch that covers them had written `set`.
constexpr const char* kForge = R"sql(
DO $$ BEGIN
  UPDATE orders SET {} WHERE {};
  UPDATE pawl.ledger SET xid = pg_current_xact_id() WHERE batch_id = {};
END $$)sql";

// ---- Expressions that give the same again ----

TEST_F(BackfillCheckPgTest, AReEvaluableStepPasses) {
  PlanReEvaluable();
  Run();
  const StepCheck check = Check();
  ExpectPassed(check, kRows);
  EXPECT_EQ(check.rows_counted, kRows);
  EXPECT_THAT(check.notes, IsEmpty());
  ExpectPassed(Check(false, 1), kRows);
}

TEST_F(BackfillCheckPgTest, ARowThatWasSkippedIsFound) {
  PlanReEvaluable();
  Run(777);
  ExpectOne(Check(), "777", kMissed);
  EXPECT_FALSE(Check(true).passed());
}

TEST_F(BackfillCheckPgTest, ARowThatTheApplicationChangedIsFoundUnlessAccepted) {
  PlanReEvaluable();
  Run();
  database_.Exec("UPDATE orders SET cents = 1 WHERE id IN (17, 900)");
  EXPECT_THAT(Check().differences, ElementsAre(Finding{"17", kChanged}, Finding{"900", kChanged}));
  ExpectPassed(Check(true), kRows - 2, 2);
}

TEST_F(BackfillCheckPgTest, AWrongValueOfABatchIsFoundAlways) {
  PlanReEvaluable();
  Run();
  database_.Exec(fmt::format(kForge, "cents = cents + 1", "id = 42", 1));
  ExpectOne(Check(true), "42", kWrong);
}

TEST_F(BackfillCheckPgTest, RowsWrittenAfterTheirBatchCountAsChangedSince) {
  PlanReEvaluable();
  Run();
  database_.Exec("UPDATE orders SET cents = NULL WHERE id = 5");
  database_.Exec("INSERT INTO orders VALUES (-1, 1, NULL, ''), (1001, 1, NULL, '')");
  ExpectPassed(Check(true), kRows - 1, 2);
}

TEST_F(BackfillCheckPgTest, RowsInsertedAfterTheirBatchAreNoDifferences) {
  PlanReEvaluable();
  Run();
  database_.Exec("INSERT INTO orders VALUES (-1, 1, NULL, ''), (1001, 1, NULL, '')");
  ExpectPassed(Check(), kRows, 1);
}

TEST_F(BackfillCheckPgTest, ARowThatWasEmptiedAfterItsBatchIsNamedUnlessAccepted) {
  PlanReEvaluable();
  Run();
  database_.Exec("UPDATE orders SET cents = NULL WHERE id = 5");
  database_.Exec("INSERT INTO orders VALUES (1001, 1, NULL, '')");
  ExpectOne(Check(), "5",
            "The row was written after its batch: it is one that the batch had changed, or a new "
            "one beside such a one. The step keeps no record of their keys.");
}

TEST_F(BackfillCheckPgTest, ARowThatWasDeletedAfterItsBatchIsMissedInItsRange) {
  PlanReEvaluable();
  Run();
  database_.Exec("DELETE FROM orders WHERE id = 205");
  database_.Exec("INSERT INTO orders VALUES (1001, 1, 100, '')");
  ExpectOne(Check(), "after 200 up to 300",
            "1 of the 100 rows that were changed here is no longer there. The step keeps no record "
            "of their keys.");
  EXPECT_TRUE(Check(true).passed());
}

// ---- Rows that the expressions do not suit any more ----

TEST_F(BackfillCheckPgTest, ARowThatNoLongerSuitsTheExpressionIsFoundUnlessAccepted) {
  PlanReEvaluable();
  PlanReadingNotes();
  Run();
  database_.Exec("UPDATE orders SET note = 'abc' WHERE id IN (17, 900)");
  database_.Exec("UPDATE orders SET cents = 1 WHERE id = 18");
  database_.Exec("UPDATE orders SET total = total WHERE id = 19");  // As the batch left it.
  EXPECT_THAT(Check().differences, ElementsAre(Finding{"17", kFailing}, Finding{"18", kChanged},
                                               Finding{"900", kFailing}));
  const StepCheck check = Check(true);
  ExpectPassed(check, kRows - 3, 3);
  EXPECT_THAT(check.notes, ElementsAre("2 rows written after the batch, over which what it should "
                                       "hold cannot be computed any more."));
}

TEST_F(BackfillCheckPgTest, ANewRowThatDoesNotSuitTheExpressionCountsAsNewer) {
  PlanReEvaluable();
  PlanReadingNotes();
  Run();
  database_.Exec("INSERT INTO orders VALUES (-1, 1, NULL, 'abc')");
  ExpectPassed(Check(), kRows, 1);
}

TEST_F(BackfillCheckPgTest, BesideARowThatNoLongerSuitsAWrongOneIsFoundAlways) {
  PlanReEvaluable();
  PlanReadingNotes();
  Run(777);
  database_.Exec(fmt::format(kForge, "cents = cents + 1", "id = 42", 1));
  database_.Exec("UPDATE orders SET note = 'abc' WHERE id IN (17, 750)");
  EXPECT_THAT(Check(true).differences, ElementsAre(Finding{"42", kWrong}, Finding{"777", kMissed}));
}

TEST_F(BackfillCheckPgTest, ARowOfTheRunThatDoesNotSuitTheExpressionIsNeverExcused) {
  PlanReEvaluable();
  PlanReadingNotes();
  Run();
  database_.Exec(fmt::format(kForge, "note = 'abc'", "id = 42", 1));
  EXPECT_THROW(Check(true), db::Error);
}

TEST_F(BackfillCheckPgTest, AlteredRowsAreNotPassedOverBesideOneThatNoLongerSuits) {
  PlanReEvaluable();
  PlanReadingNotes();
  Run();
  database_.Exec("UPDATE orders SET cents = NULL, note = 'abc' WHERE id = 5");
  EXPECT_TRUE(Check(true).passed());
  ExpectOne(Check(), "step 1",
            "Of some rows that match the WHERE clause and were written after their batch it cannot "
            "be told whether the batch had changed them: what they should hold cannot be computed "
            "over one of them any more.");
}

TEST_F(BackfillCheckPgTest, ARowThatNoLongerSuitsTheWhereClauseIsLeftOut) {
  PlanImage();
  plan_.where_clause = plan_.base_where = "substr(note, 2)::bigint % 2 = 0";
  Run(778);
  database_.Exec("UPDATE orders SET note = 'abc' WHERE id IN (17, 900)");
  ExpectOne(Check(true), "778", kMissed);
}

TEST_F(BackfillCheckPgTest, RowsThatNeverWereInScopeAreIgnored) {
  PlanReEvaluable();
  database_.Exec("UPDATE orders SET cents = 7 WHERE id <= 300");
  Run();
  ExpectPassed(Check(), kRows - 300);
}

TEST_F(BackfillCheckPgTest, QuarantinedRowsAreNoted) {
  PlanReEvaluable();
  Run(777);
  database_.Exec("INSERT INTO pawl.quarantine VALUES (1, 1, 2, '[ \"777\" ]', '22003', 'e')");
  const StepCheck check = Check();
  ExpectPassed(check, kRows - 1);
  EXPECT_THAT(check.notes, ElementsAre("1 row in quarantine, set aside by the step."));
}

TEST_F(BackfillCheckPgTest, ARowBehindTheLastSpanThatTheRunSawIsFound) {
  database_.Exec("INSERT INTO orders VALUES (2000, 1, NULL, '')");
  database_.Exec("UPDATE pawl.run SET start_snapshot = pg_current_snapshot()");
  PlanReEvaluable();
  Run();
  ExpectOne(Check(), "2000", kMissed);
}

TEST_F(BackfillCheckPgTest, NoRowVerifiedIsADifference) {
  PlanReEvaluable();
  Run();
  database_.Exec("TRUNCATE orders");
  EXPECT_EQ(Check().differences_count, kRows);
  ExpectOne(Check(true), "step 1", "Verified no row though the ledger counts 1000.");
}

TEST_F(BackfillCheckPgTest, AStepThatHadNothingToDoPasses) {
  PlanReEvaluable();
  database_.Exec("TRUNCATE orders");
  Run();
  ExpectPassed(Check(), 0);
}

TEST_F(BackfillCheckPgTest, NullValuesOfTheExpressionAreVerified) {
  database_.Exec("UPDATE orders SET total = NULL WHERE id > 990");
  PlanReEvaluable();
  Run();
  ExpectPassed(Check(), kRows);
}

TEST_F(BackfillCheckPgTest, ManyDifferencesAreCountedAndSomeNamed) {
  PlanReEvaluable();
  Run();
  database_.Exec("UPDATE orders SET cents = 1");
  const StepCheck check = Check();
  EXPECT_EQ(check.differences_count, kRows);
  EXPECT_THAT(check.differences, SizeIs(100));
}

TEST_F(BackfillCheckPgTest, BytesCountNotEquality) {
  PlanReEvaluable();
  database_.Exec("ALTER TABLE orders ADD rate numeric");
  plan_.changed = {{Typed("rate", "numeric"), "1.50"}};
  plan_.where_clause = "rate IS NULL";
  Run();
  database_.Exec(fmt::format(kForge, "rate = 1.50", "id <> 3", 1));
  database_.Exec(fmt::format(kForge, "rate = 1.5", "id = 3", 2));
  ExpectOne(Check(true), "3", kWrong);
}

TEST_F(BackfillCheckPgTest, StopsWhenAsked) {
  PlanReEvaluable();
  Run();
  EXPECT_THROW(CheckBackfill(db::ConnectionString(database_.url()), {}, plan_, 1, 1,
                             {.stopped = [] { return true; }}),
               db::Error);
}

TEST_F(BackfillCheckPgTest, BlockOrderLooksAtTheWholeTable) {
  PlanReEvaluable();
  plan_.order = schema::Order::kBlock;
  Run(777);
  database_.Exec(R"sql(
UPDATE pawl.span SET begin_key = CASE WHEN span_id = 2 THEN '["(5,65535)"]' END,
  end_key = CASE span_id WHEN 1 THEN '["(5,65535)"]' ELSE '["(99,65535)"]' END;
UPDATE pawl.ledger SET
  range_lo = CASE WHEN batch_id > 1 THEN '["(' || batch_id - 1 || ',65535)"]' END,
  range_hi = CASE batch_id WHEN 10 THEN '["(99,65535)"]' ELSE '["(' || batch_id || ',65535)"]' END;
)sql");
  ExpectOne(Check(), "777", kMissed);
  database_.Exec(fmt::format(kForge, "cents = round(total * 100)", "id = 777", 10));
  ExpectPassed(Check(), kRows);
}

TEST_F(BackfillCheckPgTest, CompositeKeysCompareInTheirOwnOrderAndAreNamedWhole) {
  PlanReEvaluable();
  database_.Exec(R"sql(
ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD code text COLLATE "C" NOT NULL DEFAULT 'a';
ALTER TABLE orders ADD PRIMARY KEY (code, id);
INSERT INTO orders SELECT i, 1, NULL, '', 'B' FROM generate_series(1, 10) AS i;
UPDATE pawl.span SET begin_key = NULL, end_key = '["a","1000"]' WHERE span_id = 1;
DELETE FROM pawl.span WHERE span_id = 2;)sql");
  database_.Exec(R"sql(
WITH rows AS (UPDATE orders SET cents = round(total * 100) WHERE id <> 7 OR code = 'a' RETURNING 1)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, duration_us)
SELECT 1, 1, 1, 1, 1, 1, 'change', NULL, '["a","1000"]', 0, 1, count(*), 1 FROM rows)sql");
  plan_.key = {Typed("code", "text"), Typed("id", "bigint")};
  ExpectOne(Check(), "(B, 7)", kMissed);
}

TEST_F(BackfillCheckPgTest, StridesAreChecked) {
  PlanReEvaluable();
  plan_.order = schema::Order::kKeyStrides;
  plan_.stride = 2;
  database_.Exec("UPDATE pawl.span SET end_key = '[\"1000\"]' WHERE span_id = 1");
  database_.Exec("DELETE FROM pawl.span WHERE span_id = 2");
  for (const std::string residue : {"0", "1"}) {
    std::string sql = R"sql(
WITH rows AS (
  UPDATE orders SET cents = round(total * 100) WHERE id & 1 = $r AND id <> 4 RETURNING 1)
INSERT INTO pawl.ledger (batch_id, run_id, step, round, span_id, seq, kind, range_lo, range_hi,
                         residue_lo, residue_hi, rows, duration_us)
SELECT $r, 1, 1, 1, 1, $r + 1, 'change', NULL, '["1000"]', $r, $r + 1, count(*), 1 FROM rows)sql";
    Fill(sql, "$r", residue);
    database_.Exec(sql);
  }
  ExpectOne(Check(), "4", kMissed);
  database_.Exec("DELETE FROM pawl.ledger WHERE batch_id = 1");
  EXPECT_THAT(Check().differences, Contains(Field(&Finding::key, "span 1")));
}

// ---- The ledger ----

TEST_F(BackfillCheckPgTest, AMissingBatchIsFound) {
  PlanReEvaluable();
  Run();
  database_.Exec("DELETE FROM pawl.ledger WHERE batch_id = 3");
  EXPECT_THAT(Check().differences,
              Contains(Field(&Finding::what, HasSubstr("number 4 of span 1, where number 3"))));
}

TEST_F(BackfillCheckPgTest, AGapIsFound) {
  PlanReEvaluable();
  Run();
  database_.Exec(R"(UPDATE pawl.ledger SET range_lo = '["210"]' WHERE batch_id = 3)");
  EXPECT_THAT(Check().differences, ElementsAre(Field(&Finding::key, "batch 3")));
}

TEST_F(BackfillCheckPgTest, AnOverlapIsFound) {
  PlanReEvaluable();
  Run();
  database_.Exec(R"(UPDATE pawl.ledger SET range_hi = '["310"]' WHERE batch_id = 3)");
  EXPECT_THAT(Check().differences, ElementsAre(Field(&Finding::key, "batch 4")));
}

TEST_F(BackfillCheckPgTest, AMissingSpanIsFound) {
  PlanReEvaluable();
  Run();
  database_.Exec("DELETE FROM pawl.span WHERE span_id = 1");
  const StepCheck check = Check();
  EXPECT_THAT(check.differences, Contains(Field(&Finding::key, "round 1")));
  EXPECT_THAT(check.differences, Contains(Field(&Finding::key, "batch 1")));
}

TEST_F(BackfillCheckPgTest, ALaterRoundMustPartitionToo) {
  PlanReEvaluable();
  Run();
  database_.Exec("UPDATE pawl.step SET round = 2");
  database_.Exec(R"(INSERT INTO pawl.span (span_id, run_id, step, round, begin_key, end_key, cursor)
                    VALUES (3, 1, 1, 2, NULL, '["1000"]', ''))");
  ExpectOne(Check(), "span 3", "Span 3 has no batch.");
}

// ---- UPDATE with images ----

TEST_F(BackfillCheckPgTest, AStepWithImagesPasses) {
  PlanImage();
  Run();
  const StepCheck check = Check();
  ExpectPassed(check, kRows / 2);
  EXPECT_EQ(check.rows_counted, kRows / 2);
  EXPECT_THAT(check.notes, IsEmpty());
}

TEST_F(BackfillCheckPgTest, ARowWithoutImageThatWasSkippedIsFound) {
  PlanImage();
  Run(778);
  ExpectOne(Check(true), "778", kMissed);
}

TEST_F(BackfillCheckPgTest, AMissingUndoRecordIsFound) {
  PlanImage();
  Run();
  database_.Exec("DELETE FROM pawl.undo_1_1 WHERE batch_id = 4");
  ExpectOne(Check(true), "batch 4",
            "The batch changed 50 rows by the ledger, but has undo records of 0.");
}

TEST_F(BackfillCheckPgTest, AShortArrayIsFound) {
  PlanImage();
  Run();
  database_.Exec("UPDATE pawl.undo_1_1 SET o1 = o1[1:49] WHERE batch_id = 4");
  EXPECT_THAT(Check(true).differences, Contains(Field(&Finding::key, "batch 4")));
}

TEST_F(BackfillCheckPgTest, AWrittenValueThatIsNotTheExpressionsIsFound) {
  PlanImage();
  Run();
  database_.Exec("UPDATE pawl.undo_1_1 SET o1[1] = o1[1] - 1 WHERE batch_id = 1");
  ExpectOne(Check(true), "2",
            "What its batch wrote is not what the statement gives for the row as it was.");
}

TEST_F(BackfillCheckPgTest, AWrongValueUnderAnImageIsFound) {
  PlanImage();
  Run();
  database_.Exec("UPDATE pawl.undo_1_1 SET w1[1] = w1[1] + 5 WHERE batch_id = 10");
  ExpectOne(Check(true), "902", kWrong);
}

TEST_F(BackfillCheckPgTest, RowsChangedOrDeletedAfterTheirImageAreFoundUnlessAccepted) {
  PlanImage();
  Run();
  database_.Exec("UPDATE orders SET total = 0 WHERE id = 10");
  database_.Exec("UPDATE orders SET note = 'other' WHERE id = 12");  // Not a changed column.
  database_.Exec("DELETE FROM orders WHERE id = 20");
  database_.Exec("INSERT INTO orders VALUES (-2, 1, NULL, '')");  // New; never in scope.
  EXPECT_THAT(
      Check().differences,
      ElementsAre(Finding{"10", kChanged}, Finding{"20", "The row was deleted after its batch."}));
  ExpectPassed(Check(true), kRows / 2 - 2, 2);
}

TEST_F(BackfillCheckPgTest, WhatCannotBeComputedAgainIsNoted) {
  PlanImage();
  Run();
  plan_.changed[0].expression = "total + 1 + random() * 0";
  plan_.set_clause = "total = total + 1 + random() * 0";
  const StepCheck check = Check();
  ExpectPassed(check, kRows / 2);
  EXPECT_THAT(check.notes, ElementsAre(HasSubstr("random() may give something else")));
}

// ---- DELETE ----

TEST_F(BackfillCheckPgTest, ADeletePasses) {
  PlanDelete();
  Run();
  const StepCheck check = Check();
  ExpectPassed(check, kRows / 2);
  EXPECT_EQ(check.rows_counted, kRows / 2);
}

TEST_F(BackfillCheckPgTest, ARowThatShouldBeDeletedIsFound) {
  PlanDelete();
  Run(500);
  ExpectOne(Check(true), "500", kMissed);
}

TEST_F(BackfillCheckPgTest, ADeletedRowThatIsBackIsFoundUnlessAccepted) {
  PlanDelete();
  Run();
  database_.Exec("INSERT INTO orders VALUES (10, 1, NULL, '')");
  ExpectOne(Check(), "10", "The row was deleted, but one with its key is there again.");
  EXPECT_TRUE(Check(true).passed());
}

TEST_F(BackfillCheckPgTest, ADeleteWithoutImagesNotesWhatItCannotSee) {
  PlanDelete();
  Run();
  plan_.undo = schema::UndoKind::kNone;
  const StepCheck check = Check();
  ExpectPassed(check, 0);
  EXPECT_THAT(check.notes, SizeIs(1));
}

// ---- INSERT … SELECT ----

TEST_F(BackfillCheckPgTest, AnInsertPasses) {
  PlanInsert();
  Run();
  const StepCheck check = Check();
  ExpectPassed(check, kRows / 2);
  EXPECT_EQ(check.rows_counted, kRows / 2);
}

TEST_F(BackfillCheckPgTest, ARowThatWasNotInsertedIsFound) {
  PlanInsert();
  Run(500);
  EXPECT_THAT(Check(true).differences, ElementsAre(Field(&Finding::key, "500")));
}

TEST_F(BackfillCheckPgTest, AWrongInsertedRowIsFound) {
  PlanInsert();
  Run();
  // All rows of the batch, so that all still belong to its transaction.
  database_.Exec(R"sql(DO $$ BEGIN
    UPDATE copies SET total = total + (note = 'n500')::int
    WHERE id IN (SELECT unnest(k1) FROM pawl.undo_1_1 WHERE batch_id = 5);
    UPDATE pawl.ledger SET xid = pg_current_xact_id() WHERE batch_id = 5;
    END $$)sql");
  // By the source's key; and by its own.
  EXPECT_THAT(Check(true).differences, ElementsAre(Field(&Finding::key, "500")));
  EXPECT_THAT(Check().differences,
              ElementsAre(Field(&Finding::key, "250"), Field(&Finding::key, "500")));
}

TEST_F(BackfillCheckPgTest, RowsOfEitherSideChangedSinceAreFoundUnlessAccepted) {
  PlanInsert();
  Run();
  database_.Exec("UPDATE copies SET note = 'other' WHERE note = 'n10'");
  database_.Exec("DELETE FROM copies WHERE note = 'n12'");
  database_.Exec("UPDATE orders SET note = 'other' WHERE id = 14");
  database_.Exec("INSERT INTO orders VALUES (0, 1, NULL, 'new')");
  EXPECT_THAT(
      Check().differences,
      ElementsAre(Finding{"5", kChanged}, Finding{"6", "The row was deleted after its batch."},
                  Field(&Finding::key, "7")));  // Its source was changed.
  ExpectPassed(Check(true), kRows / 2 - 3, 4);
}

TEST_F(BackfillCheckPgTest, ASourceRowThatIsGoneIsFoundUnlessAccepted) {
  PlanInsert();
  Run();
  database_.Exec("DELETE FROM orders WHERE id = 14");
  EXPECT_THAT(Check().differences, ElementsAre(Field(&Finding::key, "7")));
  EXPECT_TRUE(Check(true).passed());
}

TEST_F(BackfillCheckPgTest, InsertedRowsAndRecordsMustAgreeInNumber) {
  PlanInsert();
  Run();
  database_.Exec("UPDATE pawl.undo_1_1 SET h = h[2:] WHERE batch_id = 2");
  EXPECT_THAT(Check(true).differences, Contains(Field(&Finding::key, "batch 2")));
}

}  // namespace
}  // namespace pawl::verify
