#include "schema/dml_statement.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/conjuncts.h"
#include "schema/dml_refusals.h"
#include "schema/sql_tokens.h"

namespace pawl::schema {
namespace {

// The pieces of `… SET <set> FROM <from> WHERE <where>` or `… USING <from> WHERE <where>`.
struct Clauses {
  std::string set;
  std::string from;
  std::string where;
};

// Returns the first FROM from `begin` on that is not the end of IS [NOT] DISTINCT FROM.
std::size_t FindFrom(const TokenizedText& text, std::size_t begin) {
  std::size_t from = text.Find("FROM", begin);
  while (from < text.size() && text[from - 1].word == "DISTINCT") {
    from = text.Find("FROM", from + 1);
  }
  return from;
}

// SET is no reserved word: a table or an alias may have that name. The last one before the first
// assigned column is the clause.
std::size_t FindSet(const TokenizedText& text, std::size_t first_column_byte) {
  std::size_t found = text.size();
  for (std::size_t i = text.Find("SET", 0); i < text.size(); i = text.Find("SET", i + 1)) {
    if (text[i].begin < first_column_byte) found = i;
  }
  return found;
}

Clauses CutUpdate(const Place& place, const AstObject& body, const std::string& sql) {
  const TokenizedText text(sql);
  const AstObject* first = NodeOf(ArrayMember(body, "targetList")[0], "ResTarget");
  const std::size_t set = first == nullptr ? text.size() : FindSet(text, LocationOf(*first));
  if (set >= text.size()) FailToTakeApart(place, "the SET clause");
  const std::size_t where =
      Member(body, "whereClause") == nullptr ? text.size() : text.Find("WHERE", set + 1);
  const std::size_t from =
      Member(body, "fromClause") == nullptr ? where : std::min(FindFrom(text, set + 1), where);
  return {text.Cut(set + 1, from), text.Cut(from + 1, where), text.Cut(where + 1, text.size())};
}

Clauses CutDelete(const AstObject& body, const std::string& sql) {
  const TokenizedText text(sql);
  const std::size_t where =
      Member(body, "whereClause") == nullptr ? text.size() : text.Find("WHERE", 0);
  const std::size_t from =
      Member(body, "usingClause") == nullptr ? where : std::min(text.Find("USING", 0), where);
  return {"", text.Cut(from + 1, where), text.Cut(where + 1, text.size())};
}

void ProveFromList(const Place& place, const AstValue* wanted, const std::string& from_clause) {
  if (wanted == nullptr) return;
  const std::optional<AstValue> parsed = ParseFromList(from_clause);
  if (!parsed || !SameMeaning(*parsed, *wanted)) FailToTakeApart(place, "the FROM or USING list");
}

// Returns the texts between the commas of `(x, y)`, `ROW (x, y)` or either in further parentheses.
std::vector<std::string> RowElements(const std::string& row) {
  const TokenizedText text(row);
  const bool has_row_word = text.size() > 0 && text[0].word == "ROW";
  std::optional<std::string> inside =
      InsideParentheses(has_row_word ? text.Cut(1, text.size()) : row);
  if (!inside) return {};
  std::vector<std::string> elements = SplitAtCommas(*inside);
  if (elements.size() == 1 && !has_row_word) return RowElements(*inside);
  return elements;
}

// The text of a set-clause item between `=` and the next comma.
std::string AssignedText(const Place& place, const std::string& item) {
  const TokenizedText text(item);
  const std::size_t equals = text.Find("=", 0);
  if (equals >= text.size()) FailToTakeApart(place, "the SET clause");
  return text.Cut(equals + 1, text.size());
}

// Fills one assignment whose value in the tree is `value` and whose text is `text`.
void FillExpression(const Place& place, const AstValue& value, const std::string& text,
                    Assignment& assignment) {
  if (NodeOf(value, "SetToDefault") != nullptr) return;
  const std::optional<AstValue> parsed = ParseExpression(text);
  if (!parsed || !SameMeaning(*parsed, value)) {
    FailToTakeApart(place, fmt::format("the value of column \"{}\"", assignment.column));
  }
  assignment.expression = text;
}

// `(a, b) = source`: the source's elements if it is a row, else no expressions.
void FillFromSource(const Place& place, const AstObject& reference, const std::string& source_text,
                    Assignment& assignment) {
  const AstValue* source = Member(reference, "source");
  const AstObject* row = source == nullptr ? nullptr : NodeOf(*source, "RowExpr");
  if (row == nullptr) return;
  const AstArray& values = ArrayMember(*row, "args");
  const std::vector<std::string> texts = RowElements(source_text);
  const auto columns = Member(reference, "ncolumns")->to_number<std::size_t>();
  const auto position = Member(reference, "colno")->to_number<std::size_t>() - 1;
  if (values.size() != columns) {
    FailAt(place, fmt::format("{} columns are assigned from {} values", columns, values.size()),
           "Write as many values as columns.");
  }
  if (texts.size() != columns) FailToTakeApart(place, "the SET clause");
  // The tree repeats the whole row for each column, but each column reads only its own element.
  FillExpression(place, values[position], texts[position], assignment);
}

// What an assignment reads: for an element of a row only that element.
AstValue ValueRead(const AstValue& value) {
  const AstObject* reference = NodeOf(value, "MultiAssignRef");
  if (reference == nullptr) return value;
  const AstValue* source = Member(*reference, "source");
  const AstObject* row = source == nullptr ? nullptr : NodeOf(*source, "RowExpr");
  if (row == nullptr) return source == nullptr ? value : *source;
  return ArrayMember(*row, "args")[Member(*reference, "colno")->to_number<std::size_t>() - 1];
}

Assignment TakeApartAssignment(const Place& place, const AstObject& item, const std::string& text,
                               const std::string& alias) {
  Assignment assignment;
  assignment.column = TextMember(item, "name");
  const AstValue& value = *Member(item, "val");
  const AstObject* reference = NodeOf(value, "MultiAssignRef");
  const AstValue* indirection = Member(item, "indirection");
  if (reference != nullptr) {
    // Also for a part of a column: it checks the number of values.
    FillFromSource(place, *reference, AssignedText(place, text), assignment);
  } else if (indirection == nullptr) {
    FillExpression(place, value, AssignedText(place, text), assignment);
  }
  assignment.columns_read = ColumnsRead(ValueRead(value), alias);
  if (indirection != nullptr) {
    assignment.expression.reset();
    assignment.columns_read.insert(assignment.column);
    assignment.columns_read.merge(ColumnsRead(*indirection, alias));
  }
  return assignment;
}

void TakeApartAssignments(const Place& place, const AstArray& items, Statement& statement) {
  const std::vector<std::string> texts = SplitAtCommas(statement.set_clause);
  std::size_t text = 0;
  for (const AstValue& node : items) {
    const AstObject* item = NodeOf(node, "ResTarget");
    if (item == nullptr || Member(*item, "val") == nullptr || text >= texts.size()) {
      FailToTakeApart(place, "the SET clause");
    }
    statement.assignments.push_back(
        TakeApartAssignment(place, *item, texts[text], statement.alias));
    const AstObject* reference = NodeOf(*Member(*item, "val"), "MultiAssignRef");
    const bool is_last =
        reference == nullptr || *Member(*reference, "colno") == *Member(*reference, "ncolumns");
    if (is_last) ++text;
  }
  if (text != texts.size()) FailToTakeApart(place, "the SET clause");
}

// The SET clause alone must assign what the statement assigns: put together again, a FROM that was
// cut in the wrong place would not show.
void ProveSetClause(const Place& place, const AstArray& wanted, const std::string& set_clause) {
  const std::optional<AstValue> parsed = ParseOneStatement("UPDATE t SET " + set_clause);
  const AstObject* update = parsed ? NodeOf(*parsed, "UpdateStmt") : nullptr;
  if (update == nullptr || update->size() != 2 ||
      !SameMeaning(ArrayMember(*update, "targetList"), wanted)) {
    FailToTakeApart(place, "the SET clause");
  }
}

void FillTarget(const Place& place, const AstObject& relation, Statement& statement) {
  CheckRelation(place, relation);
  statement.target = RelationOf(relation);
  statement.alias = AliasOf(relation);
  statement.only = !FlagMember(relation, "inh");
}

std::string WithClause(const std::string& keyword, const std::string& clause) {
  return clause.empty() ? std::string() : keyword + clause;
}

}  // namespace

void TakeApartUpdate(const Place& place, const AstObject& body, Statement& statement) {
  statement.kind = StatementKind::kUpdate;
  const AstObject& relation = *ObjectMember(body, "relation");
  FillTarget(place, relation, statement);
  statement.refusals = RefusalsOfUpdate(body, statement);
  FillWhatIsRead(body, statement);
  if (IsRefusedForGood(statement.refusals)) return;

  const Clauses clauses = CutUpdate(place, body, statement.text);
  statement.set_clause = clauses.set;
  statement.from_clause = clauses.from;
  ProveSetClause(place, ArrayMember(body, "targetList"), clauses.set);
  ProveFromList(place, Member(body, "fromClause"), clauses.from);
  TakeApartAssignments(place, ArrayMember(body, "targetList"), statement);
  TakeApartWhere(place, clauses.where, statement.alias, statement);
  ProveComposition(place,
                   "UPDATE " + RelationText(relation) + " SET " + clauses.set +
                       WithClause(" FROM ", clauses.from) + WithClause(" WHERE ", clauses.where),
                   statement);
}

void TakeApartDelete(const Place& place, const AstObject& body, Statement& statement) {
  statement.kind = StatementKind::kDelete;
  const AstObject& relation = *ObjectMember(body, "relation");
  FillTarget(place, relation, statement);
  statement.refusals = RefusalsOfDelete(body, statement);
  FillWhatIsRead(body, statement);
  if (IsRefusedForGood(statement.refusals)) return;

  const Clauses clauses = CutDelete(body, statement.text);
  statement.from_clause = clauses.from;
  ProveFromList(place, Member(body, "usingClause"), clauses.from);
  TakeApartWhere(place, clauses.where, statement.alias, statement);
  ProveComposition(place,
                   "DELETE FROM " + RelationText(relation) + WithClause(" USING ", clauses.from) +
                       WithClause(" WHERE ", clauses.where),
                   statement);
}

std::string AliasOf(const AstObject& range_var) {
  const AstObject* alias = ObjectMember(range_var, "alias");
  return alias == nullptr ? TextMember(range_var, "relname") : TextMember(*alias, "aliasname");
}

void CheckRelation(const Place& place, const AstObject& range_var) {
  if (Member(range_var, "catalogname") == nullptr) return;
  FailAt(place,
         fmt::format("table \"{}\" is written with a database in front",
                     TextMember(range_var, "relname")),
         "Write schema.table; the database is that of the connection.");
}

std::string RelationText(const AstObject& range_var) {
  const TableName table = RelationOf(range_var);
  std::string text = FlagMember(range_var, "inh") ? "" : "ONLY ";
  text += db::QuoteName(table.schema, table.name);
  if (Member(range_var, "alias") != nullptr) text += " AS " + db::QuoteName(AliasOf(range_var));
  return text;
}

void TakeApartWhere(const Place& place, const std::string& where_clause, const std::string& alias,
                    Statement& statement) {
  statement.where_clause = where_clause;
  if (where_clause.empty()) return;
  statement.conjuncts = SplitIntoConjuncts(
      where_clause, {alias, statement.assignments, !statement.from_clause.empty()});
  if (statement.conjuncts.empty()) FailToTakeApart(place, "the WHERE clause");
}

void FillWhatIsRead(const AstObject& body, Statement& statement) {
  // The members in which something is read: not `relation`, which is the target itself.
  AstArray read;
  AstArray expressions;
  for (const char* name :
       {"targetList", "fromClause", "usingClause", "whereClause", "selectStmt"}) {
    if (const AstValue* member = Member(body, name)) read.push_back(*member);
  }
  for (const char* name : {"targetList", "whereClause"}) {
    if (const AstValue* member = Member(body, name)) expressions.push_back(*member);
  }
  if (const AstValue* selected = Member(body, "selectStmt")) {
    const AstObject* select = NodeOf(*selected, "SelectStmt");
    for (const char* name : {"targetList", "whereClause"}) {
      const AstValue* member = select == nullptr ? nullptr : Member(*select, name);
      if (member != nullptr) expressions.push_back(*member);
    }
  }
  const AstValue tree(std::move(read));
  statement.has_subselect = Contains(AstValue(std::move(expressions)), "SubLink");
  statement.functions = FunctionsIn(tree);
  statement.reads_clock = ReadsClock(tree);
  for (const TableName& table : RelationsIn(tree)) {
    const bool is_walked = table == statement.target || table == statement.source;
    std::vector<TableName>& others = statement.other_tables;
    if (!is_walked && std::find(others.begin(), others.end(), table) == others.end()) {
      others.push_back(table);
    }
  }
}

void ProveComposition(const Place& place, const std::string& composed, const Statement& statement) {
  const std::optional<AstValue> again = ParseOneStatement(composed);
  const std::optional<AstValue> original = ParseOneStatement(statement.text);
  if (!again || !original || !SameMeaning(*again, *original)) {
    FailToTakeApart(place, "the statement");
  }
}

void FailToTakeApart(const Place& place, const std::string& part) {
  FailAt(place,
         fmt::format("{} cannot be taken apart with certainty, so no batch is made of it", part),
         "Write it in a plainer way, for example without comments or unusual quoting inside, and "
         "please report the statement.");
}

}  // namespace pawl::schema
