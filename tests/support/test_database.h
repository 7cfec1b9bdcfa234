// A fresh database for one test, and a tiny runner of SQL that shares no code with the engine, so
// that what it says about the engine's work is independent.
//
// The first one in a test program starts a private server that lives as long as the program. With
// PAWL_TEST_DATABASE_URL set, databases are made on that server instead (any database of it, as a
// role that may create databases). With PAWL_KEEP_DATABASES set, databases and server directory of
// a program that failed are left behind, and its last line says where.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "control/private_server.h"

struct pg_conn;
struct pg_result;

namespace pawl::test {

// The server refused; `sqlstate` is empty where the connection broke.
class SqlError : public std::runtime_error {
 public:
  SqlError(const std::string& message, std::string sqlstate)
      : std::runtime_error(message), sqlstate_(std::move(sqlstate)) {}
  const std::string& sqlstate() const { return sqlstate_; }

 private:
  std::string sqlstate_;
};

using Row = std::vector<std::string>;

// One connection. Values are PostgreSQL's text; a null reads "NULL". Every function throws
// SqlError. Thread safety: none.
class Sql {
 public:
  explicit Sql(const std::string& url);

  // Runs one or more statements and returns the rows the last one changed or returned.
  std::int64_t Exec(const std::string& sql);

  // Return the one value, or all rows, of a query. Value throws unless there is exactly one row.
  std::string Value(const std::string& sql);
  std::int64_t Integer(const std::string& sql);
  std::vector<Row> Rows(const std::string& sql);

  int backend_pid() const;
  pg_conn* raw() { return connection_.get(); }

 private:
  struct Finish {
    void operator()(pg_conn* connection) const;
  };
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> Run(const std::string& sql);

  std::unique_ptr<pg_conn, Finish> connection_;
};

// Whether the tests run on a server of somebody else's, which they must not stop, kill or
// configure.
bool UsesForeignServer();

// The program's own server. A test that stops it must start it again. Throws where
// UsesForeignServer(): call GTEST_SKIP() there. fsync is off, so it survives kills of itself, not
// of the machine.
control::PrivateServer& SharedServer();

// Returns the address of `database` on the server that the tests use.
std::string ServerUrl(std::string_view database = "postgres");

// Creates an empty database, and drops it with whoever is still connected.
// Thread safety: as Sql for Exec, Value, Integer and Rows; the others from any thread.
class TestDatabase {
 public:
  TestDatabase();
  ~TestDatabase();
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  const std::string& name() const { return name_; }
  const std::string& url() const { return url_; }  // postgresql://…, for the code under test.

  // A further connection.
  Sql Connect() const { return Sql(url_); }

  // These connect on first use, and anew when a server that was killed is back.
  std::int64_t Exec(const std::string& sql) { return sql_().Exec(sql); }
  std::string Value(const std::string& sql) { return sql_().Value(sql); }
  std::int64_t Integer(const std::string& sql) { return sql_().Integer(sql); }
  std::vector<Row> Rows(const std::string& sql) { return sql_().Rows(sql); }

 private:
  Sql& sql_();

  std::string name_;
  std::string url_;
  std::unique_ptr<Sql> connection_;
};

}  // namespace pawl::test
