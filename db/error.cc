#include "db/error.h"

#include "db/message.h"

#include <cstdio>
#include <cstdlib>

namespace pawl::db {

void FailInput(const std::string& message) { throw Error(Action::kBadInput, message); }

Action ActionFor(std::string_view sqlstate) {
  const std::string_view sqlclass = sqlstate.substr(0, 2);
  if (sqlstate.empty() || sqlclass == "08") return Action::kReconnect;
  if (sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "55P03") return Action::kRetryBatch;
  if (sqlstate == "57014") return Action::kSplit;
  // 57P01 to 57P05: shut down, crash, cannot connect now, database dropped, idle session. 53300: no
  // connection slot is free just now. 25P03: the idle-in-transaction time-out ended the session.
  if (sqlstate.starts_with("57P") || sqlstate == "53300" || sqlstate == "25P03") {
    return Action::kReconnect;
  }
  if (sqlclass == "22" || sqlclass == "23" || sqlstate == "P0001") return Action::kBadData;
  return Action::kStop;
}

std::string CleanMessage(const std::string& server_text) {
  std::string result;
  std::size_t begin = 0;
  while (begin < server_text.size()) {
    std::size_t end = server_text.find('\n', begin);
    if (end == std::string::npos) end = server_text.size();
    std::string_view line = std::string_view(server_text).substr(begin, end - begin);
    begin = end + 1;
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (line.empty() || line.starts_with("LINE ") || line.starts_with("CONTEXT:") || line == "^" ||
        line.starts_with("^")) {
      continue;
    }
    for (const std::string_view prefix : {"ERROR:  ", "FATAL:  ", "DETAIL:  ", "HINT:  "}) {
      if (line.starts_with(prefix)) line.remove_prefix(prefix.size());
    }
    if (!result.empty()) result += result.back() == '.' ? " " : "; ";
    result += line;
  }
  while (!result.empty() &&
         (result.back() == '.' || result.back() == ';' || result.back() == ' ')) {
    result.pop_back();
  }
  return result;
}

void FailCheck(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "pawl: internal error: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace pawl::db
