// What the user wrote, understood: a migration file parsed by PostgreSQL's own parser into
// statements, each taken apart into the pieces of SQL text from which batches are rendered.
//
// Nothing here talks to a database, so nothing here knows whether a table or column exists, or
// whether a function is volatile: the planner asks the catalogue. Where the text alone shows that a
// statement cannot be run in batches, it carries a refusal; nothing is ever guessed at.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace pawl::schema {

// Workers of one process. More than a few per core of the server gain nothing, and each takes a
// connection.
inline constexpr int kWorkersMax = 64;

enum class StatementKind {
  kUpdate,
  kDelete,
  kInsertSelect,
  kAddColumn,
  kCreateTable,
  kOnlineDdl,
  kOtherDdl
};

// A name as written; `schema` is empty where the search path decides. Unquoted names are folded.
struct TableName {
  std::string schema;
  std::string name;

  bool operator==(const TableName&) const = default;
};

// One column that an UPDATE assigns.
struct Assignment {
  std::string column;
  // The assigned expression as SQL text, or nullopt where it has none of its own: DEFAULT, one
  // sub-select for several columns, an element of an array or a field of a composite.
  std::optional<std::string> expression;
  // Every column name the expression mentions without a qualifier or qualified by the target's
  // alias. With a FROM clause, and in sub-selects, some may belong to other tables: an
  // over-estimate, never an under-estimate. System columns such as ctid are in it too.
  std::set<std::string> columns_read;
};

// One operand of the outermost ANDs of a WHERE clause.
struct Conjunct {
  std::string text;
  std::set<std::string> columns_read;
  // True where a row that has been changed no longer matches, whatever the data, unless the
  // assigned value is NULL: `c IS NULL` for an assigned c; `c IS DISTINCT FROM e` or `c <> e` with
  // SET c = e (the same expression, either way round); `c = literal` with SET c = another literal.
  //
  // In doubt it is false. So e may read no assigned column, no sub-select, no clock and, with a
  // FROM clause, no column that is not qualified by the alias; it may call only a few built-in
  // functions that are immutable for certain; literals must differ in any case and spelling ('A'
  // and 'a', '1' and '01' do not). What the text cannot show is left to the planner: storing e in c
  // must not change it (numeric(10,2) rounds: then `c <> e` still holds), and no trigger may assign
  // c.
  bool self_excluding = false;
  // The column of the target where the operand is `c IS NULL` for an assigned c; else empty.
  std::string null_column;
};

struct FunctionCall {
  std::string schema;  // Empty where the search path decides.
  std::string name;
  int argument_count = 0;

  bool operator==(const FunctionCall&) const = default;
};

// Why a statement may not be run in batches as written.
//
// A refusal that the option `allow` names is still here: whoever reads it decides by
// can_be_allowed.
struct Refusal {
  std::string name;    // What `allow=` names: "order_limit", "self_join", "aggregate", …
  std::string reason;  // A sentence with the remedy.
  bool can_be_allowed = false;
};

// Values of `-- pawl: name=value` lines and of the same flags. Only known names and checked values.
// A value may be quoted with double quotes, two of them inside standing for one. A name alone means
// "true" for quiet_triggers and "end" for keep_in_sync; the others need a value.
//
// A line directly above a statement, with no empty line between, belongs to that statement. Above
// the first statement and followed by an empty line, it holds for every statement of the file that
// does not say otherwise. Anywhere else it is an error.
using Options = std::map<std::string, std::string>;

// A statement with a refusal that cannot be allowed has its names, other_tables and functions
// filled in, but none of the pieces of text that batches are made of.
struct Statement {
  StatementKind kind = StatementKind::kOtherDdl;
  std::string text;  // Without the semicolon and without leading comments.
  int line = 1;      // Where it begins in the file, from 1.
  Options options;
  std::vector<Refusal> refusals;

  TableName target;
  // The name by which the statement's expressions know the target; never empty where there is one.
  // (CREATE SCHEMA, CREATE TYPE, COMMENT ON and refused kinds have no target.)
  std::string alias;
  bool only = false;  // Written with ONLY.

  // UPDATE
  std::string set_clause;  // Everything between SET and FROM or WHERE, as written.
  std::vector<Assignment> assignments;

  // UPDATE … FROM, DELETE … USING: the list as written, without the keyword; empty if none.
  std::string from_clause;

  // UPDATE, DELETE, INSERT … SELECT: the whole condition as written, without the keyword; empty if
  // none.
  std::string where_clause;
  std::vector<Conjunct> conjuncts;

  // INSERT … SELECT: the first table of the SELECT's FROM is the source that is walked.
  std::vector<std::string> insert_columns;  // Empty where the statement names none.
  std::vector<std::string> select_items;    // Each output expression's text, without its alias.
  TableName source;
  std::string source_alias;
  bool source_only = false;
  std::string source_joins;  // What follows the first table in FROM: "JOIN c ON …" or ", c".
  std::string overriding;    // "OVERRIDING SYSTEM VALUE" and its like, as written; empty if none.

  bool has_subselect = false;           // In SET, WHERE or the select list.
  std::vector<TableName> other_tables;  // Every other relation it reads.
  std::vector<FunctionCall> functions;  // Every function it calls, once each; no operators.
  // CURRENT_TIMESTAMP and its like (SQLValueFunction), now() and its like, 'now'::timestamptz.
  bool reads_clock = false;

  // ADD COLUMN: `target` gains `column` of `type`. CREATE TABLE: `target`.
  std::string column;
  std::string type;  // As SQL text with modifiers, fit for a cast: "numeric(10,2)", "text[]".
  bool if_not_exists = false;
  // The statement that takes a DDL statement back; empty where there is none. With if_not_exists it
  // is right only if the thing was not there before: the planner asks.
  std::string inverse;
};

struct MigrationFile {
  std::string name;  // The file's base name without directory and ".sql".
  std::vector<Statement> statements;
  // XXH3-128 of the statements' canonical form (pg_query's deparse of each) and options, 32 hex
  // digits. Comments, spacing and the file's name do not enter.
  std::string hash;
};

// Parses a migration. Throws db::Error (kBadInput) with the line and what to do when the text is
// not SQL, holds no statement, has an unknown or malformed option, or mentions a relation in a way
// that cannot be taken apart. A statement that is understood but unfit for batches is returned with
// refusals.
// Thread safety: all functions of this header.
MigrationFile ParseMigration(const std::string& name, const std::string& text);

// The option names that a `-- pawl:` line may use, for messages and for the flags of the command
// line.
const std::vector<std::string>& KnownOptions();

}  // namespace pawl::schema
