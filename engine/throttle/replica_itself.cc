// How far a replica is behind, as it says itself: `replica="host=r2 …"`. For those that the primary
// does not see: behind another replica, or behind a relay of WAL files.
#include <fmt/format.h>

#include "engine/throttle/lag_book.h"
#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class ReplicaItself : public Signal {
 public:
  ReplicaItself(const std::string& where, double limit) : where_(where), limit_(limit) {}

  std::string name() const override { return "replica"; }

  std::optional<std::string> Obstacle(db::Session&) override {
    try {
      Connect();
    } catch (const db::Error& error) {
      return fmt::format("{}", error.what());
    }
    return std::nullopt;
  }

  std::optional<Reading> Read(db::Session& session) override {
    const auto written =
        session.Query("SELECT (pg_catalog.pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint");
    db::Result replayed;
    try {
      if (!replica_) Connect();
      replayed = replica_->Query(
          "SELECT (pg_catalog.pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint, "
          "pg_catalog.pg_is_in_recovery()");
    } catch (const db::Error& error) {
      // Its connection, not the throttle's.
      replica_.reset();
      throw db::Error(db::Action::kStop, error.what());
    }
    if (!db::ToBool(replayed.rows.at(0)[1])) {
      throw db::Error(db::Action::kStop, fmt::format("{} is not a replica", where_.Display()));
    }
    const Clock::time_point now = Clock::now();
    book_.Wrote(now, db::ToInt(written.rows.at(0)[0]));
    book_.Replayed("", now, db::ToInt(replayed.rows[0][0]));
    Reading reading;
    reading.limit = limit_;
    reading.value = book_.Lags(now).at("").seconds;
    reading.pressure = reading.value / limit_;
    reading.sentence = fmt::format("{} is {} behind (limit {})", where_.Display(),
                                   TimeText(reading.value), TimeText(limit_));
    return reading;
  }

 private:
  void Connect() {
    db::SessionSettings settings;
    settings.statement_timeout = std::chrono::seconds(1);
    replica_ = std::make_unique<db::Session>(where_, "throttle", settings);
  }

  db::ConnectionString where_;
  double limit_;
  std::unique_ptr<db::Session> replica_;
  LagBook book_;
};

}  // namespace

std::unique_ptr<Signal> MakeReplicaItself(const Scene& scene) {
  const std::string where = schema::ThrottleValue(scene.values, "replica");
  if (where == "off") return nullptr;
  const auto limit = schema::ThrottleNumber(scene.values, "limit.replica_lag");
  return limit ? std::make_unique<ReplicaItself>(where, *limit) : nullptr;
}

}  // namespace pawl::throttle
