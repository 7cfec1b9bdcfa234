// Every statement of a backfill, to the letter: the texts are the files of tests/schema/golden.
// After a change that is meant, write them anew and read the difference:
//
//     PAWL_WRITE_GOLDEN=1 build/dev/tests/schema_render_test && git diff tests/schema/golden
#include "schema/render.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace pawl::schema {
namespace {

constexpr int kOld = 150000;        // Before RETURNING OLD.
constexpr int kReturning = 180000;  // With it.

Column IntegerColumn(const std::string& name, const std::string& type = "bigint") {
  Column column;
  column.name = name;
  column.type = type;
  column.not_null = true;
  column.has_hash = true;
  column.hash_function = "pg_catalog.hashint8";
  column.is_integer = true;
  return column;
}

Column ColumnOf(const std::string& name, const std::string& type) {
  Column column;
  column.name = name;
  column.type = type;
  column.has_hash = true;
  column.is_array = type.ends_with("[]");
  return column;
}

Column UuidColumn(const std::string& name) {
  Column column = ColumnOf(name, "uuid");
  column.hash_function = "pg_catalog.uuid_hash";
  return column;
}

// UPDATE orders AS o SET cents = round(o.total * 100), tags = '{}' WHERE o.cents IS NULL
Backfill Update() {
  Backfill backfill;
  backfill.target = backfill.walked = {"public", "orders"};
  backfill.alias = "o";
  backfill.key = backfill.target_key = {IntegerColumn("id")};
  backfill.key_index = "orders_pkey";
  backfill.changed = {{ColumnOf("cents", "numeric(12,0)"), "round(o.total * 100)"},
                      {ColumnOf("tags", "text[]"), "'{}'"}};
  backfill.set_clause = "cents = round(o.total * 100), tags = '{}'";
  backfill.where_clause = "o.cents IS NULL -- not yet";
  backfill.undo = UndoKind::kNone;
  return backfill;
}

Backfill UpdateWithImages() {
  Backfill backfill = Update();
  backfill.undo = UndoKind::kImage;
  backfill.stands_alone = true;
  return backfill;
}

// UPDATE … FROM rates AS r, over a key of two columns.
Backfill UpdateFrom() {
  Backfill backfill = UpdateWithImages();
  backfill.stands_alone = false;
  backfill.key = backfill.target_key = {ColumnOf("region", "text"), IntegerColumn("id", "integer")};
  backfill.from_clause = "rates AS r";
  backfill.where_clause = "r.currency = o.currency";
  return backfill;
}

Backfill Delete(UndoKind undo) {
  Backfill backfill = Update();
  backfill.kind = StatementKind::kDelete;
  backfill.changed.clear();
  backfill.set_clause.clear();
  backfill.where_clause = "o.\"Total\" < 0";
  backfill.target_columns = {IntegerColumn("id"), ColumnOf("Total", "numeric(12,2)")};
  backfill.undo = undo;
  return backfill;
}

// INSERT INTO archive (k, t) SELECT o.id, o.total FROM orders AS o JOIN … WHERE o.total > 100
Backfill Insert() {
  Backfill backfill = Update();
  backfill.kind = StatementKind::kInsertSelect;
  backfill.target = {"old", "archive"};
  backfill.target_key = {IntegerColumn("k")};
  backfill.target_columns = {IntegerColumn("k"), ColumnOf("t", "numeric(12,2)")};
  backfill.changed.clear();
  backfill.set_clause.clear();
  backfill.insert_columns = {"k", "t"};
  backfill.select_items = {"o.id", "o.total"};
  backfill.source_joins = "JOIN customer AS c ON c.id = o.customer_id";
  backfill.overriding = "OVERRIDING SYSTEM VALUE";
  backfill.where_clause = "o.total > 100";
  backfill.undo = UndoKind::kImage;
  return backfill;
}

Backfill Inverse() {
  Backfill backfill = Update();
  backfill.undo = UndoKind::kInverse;
  backfill.inverse = "cents = o.cents - 1";
  return backfill;
}

Slice Rows(Position lo, Position hi) { return {{std::move(lo), std::move(hi)}}; }

Slice SomeRows() { return Rows({"17"}, {"4711"}); }

LedgerFacts Facts(int round = 1) { return {7, 2, round, 5, 42, 9}; }

// The statement with its values in place of the parameters, {17} for $3: which number a parameter
// has depends on the order in which the compiler evaluates arguments, and means nothing.
std::string TextOf(const Rendered& rendered) {
  std::string text = rendered.sql + "\n";
  for (std::size_t i = rendered.parameters.size(); i > 0; --i) {
    const std::string number = fmt::format("${}", i);
    const std::string value = fmt::format("{{{}}}", rendered.parameters[i - 1].value_or("NULL"));
    EXPECT_NE(text.find(number), std::string::npos) << number << " is in no place";
    for (std::size_t at = 0; (at = text.find(number, at)) != std::string::npos;) {
      text.replace(at, number.size(), value);
    }
  }
  EXPECT_EQ(text.find('$'), std::string::npos) << "a parameter has no value: " << text;
  return text;
}

void ExpectGolden(const std::string& name, const std::string& text) {
  const std::string path = fmt::format("{}/tests/schema/golden/{}.sql", PAWL_SOURCE_DIR, name);
  if (std::getenv("PAWL_WRITE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, golden) << path;
}

void ExpectGolden(const std::string& name, const Rendered& rendered) {
  ExpectGolden(name, TextOf(rendered));
}

TEST(RenderChangeTest, AnUpdateWithoutImagesWritesTheLedgerOnly) {
  ExpectGolden("update", RenderChange(Update(), SomeRows(), Facts(), kOld));
  EXPECT_FALSE(NeedsRepeatableRead(Update(), kOld));
}

TEST(RenderChangeTest, BeforeVersion14TheDigestIsASumOfTextHashes) {
  ExpectGolden("update_13", RenderChange(Update(), SomeRows(), Facts(), 130012));
}

TEST(RenderChangeTest, OldValuesThatAreNullAreNotRead) {
  Backfill backfill = UpdateWithImages();
  backfill.old_is_null = true;
  ExpectGolden("update_keeping_nulls", RenderChange(backfill, SomeRows(), Facts(), kOld));
  EXPECT_FALSE(NeedsRepeatableRead(backfill, kOld));
}

TEST(RenderChangeTest, OldValuesAreJoinedByPlaceUnderOneSnapshot) {
  ExpectGolden("update_joining_old", RenderChange(UpdateWithImages(), SomeRows(), Facts(), kOld));
  EXPECT_TRUE(NeedsRepeatableRead(UpdateWithImages(), kOld));
}

TEST(RenderChangeTest, OldValuesAreReturnedFromVersion18On) {
  ExpectGolden("update_returning_old",
               RenderChange(UpdateWithImages(), SomeRows(), Facts(), kReturning));
  EXPECT_FALSE(NeedsRepeatableRead(UpdateWithImages(), kReturning));
}

TEST(RenderChangeTest, AnUpdateWithFromComparesThePackedKeysInEveryVersion) {
  const Slice slice = Rows({"eu", "17"}, {"us", "4711"});
  ExpectGolden("update_packing_old", RenderChange(UpdateFrom(), slice, Facts(), kReturning));
  EXPECT_TRUE(NeedsRepeatableRead(UpdateFrom(), kReturning));
}

TEST(RenderChangeTest, ADeleteKeepsWholeRows) {
  ExpectGolden("delete_keeping_rows",
               RenderChange(Delete(UndoKind::kImage), SomeRows(), Facts(), kOld));
}

TEST(RenderChangeTest, ADeleteWithoutImagesReturnsKeysOnly) {
  Backfill backfill = Delete(UndoKind::kNone);
  backfill.from_clause = "customer AS c";
  ExpectGolden("delete", RenderChange(backfill, SomeRows(), Facts(), kOld));
}

TEST(RenderChangeTest, ADeleteWithoutAKeyGoesByBlocks) {
  Backfill backfill = Delete(UndoKind::kNone);
  backfill.key.clear();
  backfill.order = Order::kBlock;
  ExpectGolden("delete_by_block",
               RenderChange(backfill, Rows({"(0,0)"}, {"(64,0)"}), Facts(), kOld));
}

TEST(RenderChangeTest, AnInsertKeepsKeysAndHashes) {
  ExpectGolden("insert", RenderChange(Insert(), SomeRows(), Facts(), kOld));
}

TEST(RenderChangeTest, ASkippedBatchWritesTheLedgerOnly) {
  ExpectGolden("skip", RenderSkip(Update(), {{std::nullopt, {"17"}}}, Facts()));
}

TEST(RenderSliceTest, SeveralResidueClassesOfAnIntegerKey) {
  Backfill backfill = Update();
  backfill.order = Order::kKeyStrides;
  backfill.stride = 16;
  Slice slice = SomeRows();
  backfill.salt = 3;
  slice.residue_lo = 4;
  slice.residue_hi = 8;
  ExpectGolden("update_residues", RenderChange(backfill, slice, Facts(), kOld));
}

TEST(RenderSliceTest, AKeyThatIsNoIntegerIsHashed) {
  Backfill backfill = Update();
  backfill.key = backfill.target_key = {UuidColumn("id")};
  backfill.order = Order::kBlockStrides;
  backfill.stride = 8;
  Slice slice = Rows({"(0,0)"}, {"(64,0)"});
  slice.residue_lo = 3;
  slice.residue_hi = 4;
  backfill.salt = 11;
  slice.rows_expected = 1'000'000;  // Nothing to probe in block order.
  ExpectGolden("update_uuid_residue", RenderChange(backfill, slice, Facts(), kOld));
}

TEST(RenderSliceTest, TheResidueOfSeveralColumnsIsTakenOfAll) {
  Backfill backfill = Update();
  backfill.key = backfill.target_key = {UuidColumn("tenant"), IntegerColumn("id", "integer")};
  backfill.order = Order::kKeyStrides;
  backfill.stride = 4;
  Slice slice = Rows({"11111111-2222-3333-4444-555555555555", "17"},
                     {"99999999-2222-3333-4444-555555555555", "4711"});
  slice.residue_lo = 3;
  slice.residue_hi = 4;
  ExpectGolden("update_composite_residue", RenderChange(backfill, slice, Facts(), kOld));
}

TEST(RenderSliceTest, ADenseIntegerKeyIsProbed) {
  Backfill backfill = Update();
  backfill.order = Order::kKeyStrides;
  backfill.stride = 16;
  Slice slice = SomeRows();
  slice.residue_lo = 3;
  slice.residue_hi = 4;
  slice.rows_expected = 290;
  backfill.salt = 5;
  ExpectGolden("update_probes", RenderChange(backfill, slice, Facts(), kOld));
}

TEST(RenderSliceTest, ASparseIntegerKeyIsSifted) {
  Backfill backfill = Update();
  backfill.order = Order::kKeyStrides;
  backfill.stride = 16;
  Slice slice = SomeRows();
  slice.residue_lo = 3;
  slice.residue_hi = 4;
  slice.rows_expected = 100;
  ExpectGolden("update_sifted", RenderChange(backfill, slice, Facts(), kOld));
}

TEST(RenderKeysTest, TheBoundaryOfACompositeKeyIsInTheOrderOfItsColumns) {
  ExpectGolden("key_at", RenderKeyAt(UpdateFrom(), Rows({"eu", "17"}, {"us", "4711"}), 1'000));
}

TEST(RenderKeysTest, TheBoundaryInBlockOrderIsAPlace) {
  Backfill backfill = Update();
  backfill.order = Order::kBlock;
  ExpectGolden("key_at_by_block", RenderKeyAt(backfill, Rows({"(0,0)"}, {"(64,0)"}), 1'000));
}

TEST(RenderKeysTest, WhereATableEndsAndASampleOfItsKeys) {
  ExpectGolden("last_key", RenderLastKey(UpdateFrom()) + "\n");
  ExpectGolden("key_sample",
               RenderKeySample(UpdateFrom(), Rows({"eu", "17"}, {"us", "4711"}).range, 0.5));
  ExpectGolden("block_count", RenderBlockCount(Update()) + "\n");
}

TEST(RenderUndoTest, TablesThatHoldWhatTakesABatchBack) {
  ExpectGolden("undo_tables", RenderUndoTable(UpdateFrom(), 7, 2) + "\n" +
                                  RenderUndoTable(Delete(UndoKind::kImage), 7, 2) + "\n" +
                                  RenderUndoTable(Insert(), 7, 2) + "\n");
  EXPECT_EQ(RenderUndoTable(Update(), 7, 2), "");
  EXPECT_EQ(RenderUndoTable(Inverse(), 7, 2), "");
}

Rendered Revert(const Backfill& backfill, OnConflict on_conflict) {
  return RenderRevert(backfill, SomeRows(), 31, Facts(-1), on_conflict);
}

TEST(RenderRevertTest, AnUpdateIsTakenBackWhereItsValuesStillStand) {
  ExpectGolden("revert_update_stop", Revert(UpdateWithImages(), OnConflict::kStop));
  ExpectGolden("revert_update_skip", Revert(UpdateWithImages(), OnConflict::kSkip));
  ExpectGolden("revert_update_force", Revert(UpdateWithImages(), OnConflict::kForce));
}

TEST(RenderRevertTest, ADeleteIsTakenBackWhereTheKeyIsFree) {
  ExpectGolden("revert_delete_stop", Revert(Delete(UndoKind::kImage), OnConflict::kStop));
  ExpectGolden("revert_delete_skip", Revert(Delete(UndoKind::kImage), OnConflict::kSkip));
  ExpectGolden("revert_delete_force", Revert(Delete(UndoKind::kImage), OnConflict::kForce));
}

TEST(RenderRevertTest, AnInsertIsTakenBackWhereTheRowHasItsHash) {
  ExpectGolden("revert_insert_stop", Revert(Insert(), OnConflict::kStop));
  ExpectGolden("revert_insert_skip", Revert(Insert(), OnConflict::kSkip));
  ExpectGolden("revert_insert_force", Revert(Insert(), OnConflict::kForce));
}

TEST(RenderRevertTest, AnInverseIsForTheVersionsThatTheBatchWrote) {
  ExpectGolden("revert_inverse_stop", Revert(Inverse(), OnConflict::kStop));
  ExpectGolden("revert_inverse_force", Revert(Inverse(), OnConflict::kForce));
}

TEST(RenderRevertTest, APreviewListsConflictsAndChangesNothing) {
  ExpectGolden("revert_preview", RenderRevertPreview(UpdateWithImages(), SomeRows(), 31, Facts()));
}

TEST(RenderRevertTest, AnImplicitUndoWalksAgainAndSetsNull) {
  Backfill backfill = Update();
  backfill.undo = UndoKind::kImplicit;
  for (const auto& [name, on_conflict] :
       {std::pair{"stop", OnConflict::kStop}, std::pair{"skip", OnConflict::kSkip},
        std::pair{"force", OnConflict::kForce}}) {
    ExpectGolden(fmt::format("revert_implicit_{}", name),
                 RenderChange(ImplicitRevert(backfill, on_conflict), SomeRows(), Facts(-1), kOld));
  }
  ExpectGolden("implicit_conflicts", RenderImplicitConflicts(backfill) + "\n");
}

}  // namespace
}  // namespace pawl::schema
