// Timers and the LISTEN socket on one loop: how a run hears commands while it waits.
//
// Thread safety: none. Owned by the process that runs.
#pragma once

#include <chrono>
#include <memory>

#include "db/connection_string.h"

namespace pawl::engine {

class EventLoop {
 public:
  // Connects and listens. Throws db::Error.
  explicit EventLoop(const db::ConnectionString& where);
  ~EventLoop();

  int backend_pid() const;

  // Waits for a notification, at most `timeout`. Returns true if one came. Throws db::Error
  // (kReconnect) where the connection broke.
  bool Wait(std::chrono::milliseconds timeout);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace pawl::engine
