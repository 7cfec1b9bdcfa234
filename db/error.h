// What went wrong, typed by what to do next (docs/concepts.md, "Errors").
//
// Errors are made in db/ from SQLSTATE, and by any floor for bad input. They are caught in two
// places: the worker loop and the command line. A message is a sentence with the values, and ends
// with what the reader can do. No message holds a password.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace pawl::db {

enum class Action {
  kRetryBatch,  // 40001, 40P01, 55P03: the same batch again after a pause.
  kSplit,       // 57014: the batch took too long; a smaller one.
  kReconnect,   // 08*, 57P0*, 53300: the connection is gone; what it was doing is in doubt.
  kBadData,     // 22*, 23*, P0001: a row refuses the change; isolate it.
  kLostLease,   // The fence did not match: another worker owns the span now, or its end moved.
  kBadInput,    // The user's words are off; nothing was changed. Exit code 2.
  kRefused,     // A gate or budget says no. Exit code 4.
  kStop,        // Everything else: keep all, say why. Exit code 1.
};

class Error : public std::runtime_error {
 public:
  Error(Action action, const std::string& message, std::string sqlstate = {})
      : std::runtime_error(message), action_(action), sqlstate_(std::move(sqlstate)) {}

  Action action() const { return action_; }
  // Five characters, or empty where no server spoke.
  const std::string& sqlstate() const { return sqlstate_; }

 private:
  Action action_;
  std::string sqlstate_;
};

// Throws kBadInput.
[[noreturn]] void FailInput(const std::string& message);

// Returns what to do about `sqlstate`. An empty one means that the connection broke.
Action ActionFor(std::string_view sqlstate);

}  // namespace pawl::db

// For programmer errors only, always on: nothing a user, a network or a row can do may trip one.
#define PAWL_CHECK(condition)                                                \
  do {                                                                       \
    if (!(condition)) ::pawl::db::FailCheck(#condition, __FILE__, __LINE__); \
  } while (false)

namespace pawl::db {
[[noreturn]] void FailCheck(const char* condition, const char* file, int line);
}
