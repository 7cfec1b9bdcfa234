// Vacuums tables one after the other on a thread and a connection of its own, so that the throttle
// goes on measuring meanwhile.
//
// It never truncates: giving room at the table's end back takes an exclusive lock, and the run
// needs the room anyway. It paces itself by vacuum_cost_delay.
//
// Thread safety: all methods are called by one thread, the throttle's.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "db/connection_string.h"
#include "engine/throttle/signal.h"

namespace pawl::throttle {

class VacuumRounds {
 public:
  explicit VacuumRounds(const db::ConnectionString& where) : where_(where) {}
  ~VacuumRounds();

  // Whether the role may vacuum `table`. Throws db::Error.
  static bool IsAllowed(db::Session& session, const WatchedTable& table);

  // Begins a vacuum of `table`; does nothing while one is under way.
  void Begin(const WatchedTable& table);
  bool running() const { return running_; }
  int done() const { return done_; }  // Rounds that have ended well.
  std::string failure();              // Of the last round; empty where it went well.

 private:
  void Run(const WatchedTable& table);

  db::ConnectionString where_;
  std::atomic<bool> running_{false};
  std::atomic<int> done_{0};
  std::atomic<int> backend_pid_{0};
  std::mutex mutex_;
  std::string failure_;
  std::jthread thread_;
};

}  // namespace pawl::throttle
