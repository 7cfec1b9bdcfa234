#include "schema/detach_form.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/form_steps.h"
#include "schema/move_checks.h"
#include "schema/partition_change.h"
#include "schema/shape_trigger.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;

constexpr int kHasConcurrently = 140000;

const AstObject* CommandOf(const AstValue& node) {
  const AstObject* alter = NodeOf(node, "AlterTableStmt");
  if (alter == nullptr || TextMember(*alter, "objtype") != "OBJECT_TABLE") return nullptr;
  const AstArray& commands = ArrayMember(*alter, "cmds");
  const AstObject* command = commands.size() == 1 ? NodeOf(commands[0], "AlterTableCmd") : nullptr;
  if (command == nullptr) return nullptr;
  const std::string subtype = TextMember(*command, "subtype");
  return subtype == "AT_DetachPartition" || subtype == "AT_DetachPartitionFinalize" ? command
                                                                                    : nullptr;
}

// Thread safety: none. Lives for one statement.
class Detach {
 public:
  Detach(Planning& planning, const Statement& statement)
      : planning_(planning), statement_(statement), place_(planning.PlaceOf(statement)) {}

  void Plan() {
    const std::optional<AstValue> node = ParseOneStatement(statement_.text);
    const AstObject& command = *CommandOf(*node);
    const AstObject& body = *ObjectMember(*ObjectMember(command, "def"), "PartitionCmd");
    parent_ = planning_.schema.Require(place_, statement_.target);
    child_ = planning_.schema.Require(place_, RelationOf(*ObjectMember(body, "name")));
    Require();
    ReadLink();
    const bool finalizes = TextMember(command, "subtype") == "AT_DetachPartitionFinalize";
    if (finalizes && !is_pending_) {
      Fail(fmt::format("no DETACH PARTITION … CONCURRENTLY of {} was interrupted",
                       Readable(child_.name)),
           "Write DETACH PARTITION.");
    }
    default_ = DefaultPartition(planning_, parent_);
    if (!is_pending_) RefuseScans();
    // One that is marked is ended as it was begun.
    if (is_pending_ || (version() >= kHasConcurrently && !default_)) return AddConcurrently();
    if (FlagMember(body, "concurrent")) {
      Fail(default_ ? fmt::format("PostgreSQL cannot detach CONCURRENTLY while {} has a default "
                                  "partition, {}",
                                  Readable(parent_.name), Readable(default_->name))
                    : "CONCURRENTLY came with PostgreSQL 14",
           "Leave CONCURRENTLY out: the plan then takes one short lock, and says so.");
    }
    AddShort();
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, what_was_wrong, remedy);
  }

  db::Session& session() const { return planning_.reading.session(); }
  int version() const { return session().server_version(); }

  void Require() const {
    for (const TableShape* table : {&parent_, &child_}) {
      RequireOwnTable(place_, *table);
      if (table->oid == 0) {
        Fail(fmt::format("{} is created by this file", Readable(table->name)), "Leave that out.");
      }
    }
    RequireUnchanged(planning_, place_, parent_.name);
    RequireUnchanged(planning_, place_, child_.name);
    RequireNoMove(planning_, place_, child_);
  }

  void ReadLink() {
    const std::string pending = version() >= kHasConcurrently ? "i.inhdetachpending" : "false";
    const db::Result found = session().Query(
        fmt::format(
            "SELECT pg_catalog.pg_get_expr(c.relpartbound, c.oid), {0}, c.oid = $2::pg_catalog.oid, "
            "c.oid::pg_catalog.regclass FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS "
            "c ON c.oid = i.inhrelid WHERE i.inhparent = $1::pg_catalog.oid AND (c.oid = "
            "$2::pg_catalog.oid OR {0}) AND c.relispartition ORDER BY 3 DESC",
            pending),
        {std::to_string(parent_.oid), std::to_string(child_.oid)});
    if (found.rows.empty() || !db::ToBool(found.rows[0][2])) {
      Fail(fmt::format("{} is no partition of {}", Readable(child_.name), Readable(parent_.name)),
           "Name the partitioned table that it belongs to.");
    }
    bound_text_ = db::ToText(found.rows[0][0]);
    is_pending_ = db::ToBool(found.rows[0][1]);
    if (found.rows.size() > 1) {
      Fail(fmt::format("a DETACH PARTITION … CONCURRENTLY of {} was interrupted, and PostgreSQL "
                       "knows one of a table at a time",
                       db::ToText(found.rows[1][3])),
           "End that first: DETACH PARTITION … FINALIZE.");
    }
  }

  // That no row refers to one of the partition is proved under locks, whatever the form.
  void RefuseScans() {
    const db::Result found = session().Query(
        "SELECT pg_catalog.quote_ident(conname), conrelid::pg_catalog.regclass FROM "
        "pg_catalog.pg_constraint WHERE confrelid = $1::pg_catalog.oid AND contype = 'f' LIMIT 1",
        {std::to_string(parent_.oid)});
    if (found.rows.empty()) return;
    Fail(fmt::format(
             "foreign key {} of {} refers to {}: to detach a partition, PostgreSQL looks for "
             "rows that refer to it, while nobody may write to the referring table",
             db::ToText(found.rows[0][0]), db::ToText(found.rows[0][1]), Readable(parent_.name)),
         "Drop the foreign key before and add it again afterwards, or detach with psql in a quiet "
         "hour.");
  }

  std::string AttachSql() const {
    return fmt::format("ALTER TABLE {} ATTACH PARTITION {} {}", SqlName(parent_.name),
                       SqlName(child_.name), bound_text_);
  }

  // --- CONCURRENTLY ---

  std::string FinalizeSql() const {
    return fmt::format(
        "DO $pawl$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = "
        "pg_catalog.to_regclass({0}) AND inhrelid = pg_catalog.to_regclass({1}) AND "
        "inhdetachpending) THEN ALTER TABLE {2} DETACH PARTITION {3} FINALIZE; END IF; END $pawl$",
        QuoteLiteral(SqlName(parent_.name)), QuoteLiteral(SqlName(child_.name)),
        SqlName(parent_.name), SqlName(child_.name));
  }

  // Nothing where the detach has not begun when the run is given up: this step stands before it.
  std::string AttachAgainSql() const {
    return "DO " + DollarQuoted(fmt::format("\nBEGIN\n  IF {} THEN\n    {};\n  END IF;\nEND\n",
                                            IsDetachedSql(), AttachSql()));
  }

  std::string IsDetachedSql() const {
    const std::string asked = IsAttached(parent_.name, child_.name, version());
    return fmt::format("NOT ({})", asked.substr(std::string_view("SELECT ").size()));
  }

  // The check that the detach has left: once the partition is attached again, PostgreSQL writes its
  // bound in the same words. Those that were there before stay.
  std::string DropLeftCheckSql() const {
    std::string kept;
    const db::Result found = session().Query(
        "SELECT conname FROM pg_catalog.pg_constraint WHERE conrelid = $1::pg_catalog.oid AND "
        "contype = 'c' ORDER BY 1",
        {std::to_string(child_.oid)});
    for (const db::Row& row : found.rows) {
      // A detach that was interrupted has left its check already.
      if (is_pending_ && IsLeftCheck(db::ToText(row[0]))) continue;
      kept += (kept.empty() ? "" : ", ") + QuoteLiteral(db::ToText(row[0]));
    }
    return fmt::format(
        "DO $pawl$ DECLARE name pg_catalog.name; BEGIN FOR name IN SELECT conname FROM "
        "pg_catalog.pg_constraint WHERE conrelid = pg_catalog.to_regclass({0}) AND contype = 'c' AND "
        "coninhcount = 0 AND conname <> ALL (ARRAY[{1}]::pg_catalog.text[]) AND "
        "pg_catalog.pg_get_expr(conbin, conrelid) = "
        "pg_catalog.pg_get_partition_constraintdef(conrelid) LOOP EXECUTE pg_catalog.format('ALTER "
        "TABLE %s DROP CONSTRAINT %I', {0}, name); END LOOP; END $pawl$",
        QuoteLiteral(SqlName(child_.name)), kept);
  }

  bool IsLeftCheck(const std::string& name) const {
    return db::ToBool(
        session()
            .Query("SELECT pg_catalog.pg_get_expr(conbin, conrelid) = "
                   "pg_catalog.pg_get_partition_constraintdef(conrelid) FROM "
                   "pg_catalog.pg_constraint WHERE conrelid = $1::pg_catalog.oid AND conname = $2",
                   {std::to_string(child_.oid), name})
            .rows.at(0)[0]);
  }

  void AddConcurrently() {
    const std::string child = Readable(child_.name);
    const std::string parent = Readable(parent_.name);
    Step back =
        DdlStep(statement_.line, child_.name, fmt::format("attach {} to {} again", child, parent),
                kBrieflyOnTheWayBack, "By the check that the detach leaves: no row is read.");
    back.inverse = FinalizeSql() + ";\n" + AttachAgainSql() + ";\n" + DropLeftCheckSql();
    back.is_own = true;
    back.also = AlsoLocked();
    planning_.Add(std::move(back));

    if (!is_pending_) {
      Step detach = DdlStep(
          statement_.line, child_.name, fmt::format("detach {} from {}", child, parent),
          kNobodyWaits, "CONCURRENTLY: it waits for those who use the table, and stops nobody.");
      detach.sql = fmt::format("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY",
                               SqlName(parent_.name), SqlName(child_.name));
      detach.alone = true;
      detach.also = {parent_.name};
      detach.settled = "SELECT " + IsDetachedSql();
      planning_.Add(std::move(detach));
    }
    Step end = DdlStep(statement_.line, child_.name, fmt::format("end the detach of {}", child),
                       fmt::format("ACCESS EXCLUSIVE on {} (others use {} meanwhile), "
                                   "milliseconds, within the stall budget",
                                   child, parent),
                       "FINALIZE, where somebody was in the way before: it reads no row.");
    end.sql = FinalizeSql();
    end.also = {parent_.name};
    end.notes.push_back(fmt::format(
        "The detach leaves a CHECK of the old bounds on {}, by which it can be attached again without "
        "a scan. Drop it when it is not wanted any more.",
        child));
    planning_.Add(std::move(end));
  }

  // --- one short lock ---

  std::vector<TableName> AlsoLocked() {
    std::vector<TableName> tables = {parent_.name};
    if (default_) tables.push_back(default_->name);
    for (TableName& table : ReferredTo(planning_, parent_)) tables.push_back(std::move(table));
    return tables;
  }

  void AddShort() {
    AddWayBack();
    Step detach = DdlStep(
        statement_.line, child_.name,
        fmt::format("detach {} from {}", Readable(child_.name), Readable(parent_.name)),
        fmt::format("ACCESS EXCLUSIVE on {}{}, milliseconds, within the stall budget",
                    Readable(parent_.name), default_ ? " and " + Readable(default_->name) : ""),
        default_
            ? fmt::format("{} has a default partition, with which PostgreSQL cannot detach "
                          "CONCURRENTLY. It changes the catalogue only.",
                          Readable(parent_.name))
            : "PostgreSQL before 14 cannot detach CONCURRENTLY. It changes the catalogue only.");
    detach.kind = StepKind::kCutOver;
    detach.is_own = true;
    detach.sql = fmt::format("ALTER TABLE {} DETACH PARTITION {}", SqlName(parent_.name),
                             SqlName(child_.name));
    detach.also = AlsoLocked();
    planning_.Add(std::move(detach));
    planning_.moved.push_back(parent_.name);
    planning_.moved.push_back(child_.name);
  }

  // In the order of the plan, which a revert walks backwards: the checks first, then ATTACH.
  void AddWayBack() {
    const PartitionKey key = ReadPartitionKey(planning_, parent_);
    const PartitionBound bound = ParseBound(planning_, place_, key, bound_text_);
    std::vector<Step> steps;
    std::string drops;
    const auto add = [&](const TableShape& table, const std::string& name,
                         const std::string& condition) {
      drops += ";\n" + DropConstraint(table.name, name);
      for (Step& step : CheckSteps(StepKind::kWayBack, statement_.line, table, name, condition,
                                   "By it, the partition is attached again without a scan.")) {
        steps.push_back(std::move(step));
      }
    };
    // Read here: once it is detached, nobody can ask for it.
    const db::Row row =
        session()
            .Query("SELECT pg_catalog.pg_get_partition_constraintdef($1::pg_catalog.oid)",
                   {std::to_string(child_.oid)})
            .rows.at(0);
    if (default_ && !bound.is_default) {
      add(*default_, ApartCheckName(default_->name, child_.name),
          fmt::format("NOT ({})", BoundCondition(key, bound)));
    }
    if (row[0]) add(child_, BoundCheckName(child_.name), *row[0]);
    Step attach =
        DdlStep(statement_.line, child_.name,
                fmt::format("attach {} to {} again", Readable(child_.name), Readable(parent_.name)),
                kBrieflyOnTheWayBack, "By the checks: no row is read.");
    attach.kind = StepKind::kWayBack;
    attach.also = AlsoLocked();
    attach.settled = IsAttached(parent_.name, child_.name, version());
    attach.inverse = AttachSql() + drops;
    planning_.Add(std::move(attach));
    for (Step& step : steps) planning_.Add(std::move(step));
  }

  Planning& planning_;
  const Statement& statement_;
  const Place place_;
  TableShape parent_;
  TableShape child_;
  std::optional<TableShape> default_;
  std::string bound_text_;
  bool is_pending_ = false;
};

}  // namespace

bool IsDetach(const AstValue& node) { return CommandOf(node) != nullptr; }

void PlanDetach(Planning& planning, const Statement& statement) {
  Detach(planning, statement).Plan();
}

}  // namespace pawl::schema
