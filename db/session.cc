#include "db/session.h"

#include <cstdlib>
#include <pqxx/pqxx>

#include <fmt/format.h>

#include "db/error.h"
#include "db/message.h"
#include "db/quote.h"

// libpqxx 7 marks the 6.x spelling of parameters as deprecated; both are built from this one file.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace pawl::db {

std::int64_t ToInt(const Value& value) {
  PAWL_CHECK(value.has_value());
  return std::strtoll(value->c_str(), nullptr, 10);
}

double ToDouble(const Value& value) {
  PAWL_CHECK(value.has_value());
  return std::strtod(value->c_str(), nullptr);
}

bool ToBool(const Value& value) {
  PAWL_CHECK(value.has_value());
  return *value == "t" || *value == "true" || *value == "1";
}

const std::string& ToText(const Value& value) {
  PAWL_CHECK(value.has_value());
  return *value;
}

std::string SettingsSql(const SessionSettings& settings) {
  // row_security = off turns rows hidden by a policy into an error: hidden rows would be skipped
  // silently. The idle time-out ends a session whose process froze inside a transaction.
  std::string sql = fmt::format(
      "SET client_encoding = 'UTF8'; SET client_min_messages = warning; SET DateStyle = 'ISO, YMD'; "
      "SET IntervalStyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex'; "
      "SET row_security = off; SET jit = off; SET statement_timeout = {}; SET lock_timeout = {}; "
      "SET idle_in_transaction_session_timeout = 60000; "
      "SET default_transaction_isolation = 'read committed'; "
      // Settings of later versions, where there are any: idle is how a paused run looks.
      "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN "
      "('idle_session_timeout', 'transaction_timeout')",
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

// Runs `work`, and turns whatever libpqxx throws into an Error.
template <typename Work>
auto Translated(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const Error&) {
    throw;
  } catch (const pqxx::in_doubt_error& error) {
    throw Error(Action::kReconnect, CleanMessage(error.what()));
  } catch (const pqxx::sql_error& error) {
    const std::string state = StateOf(error);
    throw Error(state.empty() ? Action::kStop : ActionFor(state), CleanMessage(error.what()), state);
  } catch (const pqxx::transaction_rollback& error) {
    // In 6.4 these are no sql_error and carry no SQLSTATE.
    const bool unknown = dynamic_cast<const pqxx::statement_completion_unknown*>(&error) != nullptr;
    throw Error(unknown ? Action::kReconnect : Action::kRetryBatch, CleanMessage(error.what()),
                unknown ? "40003" : "40001");
  } catch (const pqxx::broken_connection& error) {
    throw Error(Action::kReconnect, CleanMessage(error.what()));
  } catch (const std::exception& error) {
    throw Error(Action::kStop, CleanMessage(error.what()));
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

// What only the user can mend is bad input; anything else (starting, stopping, full, in the middle
// of a crash) may pass.
Error ConnectError(const ConnectionString& where, const std::string& message) {
  bool passing = true;
  for (const char* lasting :
       {"authentication failed", "does not exist", "could not translate host name", "no pg_hba.conf entry",
        "permission denied", "no password supplied", "is not permitted to log in", "invalid", "SSL"}) {
    // A socket that is missing "does not exist" in no message; a role or database does.
    passing = passing && message.find(lasting) == std::string::npos;
  }
  return Error(passing ? Action::kReconnect : Action::kBadInput,
               fmt::format("Cannot connect to {}: {}. Check --database (or PAWL_DATABASE_URL) and "
                           "that the server is running.",
                           where.Display(), CleanMessage(message)));
}

}  // namespace

class Session::Implementation {
 public:
  explicit Implementation(const std::string& conninfo) : connection_(conninfo) {}

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
  Execute(SettingsSql(settings));
}

Session::~Session() = default;

Result Session::Query(const std::string& sql, const std::vector<Value>& parameters) {
  return Translated([&] {
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
    : session_(session) {
  PAWL_CHECK(!session_.implementation_->transaction_);
  Translated([&] {
    session_.implementation_->transaction_ =
        std::make_unique<pqxx::work>(session_.implementation_->connection_);
    if (repeatable_read || read_only) {
      session_.implementation_->transaction_->exec(
          fmt::format("SET TRANSACTION ISOLATION LEVEL {} {}",
                      repeatable_read ? "REPEATABLE READ" : "READ COMMITTED",
                      read_only ? "READ ONLY" : "READ WRITE"));
    }
  });
}

Transaction::~Transaction() {
  try {
    session_.implementation_->transaction_.reset();
  } catch (const std::exception&) {  // A broken connection rolls back by itself.
  }
}

void Transaction::Commit() {
  Translated([&] { session_.implementation_->transaction_->commit(); });
  session_.implementation_->transaction_.reset();
}

}  // namespace pawl::db
