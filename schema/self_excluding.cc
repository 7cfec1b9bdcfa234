#include "schema/self_excluding.h"

#include <algorithm>
#include <optional>
#include <set>

#include "schema/ast.h"
#include "schema/statement_check.h"

namespace pawl::schema {
namespace {

bool Fires(const UserTrigger& trigger, StatementKind kind, const std::set<std::string>& assigned) {
  if (kind == StatementKind::kDelete) return trigger.on_delete;
  if (kind == StatementKind::kInsertSelect) return trigger.on_insert;
  const std::set<std::string> of(trigger.update_columns.begin(), trigger.update_columns.end());
  return trigger.on_update && (of.empty() || Intersects(of, assigned));
}

// Storing the value must not change it, or `c <> e` holds again.
bool KeepsItsWord(const PlannedStatement& planned, const Conjunct& conjunct,
                  const TableShape& walked) {
  const std::optional<AstValue> tree = ParseExpression(conjunct.text);
  if (!tree) return false;
  if (NodeOf(*tree, "NullTest") != nullptr) return true;
  const AstObject* comparison = NodeOf(*tree, "A_Expr");
  if (comparison == nullptr) return false;
  const AstArray& names = ArrayMember(*comparison, "name");
  if (TextMember(*comparison, "kind") == "AEXPR_OP" && !names.empty() &&
      StringOf(names[0]) == "=") {
    return true;  // Two literals that are far apart.
  }
  return std::all_of(planned.statement.assignments.begin(), planned.statement.assignments.end(),
                     [&](const Assignment& assignment) {
                       if (!conjunct.columns_read.contains(assignment.column)) return true;
                       const TableColumn* column = walked.Find(assignment.column);
                       return assignment.expression && column != nullptr &&
                              IsStoredUnchanged(planned.planning.reading, *assignment.expression,
                                                column->column, walked, planned.alias());
                     });
}

}  // namespace

std::vector<UserTrigger> FiringTriggers(const PlannedStatement& planned, const TableShape& table) {
  std::vector<UserTrigger> firing;
  for (const UserTrigger& trigger : table.triggers) {
    if (!(planned.is_quiet() ? trigger.fires_in_replica : trigger.fires_in_origin)) continue;
    if (Fires(trigger, planned.statement.kind, planned.facts.assigned)) firing.push_back(trigger);
  }
  return firing;
}

bool IsSelfExcluding(const PlannedStatement& planned, const TableShape& walked) {
  if (planned.statement.kind == StatementKind::kDelete) return true;
  if (planned.statement.kind != StatementKind::kUpdate) return false;
  for (const UserTrigger& trigger : FiringTriggers(planned, walked)) {
    if (trigger.is_before && trigger.is_row) return false;
  }
  return std::any_of(planned.statement.conjuncts.begin(), planned.statement.conjuncts.end(),
                     [&](const Conjunct& conjunct) {
                       return conjunct.self_excluding && KeepsItsWord(planned, conjunct, walked);
                     });
}

}  // namespace pawl::schema
