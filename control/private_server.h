// A throwaway PostgreSQL server of one's own: for the demo, for rehearsals and for tests.
//
// Everything it has lies in one fresh directory, which goes when the server goes:
//
//     $TMPDIR/pawl-pg-XXXXXX/     mode 0700, owned by the account of the server
//       data/                     initdb's
//       .s.PGSQL.<port>           the socket
//       postgres.log              what initdb and the server said
//
// It listens on that socket and on a free port of 127.0.0.1, trusts whoever reaches it, and never
// runs as root. A watchdog stops it and removes the directory when its owner dies without a word,
// by kill -9 too. Not for data that anyone wants to keep.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "control/child_process.h"

namespace pawl::control {

enum class StopMode {
  kFast,  // Ends the sessions, writes a checkpoint. What was committed is there after a Start().
  kImmediate,  // Stops as if the machine had lost power, but orderly: the next Start() recovers.
};

struct PrivateServerOptions {
  // "name=value" lines of postgresql.conf. They come last, so they win, except over the addresses,
  // the port and the socket. fsync is on unless one says otherwise.
  std::vector<std::string> settings{};
  std::string bin_directory{};         // Empty: FindServerBinaries().
  std::string locale = "C";            // Of the cluster; its encoding is UTF8.
  std::chrono::seconds wait_max{120};  // For a start with crash recovery, and for a stop.
};

// Thread safety: none; const methods may be called together. A fork of the owner may drop its copy:
// only the process that made the server stops it.
class PrivateServer {
 public:
  // Makes the cluster and starts it; takes about a second. Throws db::Error with the last lines of
  // the log, and leaves nothing behind then.
  explicit PrivateServer(PrivateServerOptions options = {});
  ~PrivateServer();
  PrivateServer(const PrivateServer&) = delete;
  PrivateServer& operator=(const PrivateServer&) = delete;

  // Return postgresql:// addresses for the superuser `postgres`, over loopback TCP and over the
  // socket.
  std::string ConnectionString(std::string_view database = "postgres") const;
  std::string SocketConnectionString(std::string_view database = "postgres") const;

  // Starts a stopped server on the same port; does nothing when it runs. Returns when it takes
  // connections. Throws db::Error with the last lines of the log; the server is stopped then.
  void Start();

  // Returns when the server has ended; does nothing when it does not run. One that does not stop in
  // time is killed.
  void Stop(StopMode mode = StopMode::kFast);

  void Restart(StopMode mode = StopMode::kFast);

  // Ends the server and all its backends at once with SIGKILL, none of which gets to say goodbye.
  // Returns when they are gone, so that a Start() may follow.
  void Kill9();

  // Leaves the directory behind when the server goes, for a look at what happened: start it again
  // with `scripts/postgres start <directory>`.
  void KeepDirectory() { keep_directory_ = true; }

  // Whether the server runs; notices one that somebody else has killed.
  bool running();

  const std::string& directory() const { return directory_; }
  int port() const { return port_; }
  pid_t pid() const { return pid_; }  // Of the postmaster; 0 when stopped.
  std::string log_path() const { return directory_ + "/postgres.log"; }

 private:
  void MakeDirectory();
  void StartWatchdog();
  void InitializeCluster();
  void StartOnFreePort();
  bool WaitUntilReady();
  void Launch();
  void Configure() const;
  void RemoveEverything();
  [[noreturn]] void Fail(const std::string& what) const;

  PrivateServerOptions options_;
  Account account_;
  std::string directory_;
  int port_ = 0;
  pid_t pid_ = 0;
  pid_t owner_pid_;
  int watchdog_fd_ = -1;  // Held open; the watchdog acts when the last copy closes.
  bool keep_directory_ = false;
};

}  // namespace pawl::control
