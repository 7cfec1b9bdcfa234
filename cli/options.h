// Flags that several commands share, and what they stand for.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace pawl::cli {

// --database, --json, --log, --log-level.
struct CommonOptions {
  std::string database;
  bool json = false;
  std::string log;
  std::string log_level = "info";
};

void AddCommonOptions(CLI::App& command, CommonOptions& options);

// Opens the log and returns where the database is. Throws db::Error (kBadInput).
db::ConnectionString Prepare(const CommonOptions& options);

// --workers, --pace, --no-verify, --set.
struct WorkOptions {
  std::optional<int> workers;
  std::optional<std::int64_t> pace;
  bool no_verify = false;
  std::vector<std::string> set;  // "limit.replica_lag=10s"

  // Throws db::Error (kBadInput) where a setting is not understood.
  engine::RunSettings Settings() const { return {workers, pace, !no_verify, Throttle()}; }
  schema::ThrottleValues Throttle() const;
};

void AddWorkOptions(CLI::App& command, WorkOptions& options);

// Accepts the number of a run, from 1.
CLI::Validator RunNumber();

// The positional RUN.
void AddRunArgument(CLI::App& command, std::int64_t& run);

// FILE, and each option of a migration as a flag: "keep_in_sync" as --keep-in-sync. `inverse` is
// not among them, because it takes back one statement, not all of a file; nor are workers and pace,
// which belong to a run.
struct MigrationOptions {
  std::string file;
  std::string name;
  std::vector<std::pair<std::string, std::string>> values;  // One for each flag; empty: not given.
};

void AddMigrationOptions(CLI::App& command, MigrationOptions& options);

}  // namespace pawl::cli
