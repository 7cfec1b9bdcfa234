#include "db/pipeline.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <libpq-fe.h>

#include "db/fault.h"
#include "db/message.h"

namespace pawl::db {
namespace {

using OwnedResult = std::unique_ptr<PGresult, decltype(&PQclear)>;

OwnedResult Own(PGresult* result) { return OwnedResult(result, &PQclear); }

bool Succeeded(const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

std::string SqlState(const PGresult* result) {
  const char* state = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? std::string() : std::string(state);
}

CallError ErrorOf(pg_conn* connection, const PGresult* result, int call) {
  const std::string state = SqlState(result);
  const std::string text =
      result != nullptr ? PQresultErrorMessage(result) : PQerrorMessage(connection);
  // Without a SQLSTATE it is libpq that speaks: the connection broke, or the call was misused.
  const Action action =
      state.empty() && PQstatus(connection) == CONNECTION_OK ? Action::kStop : ActionFor(state);
  return CallError(action, CleanMessage(text), state, call);
}

Result Copied(const PGresult* source) {
  Result result;
  const char* affected = PQcmdTuples(const_cast<PGresult*>(source));
  result.affected = affected[0] == '\0' ? 0 : std::strtoll(affected, nullptr, 10);
  const int columns = PQnfields(source);
  for (int r = 0; r < PQntuples(source); ++r) {
    Row row;
    for (int c = 0; c < columns; ++c) {
      row.push_back(PQgetisnull(source, r, c) != 0
                        ? Value()
                        : Value(std::string(PQgetvalue(source, r, c),
                                            static_cast<std::size_t>(PQgetlength(source, r, c)))));
    }
    result.rows.push_back(std::move(row));
  }
  return result;
}

// Brings a fault point between what was queued so far and what follows: the server gets the former,
// and not yet the latter.
void PassBetween([[maybe_unused]] pg_conn* connection, [[maybe_unused]] std::string_view point) {
#ifdef PAWL_FAULT_POINTS
  PQsendFlushRequest(connection);
  PQflush(connection);
  PAWL_FAULT(point);
#endif
}

pg_conn* Connect(const ConnectionString& where, const std::string& role) {
  pg_conn* connection = PQconnectdb(where.ForConnection(role).c_str());
  if (PQstatus(connection) == CONNECTION_OK) return connection;
  const Error error = ConnectError(where, PQerrorMessage(connection));
  PQfinish(connection);
  // Mid-run, what looks lasting may be a server that comes back: the caller decides how long to
  // wait.
  throw Error(Action::kReconnect, error.what(), error.sqlstate());
}

}  // namespace

Pipeline::Pipeline(const ConnectionString& where, const std::string& role,
                   const SessionSettings& settings)
    : connection_(Connect(where, role)) {
  try {
    ApplySettings(settings, [this](const std::string& sql) { Execute(sql); });
  } catch (...) {
    PQfinish(connection_);
    throw;
  }
}

Pipeline::~Pipeline() { PQfinish(connection_); }

int Pipeline::backend_pid() const { return PQbackendPID(connection_); }

Result Pipeline::Execute(const std::string& sql) {
  const OwnedResult result = Own(PQexec(connection_, sql.c_str()));
  if (!Succeeded(result.get())) throw ErrorOf(connection_, result.get(), 0);
  return Copied(result.get());
}

void Pipeline::Prepare(const std::vector<Call>& calls) {
  for (const Call& call : calls) {
    if (std::find(names_.begin(), names_.end(), call.sql) != names_.end()) continue;
    const std::string name = fmt::format("p{}", names_.size());
    const OwnedResult result =
        Own(PQprepare(connection_, name.c_str(), call.sql.c_str(), 0, nullptr));
    if (!Succeeded(result.get())) {
      throw ErrorOf(connection_, result.get(), static_cast<int>(&call - calls.data()));
    }
    names_.push_back(call.sql);
  }
}

std::vector<Result> Pipeline::Run(const std::vector<Call>& calls) {
  Prepare(calls);
  if (PQenterPipelineMode(connection_) != 1) throw ErrorOf(connection_, nullptr, 0);
  const bool commits = !calls.empty() && calls.back().sql == "COMMIT";
  for (const Call& call : calls) {
    if (commits && &call == &calls.back()) PassBetween(connection_, "before_commit");
    std::vector<const char*> values;
    for (const Value& value : call.parameters) values.push_back(value ? value->c_str() : nullptr);
    const auto index = std::find(names_.begin(), names_.end(), call.sql) - names_.begin();
    if (PQsendQueryPrepared(connection_, fmt::format("p{}", index).c_str(),
                            static_cast<int>(values.size()), values.data(), nullptr, nullptr,
                            0) != 1) {
      throw ErrorOf(connection_, nullptr, 0);
    }
  }
  if (PQpipelineSync(connection_) != 1) throw ErrorOf(connection_, nullptr, 0);
  if (commits) PassBetween(connection_, "commit_sent");

  std::vector<Result> results;
  std::unique_ptr<CallError> failure;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const OwnedResult result = Own(PQgetResult(connection_));
    if (result && Succeeded(result.get())) {
      results.push_back(Copied(result.get()));
    } else if (!failure) {
      failure =
          std::make_unique<CallError>(ErrorOf(connection_, result.get(), static_cast<int>(i)));
    }
    if (PQstatus(connection_) != CONNECTION_OK) break;
    // A NULL result ends each call.
    if (result) Own(PQgetResult(connection_));
  }
  if (PQstatus(connection_) == CONNECTION_OK) Drain();
  if (failure) throw *failure;
  if (results.size() != calls.size()) throw ErrorOf(connection_, nullptr, 0);
  return results;
}

// Reads up to the Sync, leaves pipeline mode, and ends a transaction that an error left open.
void Pipeline::Drain() {
  while (true) {
    const OwnedResult result = Own(PQgetResult(connection_));
    if (PQstatus(connection_) != CONNECTION_OK) return;
    if (result && PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC) break;
  }
  PQexitPipelineMode(connection_);
  if (PQtransactionStatus(connection_) != PQTRANS_IDLE) Own(PQexec(connection_, "ROLLBACK"));
}

Listener::Listener(const ConnectionString& where, const std::string& channel)
    : connection_(where, "listen", {}) {
  connection_.Execute("LISTEN " + channel);
  // Not PQbackendPID: a pooler in session mode answers that with a number of its own.
  backend_pid_ = static_cast<int>(ToInt(connection_.Execute("SELECT pg_backend_pid()").rows[0][0]));
}

int Listener::socket() { return PQsocket(connection_.raw()); }

bool Listener::Drain() {
  if (PQconsumeInput(connection_.raw()) != 1) throw ErrorOf(connection_.raw(), nullptr, 0);
  bool any = false;
  while (PGnotify* notification = PQnotifies(connection_.raw())) {
    any = true;
    PQfreemem(notification);
  }
  return any;
}

}  // namespace pawl::db
