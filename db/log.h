// The one logging address: structured lines on stderr or in a file, one JSON object each where
// asked.
//
//   Log("batch", {{"run", "7"}, {"rows", "1000"}});
//
// Values never hold a password: connection strings pass through ConnectionString::Display first.
// Thread safety: all functions.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace pawl::db {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogFields = std::initializer_list<std::pair<std::string_view, std::string>>;

// Sends log lines to `path` ("-" for stderr, empty for nowhere) from `level` on. Throws Error
// (kBadInput) when the file cannot be opened.
void OpenLog(const std::string& path, LogLevel level);

void Log(LogLevel level, std::string_view event, LogFields fields = {});

}  // namespace pawl::db
