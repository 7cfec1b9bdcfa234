#include "schema/ddl_statement.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/dml_statement.h"
#include "schema/online_forms.h"
#include "schema/sql_tokens.h"
#include "schema/type_text.h"

namespace pawl::schema {
namespace {

void Refuse(Statement& statement, const std::string& reason, const std::string& name = "ddl") {
  statement.refusals.push_back({name, reason, false});
}

std::string QuotedTarget(const Statement& statement) {
  return db::QuoteName(statement.target.schema, statement.target.name);
}

bool IsTemporary(const AstObject& range_var) {
  return TextMember(range_var, "relpersistence") == "t";
}

void FillTarget(const Place& place, const AstObject& relation, Statement& statement) {
  CheckRelation(place, relation);
  statement.target = RelationOf(relation);
  statement.alias = AliasOf(relation);
  statement.only = !FlagMember(relation, "inh");
}

// The name of a type or schema-qualified object, given as a list of strings.
TableName NameInList(const AstArray& names) {
  TableName name;
  if (!names.empty()) name.name = StringOf(names[names.size() - 1]);
  if (names.size() > 1) name.schema = StringOf(names[names.size() - 2]);
  return name;
}

void TakeApartAddColumn(const AstObject& table, const AstObject& command, Statement& statement) {
  statement.kind = StatementKind::kAddColumn;
  const AstObject* definition = ObjectMember(command, "def");
  const AstObject* column =
      definition == nullptr ? nullptr : ObjectMember(*definition, "ColumnDef");
  if (column == nullptr) return Refuse(statement, "The column cannot be read. Write it plainly.");
  statement.column = TextMember(*column, "colname");
  if (const AstObject* type = ObjectMember(*column, "typeName")) {
    statement.type = TypeText(*type).value_or("");
  }
  statement.if_not_exists = FlagMember(command, "missing_ok");
  statement.inverse = fmt::format("ALTER TABLE {}{}{} DROP COLUMN IF EXISTS {}",
                                  FlagMember(table, "missing_ok") ? "IF EXISTS " : "",
                                  statement.only ? "ONLY " : "", QuotedTarget(statement),
                                  db::QuoteName(statement.column));
  // What its default and constraints mean, the planner asks the catalogue (schema/add_column.h).
  if (statement.type.empty()) {
    Refuse(statement, fmt::format("ADD COLUMN \"{}\": its type cannot be read. Write the type with "
                                  "plain modifiers.",
                                  statement.column));
  }
}

std::string RemedyForAlter(const std::string& subtype) {
  static const std::map<std::string, std::string> kRemedies = {
      {"AT_SetLogged",
       "SET LOGGED rewrites the whole table under a lock that stops all reads and writes, and "
       "PostgreSQL has no other way. Run it with psql in a quiet hour."},
      {"AT_SetUnLogged",
       "SET UNLOGGED rewrites the whole table under a lock that stops all reads and writes, and "
       "PostgreSQL has no other way. Run it with psql in a quiet hour."},
      {"AT_SetTableSpace",
       "SET TABLESPACE copies the whole table under a lock that stops all reads and writes, and "
       "PostgreSQL has no other way. Run it with psql in a quiet hour."},
      {"AT_SetAccessMethod",
       "SET ACCESS METHOD rewrites the whole table under a lock that stops all reads and writes, and "
       "PostgreSQL has no other way. Make a new table of it and write INSERT … SELECT, which runs in "
       "batches."},
      {"AT_AddConstraint",
       "This form of ADD CONSTRAINT is not known to this version. Write the plain form, of which "
       "Pawl makes the steps itself, or run it outside of Pawl."},
  };
  const auto found = kRemedies.find(subtype);
  if (found != kRemedies.end()) return found->second;
  return "This form of ALTER TABLE may scan, rewrite or lock the whole table, and this version "
         "does not know it. Run it outside of Pawl.";
}

void TakeApartAlterTable(const Place& place, const AstObject& body, Statement& statement) {
  if (TextMember(body, "objtype") == "OBJECT_INDEX") {
    return Refuse(
        statement,
        "ALTER INDEX is not known to this version. SET TABLESPACE copies the index under a "
        "lock that stops all who use it: CREATE INDEX there by another name, then DROP INDEX "
        "the old one, which both run here. For the rest, use psql.");
  }
  if (TextMember(body, "objtype") != "OBJECT_TABLE") {
    return Refuse(statement,
                  "ALTER of anything but a table is not known to this version. Run it outside of "
                  "Pawl.");
  }
  FillTarget(place, *ObjectMember(body, "relation"), statement);
  const AstArray& commands = ArrayMember(body, "cmds");
  if (commands.size() != 1) {
    return Refuse(statement,
                  "ALTER TABLE with several changes at once holds its lock for all of them and "
                  "cannot be taken back one by one. Write one ALTER TABLE for each.");
  }
  const AstObject& command = *NodeOf(commands[0], "AlterTableCmd");
  const std::string subtype = TextMember(command, "subtype");
  if (subtype == "AT_AddColumn") return TakeApartAddColumn(body, command, statement);
  if (subtype == "AT_ColumnDefault") {
    statement.column = TextMember(command, "name");
    return;
  }
  const AstObject* definition = ObjectMember(command, "def");
  const AstObject* constraint =
      definition == nullptr ? nullptr : ObjectMember(*definition, "Constraint");
  if (constraint != nullptr && TextMember(*constraint, "contype") == "CONSTR_EXCLUSION") {
    return Refuse(statement,
                  "ADD CONSTRAINT … EXCLUDE builds its index under a lock that stops all reads and "
                  "writes, and PostgreSQL has no other way. Run it with psql in a quiet hour.");
  }
  Refuse(statement, RemedyForAlter(subtype));
}

void TakeApartCreateTable(const Place& place, const AstObject& body, Statement& statement) {
  statement.kind = StatementKind::kCreateTable;
  const AstObject& relation = *ObjectMember(body, "relation");
  FillTarget(place, relation, statement);
  statement.only = false;
  statement.if_not_exists = FlagMember(body, "if_not_exists");
  statement.inverse = "DROP TABLE IF EXISTS " + QuotedTarget(statement);
  if (Member(body, "partbound") != nullptr) {
    Refuse(statement,
           "CREATE TABLE … PARTITION OF locks the partitioned table. Create a plain table and "
           "attach it outside of Pawl.");
  } else if (Member(body, "inhRelations") != nullptr) {
    Refuse(statement,
           "CREATE TABLE … INHERITS ties the table to another and locks that one. Create a plain "
           "table.");
  }
  if (Member(body, "ofTypename") != nullptr) {
    Refuse(statement, "CREATE TABLE OF a type is not known to this version. Name the columns.");
  }
  if (IsTemporary(relation)) {
    Refuse(statement,
           "A temporary table is seen by one connection only, and Pawl works over many. Create a "
           "plain table.");
  }
}

void TakeApartCreateSchema(const AstObject& body, Statement& statement) {
  const std::string name = TextMember(body, "schemaname");
  statement.if_not_exists = FlagMember(body, "if_not_exists");
  // Without a name it is that of a role, which the text may not tell (AUTHORIZATION CURRENT_USER).
  if (!name.empty()) statement.inverse = "DROP SCHEMA IF EXISTS " + db::QuoteName(name);
  if (Member(body, "schemaElts") != nullptr) {
    Refuse(statement,
           "CREATE SCHEMA with elements is several statements in one. Write each of them on its "
           "own.");
  }
}

void TakeApartCreateSequence(const Place& place, const AstObject& body, Statement& statement) {
  const AstObject& sequence = *ObjectMember(body, "sequence");
  FillTarget(place, sequence, statement);
  statement.only = false;
  statement.if_not_exists = FlagMember(body, "if_not_exists");
  statement.inverse = "DROP SEQUENCE IF EXISTS " + QuotedTarget(statement);
  if (IsTemporary(sequence)) {
    Refuse(statement,
           "A temporary sequence is seen by one connection only, and Pawl works over many. Create "
           "a plain one.");
  }
}

void TakeApartCreateEnum(const AstObject& body, Statement& statement) {
  const TableName name = NameInList(ArrayMember(body, "typeName"));
  statement.inverse = "DROP TYPE IF EXISTS " + db::QuoteName(name.schema, name.name);
}

bool IsNewEnumValue(const AstValue& node) {
  const AstObject* alter = NodeOf(node, "AlterEnumStmt");
  return alter != nullptr && !TextMember(*alter, "newVal").empty() &&
         TextMember(*alter, "oldVal").empty();
}

// "CREATE INDEX", "DROP TABLE", "TRUNCATE": the key words with which the statement begins.
std::string StatementWords(const std::string& sql) {
  static const std::set<std::string> kTwoWords = {"CREATE", "DROP", "ALTER", "REFRESH", "COMMENT"};
  const TokenizedText text(sql);
  if (text.size() == 0) return "This statement";
  std::string words = text[0].word;
  std::size_t next = 1;
  for (; next < text.size() &&
         (text[next].word == "OR" || text[next].word == "REPLACE" || text[next].word == "UNIQUE");
       ++next) {
    words += " " + text[next].word;
  }
  if (kTwoWords.contains(text[0].word) && next < text.size()) words += " " + text[next].word;
  return words;
}

struct KindRefusal {
  std::string_view name;
  std::string_view reason;  // Follows the statement's words.
};

KindRefusal RefusalOfKind(std::string_view type) {
  static const std::map<std::string_view, KindRefusal> kRefusals = {
      {"TransactionStmt",
       {"transaction",
        "has no place here: every batch and every other statement is a transaction of its own. "
        "Remove it."}},
      {"SelectStmt",
       {"select",
        "changes nothing, and its result would have no reader. Remove it, or write INSERT … "
        "SELECT."}},
      {"DropStmt",
       {"ddl", "cannot be taken back. Run it with psql when nothing uses the object any more."}},
      {"TruncateStmt",
       {"ddl",
        "throws all rows away at once and cannot be taken back. Write DELETE, which runs in "
        "batches, or run it with psql."}},
      {"CreateTableAsStmt",
       {"ddl",
        "fills the table in one long statement. Write CREATE TABLE and INSERT … SELECT, which runs "
        "in batches."}},
      {"ClusterStmt",
       {"ddl",
        "writes all rows anew under a lock that stops all reads and writes, and PostgreSQL has no "
        "other way. Run it with psql in a quiet hour."}},
      {"ReindexStmt",
       {"ddl",
        "of the system catalogues cannot be done while others use them. Write REINDEX DATABASE, which "
        "leaves them out, or run it with psql in a quiet hour."}},
      {"CreateTrigStmt",
       {"ddl",
        "changes what the application's rows become, and those of the batches: that is no part of "
        "this. Its lock is short: run it with psql, with SET lock_timeout = '50ms', before or after."}},
      {"RuleStmt",
       {"ddl",
        "changes what statements do, those of the batches too: that is no part of this. Its lock is "
        "short: run it with psql, with SET lock_timeout = '50ms', before or after."}},
      {"CreatePolicyStmt",
       {"ddl",
        "changes which rows are seen: that is no part of this. Its lock is short: run it with psql, "
        "with SET lock_timeout = '50ms', before or after."}},
      {"AlterPolicyStmt",
       {"ddl",
        "changes which rows are seen: that is no part of this. Its lock is short: run it with psql, "
        "with SET lock_timeout = '50ms', before or after."}},
      {"ViewStmt",
       {"ddl",
        "changes what the running application reads, and cannot be taken back where it adds columns. Create a view of another name, which runs here, or run it with psql."}},
      {"VacuumStmt", {"ddl", "is no part of a migration: Pawl vacuums on the way. Remove it."}},
      {"VariableSetStmt",
       {"ddl",
        "would hold for one of many connections only. Set it for the role or the database, or in "
        "the connection string."}},
      {"DoStmt",
       {"ddl",
        "runs code that cannot be cut into batches. Write what it does as UPDATE, DELETE or INSERT "
        "… SELECT."}},
      {"CopyStmt",
       {"ddl",
        "reads or writes a file, which no batch can. Load it with psql into a table, and write "
        "INSERT … SELECT from it."}},
      {"MergeStmt",
       {"ddl",
        "cannot be cut into batches. Write it as an UPDATE, a DELETE and an INSERT … SELECT."}},
      {"RenameStmt",
       {"ddl",
        "changes a name under the running application. Run it outside of Pawl, when nothing uses "
        "the old name."}},
  };
  const auto found = kRefusals.find(type);
  if (found != kRefusals.end()) return found->second;
  return {"ddl",
          "is not known to this version: it may lock a table for long, and Pawl could not take it "
          "back. Run it outside of Pawl."};
}

void RefuseKind(std::string_view type, Statement& statement) {
  const KindRefusal refusal = RefusalOfKind(type);
  Refuse(statement, fmt::format("{} {}", StatementWords(statement.text), refusal.reason),
         std::string(refusal.name));
}

}  // namespace

void TakeApartDdl(const Place& place, const AstValue& node, Statement& statement) {
  statement.kind = StatementKind::kOtherDdl;
  if (HasOnlineForm(node)) {
    statement.kind = StatementKind::kOnlineDdl;
    const AstObject& body = *NodeOf(node, NodeType(node));
    if (const AstObject* relation = ObjectMember(body, "relation")) {
      FillTarget(place, *relation, statement);
    }
  } else if (const AstObject* alter = NodeOf(node, "AlterTableStmt")) {
    TakeApartAlterTable(place, *alter, statement);
  } else if (const AstObject* table = NodeOf(node, "CreateStmt")) {
    TakeApartCreateTable(place, *table, statement);
  } else if (const AstObject* schema = NodeOf(node, "CreateSchemaStmt")) {
    TakeApartCreateSchema(*schema, statement);
  } else if (const AstObject* sequence = NodeOf(node, "CreateSeqStmt")) {
    TakeApartCreateSequence(place, *sequence, statement);
  } else if (const AstObject* type = NodeOf(node, "CreateEnumStmt")) {
    TakeApartCreateEnum(*type, statement);
  } else if (IsNewEnumValue(node)) {
    return;  // Short, and there is no way back: PostgreSQL cannot drop a value.
  } else if (NodeOf(node, "CommentStmt") == nullptr) {
    RefuseKind(NodeType(node), statement);
  }
}

}  // namespace pawl::schema
