#include "cli/exit_code.h"

namespace pawl::cli {

ExitCode ExitCodeFor(const db::Error& error) {
  switch (error.action()) {
    case db::Action::kBadInput:
      return kBadInput;
    case db::Action::kRefused:
      return kRefused;
    default:
      return kFailed;
  }
}

ExitCode ExitCodeFor(const engine::RunResult& result) {
  // Found before anything else is asked: a run with a difference may well be in state failed.
  if (result.verification && !result.verification->passed) return kDifference;
  if (result.state == "paused") return kInterrupted;
  if (result.stopped_at_conflict) return kConflicts;
  if (result.state == "failed" || result.state == "aborted") return kFailed;
  if (result.reverts && result.conflicts > 0) return kConflicts;
  return kDone;
}

}  // namespace pawl::cli
