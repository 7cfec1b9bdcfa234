#include "db/connection_string.h"

#include <cstdlib>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <libpq-fe.h>

#include "db/error.h"

namespace pawl::db {
namespace {

using Keywords = std::map<std::string, std::string>;

Keywords Parse(const std::string& text) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(text.c_str(), &error), &PQconninfoFree);
  if (error != nullptr) PQfreemem(error);
  if (!options) {
    FailInput(
        "The connection string cannot be read. Write postgresql://user@host:port/database, or "
        "\"host=… dbname=… user=…\".");
  }
  Keywords keywords;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) keywords[option->keyword] = option->val;
  }
  return keywords;
}

std::string Quoted(const std::string& value) {
  std::string result = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\') result.push_back('\\');
    result.push_back(c);
  }
  return result + "'";
}

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

ConnectionString ConnectionString::Resolve(const std::string& given) {
  if (!given.empty()) return ConnectionString(given);
  for (const char* name : {"PAWL_DATABASE_URL", "DATABASE_URL"}) {
    if (const std::string value = FromEnvironment(name); !value.empty()) {
      return ConnectionString(value);
    }
  }
  return ConnectionString("");
}

ConnectionString::ConnectionString(const std::string& conninfo_or_uri) : text_(conninfo_or_uri) {
  Parse(text_);
}

std::string ConnectionString::ForConnection(const std::string& role) const {
  Keywords keywords = Parse(text_);
  keywords.try_emplace("connect_timeout", "10");
  // A dead peer is noticed in about 25 s; without this a half-open connection hangs for hours.
  keywords.try_emplace("keepalives_idle", "10");
  keywords.try_emplace("keepalives_interval", "5");
  keywords.try_emplace("keepalives_count", "3");
  keywords.try_emplace("tcp_user_timeout", "25000");
  keywords["application_name"] = "pawl/" + role;
  std::string result;
  for (const auto& [keyword, value] : keywords) {
    result += fmt::format("{}={} ", keyword, Quoted(value));
  }
  return result;
}

std::string ConnectionString::Display() const {
  const Keywords keywords = Parse(text_);
  const auto get = [&](const char* key, const char* environment, const char* otherwise) {
    if (const auto found = keywords.find(key); found != keywords.end()) return found->second;
    const std::string value = FromEnvironment(environment);
    return value.empty() ? std::string(otherwise) : value;
  };
  const std::string service = get("service", "PGSERVICE", "");
  if (!service.empty()) return fmt::format("service {}", service);
  return fmt::format("database {} on {}:{} as {}", get("dbname", "PGDATABASE", "(default)"),
                     get("host", "PGHOST", "the local socket"), get("port", "PGPORT", "5432"),
                     get("user", "PGUSER", "(default user)"));
}

}  // namespace pawl::db
