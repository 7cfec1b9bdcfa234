// Room left where the data directory is. SQL cannot ask for it, so it is known only on the server's
// own machine.
#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class DiskFree : public Signal {
 public:
  explicit DiskFree(double limit) : limit_(limit) {}

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
  double limit_;
  std::string directory_;
};

}  // namespace

std::unique_ptr<Signal> MakeDiskFree(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.disk_free");
  return limit ? std::make_unique<DiskFree>(*limit) : nullptr;
}

}  // namespace pawl::throttle
