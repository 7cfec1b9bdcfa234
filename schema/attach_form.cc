#include "schema/attach_form.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/form_steps.h"
#include "schema/move_checks.h"
#include "schema/partition_change.h"
#include "schema/partition_parts.h"
#include "schema/sql_tokens.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

const AstObject* CommandOf(const AstValue& node) {
  const AstObject* alter = NodeOf(node, "AlterTableStmt");
  if (alter == nullptr || TextMember(*alter, "objtype") != "OBJECT_TABLE") return nullptr;
  const AstArray& commands = ArrayMember(*alter, "cmds");
  const AstObject* command = commands.size() == 1 ? NodeOf(commands[0], "AlterTableCmd") : nullptr;
  if (command == nullptr || TextMember(*command, "subtype") != "AT_AttachPartition") return nullptr;
  const AstObject* definition = ObjectMember(*command, "def");
  return definition == nullptr ? nullptr : ObjectMember(*definition, "PartitionCmd");
}

// Thread safety: none. Lives for one statement.
class Attach {
 public:
  Attach(Planning& planning, const Statement& statement)
      : planning_(planning), statement_(statement), place_(planning.PlaceOf(statement)) {}

  void Plan() {
    const std::optional<AstValue> node = ParseOneStatement(statement_.text);
    parent_ = planning_.schema.Require(place_, statement_.target);
    child_ = planning_.schema.Require(place_, RelationOf(*ObjectMember(*CommandOf(*node), "name")));
    Require();
    key_ = ReadPartitionKey(planning_, parent_);
    bound_ = ParseBound(planning_, place_, key_, TextOfBound());
    default_ = DefaultPartition(planning_, parent_);
    if (bound_.is_default) {
      RequireDefaultPossible();
    } else {
      RefuseOverlap();
    }
    std::vector<Step> steps = is_new() ? std::vector<Step>() : StepsOfParts();
    AskFirst(!steps.empty());
    for (Step& step : steps) planning_.Add(std::move(step));
    if (!is_new()) AddBoundCheck();
    if (default_) AddApartCheck();
    AddAttach();
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, what_was_wrong, remedy);
  }

  bool is_new() const { return child_.oid == 0; }

  void Require() {
    if (parent_.kind != 'p' || parent_.oid == 0) {
      Fail(parent_.oid == 0 ? fmt::format("{} is created by this file", Readable(parent_.name))
                            : fmt::format("{} is not a partitioned table", Readable(parent_.name)),
           "Attach partitions to a partitioned table that is there.");
    }
    RequireOwnTable(place_, parent_);
    RequireUnchanged(planning_, place_, parent_.name);
    if (is_new()) return RequireEmpty();
    RequireOwnTable(place_, child_);
    RequireNoMove(planning_, place_, child_);
    RequireUnchanged(planning_, place_, child_.name);
    if (child_.is_partition) {
      Fail(fmt::format("{} is a partition already", Readable(child_.name)),
           "Detach it first, or remove the statement if this is what is meant.");
    }
    const std::string difference = DifferenceFrom(planning_, parent_, child_);
    if (difference.empty()) return;
    Fail(fmt::format("{} cannot become a partition of {}: {}", Readable(child_.name),
                     Readable(parent_.name), difference),
         "Make the two alike first, by statements of their own.");
  }

  // What an earlier statement of the file writes into it, no catalogue knows.
  void RequireEmpty() const {
    for (const Step& step : planning_.steps) {
      if (!step.backfill || !(step.backfill->target == child_.name)) continue;
      Fail(fmt::format("{} is made and filled by this file", Readable(child_.name)),
           "Put ATTACH PARTITION into a file of its own, and run it afterwards.");
    }
  }

  void RequireDefaultPossible() {
    RequireSamePartitions(planning_, place_, parent_.name);
    if (key_.strategy == 'h') {
      Fail("a table that is partitioned by hash has no default partition",
           "Write FOR VALUES WITH (MODULUS …, REMAINDER …).");
    }
    if (default_) {
      Fail(fmt::format("{} has a default partition already, {}", Readable(parent_.name),
                       Readable(default_->name)),
           "Detach that first.");
    }
  }

  std::string TextOfBound() const {
    const TokenizedText text(statement_.text);
    const std::size_t first = std::min(text.Find("FOR", 0), text.Find("DEFAULT", 0));
    return text.Cut(first, text.size());
  }

  std::vector<Step> StepsOfParts() const {
    std::vector<Step> steps = MissingIndexSteps(planning_, place_, parent_, child_);
    for (Step& step : MissingKeySteps(planning_, place_, parent_, child_)) {
      steps.push_back(std::move(step));
    }
    return steps;
  }

  std::string ConditionOfChild() {
    std::string condition;
    if (bound_.is_default) {
      condition = DefaultCondition(key_, OtherBounds());
    } else {
      condition = BoundCondition(key_, bound_);
    }
    // Of a partition that is partitioned itself, its own bound holds too.
    const db::Row row =
        planning_.reading.session()
            .Query("SELECT pg_catalog.pg_get_partition_constraintdef($1::pg_catalog.oid)",
                   {std::to_string(parent_.oid)})
            .rows.at(0);
    if (!row[0]) return condition;
    return condition.empty() ? *row[0] : fmt::format("({}) AND ({})", *row[0], condition);
  }

  // The partitions that are there, with their bounds.
  std::vector<std::pair<TableName, std::string>> Others() const {
    const db::Result found = planning_.reading.session().Query(
        R"(
SELECT n.nspname, c.relname, pg_catalog.pg_get_expr(c.relpartbound, c.oid)
  FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE i.inhparent = $1::pg_catalog.oid ORDER BY c.oid)",
        {std::to_string(parent_.oid)});
    std::vector<std::pair<TableName, std::string>> others;
    for (const db::Row& row : found.rows) {
      others.emplace_back(TableName{db::ToText(row[0]), db::ToText(row[1])}, db::ToText(row[2]));
    }
    return others;
  }

  std::vector<PartitionBound> OtherBounds() {
    std::vector<PartitionBound> bounds;
    for (const auto& [name, text] : Others()) {
      bounds.push_back(ParseBound(planning_, place_, key_, text));
    }
    return bounds;
  }

  // Partitions of which the file detaches one before do not count.
  void RefuseOverlap() {
    for (const auto& [name, text] : Others()) {
      if (text == "DEFAULT" || IsDetachedBefore(name)) continue;
      const std::string question =
          OverlapQuestion(key_, bound_, ParseBound(planning_, place_, key_, text));
      if (question.empty()) return;
      if (!db::ToBool(planning_.reading.session().Query(question).rows.at(0)[0])) continue;
      Fail(fmt::format("the bounds of {} have values in common with those of partition {} ({})",
                       Readable(child_.name), Readable(name), text),
           "Mend the bounds, or detach that one first.");
    }
  }

  bool IsDetachedBefore(const TableName& name) const {
    return std::any_of(planning_.steps.begin(), planning_.steps.end(), [&](const Step& step) {
      return step.table == name && step.sql.find(" DETACH PARTITION ") != std::string::npos;
    });
  }

  // PostgreSQL compares the expressions, and of a call also the collation, which its own has not.
  void RefuseHashOfText() const {
    if (key_.strategy != 'h') return;
    const auto text = std::find_if(key_.parts.begin(), key_.parts.end(),
                                   [](const PartitionKeyPart& part) { return part.is_collatable; });
    if (text == key_.parts.end()) return;
    Fail(
        fmt::format("{} is partitioned by a hash of {}, whose type has a collation: no CHECK can "
                    "tell PostgreSQL that the rows of {} fit, so it reads all of them under a lock "
                    "that stops whoever uses that table",
                    Readable(parent_.name), text->sql, Readable(child_.name)),
        "Where nobody uses it yet, run the statement with psql.");
  }

  // Nothing is built, and nobody is refused a row, for what cannot come to its end.
  void AskFirst(bool builds) {
    if (default_) {
      AddQuestion(*default_, ConditionOfDefault(),
                  fmt::format("look for rows of the default partition {} that belong into {}",
                              Readable(default_->name), Readable(child_.name)));
    }
    if (is_new()) return;
    RefuseHashOfText();
    condition_ = ConditionOfChild();
    if (!builds || condition_.empty()) return;
    AddQuestion(
        child_, condition_,
        fmt::format("look for rows of {} that its bounds leave out", Readable(child_.name)));
  }

  void AddQuestion(const TableShape& table, const std::string& condition,
                   const std::string& title) {
    Step step = DdlStep(statement_.line, table.name, title, "none", "It reads every row once.");
    step.sql = "SELECT 1";
    step.reopen = step.sql;
    step.question = RowsOutside(table, condition);
    planning_.Add(std::move(step));
  }

  void AddCheck(const TableShape& table, const std::string& name, const std::string& condition,
                const std::string& why, const std::string& note) {
    if (db::ToBool(
            planning_.reading.session().Query(HasConstraint(table.name, name, "")).rows.at(0)[0])) {
      Fail(fmt::format("{} has a constraint {} already, of an earlier run", Readable(table.name),
                       name),
           "Take that run back, or drop the constraint.");
    }
    std::vector<Step> steps =
        CheckSteps(StepKind::kDdl, statement_.line, table, name, condition, why);
    if (!note.empty()) steps[0].notes.push_back(note);
    for (Step& step : steps) planning_.Add(std::move(step));
    drops_ += ";\n" + DropConstraint(table.name, name);
  }

  void AddBoundCheck() {
    if (condition_.empty()) return;
    AddCheck(
        child_, BoundCheckName(child_.name), condition_,
        "It says what the bounds say. ATTACH PARTITION trusts it and reads no row; it goes with "
        "that.",
        "");
  }

  std::string ConditionOfDefault() const {
    return fmt::format("NOT ({})", BoundCondition(key_, bound_));
  }

  void AddApartCheck() {
    AddCheck(
        *default_, ApartCheckName(default_->name, child_.name), ConditionOfDefault(),
        "No row of the new bounds is in the default partition: ATTACH PARTITION trusts it and "
        "reads no row there either; it goes with that.",
        fmt::format("From here to ATTACH PARTITION, a new row of these bounds is refused, which "
                    "would have gone to {}. It must not be there when {} is attached.",
                    Readable(default_->name), Readable(child_.name)));
  }

  void AddAttach() {
    Step step = DdlStep(
        statement_.line, bound_.is_default ? parent_.name : child_.name,
        fmt::format("attach {} to {}", Readable(child_.name), Readable(parent_.name)),
        fmt::format("ACCESS EXCLUSIVE on {}{} (others use {} meanwhile), milliseconds, within the "
                    "stall budget",
                    Readable(child_.name), default_ ? " and " + Readable(default_->name) : "",
                    Readable(parent_.name)),
        is_new() ? "The table is new and empty."
                 : "PostgreSQL trusts the validated checks and reads no row.");
    step.is_own = true;
    step.sql = fmt::format("ALTER TABLE {} ATTACH PARTITION {} {}{}", SqlName(parent_.name),
                           SqlName(child_.name), BoundText(bound_), drops_);
    step.inverse = fmt::format("ALTER TABLE {} DETACH PARTITION {}", SqlName(parent_.name),
                               SqlName(child_.name));
    step.also = {bound_.is_default ? child_.name : parent_.name};
    if (default_) step.also.push_back(default_->name);
    for (TableName& table : ReferredTo(planning_, parent_)) step.also.push_back(std::move(table));
    step.notes.push_back(fmt::format("Taken back, {} keeps the rows that {} has got in it by then.",
                                     Readable(child_.name), Readable(parent_.name)));
    planning_.Add(std::move(step));
  }

  Planning& planning_;
  const Statement& statement_;
  const Place place_;
  TableShape parent_;
  TableShape child_;
  std::optional<TableShape> default_;
  PartitionKey key_;
  PartitionBound bound_;
  std::string condition_;  // Of the child; empty where every row may be in it.
  std::string drops_;      // Of the checks, behind ATTACH.
};

}  // namespace

bool IsAttach(const AstValue& node) { return CommandOf(node) != nullptr; }

void PlanAttach(Planning& planning, const Statement& statement) {
  Attach(planning, statement).Plan();
}

}  // namespace pawl::schema
