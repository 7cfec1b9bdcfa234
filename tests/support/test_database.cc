#include "tests/support/test_database.h"

#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace pawl::test {
namespace {

const char* ForeignUrl() {
  const char* url = std::getenv("PAWL_TEST_DATABASE_URL");
  return url && *url ? url : nullptr;
}

bool KeepsThisProgram() {
  return std::getenv("PAWL_KEEP_DATABASES") &&
         ::testing::UnitTest::GetInstance()->failed_test_count() > 0;
}

bool KeepsThisTest() { return std::getenv("PAWL_KEEP_DATABASES") && ::testing::Test::HasFailure(); }

// Ends with the program, and then decides whether the directory stays.
struct OwnServer {
  control::PrivateServer server{{.settings = {
                                     "fsync=off",
                                     "shared_buffers=128MB",
                                     "max_connections=200",
                                     "log_line_prefix=%m [%p] %d %a ",
                                     "log_lock_waits=on",
                                     "max_wal_size=4GB",
                                 }}};
  ~OwnServer() {
    if (!KeepsThisProgram()) return;
    server.KeepDirectory();
    std::fprintf(stderr,
                 "kept the server of this failure; start it with: scripts/postgres start %s\n",
                 server.directory().c_str());
  }
};

// Replaces the database in a postgresql:// address.
std::string WithDatabase(const std::string& url, std::string_view database) {
  const std::size_t host = url.find("://");
  if (host == std::string::npos) {
    throw std::invalid_argument("PAWL_TEST_DATABASE_URL must start with postgresql://");
  }
  const std::size_t parameters = url.find('?', host + 3);
  std::size_t path = url.find('/', host + 3);
  if (path == std::string::npos || path > parameters) path = std::min(parameters, url.size());
  const std::string tail = parameters == std::string::npos ? "" : url.substr(parameters);
  return url.substr(0, path) + "/" + std::string(database) + tail;
}

std::string FreshName() {
  static std::atomic<int> count{0};
  return "pawl_test_" + std::to_string(getpid()) + "_" + std::to_string(++count);
}

}  // namespace

void Sql::Finish::operator()(pg_conn* connection) const { PQfinish(connection); }
void Sql::Clear::operator()(pg_result* result) const { PQclear(result); }

Sql::Sql(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
  if (PQstatus(connection_.get()) != CONNECTION_OK) {
    throw SqlError(PQerrorMessage(connection_.get()), "");
  }
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
}

std::unique_ptr<pg_result, Sql::Clear> Sql::Run(const std::string& sql) {
  std::unique_ptr<pg_result, Clear> result(PQexec(connection_.get(), sql.c_str()));
  const ExecStatusType status = PQresultStatus(result.get());
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY) {
    return result;
  }
  const char* sqlstate = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  throw SqlError(std::string(PQerrorMessage(connection_.get())) + "in: " + sql,
                 sqlstate ? sqlstate : "");
}

std::int64_t Sql::Exec(const std::string& sql) {
  const auto result = Run(sql);
  return std::strtoll(PQcmdTuples(result.get()), nullptr, 10);
}

std::vector<Row> Sql::Rows(const std::string& sql) {
  const auto result = Run(sql);
  std::vector<Row> rows;
  for (int r = 0; r < PQntuples(result.get()); ++r) {
    Row row;
    for (int c = 0; c < PQnfields(result.get()); ++c) {
      row.emplace_back(PQgetisnull(result.get(), r, c) ? "NULL" : PQgetvalue(result.get(), r, c));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string Sql::Value(const std::string& sql) {
  const std::vector<Row> rows = Rows(sql);
  if (rows.size() != 1 || rows[0].empty()) {
    throw SqlError("expected one row, got " + std::to_string(rows.size()) + " in: " + sql, "");
  }
  return rows[0][0];
}

std::int64_t Sql::Integer(const std::string& sql) {
  const std::string value = Value(sql);
  char* end = nullptr;
  const std::int64_t integer = std::strtoll(value.c_str(), &end, 10);
  if (value.empty() || *end)
    throw SqlError("expected an integer, got \"" + value + "\" in: " + sql, "");
  return integer;
}

int Sql::backend_pid() const { return PQbackendPID(connection_.get()); }

bool UsesForeignServer() { return ForeignUrl() != nullptr; }

control::PrivateServer& SharedServer() {
  if (UsesForeignServer()) {
    throw std::logic_error("PAWL_TEST_DATABASE_URL is set, so there is no server of our own.");
  }
  static OwnServer own;
  return own.server;
}

std::string ServerUrl(std::string_view database) {
  if (const char* url = ForeignUrl()) return WithDatabase(url, database);
  return SharedServer().ConnectionString(database);
}

TestDatabase::TestDatabase() : name_(FreshName()), url_(ServerUrl(name_)) {
  Sql(ServerUrl()).Exec("CREATE DATABASE " + name_ + " TEMPLATE template0");
}

TestDatabase::~TestDatabase() {
  connection_.reset();
  if (KeepsThisTest()) {
    std::fprintf(stderr, "kept database %s\n", name_.c_str());
    return;
  }
  try {
    Sql(ServerUrl()).Exec("DROP DATABASE " + name_ + " WITH (FORCE)");
  } catch (const std::exception& error) {
    ADD_FAILURE() << "cannot drop " << name_ << ": " << error.what();
  }
}

Sql& TestDatabase::sql_() {
  // A server that was killed closes its sockets, so a look at what has arrived tells.
  if (connection_) PQconsumeInput(connection_->raw());
  if (!connection_ || PQstatus(connection_->raw()) != CONNECTION_OK) {
    connection_ = std::make_unique<Sql>(url_);
  }
  return *connection_;
}

}  // namespace pawl::test
