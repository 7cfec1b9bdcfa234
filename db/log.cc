#include "db/log.h"

#include <memory>

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "db/error.h"

namespace pawl::db {
namespace {

std::shared_ptr<spdlog::logger>& Logger() {
  static std::shared_ptr<spdlog::logger> logger;  // Owners: this slot and spdlog's registry.
  return logger;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

void AppendJson(std::string& line, std::string_view text) {
  line.push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      line.push_back('\\');
      line.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      line += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      line.push_back(c);
    }
  }
  line.push_back('"');
}

}  // namespace

void OpenLog(const std::string& path, LogLevel level) {
  if (path.empty()) {
    Logger().reset();
    return;
  }
  try {
    auto logger =
        path == "-" ? spdlog::stderr_logger_mt("pawl") : spdlog::basic_logger_mt("pawl", path);
    logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})");
    logger->set_level(ToSpdlog(level));
    logger->flush_on(spdlog::level::info);
    Logger() = std::move(logger);
  } catch (const spdlog::spdlog_ex& error) {
    FailInput(fmt::format("Cannot open the log file {}: {}. Give --log another path.", path,
                          error.what()));
  }
}

void Log(LogLevel level, std::string_view event, LogFields fields) {
  const auto& logger = Logger();
  if (!logger || !logger->should_log(ToSpdlog(level))) return;
  std::string line = "\"event\":";
  AppendJson(line, event);
  for (const auto& [name, value] : fields) {
    line.push_back(',');
    AppendJson(line, name);
    line.push_back(':');
    AppendJson(line, value);
  }
  logger->log(ToSpdlog(level), "{}", line);
}

}  // namespace pawl::db
