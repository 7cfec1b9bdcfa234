#include "db/session.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <pqxx/pqxx>

#include <fmt/format.h>

#include "db/error.h"
#include "db/message.h"
#include "db/quote.h"

// libpqxx 7 marks the 6.x spelling of parameters as deprecated; both are built from this one file.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace pawl::db {

// A catalog function gives a null for what another session drops at this moment, and a hand may
// leave one in the control schema: no check, which would abort.
const std::string& ToText(const Value& value) {
  if (value) return *value;
  throw Error(Action::kStop,
              "The server answered with nothing where a value was asked for: another session is "
              "changing the table or the control schema at this moment. Nothing is half done. Give "
              "the same command again.");
}

std::int64_t ToInt(const Value& value) { return std::strtoll(ToText(value).c_str(), nullptr, 10); }

double ToDouble(const Value& value) { return std::strtod(ToText(value).c_str(), nullptr); }

bool ToBool(const Value& value) {
  const std::string& text = ToText(value);
  return text == "t" || text == "true" || text == "1";
}

std::string SettingsSql(const SessionSettings& settings) {
  // row_security = off turns rows hidden by a policy into an error: hidden rows would be skipped
  // silently. The idle time-out ends a session whose process froze inside a transaction.
  // First the time-out: the role's own is running until then. A backslash means what it says, or
  // the statement of the file would be another one.
  std::string sql = fmt::format(
      "SET statement_timeout = {}; SET lock_timeout = {}; SET standard_conforming_strings = on; "
      "SET client_encoding = 'UTF8'; SET client_min_messages = warning; SET DateStyle = 'ISO, "
      "YMD'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'; "
      "SET row_security = off; SET jit = off; SET idle_in_transaction_session_timeout = 60000; SET "
      "default_transaction_isolation = 'read committed'; "
      // Settings of later versions, where there are any: idle is how a paused run looks.
      "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN "
      "('idle_session_timeout', 'transaction_timeout'); "
      // A role for which triggers never fire would change rows behind the back of its foreign keys.
      "SELECT pg_catalog.set_config('session_replication_role', 'origin', false) WHERE "
      "pg_catalog.current_setting('session_replication_role') <> 'origin'",
      settings.statement_timeout.count(), settings.lock_timeout.count());
  if (!settings.search_path.empty()) {
    sql += "; SET search_path = " + settings.search_path;
  }
  if (!settings.time_zone.empty()) sql += "; SET TimeZone = " + QuoteLiteral(settings.time_zone);
  if (settings.quiet_triggers) sql += "; SET session_replication_role = replica";
  return sql;
}

namespace {

// libpqxx 6.4 drops the SQLSTATE where it has a class of its own for it.
std::string StateOf(const pqxx::sql_error& error) {
  if (!error.sqlstate().empty()) return error.sqlstate();
  if (dynamic_cast<const pqxx::insufficient_privilege*>(&error) != nullptr) return "42501";
  if (dynamic_cast<const pqxx::too_many_connections*>(&error) != nullptr) return "53300";
  if (dynamic_cast<const pqxx::disk_full*>(&error) != nullptr) return "53100";
  if (dynamic_cast<const pqxx::out_of_memory*>(&error) != nullptr) return "53200";
  if (dynamic_cast<const pqxx::insufficient_resources*>(&error) != nullptr) return "53000";
  return {};
}

// Runs `work` on `connection`, and turns whatever libpqxx throws into an Error.
template <typename Work>
auto Translated(const pqxx::connection& connection, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const pqxx::in_doubt_error& error) {
    throw Error(Action::kReconnect, CleanMessage(error.what()));
  } catch (const pqxx::transaction_rollback& error) {
    // Before sql_error, which it is in libpqxx 7; in 6.4 it is none and carries no SQLSTATE.
    const bool unknown = dynamic_cast<const pqxx::statement_completion_unknown*>(&error) != nullptr;
    throw Error(unknown ? Action::kReconnect : Action::kRetryBatch, CleanMessage(error.what()),
                unknown ? "40003" : "40001");
  } catch (const pqxx::sql_error& error) {
    const std::string state = StateOf(error);
    throw Error(state.empty() ? Action::kStop : ActionFor(state), CleanMessage(error.what()),
                state);
  } catch (const pqxx::broken_connection& error) {
    throw Error(Action::kReconnect, CleanMessage(error.what()));
  } catch (const std::exception& error) {
    // Of a connection that has broken before, libpqxx complains in many words and classes.
    throw Error(connection.is_open() ? Action::kStop : Action::kReconnect,
                CleanMessage(error.what()));
  }
}

pqxx::result Run(pqxx::transaction_base& transaction, const std::string& sql,
                 const std::vector<Value>& parameters) {
  if (parameters.empty()) return transaction.exec(sql);
#if PQXX_VERSION_MAJOR >= 7
  pqxx::params params;
  for (const Value& value : parameters) {
    if (value) {
      params.append(*value);
    } else {
      params.append();
    }
  }
  return transaction.exec_params(sql, params);
#else
  std::vector<const char*> pointers;
  for (const Value& value : parameters) pointers.push_back(value ? value->c_str() : nullptr);
  return transaction.exec_params(sql, pqxx::prepare::make_dynamic_params(pointers));
#endif
}

Result Copied(const pqxx::result& source) {
  Result result;
  result.affected = static_cast<std::int64_t>(source.affected_rows());
  result.rows.reserve(static_cast<std::size_t>(source.size()));
  for (const auto& row : source) {
    Row copy;
    copy.reserve(static_cast<std::size_t>(row.size()));
    for (const auto& field : row) {
      copy.push_back(field.is_null() ? Value() : Value(field.c_str()));
    }
    result.rows.push_back(std::move(copy));
  }
  return result;
}

bool HasAny(const std::string& message, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(),
                     [&](const char* word) { return message.find(word) != std::string::npos; });
}

}  // namespace

Error ConnectError(const ConnectionString& where, const std::string& message) {
  const std::string reason =
      fmt::format("Cannot connect to {}: {}.", where.Display(), CleanMessage(message));
  if (HasAny(message, {"too many connections for", "too many clients",
                       "connection slots are reserved", "no more connections allowed"})) {
    return Error(Action::kReconnect,
                 reason +
                     " Every connection that is allowed is taken: end some, or raise CONNECTION "
                     "LIMIT of the role or database, or max_connections of the server.",
                 "53300");
  }
  if (HasAny(message, {"permission denied for database"})) {
    return Error(Action::kBadInput, reason + " GRANT CONNECT on the database to the role.",
                 "42501");
  }
  // What only the user can mend is bad input; anything else (starting, stopping, in the middle of a
  // crash) may pass. A socket that is missing "does not exist" in no message; a role or database
  // does.
  const bool lasting =
      HasAny(message, {"authentication failed", "does not exist", "could not translate host name",
                       "no pg_hba.conf entry", "permission denied", "no password supplied",
                       "is not permitted to log in", "invalid", "SSL"}) &&
      !HasAny(message, {"SSL SYSCALL", "closed the connection unexpectedly"});
  return Error(lasting ? Action::kBadInput : Action::kReconnect,
               reason + " Check --database (or PAWL_DATABASE_URL) and that the server is running.");
}

// Each try is one statement long before the role's time-out is lifted, so one try is the rule.
void ApplySettings(const SessionSettings& settings,
                   const std::function<void(const std::string& sql)>& execute) {
  constexpr int kTriesMax = 50;
  for (int tries = 1;; ++tries) {
    try {
      return execute(SettingsSql(settings));
    } catch (const Error& error) {
      if (error.action() == Action::kSplit && tries < kTriesMax) continue;
      if (error.sqlstate() != "42501") throw;
      throw Error(
          Action::kBadInput,
          fmt::format("This role may not set what Pawl needs: {}. Let a superuser take the setting "
                      "off the role (ALTER ROLE … RESET …), or GRANT SET ON PARAMETER … to it. "
                      "Nothing was changed.",
                      error.what()),
          error.sqlstate());
    }
  }
}

class Session::Implementation {
 public:
  explicit Implementation(const std::string& conninfo) : connection_(conninfo) {
#if PQXX_VERSION_MAJOR < 7 && !defined(PAWL_MUTANT_reactivation)
    // It would connect again by itself: without our settings and locks, and to any server that
    // answers at the address by then.
    connection_.inhibit_reactivation(true);
#endif
  }

  pqxx::connection connection_;
  std::unique_ptr<pqxx::transaction_base> transaction_;  // Owned by the Transaction in progress.
  int server_version_ = 0;
  int backend_pid_ = 0;
};

Session::Session(const ConnectionString& where, const std::string& role,
                 const SessionSettings& settings) {
  try {
    implementation_ = std::make_unique<Implementation>(where.ForConnection(role));
  } catch (const std::exception& error) {
    throw ConnectError(where, error.what());
  }
  implementation_->server_version_ = implementation_->connection_.server_version();
  implementation_->backend_pid_ = implementation_->connection_.backendpid();
  ApplySettings(settings, [this](const std::string& sql) { Execute(sql); });
}

Session::~Session() = default;

Result Session::Query(const std::string& sql, const std::vector<Value>& parameters) {
  return Translated(implementation_->connection_, [&] {
    if (implementation_->transaction_) {
      return Copied(Run(*implementation_->transaction_, sql, parameters));
    }
    pqxx::nontransaction single(implementation_->connection_);
    return Copied(Run(single, sql, parameters));
  });
}

void Session::Execute(const std::string& sql) { Query(sql); }

int Session::server_version() const { return implementation_->server_version_; }
int Session::backend_pid() const { return implementation_->backend_pid_; }

Transaction::Transaction(Session& session, bool repeatable_read, bool read_only)
    : session_(session), read_only_(read_only) {
  PAWL_CHECK(!session_.implementation_->transaction_);
  pqxx::connection& connection = session_.implementation_->connection_;
  const char* level = repeatable_read ? "REPEATABLE READ" : "READ COMMITTED";
  Translated(connection, [&] {
    std::unique_ptr<pqxx::transaction_base> transaction;  // The session's only once it has begun.
    if (read_only) {
      // pqxx::work ends at the first statement that fails, before anybody can go back to a savepoint.
      transaction = std::make_unique<pqxx::nontransaction>(connection);
      transaction->exec(fmt::format("BEGIN ISOLATION LEVEL {} READ ONLY", level));
    } else {
      transaction = std::make_unique<pqxx::work>(connection);
      if (repeatable_read) {
        transaction->exec(fmt::format("SET TRANSACTION ISOLATION LEVEL {}", level));
      }
    }
    session_.implementation_->transaction_ = std::move(transaction);
  });
}

Transaction::~Transaction() {
  try {
    if (read_only_ && session_.implementation_->transaction_) {
      session_.implementation_->transaction_->exec("ROLLBACK");
    }
  } catch (const std::exception&) {  // A broken connection rolls back by itself.
  }
  try {
    session_.implementation_->transaction_.reset();
  } catch (const std::exception&) {  // A broken connection rolls back by itself.
  }
}

void Transaction::Commit() {
  Translated(session_.implementation_->connection_, [&] {
    if (read_only_) session_.implementation_->transaction_->exec("COMMIT");
    session_.implementation_->transaction_->commit();
  });
  session_.implementation_->transaction_.reset();
}

}  // namespace pawl::db
