// Room left where the data directory is. SQL cannot ask for it, so it is known only on the server's
// own machine.
//
// What is left must be enough for whatever else the server does: 5 GB. A small migration on a small
// disk needs less, and would wait there for ever: unless the user gives the limit, it is at most what
// the migration itself may take several times over (its tables anew, their indexes, what is kept for
// the way back, the WAL of all that), beside the gigabyte that the WAL has in any case.
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

constexpr double kGigabyte = 1024.0 * 1024 * 1024;
constexpr double kEnough = 5 * kGigabyte;
constexpr double kOfWal = kGigabyte;  // The standard max_wal_size.
constexpr double kTimesTheTables = 4;

class DiskFree : public Signal {
 public:
  // Without a limit, one that suits the tables.
  DiskFree(const Scene& scene, std::optional<double> limit)
      : tables_(scene.tables), suits_tables_(!limit), limit_(limit.value_or(kEnough)) {}

  std::string name() const override { return "disk_free"; }

  std::optional<std::string> Obstacle(db::Session& session) override {
    if (!IsLocalServer(session)) {
      return "room on the server's disk can be measured on its own machine only. Watch it "
             "elsewhere, and hold the run with http= or query= where it gets scarce.";
    }
    try {
      directory_ = db::ToText(
          session.Query("SELECT pg_catalog.current_setting('data_directory')").rows.at(0)[0]);
    } catch (const db::Error& error) {
      if (error.sqlstate() != "42501") throw;
      return NeedsMonitor(session, "where the data directory is");
    }
    if (suits_tables_) limit_ = SuitableLimit(session);
    struct statvfs room {};
    if (statvfs(directory_.c_str(), &room) == 0) return std::nullopt;
    return fmt::format("the room in {} cannot be measured: {}. Watch it elsewhere.", directory_,
                       std::strerror(errno));
  }

  std::optional<Reading> Read(db::Session&) override {
    struct statvfs room {};
    if (statvfs(directory_.c_str(), &room) != 0) {
      throw db::Error(db::Action::kStop, fmt::format("{}: {}", directory_, std::strerror(errno)));
    }
    const double bytes = static_cast<double>(room.f_bavail) * static_cast<double>(room.f_frsize);
    return Reading{bytes, limit_, limit_ / std::max(1.0, bytes),
                   fmt::format("{} are free where {} is (limit {})", SizeText(bytes), directory_,
                               SizeText(limit_)),
                   false};
  }

 private:
  double SuitableLimit(db::Session& session) const {
    double bytes = 0;
    for (const WatchedTable& table : tables_) {
      if (table.gains_rows) return kEnough;  // How much it gains is not known here.
      bytes += static_cast<double>(db::ToInt(
          session
              .Query("SELECT coalesce(sum(pg_catalog.pg_total_relation_size(relid)), 0)::bigint "
                     "FROM (SELECT $1::oid AS relid UNION SELECT relid FROM "
                     "pg_catalog.pg_partition_tree($1::oid)) AS tables",
                     {std::to_string(table.oid)})
              .rows.at(0)[0]));
    }
    return std::min(kEnough, kOfWal + kTimesTheTables * bytes);
  }

  std::vector<WatchedTable> tables_;
  bool suits_tables_;
  double limit_;
  std::string directory_;
};

}  // namespace

std::unique_ptr<Signal> MakeDiskFree(const Scene& scene) {
  const std::string limit = schema::ThrottleValue(scene.values, "limit.disk_free");
  if (limit == "off") return nullptr;
  return std::make_unique<DiskFree>(scene, schema::ThrottleNumber(scene.values, "limit.disk_free"));
}

}  // namespace pawl::throttle
