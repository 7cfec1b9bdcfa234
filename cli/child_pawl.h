// This very program as a child process, for `pawl demo`: it runs the commands a user would type.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace pawl::cli {

// Thread safety: none. May be started while other threads run.
class ChildPawl {
 public:
  // Starts `pawl <arguments>` on `database_url`, which travels in its environment. It writes where
  // we write. Throws db::Error (kStop).
  ChildPawl(const std::vector<std::string>& arguments, const std::string& database_url);

  // Kills it if it still runs.
  ~ChildPawl();
  ChildPawl(const ChildPawl&) = delete;
  ChildPawl& operator=(const ChildPawl&) = delete;

  // Whether it has not ended yet.
  bool Running();

  // Returns its exit code, 128 + the signal where one ended it.
  int Wait();

  // kill -9, and waits until it is gone.
  void Kill9();

  pid_t pid() const { return pid_; }

 private:
  void Reap(int options);

  pid_t pid_ = 0;
  bool ended_ = false;
  int status_ = 0;
};

}  // namespace pawl::cli
