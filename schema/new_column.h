// The definition in ADD COLUMN, taken apart: what can be had at once, and what needs steps of its own.
//
// Only the text is read here. Pieces are cut where PostgreSQL's own parser says that they begin.
//
// Thread safety: all functions.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "schema/statement.h"

namespace pawl::schema {

// A constraint that was written behind the column, as one of the table.
struct NewConstraint {
  enum class Kind { kCheck, kUnique, kPrimaryKey, kForeignKey };
  Kind kind = Kind::kCheck;
  std::string name;               // Empty: PostgreSQL chooses one.
  std::string text;               // "CHECK (c > 0)", "UNIQUE (c)", "FOREIGN KEY (c) REFERENCES u".
  std::set<std::string> columns;  // CHECK: which it reads.
};

struct NewColumn {
  std::string name;
  std::string written_type;  // As the statement says it, fit for a cast, but for "serial".
  std::string type;          // The same, but for a serial: "integer".
  // Name, type, storage and collation: what ADD COLUMN wants, without all that follows. Of a serial,
  // with the type that it has in truth.
  std::string definition;
  bool is_serial = false;
  bool is_not_null = false;      // Said, or meant by serial, an identity or a primary key.
  std::string default_value;     // The expression; empty where there is none, or it is NULL.
  char identity = 0;             // 'a': ALWAYS, 'd': BY DEFAULT.
  std::string identity_options;  // "(START 5)", or empty.
  bool is_generated = false;
  std::string generation;  // The expression of GENERATED ALWAYS AS.
  std::vector<NewConstraint> constraints;
  std::string obstacle;  // Why PostgreSQL would not take it, in words; else empty.

  bool is_drawn_from_own_sequence() const { return is_serial || identity != 0; }
  bool has_primary_key() const;
};

// `statement` is an ADD COLUMN that has been parsed before.
NewColumn NewColumnOf(const Statement& statement);

}  // namespace pawl::schema
