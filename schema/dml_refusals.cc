#include "schema/dml_refusals.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "schema/ast_queries.h"

namespace pawl::schema {
namespace {

// The table that is walked in batches, by the name that the expressions use.
struct Walked {
  TableName table;
  std::string alias;
  // Columns for certain, so that one named like the alias is not taken for the row.
  std::set<std::string> known_columns;
};

class RefusalList {
 public:
  void Add(const std::string& name, const std::string& reason, bool can_be_allowed = false) {
    const auto same = [&](const Refusal& refusal) { return refusal.name == name; };
    if (std::none_of(refusals_.begin(), refusals_.end(), same)) {
      refusals_.push_back({name, reason, can_be_allowed});
    }
  }

  std::vector<Refusal> Take() { return std::move(refusals_); }

 private:
  std::vector<Refusal> refusals_;
};

const AstArray& SelectItems(const AstObject& select) { return ArrayMember(select, "targetList"); }

bool IsAggregateName(const FunctionCall& call) {
  static const std::set<std::string> kNames = {"array_agg",
                                               "avg",
                                               "bit_and",
                                               "bit_or",
                                               "bit_xor",
                                               "bool_and",
                                               "bool_or",
                                               "corr",
                                               "count",
                                               "every",
                                               "json_agg",
                                               "json_object_agg",
                                               "jsonb_agg",
                                               "jsonb_object_agg",
                                               "max",
                                               "min",
                                               "mode",
                                               "percentile_cont",
                                               "percentile_disc",
                                               "range_agg",
                                               "range_intersect_agg",
                                               "stddev",
                                               "stddev_pop",
                                               "stddev_samp",
                                               "string_agg",
                                               "sum",
                                               "var_pop",
                                               "var_samp",
                                               "variance",
                                               "xmlagg"};
  return (call.schema.empty() || call.schema == "pg_catalog") && kNames.contains(call.name);
}

bool IsAggregateCall(const AstObject& func_call) {
  return Member(func_call, "over") == nullptr &&
         (IsAggregateName(FunctionOf(func_call)) || FlagMember(func_call, "agg_star") ||
          FlagMember(func_call, "agg_distinct") || Member(func_call, "agg_order") != nullptr ||
          Member(func_call, "agg_filter") != nullptr);
}

// True where a call that `matches` stands outside of all sub-selects.
bool CallsAtTopLevel(const AstValue& tree, bool (*matches)(const AstObject& func_call)) {
  bool found = false;
  Walk(tree, [&](std::string_view name, const AstObject& body) {
    if (name == "SubLink" || name == "RangeSubselect") return false;
    found = found || (name == "FuncCall" && matches(body));
    return !found;
  });
  return found;
}

bool IsWindowCall(const AstObject& func_call) { return Member(func_call, "over") != nullptr; }

bool Mentions(const AstValue& tree, const TableName& table) {
  const std::vector<TableName> relations = RelationsIn(tree);
  return std::any_of(relations.begin(), relations.end(),
                     [&](const TableName& relation) { return MayBeSame(relation, table); });
}

// True where a sub-select computes over a window of `table`: it would see the whole table half
// changed.
bool HasWindowOver(const AstValue& tree, const TableName& table) {
  bool found = false;
  Walk(tree, [&](std::string_view name, const AstObject& body) {
    if (name != "SelectStmt") return true;
    const AstValue select(body);
    found = found || (CallsAtTopLevel(select, IsWindowCall) && Mentions(select, table));
    return !found;
  });
  return found;
}

void CheckReferences(const AstValue& tree, const Walked& walked, RefusalList& refusals) {
  Walk(tree, [&](std::string_view name, const AstObject& body) {
    if (name != "ColumnRef") return true;
    const std::vector<std::string> parts = ReferenceParts(body);
    const std::size_t count = parts.size();
    if (count >= 3 && parts[count - 2] == walked.table.name) {
      refusals.Add("qualified_column",
                   fmt::format("A column of \"{0}\" is written with the schema in front. A batch "
                               "knows the table only by its alias: write {1}.{2}.",
                               walked.table.name, walked.alias, parts.back()));
    }
    const bool is_star = parts.back() == "*" && count == 2 && parts[0] == walked.alias;
    const bool is_row =
        count == 1 && parts[0] == walked.alias && !walked.known_columns.contains(walked.alias);
    if (is_star || is_row) {
      refusals.Add("whole_row",
                   fmt::format("\"{0}\" stands for the whole row, so it cannot be told which "
                               "columns the statement reads. Name the columns; if a column of that "
                               "name is meant, write {0}.{0}.",
                               walked.alias));
    }
    return false;
  });
}

void CheckWith(const AstObject& body, RefusalList& refusals) {
  if (Member(body, "withClause") == nullptr) return;
  refusals.Add("with",
               "A WITH clause in front would be computed again for every batch, over tables that "
               "the batches before have changed. Move each WITH query to its place as a "
               "sub-select.");
}

void CheckReturning(const AstObject& body, RefusalList& refusals) {
  if (Member(body, "returningList") == nullptr) return;
  refusals.Add("returning",
               "RETURNING has no reader: the batches run while nobody waits for their rows. Remove "
               "it, and select the rows afterwards.");
}

void CheckWindow(const AstObject& body, const AstValue& top_level, const TableName& table,
                 RefusalList& refusals) {
  if (!CallsAtTopLevel(top_level, IsWindowCall) && !HasWindowOver(body, table)) return;
  refusals.Add("window",
               "A window function would see one batch at a time, or the whole table half changed. "
               "Compute it into a table of its own first, and read it from there.");
}

void CheckSelfJoin(const AstValue& read, const Statement& statement, RefusalList& refusals) {
  if (!Mentions(read, statement.target)) return;
  refusals.Add("self_join",
               fmt::format("The statement reads \"{}\" again while it changes it, so a later batch "
                           "sees what earlier ones did. Copy what it reads into a table of its "
                           "own; if these are two tables, write both with their schema; if it "
                           "never reads what it changes, write allow=self_join.",
                           statement.target.name),
               true);
}

void CheckUpdateOrDelete(const AstObject& body, const Statement& statement,
                         std::string_view from_member, RefusalList& refusals) {
  CheckWith(body, refusals);
  CheckReturning(body, refusals);
  AstArray read;
  for (const std::string_view name :
       {std::string_view("targetList"), from_member, std::string_view("whereClause")}) {
    if (const AstValue* member = Member(body, name)) read.push_back(*member);
  }
  const AstValue tree(std::move(read));
  const AstValue* where = Member(body, "whereClause");
  if (where != nullptr && NodeOf(*where, "CurrentOfExpr") != nullptr) {
    refusals.Add("current_of",
                 "WHERE CURRENT OF names one row of a cursor that no batch has. Name the row by "
                 "its key.");
  }
  CheckSelfJoin(tree, statement, refusals);
  CheckWindow(body, tree, statement.target, refusals);
  Walked walked{statement.target, statement.alias, {}};
  for (const AstValue& item : ArrayMember(body, "targetList")) {
    const AstObject* assigned = NodeOf(item, "ResTarget");
    if (assigned != nullptr) walked.known_columns.insert(TextMember(*assigned, "name"));
  }
  CheckReferences(tree, walked, refusals);
}

// The parts of a SELECT that make one result of the whole table.
void CheckSelectShape(const AstObject& select, RefusalList& refusals) {
  if (TextMember(select, "op") != "SETOP_NONE") {
    refusals.Add("set_operation",
                 "UNION, INTERSECT and EXCEPT compare whole tables, and a batch sees only its own "
                 "rows. Write one INSERT … SELECT for each part.");
    return;
  }
  if (Member(select, "sortClause") != nullptr || Member(select, "limitCount") != nullptr ||
      Member(select, "limitOffset") != nullptr || Member(select, "distinctClause") != nullptr) {
    refusals.Add("order_limit",
                 "ORDER BY, LIMIT, OFFSET, FETCH and DISTINCT hold for all rows at once, and a "
                 "batch sees only its own. Remove them, or say which rows are meant in WHERE.");
  }
  const AstValue items(SelectItems(select));
  if (Member(select, "groupClause") != nullptr || Member(select, "havingClause") != nullptr ||
      CallsAtTopLevel(items, IsAggregateCall)) {
    refusals.Add("aggregate",
                 "An aggregate or GROUP BY would be computed for each batch and not for the whole "
                 "table. Compute it in a sub-select that is joined, or in one INSERT outside of "
                 "Pawl if the result is small.");
  }
  if (Member(select, "lockingClause") != nullptr) {
    refusals.Add("locking",
                 "FOR UPDATE and FOR SHARE would lock source rows that nothing changes. Remove the "
                 "locking clause.");
  }
}

// True for `t.*`, `*` and `(expression).*`.
bool HasStar(const AstValue& value) {
  const AstObject* body = NodeOf(value, "ColumnRef");
  std::string_view member = "fields";
  if (body == nullptr) {
    body = NodeOf(value, "A_Indirection");
    member = "indirection";
  }
  if (body == nullptr) return false;
  const AstArray& parts = ArrayMember(*body, member);
  return !parts.empty() && NodeType(parts[parts.size() - 1]) == "A_Star";
}

void CheckStars(const AstObject& select, RefusalList& refusals) {
  for (const AstValue& item : SelectItems(select)) {
    const AstObject* target = NodeOf(item, "ResTarget");
    const AstValue* value = target == nullptr ? nullptr : Member(*target, "val");
    if (value == nullptr || !HasStar(*value)) continue;
    refusals.Add("star",
                 "* stands for columns that may change between two batches. Name the columns, in "
                 "the INSERT and in the SELECT.");
  }
}

// True where the rows of the first table of `item` are the optional side of a join.
bool OptionalSource(const AstValue& item) {
  const AstObject* join = NodeOf(item, "JoinExpr");
  if (join == nullptr) return false;
  const std::string type = TextMember(*join, "jointype");
  const AstValue* left = Member(*join, "larg");
  return type == "JOIN_RIGHT" || type == "JOIN_FULL" || (left != nullptr && OptionalSource(*left));
}

void CheckSource(const AstObject& select, const Statement& statement, RefusalList& refusals) {
  const AstArray& from = ArrayMember(select, "fromClause");
  if (WalkedSource(from) == nullptr) {
    refusals.Add("no_source",
                 "The SELECT does not begin its FROM with a plain table, so there is nothing to "
                 "walk in batches. Put the table whose rows are inserted first in FROM, without "
                 "parentheses, column names or TABLESAMPLE.");
    return;
  }
  if (MayBeSame(statement.source, statement.target)) {
    refusals.Add("self_insert",
                 fmt::format("The INSERT reads \"{}\" and writes to it, so later batches may read "
                             "the new rows. Copy the rows into a table of their own first; or, if "
                             "these are two tables, write both with their schema.",
                             statement.target.name));
  }
  if (OptionalSource(from[0])) {
    refusals.Add("outer_join",
                 fmt::format("A RIGHT or FULL JOIN gives rows without a row of \"{}\", and every "
                             "batch would insert them again. Begin FROM with the other table and "
                             "use a LEFT JOIN.",
                             statement.source.name));
  }
}

void CheckSelect(const AstObject& body, const AstObject& select, const Statement& statement,
                 RefusalList& refusals) {
  CheckWith(select, refusals);
  if (Member(select, "valuesLists") != nullptr) {
    refusals.Add("no_source",
                 "INSERT … VALUES has no table to walk in batches. Run it with psql, or put the "
                 "values into a table and write INSERT … SELECT from it.");
    return;
  }
  CheckSelectShape(select, refusals);
  if (TextMember(select, "op") != "SETOP_NONE") return;
  CheckStars(select, refusals);
  CheckSource(select, statement, refusals);
  const AstValue tree(select);
  if (!MayBeSame(statement.source, statement.target)) CheckSelfJoin(tree, statement, refusals);
  AstArray top_level;
  for (const char* name : {"targetList", "whereClause", "windowClause"}) {
    if (const AstValue* member = Member(select, name)) top_level.push_back(*member);
  }
  CheckWindow(body, AstValue(top_level), statement.target, refusals);
  if (Member(select, "windowClause") != nullptr) {
    refusals.Add("window", "A WINDOW clause holds for all rows at once. Remove it.");
  }
  if (!statement.source_alias.empty()) {
    CheckReferences(tree, {statement.source, statement.source_alias, {}}, refusals);
  }
}

}  // namespace

std::vector<Refusal> RefusalsOfUpdate(const AstObject& body, const Statement& statement) {
  RefusalList refusals;
  CheckUpdateOrDelete(body, statement, "fromClause", refusals);
  return refusals.Take();
}

std::vector<Refusal> RefusalsOfDelete(const AstObject& body, const Statement& statement) {
  RefusalList refusals;
  CheckUpdateOrDelete(body, statement, "usingClause", refusals);
  return refusals.Take();
}

std::vector<Refusal> RefusalsOfInsert(const AstObject& body, const Statement& statement) {
  RefusalList refusals;
  CheckWith(body, refusals);
  CheckReturning(body, refusals);
  if (Member(body, "onConflictClause") != nullptr) {
    refusals.Add("on_conflict",
                 "ON CONFLICT would swallow rows uncounted, and a lost row would look like a "
                 "copied one. Leave out the rows that exist with WHERE NOT EXISTS (SELECT … FROM "
                 "the target).");
  }
  const AstValue* selected = Member(body, "selectStmt");
  const AstObject* select = selected == nullptr ? nullptr : NodeOf(*selected, "SelectStmt");
  if (select == nullptr) {
    refusals.Add("no_source",
                 "INSERT … DEFAULT VALUES has no table to walk in batches. Run it with psql.");
  } else {
    CheckSelect(body, *select, statement, refusals);
  }
  return refusals.Take();
}

const AstObject* WalkedSource(const AstArray& from_list) {
  if (from_list.empty()) return nullptr;
  const AstValue* item = &from_list[0];
  while (const AstObject* join = NodeOf(*item, "JoinExpr")) {
    item = Member(*join, "larg");
    if (item == nullptr || Member(*join, "alias") != nullptr) return nullptr;
  }
  const AstObject* table = NodeOf(*item, "RangeVar");
  if (table == nullptr) return nullptr;
  const AstObject* alias = ObjectMember(*table, "alias");
  return alias != nullptr && Member(*alias, "colnames") != nullptr ? nullptr : table;
}

bool IsRefusedForGood(const std::vector<Refusal>& refusals) {
  return std::any_of(refusals.begin(), refusals.end(),
                     [](const Refusal& refusal) { return !refusal.can_be_allowed; });
}

}  // namespace pawl::schema
