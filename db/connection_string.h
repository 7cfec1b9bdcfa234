// Where the database is: from --database, else PAWL_DATABASE_URL, else DATABASE_URL, else libpq's
// own environment, service and password files. The password is never shown, logged or put on a
// command line.
#pragma once

#include <string>

namespace pawl::db {

class ConnectionString {
 public:
  // `given` is the value of --database or empty. Throws Error (kBadInput) on a malformed string;
  // the message does not repeat it, since it may hold a password.
  static ConnectionString Resolve(const std::string& given);

  explicit ConnectionString(const std::string& conninfo_or_uri);

  // A libpq keyword string with Pawl's own settings added (application_name, keepalives, a connect
  // time-out, where the user set none). `role` ends up in application_name: "pawl/<role>".
  std::string ForConnection(const std::string& role) const;

  // "database orders on db.example:5432 as alice"; never the password.
  std::string Display() const;

 private:
  std::string text_;
};

}  // namespace pawl::db
