#include "engine/throttle/signals.h"

#include <cmath>
#include <fstream>

#include <fmt/format.h>

namespace pawl::throttle {
namespace {

std::unique_ptr<Signal> MakeCheckpointsLately(const Scene& scene) { return MakeCheckpoints(scene); }

constexpr std::unique_ptr<Signal> (*kMakers[])(const Scene&) = {
    MakeCanary,     MakeStatements,     MakeCommit,          MakeActive,
    MakeLockWait,   MakeReplicaLag,     MakeReplicaLagBytes, MakeReplicaItself,
    MakeSlotWal,    MakeArchiveBacklog, MakeWalRate,         MakeCheckpointsLately,
    MakeDeadTuples, MakeGrowth,         MakeVacuum,          MakeXidAge,
    MakeDiskFree,   MakeConnections,    MakeQuery,           MakeHttp,
    MakeFlagFile,   MakeWindow};

// As the user would write it: `limit.replica_lag`, `http`.
std::string OptionOf(const Signal& signal) {
  const std::string limit = "limit." + signal.name();
  return schema::FindThrottleOption(limit) != nullptr ? limit : signal.name();
}

}  // namespace

std::vector<std::unique_ptr<Signal>> MakeSignals(const Scene& scene) {
  std::vector<std::unique_ptr<Signal>> signals;
  if (schema::ThrottleValue(scene.values, "throttle") == "off") return signals;
  for (const auto make : kMakers) {
    if (auto signal = make(scene)) signals.push_back(std::move(signal));
  }
  return signals;
}

std::vector<std::string> LeaveOutUnreadable(db::Session& session, const Scene& scene,
                                            std::vector<std::unique_ptr<Signal>>& signals) {
  std::vector<std::string> notes;
  std::erase_if(signals, [&](const std::unique_ptr<Signal>& signal) {
    const std::optional<std::string> obstacle = signal->Obstacle(session);
    if (!obstacle) return false;
    if (IsAskedFor(scene.values, signal->name())) {
      db::FailInput(
          fmt::format("{} cannot be kept: {} Nothing was changed.", OptionOf(*signal), *obstacle));
    }
    if (obstacle->empty()) return true;
    notes.push_back(fmt::format("{} is not kept: {}", OptionOf(*signal), *obstacle));
    return true;
  });
  return notes;
}

bool IsAskedFor(const schema::ThrottleValues& values, const std::string& name) {
  return values.contains("limit." + name) || values.contains(name) ||
         (name == "latency" && values.contains("canary"));
}

bool SeesActivity(db::Session& session) {
  return db::ToBool(session
                        .Query("SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', "
                               "'USAGE')")
                        .rows.at(0)[0]);
}

std::string NeedsMonitor(db::Session& session, const std::string& what) {
  return fmt::format(
      "the role may not see {}. GRANT pg_monitor TO {}; or switch the limit off.", what,
      db::ToText(session.Query("SELECT pg_catalog.quote_ident(current_user)").rows.at(0)[0]));
}

bool IsLocalServer(db::Session& session) {
  const auto address = session.Query(
      "SELECT coalesce(host(pg_catalog.inet_server_addr()), ''), pg_catalog.pg_backend_pid()");
  const std::string host = db::ToText(address.rows.at(0)[0]);
  if (!host.empty() && !host.starts_with("127.") && host != "::1") return false;
  // A tunnel looks local too; but then there is no such process here.
  std::ifstream comm("/proc/" + db::ToText(address.rows[0][1]) + "/comm");
  std::string name;
  return std::getline(comm, name) && name.starts_with("postgres");
}

std::string TimeText(double seconds) {
  if (seconds < 0.01) return fmt::format("{:.2f} ms", seconds * 1e3);
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 10 && seconds != std::floor(seconds)) return fmt::format("{:.1f} s", seconds);
  if (seconds < 600) return fmt::format("{:.0f} s", seconds);
  return fmt::format("{:.0f} min", seconds / 60);
}

std::string SizeText(double bytes) {
  const char* const kUnits[] = {"bytes", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit < 4) {
    bytes /= 1024;
    ++unit;
  }
  return bytes < 10 && unit > 0 && bytes != std::floor(bytes)
             ? fmt::format("{:.1f} {}", bytes, kUnits[unit])
             : fmt::format("{:.0f} {}", bytes, kUnits[unit]);
}

std::string ShareText(double share) { return fmt::format("{:.0f} %", share * 100); }

}  // namespace pawl::throttle
