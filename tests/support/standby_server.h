// A real streaming standby of a private server, in a directory inside the primary's: copied with
// pg_basebackup, reachable over the primary's socket directory, gone with this object.
#pragma once

#include <sys/types.h>

#include <string>

#include "control/private_server.h"

namespace pawl::test {

// Thread safety: none.
class StandbyServer {
 public:
  // Copies and starts it; returns when it streams. `name` is its application_name on the primary.
  // `primary` outlives it. Throws std::runtime_error.
  StandbyServer(control::PrivateServer& primary, const std::string& name);
  ~StandbyServer();
  StandbyServer(const StandbyServer&) = delete;
  StandbyServer& operator=(const StandbyServer&) = delete;

  void Start();
  void Stop();

  // For whom the server's own account may connect.
  std::string url() const;

 private:
  void Run(const std::vector<std::string>& arguments);

  control::PrivateServer& primary_;
  std::string name_;
  std::string directory_;
  pid_t pid_ = 0;
};

}  // namespace pawl::test
