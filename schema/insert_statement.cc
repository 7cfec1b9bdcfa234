#include <optional>
#include <vector>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/dml_refusals.h"
#include "schema/dml_statement.h"
#include "schema/sql_tokens.h"

namespace pawl::schema {
namespace {

// The text of INSERT … SELECT, cut.
struct InsertPieces {
  std::string overriding;
  std::string items;
  std::string from;
  std::string where;
};

const AstObject& SelectOf(const AstObject& body) {
  return *NodeOf(*Member(body, "selectStmt"), "SelectStmt");
}

bool FollowsAs(const TokenizedText& text, std::size_t index) {
  return index > 0 && text[index - 1].word == "AS";
}

// FROM ends IS DISTINCT FROM too, and is a column's new name after AS.
std::size_t FindFrom(const TokenizedText& text) {
  std::size_t from = text.Find("FROM", 1);
  while (from < text.size() && (text[from - 1].word == "DISTINCT" || FollowsAs(text, from))) {
    from = text.Find("FROM", from + 1);
  }
  return from;
}

// `SELECT [ALL] items FROM list [WHERE condition]`, with any parentheses around it.
void CutSelect(const Place& place, const std::string& select, InsertPieces& pieces) {
  if (const std::optional<std::string> inside = InsideParentheses(select)) {
    return CutSelect(place, *inside, pieces);
  }
  const TokenizedText text(select);
  const std::size_t from = FindFrom(text);
  if (from >= text.size() || text[0].word != "SELECT") FailToTakeApart(place, "the SELECT");
  const std::size_t where = text.Find("WHERE", from + 1);
  const std::size_t begin = text[1].word == "ALL" ? 2 : 1;
  pieces.items = text.Cut(begin, from);
  pieces.from = text.Cut(from + 1, where);
  pieces.where = where < text.size() ? text.Cut(where + 1, text.size()) : "";
}

// `INSERT INTO name [AS alias] [(columns)] [OVERRIDING … VALUE] select`.
InsertPieces CutInsert(const Place& place, const AstObject& body, const std::string& sql) {
  const TokenizedText text(sql);
  InsertPieces pieces;
  std::size_t next = text.Find("INTO", 0) + 1;
  while (next < text.size() && text.Find(".", next) == next + 1) next += 2;
  ++next;
  if (next < text.size() && text[next].word == "AS") next += 2;
  if (Member(body, "cols") != nullptr) next = text.Closing(next) + 1;
  if (next < text.size() && text[next].word == "OVERRIDING") {
    pieces.overriding = text.Cut(next, next + 3);
    next += 3;
  }
  if (next >= text.size()) FailToTakeApart(place, "the INSERT");
  CutSelect(place, text.Cut(next, text.size()), pieces);
  return pieces;
}

// Returns how many tokens the first table of a FROM list takes: [ONLY] name [*] [[AS] alias].
std::size_t SourceTokens(const TokenizedText& text, const AstObject& source) {
  std::size_t next = 0;
  if (next < text.size() && text[next].word == "ONLY") ++next;
  if (next < text.size() && text[next].word == "(") {
    next = text.Closing(next) + 1;
  } else {
    while (next + 1 < text.size() && text[next + 1].word == ".") next += 2;
    ++next;
  }
  if (next < text.size() && text[next].word == "*") ++next;
  if (Member(source, "alias") != nullptr) {
    if (next < text.size() && text[next].word == "AS") ++next;
    ++next;
  }
  return next;
}

std::vector<std::string> InsertColumns(const Place& place, const AstObject& body) {
  std::vector<std::string> columns;
  for (const AstValue& node : ArrayMember(body, "cols")) {
    const AstObject* column = NodeOf(node, "ResTarget");
    if (column == nullptr) FailToTakeApart(place, "the list of columns");
    if (Member(*column, "indirection") != nullptr) {
      FailAt(place,
             fmt::format("the INSERT writes a part of column \"{}\"", TextMember(*column, "name")),
             "Insert the whole column.");
    }
    columns.push_back(TextMember(*column, "name"));
  }
  return columns;
}

// Returns the expression of a select item, without the column's new name.
std::string ItemExpression(const Place& place, const AstObject& item,
                           const std::string& item_text) {
  const TokenizedText text(item_text);
  std::size_t end = text.size();
  if (Member(item, "name") != nullptr && end > 1) {
    --end;
    if (end > 1 && text[end - 1].word == "AS") --end;
  }
  std::string expression = text.Cut(0, end);
  const std::optional<AstValue> parsed = ParseExpression(expression);
  const AstValue* wanted = Member(item, "val");
  if (!parsed || wanted == nullptr || !SameMeaning(*parsed, *wanted)) {
    FailToTakeApart(place, "an item of the SELECT");
  }
  return expression;
}

void TakeApartItems(const Place& place, const AstArray& items, const std::string& text,
                    Statement& statement) {
  const std::vector<std::string> texts = SplitAtCommas(text);
  if (texts.size() != items.size()) FailToTakeApart(place, "the list of the SELECT");
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const AstObject* item = NodeOf(items[i], "ResTarget");
    if (item == nullptr) FailToTakeApart(place, "the list of the SELECT");
    statement.select_items.push_back(ItemExpression(place, *item, texts[i]));
  }
}

void TakeApartFrom(const Place& place, const AstObject& select, const std::string& from,
                   Statement& statement) {
  const AstObject& source = *WalkedSource(ArrayMember(select, "fromClause"));
  const TokenizedText text(from);
  const std::size_t tokens = SourceTokens(text, source);
  if (tokens < text.size()) statement.source_joins = text.Cut(tokens, text.size());
  const std::optional<AstValue> again =
      ParseFromList(RelationText(source) + " " + statement.source_joins);
  if (!again || !SameMeaning(*again, *Member(select, "fromClause"))) {
    FailAt(place, fmt::format("FROM does not begin with \"{}\" alone", statement.source.name),
           "Write the table that is walked first in FROM, without parentheses around it or around "
           "its join.");
  }
}

// Puts the statement together again from its pieces alone.
std::string Composed(const AstObject& body, const InsertPieces& pieces,
                     const Statement& statement) {
  const AstObject& select = SelectOf(body);
  std::string sql = "INSERT INTO " + RelationText(*ObjectMember(body, "relation")) + " ";
  std::string separator = "(";
  for (const std::string& column : statement.insert_columns) {
    sql += separator + db::QuoteName(column);
    separator = ", ";
  }
  if (!statement.insert_columns.empty()) sql += ") ";
  sql += pieces.overriding + " SELECT ";
  separator = "";
  for (std::size_t i = 0; i < statement.select_items.size(); ++i) {
    const AstObject& item = *NodeOf(ArrayMember(select, "targetList")[i], "ResTarget");
    sql += separator + statement.select_items[i];
    if (Member(item, "name") != nullptr) sql += " AS " + db::QuoteName(TextMember(item, "name"));
    separator = ", ";
  }
  sql += " FROM " + RelationText(*WalkedSource(ArrayMember(select, "fromClause"))) + " ";
  sql += statement.source_joins;
  if (!pieces.where.empty()) sql += " WHERE " + pieces.where;
  return sql;
}

void FillNames(const Place& place, const AstObject& body, Statement& statement) {
  const AstObject& relation = *ObjectMember(body, "relation");
  CheckRelation(place, relation);
  statement.target = RelationOf(relation);
  statement.alias = AliasOf(relation);
  const AstValue* selected = Member(body, "selectStmt");
  const AstObject* select = selected == nullptr ? nullptr : NodeOf(*selected, "SelectStmt");
  const AstObject* source =
      select == nullptr ? nullptr : WalkedSource(ArrayMember(*select, "fromClause"));
  if (source == nullptr) return;
  CheckRelation(place, *source);
  statement.source = RelationOf(*source);
  statement.source_alias = AliasOf(*source);
  statement.source_only = !FlagMember(*source, "inh");
}

}  // namespace

void TakeApartInsert(const Place& place, const AstObject& body, Statement& statement) {
  statement.kind = StatementKind::kInsertSelect;
  FillNames(place, body, statement);
  statement.refusals = RefusalsOfInsert(body, statement);
  statement.insert_columns = InsertColumns(place, body);
  FillWhatIsRead(body, statement);
  if (IsRefusedForGood(statement.refusals)) return;

  const AstObject& select = SelectOf(body);
  if (Member(select, "intoClause") != nullptr || ArrayMember(select, "targetList").empty()) {
    FailToTakeApart(place, "the SELECT");
  }
  const InsertPieces pieces = CutInsert(place, body, statement.text);
  statement.overriding = pieces.overriding;
  TakeApartItems(place, ArrayMember(select, "targetList"), pieces.items, statement);
  TakeApartFrom(place, select, pieces.from, statement);
  TakeApartWhere(place, pieces.where, statement.source_alias, statement);
  ProveComposition(place, Composed(body, pieces, statement), statement);
}

}  // namespace pawl::schema
