// A migration's text as the engine gets it: the file, with the flags of the command line put in
// front as option lines that hold for the whole file.
//
//     -- pawl: order="key" undo="none"     <- from --order key --undo none
//                                          <- an empty line: for the whole file
//     UPDATE orders SET …                  <- line 1 of the file, as every message calls it
#pragma once

#include <string>
#include <utility>

#include "cli/options.h"
#include "db/error.h"
#include "schema/plan.h"

namespace pawl::cli {

struct MigrationText {
  std::string name;
  std::string text;
  int lines_added = 0;

  // `message` with the numbers of lines as they are in the file.
  std::string AsWritten(const std::string& message) const;
};

// Puts `values` (name, value; an empty value is skipped) in front of `text`. Throws db::Error
// (kBadInput) where a value has a line's end in it.
MigrationText WithOptions(std::string name, std::string text,
                          const std::vector<std::pair<std::string, std::string>>& values);

// Reads the file that the command line names. Throws db::Error (kBadInput) where it cannot.
MigrationText ReadMigration(const MigrationOptions& options);

// Calls `work`; an Error comes out with its lines as they are in the file.
template <typename Work>
auto AsWritten(const MigrationText& migration, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const db::Error& error) {
    throw db::Error(error.action(), migration.AsWritten(error.what()), error.sqlstate());
  }
}

}  // namespace pawl::cli
