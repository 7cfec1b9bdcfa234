// What a statement that changes the schema does to a live database: which locks it takes, whether
// it reads or rewrites whole tables meanwhile, and what the form is that nobody notices.
//
// This is the one table of such facts in the house. tests/schema/ddl_effects_pg_test.cc runs every
// row of it against a real server and compares: pg_locks, relfilenode and the counters of scans.
//
// Thread safety: all functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "schema/ast.h"
#include "schema/statement.h"

namespace pawl::schema {

// The table-level locks of PostgreSQL, weakest first.
enum class LockLevel {
  kNone,
  kAccessShare,
  kRowShare,
  kRowExclusive,
  kShareUpdateExclusive,
  kShare,
  kShareRowExclusive,
  kExclusive,
  kAccessExclusive
};

// "ACCESS EXCLUSIVE", as the manual writes it; "no lock" for kNone.
std::string_view NameOf(LockLevel level);
// What the application cannot do meanwhile: "reads and writes", "writes"; empty if it can do both.
std::string_view BlockedBy(LockLevel level);

// kDepends: on types or values that the text does not show.
enum class Certainty { kNo, kDepends, kYes };

struct TableLock {
  TableName table;
  LockLevel level = LockLevel::kNone;
  bool operator==(const TableLock&) const = default;
};

// One change; ALTER TABLE with several sub-commands has several.
struct DdlEffect {
  std::string rule;   // A name for messages and for ignoring: "set_not_null".
  std::string words;  // "ALTER TABLE … SET NOT NULL".
  // On tables that the text names and that may hold rows. What only the catalogue knows (the table
  // of an index, the other end of a foreign key that is dropped) is in `also_locks`, in words.
  std::vector<TableLock> locks;
  std::string also_locks;
  Certainty scans = Certainty::kNo;     // Reads every row, or builds an index from them.
  Certainty rewrites = Certainty::kNo;  // Writes every row anew.
  bool in_transaction = true;           // May run inside BEGIN … COMMIT.
  bool loses_data = false;              // What is dropped cannot be had back.
  bool breaks_readers = false;          // A statement that knows the old shape fails.
  // The form that does the same without stopping anybody; empty where this one already is.
  std::string online_form;
};

// Returns the changes that `statement`, a parsed statement, makes; none where it changes no schema,
// or only makes something new that nobody uses yet. `known` is false where it may change something
// and the table does not say what: the caller must not take it for harmless.
struct DdlEffects {
  std::vector<DdlEffect> changes;
  bool known = true;
};
DdlEffects EffectsOf(const AstValue& statement);

}  // namespace pawl::schema
