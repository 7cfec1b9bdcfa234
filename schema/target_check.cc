#include "schema/target_check.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "db/quote.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

const char* CommandOf(StatementKind kind) {
  if (kind == StatementKind::kDelete) return "DELETE";
  return kind == StatementKind::kInsertSelect ? "INSERT" : "UPDATE";
}

// Whether the role sees all rows, and the command is what runs.
void CheckReach(const PlannedStatement& planned, const TableShape& table) {
  if (table.row_security) {
    planned.Fail(
        fmt::format("row level security hides rows of {} from this role", Readable(table.name)),
        "Connect as the owner of the table or as a role with BYPASSRLS.");
  }
  if (table.name != planned.target.name) return;
  const char event = planned.statement.kind == StatementKind::kUpdate ? '2'
                     : planned.is_insert()                            ? '3'
                                                                      : '4';
  if (std::find(table.rules.begin(), table.rules.end(), event) != table.rules.end()) {
    planned.Fail(fmt::format("a rule on {} turns {} into something else", Readable(table.name),
                             CommandOf(planned.statement.kind)),
                 "Drop the rule, or write what it does and disable it meanwhile.");
  }
}

}  // namespace

void CheckTarget(const PlannedStatement& planned) {
  const TableShape& target = planned.target;
  const std::string name = Readable(target.name);
  if (target.kind == 'v' || target.kind == 'm') {
    planned.Fail(fmt::format("{} is a view", name), "Name the table whose rows are meant.");
  }
  if (target.kind == 'f') {
    planned.Fail(fmt::format("{} is a foreign table, whose rows live in another database", name),
                 "Run Pawl against that database.");
  }
  if (target.kind != 'r' && target.kind != 'p') {
    planned.Fail(fmt::format("{} is no table", name), "Name a table.");
  }
  if (target.is_temporary) {
    planned.Fail(fmt::format("{} is a temporary table, seen by one connection only", name),
                 "Use a plain table.");
  }
  if (target.is_system) {
    planned.Fail(fmt::format("{} belongs to PostgreSQL itself", name), "Pawl leaves it alone.");
  }
  if (target.oid == 0 && !planned.is_insert()) {
    planned.Fail(
        fmt::format("{} is created by this file, so it will be empty and there is nothing to {}",
                    name, planned.statement.kind == StatementKind::kDelete ? "delete" : "update"),
        "Remove the statement, or move it to a later migration.");
  }
  CheckReach(planned, target);
}

void CheckWalked(const PlannedStatement& planned, const TableShape& walked) {
  if (!planned.is_insert()) return;
  const std::string name = Readable(walked.name);
  if (walked.kind != 'r' && walked.kind != 'p') {
    planned.Fail(
        fmt::format("the rows to insert come from {}, which is no table", name),
        "Only a table can be walked in batches; put its rows into one, or name the table below "
        "the view.");
  }
  if (walked.is_temporary) {
    planned.Fail(fmt::format("{} is a temporary table, seen by one connection only", name),
                 "Use a plain table.");
  }
  if (walked.oid == 0) {
    planned.Fail(
        fmt::format("{} is created by this file, so it will be empty and there is nothing to "
                    "insert from it",
                    name),
        "Remove the statement, or move it to a later migration.");
  }
  CheckReach(planned, walked);
}

void CheckChild(const PlannedStatement& planned, const TableShape& parent,
                const TableShape& child) {
  if (child.kind == 'f') {
    planned.Fail(
        fmt::format("{} has a foreign table below it, {}, whose rows live in another database",
                    Readable(parent.name), Readable(child.name)),
        "Name the partitions one by one, and run Pawl against the other database for that one.");
  }
  if (!planned.is_insert() && !child.rules.empty()) {
    planned.Fail(
        fmt::format("a rule on {} turns a command into something else", Readable(child.name)),
        "Drop the rule, or write what it does and disable it meanwhile.");
  }
  if (child.row_security) CheckReach(planned, child);
}

void CheckPrivilegesOnTarget(const PlannedStatement& planned) {
  if (!planned.is_insert()) return;  // Then it is a walked table, checked one by one.
  if (!planned.target.may_insert) FailPrivilege(planned, planned.target, "INSERT");
}

void CheckPrivileges(const PlannedStatement& planned, const TableShape& walked) {
  if (!walked.may_select) FailPrivilege(planned, walked, "SELECT");
  if (planned.statement.kind == StatementKind::kDelete && !walked.may_delete) {
    FailPrivilege(planned, walked, "DELETE");
  }
  if (planned.statement.kind != StatementKind::kUpdate || walked.may_update) return;
  for (const Assignment& assignment : planned.statement.assignments) {
    const TableColumn* column = walked.Find(assignment.column);
    if (column != nullptr && !column->may_update) FailPrivilege(planned, walked, "UPDATE");
  }
}

void FailPrivilege(const PlannedStatement& planned, const TableShape& table,
                   const std::string& privilege) {
  const std::string role =
      db::ToText(planned.session().Query("SELECT pg_catalog.quote_ident(current_user)").rows[0][0]);
  planned.Fail(fmt::format("role {} may not {} {}", role, privilege, Readable(table.name)),
               fmt::format("GRANT {} ON {} TO {};", privilege,
                           QuoteName(table.name.schema, table.name.name), role));
}

void CheckReferences(const PlannedStatement& planned, const TableShape& walked) {
  if (planned.is_insert() || planned.is_quiet()) return;
  for (const Reference& reference : walked.references) {
    const bool is_delete = planned.statement.kind == StatementKind::kDelete;
    const char action = is_delete ? reference.on_delete : reference.on_update;
    if (action == 'a' || action == 'r') continue;
    const std::set<std::string> columns(reference.columns.begin(), reference.columns.end());
    if (is_delete && !IsAllowed(planned.statement, "cascade")) {
      planned.Fail(
          fmt::format("foreign key {} of {} would change or delete its rows with those of {}, "
                      "and no undo would hold them",
                      reference.name, reference.from_table, Readable(walked.name)),
          "Change or delete those rows first by a statement of their own, or write "
          "allow=cascade.");
    }
    if (!is_delete && Intersects(columns, planned.facts.assigned)) {
      planned.Fail(
          fmt::format("foreign key {} of {} would change its rows with those of {}, and no undo "
                      "would hold them",
                      reference.name, reference.from_table, Readable(walked.name)),
          "Add the new key as a column of its own, fill both tables, and switch over.");
    }
  }
}

void CheckReplicaIdentity(const PlannedStatement& planned, const TableShape& walked) {
  if (planned.is_insert() || walked.has_replica_identity) return;
  const db::Result publishing = planned.session().Query(
      fmt::format(R"(
SELECT p.pubname
  FROM pg_catalog.pg_publication p
  JOIN pg_catalog.pg_publication_tables t ON t.pubname = p.pubname
 WHERE t.schemaname = $1 AND t.tablename = $2 AND p.{})",
                  planned.statement.kind == StatementKind::kDelete ? "pubdelete" : "pubupdate"),
      {walked.name.schema, walked.name.name});
  if (publishing.rows.empty()) return;
  planned.Fail(
      fmt::format("publication {} publishes {}, which has no replica identity, so PostgreSQL "
                  "refuses the command",
                  db::ToText(publishing.rows[0][0]), Readable(walked.name)),
      "Add a primary key, or ALTER TABLE … REPLICA IDENTITY FULL.");
}

}  // namespace pawl::schema
