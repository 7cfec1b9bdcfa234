// A connection that sends several prepared statements in one round trip and reads all their
// answers: the road of every batch. It is raw libpq, because libpqxx 6 has no pipeline mode with
// parameters.
//
//   client  BEGIN  fence  change+ledger  COMMIT  Sync  ------------------>
//   server  <------------------ answers, or the first error and nothing after it
//
// After an error the server skips everything up to the Sync, the COMMIT included: a transaction
// whose fence or change failed can never commit.
//
// Thread safety: none. Owned by one worker.
#pragma once

#include <string>
#include <vector>

#include "db/connection_string.h"
#include "db/error.h"
#include "db/session.h"
#include "db/value.h"

struct pg_conn;
struct pg_result;

namespace pawl::db {

// One prepared statement with its parameters, as text.
struct Call {
  std::string sql;  // Also its identity: prepared once per connection.
  std::vector<Value> parameters;
};

// An Error that knows which of the calls failed.
class CallError : public Error {
 public:
  CallError(Action action, const std::string& message, const std::string& sqlstate, int call)
      : Error(action, message, sqlstate), call_(call) {}
  int call() const { return call_; }

 private:
  int call_;
};

class Pipeline {
 public:
  // Connects and applies `settings`. Throws Error as Session does.
  Pipeline(const ConnectionString& where, const std::string& role, const SessionSettings& settings);
  ~Pipeline();
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Runs `calls` in order in one round trip and returns one result each. They must begin with BEGIN
  // and end with COMMIT, or be a single statement. On failure throws CallError after the
  // transaction was rolled back; with kReconnect the connection is gone and, where the calls
  // included COMMIT, their outcome is in doubt. Statements not seen before are prepared first, in a
  // round trip of their own.
  std::vector<Result> Run(const std::vector<Call>& calls);

  // Runs plain SQL without parameters. Throws Error.
  Result Execute(const std::string& sql);

  // The raw connection, for COPY streams. Not to be used while Run is in progress.
  pg_conn* raw() { return connection_; }
  int backend_pid() const;

 private:
  void Prepare(const std::vector<Call>& calls);
  void Drain();

  pg_conn* connection_ = nullptr;
  std::vector<std::string> names_;  // The SQL of statement n, which is named "p<n>".
};

// A connection that waits for NOTIFY on one channel.
class Listener {
 public:
  // Connects as Pipeline does, so that no time-out of the role's ends it while it waits.
  Listener(const ConnectionString& where, const std::string& channel);

  // The socket to wait on for reading.
  int socket();
  // Returns true if a notification has arrived since the last call. Throws Error when the
  // connection broke.
  bool Drain();
  // The server's own number of this session: whether it still exists is how others see that this
  // process lives.
  int backend_pid() const { return backend_pid_; }

 private:
  Pipeline connection_;
  int backend_pid_ = 0;
};

}  // namespace pawl::db
