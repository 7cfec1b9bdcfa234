#include "schema/step_notes.h"

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "schema/ast.h"
#include "schema/self_excluding.h"

namespace pawl::schema {
namespace {

using Notes = std::vector<std::string>;

void AddTriggerNotes(const PlannedStatement& planned, const TableShape& target, Notes& notes) {
  for (const UserTrigger& trigger : FiringTriggers(planned, target)) {
    notes.push_back(fmt::format("Trigger {} ({}) fires for every {}.", trigger.name,
                                trigger.function, trigger.is_row ? "changed row" : "batch"));
  }
  if (planned.is_quiet()) {
    notes.push_back(
        "quiet_triggers: foreign keys are not checked, and triggers other than ENABLE ALWAYS do "
        "not fire.");
  }
}

void AddReferenceNotes(const PlannedStatement& planned, const TableShape& target, Notes& notes) {
  if (planned.is_quiet() || planned.is_insert()) return;
  for (const Reference& reference : target.references) {
    const std::set<std::string> columns(reference.columns.begin(), reference.columns.end());
    const bool is_checked = planned.statement.kind == StatementKind::kDelete ||
                            Intersects(columns, planned.facts.assigned);
    if (!is_checked || reference.is_indexed) continue;
    notes.push_back(
        fmt::format("Foreign key {} of {} has no index on its columns: that table is scanned for "
                    "every row.",
                    reference.name, reference.from_table));
  }
}

void AddReplicationNotes(const PlannedStatement& planned, const TableShape& target, Notes& notes) {
  if (!target.publications.empty()) {
    notes.push_back(fmt::format("Published by {}: every changed row is sent to the subscribers.",
                                fmt::join(target.publications, ", ")));
  }
  const db::Result slots = planned.session().Query(
      "SELECT slot_name FROM pg_catalog.pg_replication_slots WHERE database IS NULL OR database = "
      "pg_catalog.current_database() ORDER BY 1");
  if (slots.rows.empty()) return;
  std::vector<std::string> names;
  for (const db::Row& row : slots.rows) names.push_back(db::ToText(row[0]));
  notes.push_back(fmt::format("Replication slots keep the WAL until their readers have it: {}.",
                              fmt::join(names, ", ")));
}

bool IsByBlock(Order order) { return order == Order::kBlock || order == Order::kBlockStrides; }

bool HasNullTest(const Statement& statement) {
  return statement.kind == StatementKind::kUpdate &&
         std::any_of(
             statement.conjuncts.begin(), statement.conjuncts.end(), [](const Conjunct& conjunct) {
               const std::optional<AstValue> tree = ParseExpression(conjunct.text);
               return conjunct.self_excluding && tree && NodeOf(*tree, "NullTest") != nullptr;
             });
}

void AddSampleNotes(const Statement& statement, const TableSample& sample, Notes& notes) {
  if (!sample.condition_known) {
    notes.push_back(
        fmt::format("WHERE could not be tried on a sample ({}), so all rows of the table are "
                    "counted.",
                    sample.condition_error));
  } else if (!statement.source_joins.empty()) {
    notes.push_back("The joins were not tried on a sample, so all rows of the source are counted.");
  }
}

void AddProofNotes(const Statement& statement, const Backfill& backfill, Notes& notes) {
  if (statement.kind == StatementKind::kUpdate && !backfill.re_evaluable) {
    notes.push_back(
        "The values cannot be computed again later, so the proof compares with what was written "
        "and not with the expression.");
  }
  if (backfill.undo == UndoKind::kNone) notes.push_back("This step cannot be taken back.");
  if (statement.kind == StatementKind::kDelete && IsAllowed(statement, "cascade")) {
    notes.push_back("Rows that other tables lose or change with these are not kept.");
  }
}

}  // namespace

Notes NotesOf(const PlannedStatement& planned, const TableShape& walked, const TableSample& sample,
              const Backfill& backfill) {
  const TableShape& target = planned.is_insert() ? planned.target : walked;
  Notes notes;
  AddTriggerNotes(planned, target, notes);
  AddReferenceNotes(planned, target, notes);
  AddReplicationNotes(planned, target, notes);
  if (IsByBlock(backfill.order) && HasNullTest(planned.statement)) {
    notes.push_back(
        "A row whose expression gives NULL still matches the WHERE clause after the change.");
  }
  AddSampleNotes(planned.statement, sample, notes);
  AddProofNotes(planned.statement, backfill, notes);
  return notes;
}

}  // namespace pawl::schema
