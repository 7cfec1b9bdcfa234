// Reads a migration file as a careful colleague would: which statement stops the application, loses
// data or breaks who reads the old shape, and what to write instead. Without a database it knows
// what the text says; with one also sizes, types and who depends on what.
//
// What the file itself has made is its own: nothing is said about a lock on a table that was
// created a few lines above. A finding that the reader has thought about is silenced by
//
//     -- pawl: ignore=set_not_null,rename_column
//
// above the statement, or at the top of the file with an empty line after it.
//
// Thread safety: all functions, each with a session of its own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "db/session.h"

namespace pawl::schema {

enum class Severity {
  kNote,     // Worth knowing; short and safe as it stands.
  kWarning,  // May hurt, or cannot be taken back.
  kError     // Stops reads or writes for as long as the table is big.
};

// "note", "warning", "error".
std::string_view NameOf(Severity severity);

struct Finding {
  std::string rule;
  Severity severity = Severity::kNote;
  int line = 1;           // Of the statement, from 1.
  std::string statement;  // "ALTER TABLE … SET NOT NULL".
  std::string lock;       // "ACCESS EXCLUSIVE on orders"; empty where there is none to name.
  std::string reason;     // A sentence.
  std::string safe_form;  // A sentence; empty where the statement is safe as it stands.
};

// Returns what there is to say about the file, in the order of its lines. `session` may be null.
// Throws db::Error (kBadInput) where `text` is no SQL, with the line.
std::vector<Finding> Lint(const std::string& file, const std::string& text, db::Session* session);

}  // namespace pawl::schema
