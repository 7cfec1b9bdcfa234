#include "control/server_binaries.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "db/error.h"

namespace pawl::control {
namespace {

bool HasServer(const std::string& bin_directory) {
  return access((bin_directory + "/postgres").c_str(), X_OK) == 0 &&
         access((bin_directory + "/initdb").c_str(), X_OK) == 0;
}

std::string PgConfigBinDirectory() {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(
      popen("pg_config --bindir 2>/dev/null", "re"), pclose);
  if (!pipe) return {};
  std::array<char, 4096> line{};
  if (!std::fgets(line.data(), line.size(), pipe.get())) return {};
  std::string directory(line.data());
  while (!directory.empty() && directory.back() == '\n') directory.pop_back();
  return directory;
}

// Returns the bin directory of the highest version below `parent` whose folder starts with
// `prefix`.
std::string HighestVersion(const std::string& parent, const std::string& prefix) {
  double version_highest = 0;
  std::string found;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(prefix)) continue;
    const double version = std::atof(name.c_str() + prefix.size());
    const std::string bin_directory = entry.path().string() + "/bin";
    if (version > version_highest && HasServer(bin_directory)) {
      version_highest = version;
      found = bin_directory;
    }
  }
  return found;
}

}  // namespace

std::string FindServerBinaries() {
  if (const char* named = std::getenv("PAWL_PG_BINDIR"); named && *named) {
    if (HasServer(named)) return named;
    db::FailInput(
        std::string("PAWL_PG_BINDIR is ") + named +
        ", but there is no initdb and postgres there. Name the directory that holds them.");
  }
  if (const std::string found = PgConfigBinDirectory(); HasServer(found)) return found;
  if (std::string found = HighestVersion("/usr/lib/postgresql", ""); !found.empty()) return found;
  if (std::string found = HighestVersion("/usr", "pgsql-"); !found.empty()) return found;
  db::FailInput(
      "Cannot start a private PostgreSQL server: found no initdb and postgres on this machine. "
      "Install "
      "the package postgresql, or name their directory in PAWL_PG_BINDIR.");
}

}  // namespace pawl::control
