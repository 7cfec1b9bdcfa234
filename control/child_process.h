// Starts a program in a session of its own, never as root, with nothing inherited that could tie it
// to its starter: no terminal, no open files, no PG* or locale variables.
//
// Not a general launcher: it is what a PostgreSQL server and its tools need.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace pawl::control {

// The account a child runs under. PostgreSQL refuses to run as root.
struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
  bool differs_from_ours = false;  // Then the child drops to it, which only root can.
};

// Returns our own account, or when that is root: `postgres` where it exists, else `nobody`. Throws
// db::Error where neither exists.
Account UnprivilegedAccount();

struct ChildCommand {
  std::vector<std::string> arguments;  // The first is the absolute path of the program.
  std::string directory;    // Working directory and HOME; the account must be able to enter it.
  std::string output_path;  // Standard output and error are appended to this file.
  Account account;
  int standard_input = -1;  // Borrowed; -1 is /dev/null.
};

// Returns the pid of the running program; the caller waits for it. Throws db::Error with the step
// that failed, and no child is left then. May be called while other threads run.
pid_t StartChild(const ChildCommand& command);

// Waits until child `pid` has ended or `limit` has passed. Returns its wait status (0 where
// somebody else has reaped it), or nullopt when it still runs.
std::optional<int> WaitForChild(pid_t pid, std::chrono::milliseconds limit);

// Returns the direct children of `pid`, in no order.
std::vector<pid_t> ChildrenOf(pid_t pid);

// Whether `pid` still runs; a zombie does not.
bool IsAlive(pid_t pid);

}  // namespace pawl::control
