// A connection for control work: catalogue, control schema, DDL. One statement at a time, over
// libpqxx. The batches themselves go through Pipeline. Session settings are set on every
// connection, because a setting made once on a pool protects one connection only.
//
// Thread safety: none. Each session is used by one thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "db/connection_string.h"
#include "db/error.h"
#include "db/value.h"

namespace pawl::db {

// What every connection of a run has in common, so that text forms and name look-ups agree.
struct SessionSettings {
  std::string search_path;                         // Empty: the role's own.
  std::string time_zone;                           // Empty: the role's own.
  std::chrono::milliseconds statement_timeout{0};  // 0: none. The role's own setting never applies.
  std::chrono::milliseconds lock_timeout{5'000};
  bool quiet_triggers = false;  // session_replication_role = replica.
};

// The SET statements of `settings`, for either kind of connection.
std::string SettingsSql(const SessionSettings& settings);

// Runs them by `execute`, again where the role's own statement_timeout was faster than the first of
// them, which lifts it. Throws what `execute` throws; kBadInput where the role may not set one.
void ApplySettings(const SessionSettings& settings,
                   const std::function<void(const std::string& sql)>& execute);

// Why there is no connection, as an Error: kBadInput where only the user can mend it, else
// kReconnect, with SQLSTATE 53300 where every connection that is allowed is taken.
Error ConnectError(const ConnectionString& where, const std::string& message);

class Session {
 public:
  // Connects. `role` names the connection in pg_stat_activity ("pawl/<role>"). Throws Error:
  // kBadInput where only the user can mend it (the address, the password, the role), kReconnect
  // where it may pass: nobody listens there, or the server is starting, stopping or full.
  Session(const ConnectionString& where, const std::string& role,
          const SessionSettings& settings = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Runs one statement; outside a transaction it commits by itself. Throws Error; once the
  // connection has broken kReconnect for ever, as a new one would lack the settings and locks.
  Result Query(const std::string& sql, const std::vector<Value>& parameters = {});

  // Runs one statement that takes no parameters and returns nothing of interest; several statements
  // separated by semicolons are allowed.
  void Execute(const std::string& sql);

  int server_version() const;  // For example 150020.
  int backend_pid() const;

 private:
  friend class Transaction;
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

// A transaction on `session`: rolls back unless committed. Only one at a time per session. One that
// only reads outlives a statement that fails, for whoever has set a savepoint before.
class Transaction {
 public:
  explicit Transaction(Session& session, bool repeatable_read = false, bool read_only = false);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // Throws Error; kReconnect means that the outcome is in doubt.
  void Commit();

 private:
  Session& session_;
  bool read_only_;
};

}  // namespace pawl::db
