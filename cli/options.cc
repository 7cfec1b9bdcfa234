#include "cli/options.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "db/error.h"
#include "db/log.h"
#include "schema/statement.h"

namespace pawl::cli {
namespace {

db::LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return db::LogLevel::kDebug;
  if (name == "warning") return db::LogLevel::kWarning;
  return name == "error" ? db::LogLevel::kError : db::LogLevel::kInfo;
}

// What the flag may be given without a value, as in the file; nullptr where it needs one.
const char* ValueAlone(const std::string& option) {
  if (option == "keep_in_sync") return "{end}";
  return option == "quiet_triggers" ? "{true}" : nullptr;
}

const char* Explained(const std::string& option) {
  static const std::vector<std::pair<std::string, const char*>> kTexts = {
      {"order", "Order of rows: auto, key, block, key_strides, block_strides"},
      {"stride", "Rows between two that one pass changes: 2, 4, … 64"},
      {"undo", "What is kept to take it back: auto, image, none, inverse"},
      {"keep_in_sync", "Triggers keep new writes in the new form; until end or contract"},
      {"quiet_triggers", "The table's own triggers do not fire for Pawl's changes"},
      {"quarantine", "So many rows may be set aside that refuse the change"},
      {"batch_rows", "Rows a batch; fewer where they take longer than the batch time"},
      {"batch_time", "Time a batch is steered to, for example 250ms"},
      {"retention", "What is set aside is kept so long before a contract may drop it: 30d"},
      {"allow", "Names of refusals to overrule, joined by commas"}};
  const auto found = std::find_if(kTexts.begin(), kTexts.end(),
                                  [&](const auto& text) { return text.first == option; });
  return found == kTexts.end() ? "As the option of a migration file" : found->second;
}

}  // namespace

void AddCommonOptions(CLI::App& command, CommonOptions& options) {
  command.add_option("-d,--database", options.database,
                     "Connection string: postgresql://user@host/db, or \"host=… dbname=…\"");
  command.add_flag("--json", options.json, "JSON lines on stdout instead of text");
  command.add_option("--log", options.log, "Write a log of JSON lines to this file; -: stderr");
  command.add_option("--log-level", options.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
}

db::ConnectionString Prepare(const CommonOptions& options) {
  db::OpenLog(options.log, LevelOf(options.log_level));
  return db::ConnectionString::Resolve(options.database);
}

void AddWorkOptions(CLI::App& command, WorkOptions& options) {
  command.add_option("--workers", options.workers, "Workers in this process")
      ->check(CLI::Range(1, schema::kWorkersMax));
  command.add_option("--pace", options.pace, "Rows a second over all processes; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--set", options.set,
                     "A setting of the throttle, as `pawl set` takes it: limit.replica_lag=10s");
  command.add_flag("--no-verify", options.no_verify, "Leave the proof for `pawl verify`");
}

schema::ThrottleValues WorkOptions::Throttle() const {
  schema::ThrottleValues values;
  for (const std::string& setting : set) {
    const auto [name, value] = schema::ParseThrottleSetting(setting);
    if (!values.emplace(name, value).second) {
      db::FailInput("\"" + name + "\" is set twice. Keep one of the two. Nothing was changed.");
    }
  }
  return values;
}

CLI::Validator RunNumber() {
  const auto check = [](std::string& text) -> std::string {
    std::int64_t run = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), run);
    if (error == std::errc() && end == text.data() + text.size() && run > 0) return "";
    return "\"" + text + "\" is not the number of a run; list them with `pawl status`";
  };
  return CLI::Validator(check, "");
}

void AddRunArgument(CLI::App& command, std::int64_t& run) {
  command.add_option("RUN", run, "Number of the run; see `pawl status`")
      ->required()
      ->check(RunNumber());
}

void AddMigrationOptions(CLI::App& command, MigrationOptions& options) {
  command.add_option("FILE", options.file, "SQL file; -: standard input")->required();
  command.add_option("--name", options.name, "Name of the migration (default: the file's)");
  for (const std::string& option : schema::KnownOptions()) {
    if (option == "inverse" || option == "ignore" || option == "workers" || option == "pace") {
      continue;
    }
    options.values.emplace_back(option, "");
  }
  // Only now do the values stay where they are, and the parser may hold on to them.
  for (auto& [option, value] : options.values) {
    std::string flag = "--" + option;
    std::replace(flag.begin(), flag.end(), '_', '-');
    const char* alone = ValueAlone(option);
    CLI::Option* added = alone == nullptr
                             ? command.add_option(flag, value, Explained(option))
                             : command.add_flag(flag + alone, value, Explained(option));
    added->group("Options of the migration");
  }
}

}  // namespace pawl::cli
