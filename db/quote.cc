#include "db/quote.h"

namespace pawl::db {
namespace {

std::string Doubled(std::string_view text, char quote) {
  std::string result(1, quote);
  for (const char c : text) {
    if (c == quote) result.push_back(c);
    result.push_back(c);
  }
  result.push_back(quote);
  return result;
}

}  // namespace

std::string QuoteName(std::string_view name) { return Doubled(name, '"'); }

std::string QuoteName(std::string_view schema, std::string_view name) {
  return schema.empty() ? QuoteName(name) : QuoteName(schema) + "." + QuoteName(name);
}

std::string QuoteLiteral(std::string_view value) {
  if (value.find('\\') == std::string_view::npos) return Doubled(value, '\'');
  std::string escaped;
  for (const char c : value) {
    if (c == '\\') escaped.push_back(c);
    escaped.push_back(c);
  }
  return " E" + Doubled(escaped, '\'');
}

}  // namespace pawl::db
