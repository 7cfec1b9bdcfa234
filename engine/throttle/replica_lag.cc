// How far the replicas are behind, in seconds and in bytes, as the primary sees them.
#include <algorithm>

#include <fmt/format.h>

#include "engine/throttle/lag_book.h"
#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class ReplicaLag : public Signal {
 public:
  ReplicaLag(const Scene& scene, double limit, bool in_bytes)
      : names_(schema::ThrottleNames(scene.values, "replicas")),
        limit_(limit),
        in_bytes_(in_bytes) {}

  std::string name() const override { return in_bytes_ ? "replica_lag_bytes" : "replica_lag"; }
  // Lag rises by itself while one looks away.
  std::chrono::milliseconds interval() const override { return std::chrono::milliseconds(200); }

  std::optional<std::string> Obstacle(db::Session& session) override {
    if (SeesActivity(session)) return std::nullopt;
    // Rows of other roles are visible, their content is not.
    const auto found = session.Query("SELECT count(*) FROM pg_catalog.pg_stat_replication");
    if (db::ToInt(found.rows.at(0)[0]) == 0 && names_.empty()) return std::nullopt;
    return NeedsMonitor(session, "how far replicas are");
  }

  std::optional<Reading> Read(db::Session& session) override {
    const auto found = session.Query(
        R"sql(SELECT r.application_name, (r.replay_lsn - '0/0'::pg_lsn)::bigint,
       (pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint
  FROM (VALUES (1)) AS one
  LEFT JOIN pg_catalog.pg_stat_replication AS r
    ON r.state <> 'backup' AND r.replay_lsn IS NOT NULL)sql");
    const Clock::time_point now = Clock::now();
    book_.Wrote(now, db::ToInt(found.rows.at(0)[2]));
    for (const db::Row& row : found.rows) {
      if (row[0] && IsWatched(*row[0])) book_.Replayed(*row[0], now, db::ToInt(row[1]));
    }
    const std::map<std::string, Lag> lags = book_.Lags(now);
    for (const std::string& name : names_) {
      if (!lags.contains(name)) {
        throw db::Error(db::Action::kStop,
                        fmt::format("replica {} is not connected to this server", name));
      }
    }
    return Furthest(lags);
  }

 private:
  bool IsWatched(const std::string& name) const {
    return names_.empty() || std::find(names_.begin(), names_.end(), name) != names_.end();
  }

  Reading Furthest(const std::map<std::string, Lag>& lags) const {
    Reading reading;
    reading.limit = limit_;
    reading.sentence = "no replica is connected";
    for (const auto& [name, lag] : lags) {
      // One that is gone has no bytes to go by: what it has received is not known.
      const double value = in_bytes_ ? lag.bytes : lag.seconds;
      if (value < reading.value) continue;
      reading.value = value;
      reading.sentence =
          in_bytes_ ? fmt::format("replica {} is {} behind (limit {})", name, SizeText(value),
                                  SizeText(limit_))
                    : fmt::format("replica {} is {} behind (limit {}){}", name, TimeText(value),
                                  TimeText(limit_), lag.connected ? "" : " and not connected");
    }
    reading.pressure = reading.value / limit_;
    return reading;
  }

  std::vector<std::string> names_;
  double limit_;
  bool in_bytes_;
  LagBook book_;
};

}  // namespace

std::unique_ptr<Signal> MakeReplicaLag(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.replica_lag");
  return limit ? std::make_unique<ReplicaLag>(scene, *limit, false) : nullptr;
}

std::unique_ptr<Signal> MakeReplicaLagBytes(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.replica_lag_bytes");
  return limit ? std::make_unique<ReplicaLag>(scene, *limit, true) : nullptr;
}

}  // namespace pawl::throttle
