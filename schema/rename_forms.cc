#include "schema/rename_forms.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/move_checks.h"
#include "schema/move_steps.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

// Thread safety: none. Lives for one statement.
class Rename {
 public:
  Rename(Planning& planning, const Statement& statement)
      : planning_(planning),
        statement_(statement),
        place_(planning.PlaceOf(statement)),
        table_(planning.schema.Require(place_, statement.target)) {}

  void Plan() {
    const std::optional<AstValue> node = ParseOneStatement(statement_.text);
    const AstObject& rename = *NodeOf(*node, "RenameStmt");
    new_name_ = TextMember(rename, "newname");
    RequireOwnTable(place_, table_);
    if (table_.oid == 0) {
      Fail(fmt::format("{} is created by this file", Readable(table_.name)),
           "Give it the right name there.");
    }
    RequireNoMove(planning_, place_, table_);
    if (TextMember(rename, "renameType") == "OBJECT_COLUMN") {
      PlanColumn(TextMember(rename, "subname"));
    } else {
      PlanTable();
    }
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, what_was_wrong, remedy);
  }

  db::Session& session() const { return planning_.reading.session(); }

  void PlanColumn(const std::string& column) {
    const TableColumn* found = table_.Find(column);
    if (found == nullptr || found->is_created) {
      Fail(fmt::format("column \"{}\" of table {} does not exist", column, Readable(table_.name)),
           "Check its name.");
    }
    if (table_.Find(new_name_) != nullptr) {
      Fail(fmt::format("there is a column {} already", new_name_), "Choose another name.");
    }
    MoveRequest request;
    request.uses = ReadColumnUses(session(), table_, column, ColumnFate::kNewName);
    if (!request.uses.why_not().empty()) {
      Fail(fmt::format("{} of {} cannot be renamed with the old name kept: {}", column,
                       Readable(table_.name), request.uses.why_not()),
           "Take that away first, and make it again afterwards; or rename with psql when nothing "
           "uses the old name.");
    }
    request.table = table_;
    request.column = column;
    request.incoming = new_name_;
    request.incoming_after = new_name_;
    request.outgoing_after = column;
    request.type = request.uses.type + Collation(column);
    request.plain_type = request.uses.type;
    request.expression = QuoteName(column);
    request.inverse = QuoteName(column);
    request.is_same = true;
    request.what = fmt::format("the name of {} of {}", column, Readable(table_.name));
    request.notes.push_back(fmt::format(
        "Both names are read and written until the contract. SELECT * gives {} last from now on.",
        new_name_));
    request.notes.push_back(fmt::format(
        "From the first step on and until the contract, COPY {} FROM without a list of columns fails: "
        "it expects a value for both names.",
        Readable(table_.name)));
    AddMoveSteps(planning_, statement_, request);
  }

  // Where it is not that of the type.
  std::string Collation(const std::string& column) const {
    const db::Result found = session().Query(
        R"(
SELECT n.nspname, c.collname FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
  JOIN pg_catalog.pg_collation AS c ON c.oid = a.attcollation
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace
 WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = $2 AND a.attcollation <> t.typcollation)",
        {std::to_string(table_.oid), column});
    if (found.rows.empty()) return {};
    return " COLLATE " + QuoteName(db::ToText(found.rows[0][0]), db::ToText(found.rows[0][1]));
  }

  void PlanTable() {
    RequireUnchanged(planning_, place_, table_.name);
    const TableName renamed{table_.name.schema, new_name_};
    if (FindRelation(session(), renamed)) {
      Fail(fmt::format("there is a relation {} already", Readable(renamed)),
           "Choose another name.");
    }
    const std::string old_sql = QuoteName(table_.name.schema, table_.name.name);
    const std::string new_sql = QuoteName(renamed.schema, renamed.name);
    Step step =
        NewStep(StepKind::kCutOver, fmt::format("rename {} to {}, with a view of the old name",
                                                Readable(table_.name), new_name_));
    step.lock = "ACCESS EXCLUSIVE, milliseconds; blockers are looked at first";
    step.why = "PostgreSQL reads and writes through so plain a view.";
    step.sql = fmt::format("ALTER TABLE {} RENAME TO {};\n{}", old_sql, QuoteName(new_name_),
                           ViewSql(old_sql, new_sql));
    // The lock on a view is one on its table too, in the order in which a statement through the view
    // takes them. In the other order the two would wait for each other.
    step.inverse = fmt::format(
        "LOCK TABLE {1} IN ACCESS EXCLUSIVE MODE;\nDROP VIEW {1};\nALTER TABLE {0} RENAME TO {2}",
        new_sql, old_sql, QuoteName(table_.name.name));
    step.notes.push_back(
        "Through the old name, COPY … FROM, TRUNCATE and ON CONFLICT ON CONSTRAINT do "
        "not work: a view knows none of them. Neither do ctid, xmin and their like, GROUP BY of the "
        "key alone with other columns in the list, and before PostgreSQL 17 MERGE.");
    step.also.push_back(renamed);  // On the way back.
    planning_.Add(std::move(step));
    Step contract =
        NewStep(StepKind::kContract, fmt::format("drop view {}", Readable(table_.name)));
    contract.lock = "ACCESS EXCLUSIVE on the view, milliseconds";
    contract.why = "By `pawl contract`: then the old name is gone.";
    contract.sql = "DROP VIEW " + old_sql;
    planning_.Add(std::move(contract));
    planning_.moved.push_back(table_.name);
  }

  Step NewStep(StepKind kind, const std::string& title) const {
    Step step;
    step.kind = kind;
    step.line = statement_.line;
    step.title = title;
    step.table = table_.name;
    step.is_own = true;
    return step;
  }

  // With the rights that the table has. From PostgreSQL 15 on, the table's own are asked as well.
  std::string ViewSql(const std::string& old_sql, const std::string& new_sql) const {
    const db::Row row =
        session()
            .Query(
                "SELECT c.relrowsecurity, pg_catalog.quote_ident(r.rolname) FROM "
                "pg_catalog.pg_class AS c JOIN pg_catalog.pg_roles AS r ON r.oid = c.relowner "
                "WHERE c.oid = $1::pg_catalog.oid",
                {std::to_string(table_.oid)})
            .rows.at(0);
    const bool asks_table = session().server_version() >= 150000;
    if (db::ToBool(row[0]) && !asks_table) {
      Fail(fmt::format("{} has row level security, which a view of this PostgreSQL passes over",
                       Readable(table_.name)),
           "Rename it with psql when nothing uses the old name.");
    }
    std::string columns;
    for (const TableColumn& column : table_.columns) {
      columns += (columns.empty() ? "" : ", ") + QuoteName(column.column.name);
    }
    std::string sql =
        fmt::format("CREATE VIEW {}{} AS SELECT {} FROM {};\nALTER VIEW {} OWNER TO {}", old_sql,
                    asks_table ? " WITH (security_invoker = true)" : "", columns, new_sql, old_sql,
                    db::ToText(row[1]));
    const db::Result grants = session().Query(
        R"(
SELECT g.privilege_type || coalesce(' (' || pg_catalog.quote_ident(acl.attname) || ')', ''),
       CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END,
       CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
  FROM (SELECT relacl AS list, NULL::name AS attname, relowner
          FROM pg_catalog.pg_class WHERE oid = $1::pg_catalog.oid
        UNION ALL
        SELECT a.attacl, a.attname, c.relowner FROM pg_catalog.pg_attribute AS a
          JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
         WHERE a.attrelid = $1::pg_catalog.oid AND NOT a.attisdropped) AS acl
 CROSS JOIN LATERAL pg_catalog.aclexplode(acl.list) AS g
  LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = g.grantee
 WHERE g.grantee <> acl.relowner
   AND g.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') ORDER BY 1, 2)",
        {std::to_string(table_.oid)});
    for (const db::Row& grant : grants.rows) {
      sql += fmt::format(";\nGRANT {} ON {} TO {}{}", db::ToText(grant[0]), old_sql,
                         db::ToText(grant[1]), db::ToText(grant[2]));
    }
    return sql;
  }

  Planning& planning_;
  const Statement& statement_;
  const Place place_;
  const TableShape table_;
  std::string new_name_;
};

}  // namespace

bool IsRename(const AstValue& node) {
  const AstObject* rename = NodeOf(node, "RenameStmt");
  if (rename == nullptr) return false;
  const std::string type = TextMember(*rename, "renameType");
  return type == "OBJECT_TABLE" ||
         (type == "OBJECT_COLUMN" && TextMember(*rename, "relationType") == "OBJECT_TABLE");
}

void PlanRename(Planning& planning, const Statement& statement) {
  Rename(planning, statement).Plan();
}

}  // namespace pawl::schema
