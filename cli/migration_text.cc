#include "cli/migration_text.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace pawl::cli {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string ReadAll(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  if (std::error_code error; std::filesystem::is_directory(path, error)) {
    db::FailInput(fmt::format("Cannot read {}: it is a directory. Name one SQL file.", path));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    db::FailInput(fmt::format("Cannot read {}: {}. Check the name, or give - for standard input.",
                              path, std::strerror(errno)));
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string NameOf(const MigrationOptions& options) {
  if (!options.name.empty()) return options.name;
  if (options.file == "-") return "stdin";
  const std::filesystem::path path(options.file);
  return path.extension() == ".sql" ? path.stem().string() : path.filename().string();
}

std::string Quoted(std::string_view value) {
  std::string quoted = "\"";
  for (const char c : value) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + "\"";
}

}  // namespace

std::string MigrationText::AsWritten(const std::string& message) const {
  const std::string mark = name + ".sql, line ";
  const std::size_t found = lines_added == 0 ? std::string::npos : message.find(mark);
  if (found == std::string::npos) return message;
  char* end = nullptr;
  const std::size_t digits = found + mark.size();
  const long line = std::strtol(message.c_str() + digits, &end, 10) - lines_added;
  const std::string rest = end;
  if (line >= 1) return fmt::format("{}{}{}", message.substr(0, digits), line, rest);
  return fmt::format("{}On the command line{}", message.substr(0, found), rest);
}

MigrationText WithOptions(std::string name, std::string text,
                          const std::vector<std::pair<std::string, std::string>>& values) {
  std::string line;
  for (const auto& [option, value] : values) {
    if (value.empty()) continue;
    if (value.find_first_of("\r\n") != std::string::npos) {
      db::FailInput(
          fmt::format("The value of --{} has more than one line. Write it on one.", option));
    }
    line += fmt::format(" {}={}", option, Quoted(value));
  }
  if (line.empty()) return {std::move(name), std::move(text), 0};
  // Some editors put this mark in front; in the middle it would be no SQL.
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return {std::move(name), "-- pawl:" + line + "\n\n" + text, 2};
}

MigrationText ReadMigration(const MigrationOptions& options) {
  return WithOptions(NameOf(options), ReadAll(options.file), options.values);
}

}  // namespace pawl::cli
