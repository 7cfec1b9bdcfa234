#include "schema/backfill_steps.h"

#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "schema/step_estimate.h"
#include "schema/sync_trigger.h"

namespace pawl::schema {
namespace {

SyncTrigger TriggerFor(const PlannedStatement& planned, const TableShape& walked,
                       const Backfill& backfill) {
  SyncTrigger trigger;
  trigger.suffix = fmt::format("{}_{}", planned.planning.migration.hash.substr(0, 12),
                               planned.planning.steps.size() + 1);
  trigger.table = walked.name;
  trigger.alias = backfill.alias;
  for (const ChangedColumn& changed : backfill.changed) {
    trigger.assigned.emplace_back(changed.column.name, *changed.expression);
  }
  trigger.where = backfill.where_clause;
  trigger.base_where = backfill.base_where;
  for (const std::string& name : planned.facts.read_by_sync) {
    const TableColumn* column = walked.Find(name);
    if (column == nullptr) continue;
    trigger.columns_read.insert(name);
  }
  if (!planned.facts.names_all_built_in) trigger.search_path = planned.planning.search_path;
  if (planned.facts.depends_on_formats) trigger.time_zone = planned.planning.time_zone;
  return trigger;
}

Step& AddStep(const PlannedStatement& planned, const TableShape& table, StepKind kind) {
  Step& step = planned.planning.steps.emplace_back();
  step.number = static_cast<int>(planned.planning.steps.size());
  step.kind = kind;
  step.line = planned.statement.line;
  step.table = table.name;
  return step;
}

void AddSyncOn(const PlannedStatement& planned, const TableShape& walked,
               const SyncTrigger& trigger) {
  Step& step = AddStep(planned, walked, StepKind::kSyncOn);
  step.title = fmt::format("keep {} in sync", Readable(walked.name));
  step.lock = "SHARE ROW EXCLUSIVE, milliseconds; retried with a short lock time-out";
  step.why = "The option keep_in_sync asks for it.";
  step.sql = RenderSyncOn(trigger);
  step.inverse = RenderSyncOff(trigger);
  if (SyncStays(planned.statement)) step.notes.push_back("The trigger stays until the contract.");
  if (!trigger.search_path.empty()) {
    step.notes.push_back(
        "The trigger sets search_path at every call, because the statement uses names that are not "
        "PostgreSQL's own.");
  }
}

void AddSyncOff(const PlannedStatement& planned, const TableShape& walked,
                const SyncTrigger& trigger) {
  Step& step = AddStep(planned, walked, StepKind::kSyncOff);
  step.title = fmt::format("stop keeping {} in sync", Readable(walked.name));
  step.lock = "ACCESS EXCLUSIVE, milliseconds; retried with a short lock time-out";
  step.why = "Every row is in its new form.";
  step.sql = RenderSyncOff(trigger);
  step.inverse = RenderSyncOn(trigger);
}

void AddContract(const PlannedStatement& planned, const TableShape& walked,
                 const SyncTrigger& trigger) {
  Step& step = AddStep(planned, walked, StepKind::kContract);
  step.title = fmt::format("stop keeping {} in sync", Readable(walked.name));
  step.lock = "ACCESS EXCLUSIVE, milliseconds; retried with a short lock time-out";
  step.why = "By `pawl contract`: then there is no way back.";
  step.sql = RenderSyncOff(trigger);
}

std::string TitleOf(const PlannedStatement& planned, const Backfill& backfill) {
  const std::string target = Readable(backfill.target);
  if (planned.statement.kind == StatementKind::kDelete) {
    return fmt::format("backfill {}: delete rows", target);
  }
  if (planned.is_insert()) {
    return fmt::format("backfill {}: insert from {}", target, Readable(backfill.walked));
  }
  return fmt::format("backfill {}: set {}", target, fmt::join(planned.facts.assigned, ", "));
}

std::string UndoReason(UndoKind undo) {
  switch (undo) {
    case UndoKind::kImplicit:
      return "Undo is implicit: the columns are new, so the old value is NULL everywhere.";
    case UndoKind::kImage:
      return "Undo keeps the old values with the key.";
    case UndoKind::kInverse:
      return "Undo is the inverse that the file gives; it held on a sample.";
    case UndoKind::kColumn:
      return "No record is kept: what it fills goes with its column.";
    case UndoKind::kNone:
      return "No undo is kept, because the file says so.";
  }
  return {};
}

}  // namespace

void AddBackfillSteps(const PlannedStatement& planned, const TableShape& walked, Backfill backfill,
                      const std::string& why, std::vector<std::string> notes) {
  const bool in_sync = backfill.keep_in_sync;
  const TableShape& changed = planned.is_insert() ? planned.target : walked;
  SyncTrigger trigger;
  if (in_sync) {
    trigger = TriggerFor(planned, walked, backfill);
    AddSyncOn(planned, walked, trigger);
  }
  Step& step = AddStep(planned, changed, StepKind::kBackfill);
  step.title = TitleOf(planned, backfill);
  step.lock = "ROW EXCLUSIVE, one batch at a time";
  step.why = why + " " + UndoReason(backfill.undo);
  step.notes = std::move(notes);
  step.estimate = EstimateStep(backfill, changed.index_count);
  step.backfill = std::move(backfill);
  if (!in_sync) return;
  if (SyncStays(planned.statement)) {
    AddContract(planned, walked, trigger);
  } else {
    AddSyncOff(planned, walked, trigger);
  }
}

}  // namespace pawl::schema
