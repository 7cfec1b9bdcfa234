// The share of dead rows in the tables that are changed, as the server's statistics count them.
#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class DeadTuples : public Signal {
 public:
  DeadTuples(const Scene& scene, double limit) : tables_(scene.tables), limit_(limit) {}

  std::string name() const override { return "dead_tuples"; }

  std::optional<Reading> Read(db::Session& session) override {
    Reading worst{0, limit_, 0, "the tables have no dead rows", false};
    for (const WatchedTable& table : tables_) {
      const auto found = session.Query(
          // The statistics may be lost (a crash, a failover): then they know of few that live.
          "SELECT greatest(pg_catalog.pg_stat_get_live_tuples($1::oid), (SELECT reltuples FROM "
          "pg_catalog.pg_class WHERE oid = $1::oid)::bigint), "
          "pg_catalog.pg_stat_get_dead_tuples($1::oid)",
          {std::to_string(table.oid)});
      const auto live = static_cast<double>(db::ToInt(found.rows.at(0)[0]));
      const auto dead = static_cast<double>(db::ToInt(found.rows[0][1]));
      const double share = dead / std::max(1.0, live + dead);
      if (share < worst.value) continue;
      worst.value = share;
      worst.sentence = fmt::format("{} of the rows of {} are dead (limit {})", ShareText(share),
                                   table.Display(), ShareText(limit_));
    }
    worst.pressure = worst.value / limit_;
    return worst;
  }

 private:
  std::vector<WatchedTable> tables_;
  double limit_;
};

}  // namespace

std::unique_ptr<Signal> MakeDeadTuples(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.dead_tuples");
  return limit ? std::make_unique<DeadTuples>(scene, *limit) : nullptr;
}

}  // namespace pawl::throttle
