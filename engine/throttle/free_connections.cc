// Connections that are left for the application. Our own count as left: holding frees none of them,
// and they must not trip our own stop.
#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class FreeConnections : public Signal {
 public:
  explicit FreeConnections(double limit) : limit_(limit) {}

  std::string name() const override { return "connections"; }

  std::optional<Reading> Read(db::Session& session) override {
    // What pg_stat_activity shows depends on the role; these counts do not.
    const auto found = session.Query(
        R"sql(SELECT pg_catalog.current_setting('max_connections')::bigint
       - pg_catalog.current_setting('superuser_reserved_connections')::bigint
       - (SELECT coalesce(sum(numbackends), 0) FROM pg_catalog.pg_stat_database
           WHERE datname IS NOT NULL)::bigint
       + (SELECT count(*) FROM pg_catalog.pg_stat_activity
           WHERE application_name LIKE 'pawl/%'))sql");
    const auto left = static_cast<double>(db::ToInt(found.rows.at(0)[0]));
    return Reading{left, limit_, left <= 0 ? 2 : limit_ / left,
                   fmt::format("{:.0f} connections are free or ours (limit {:.0f})", left, limit_),
                   false};
  }

 private:
  double limit_;
};

}  // namespace

std::unique_ptr<Signal> MakeConnections(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.connections");
  return limit ? std::make_unique<FreeConnections>(*limit) : nullptr;
}

}  // namespace pawl::throttle
