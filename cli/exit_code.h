// What the exit codes of `pawl` mean. Scripts depend on them: the numbers never change.
//
// Thread safety: all functions.
#pragma once

#include "db/error.h"
#include "engine/engine.h"

namespace pawl::cli {

enum ExitCode : int {
  kDone = 0,           // Done and proved.
  kFailed = 1,         // State kept, can be resumed.
  kBadInput = 2,       // Or bad usage. Nothing was changed.
  kDifference = 3,     // Verification or drift found one.
  kRefused = 4,        // By a gate or a budget.
  kConflicts = 5,      // Revert left rows alone that the application has changed since.
  kInterrupted = 130,  // Interrupted and paused, here or by another's command.
};

ExitCode ExitCodeFor(const db::Error& error);

// Of a run that was run, resumed, worked at or taken back to `result`. A state in which others carry
// on is done.
ExitCode ExitCodeFor(const engine::RunResult& result);

}  // namespace pawl::cli
