// How much the tables that are changed have grown since the run began, and the vacuums that keep it
// so: a changed row leaves its old version behind, and only a vacuum makes that room usable again.
//
//   limit ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─    pressure: what may still be used, room to
//                 ┌──────┘ room freed by the vacuum,      grow and freed room together, against the
//          ┌──────┘        used again before the table    whole allowance
//   ───────┘ vacuum        grows
//
// Growth never goes back, so a table at its limit is fine as long as there is freed room. How much
// that is follows from what is known: the table holds as many rows as at the start, so after a
// vacuum all of its growth is free, but for what could not be freed and what was changed since.
#include <algorithm>

#include <fmt/format.h>

#include "engine/throttle/signals.h"
#include "engine/throttle/vacuum_rounds.h"

namespace pawl::throttle {
namespace {

// A round begins while what is written during it still fits: when two fifths of the allowance are
// used, where a part of that is dead; in any case at four fifths.
constexpr double kBeginAt = 0.4;
constexpr double kDeadShare = 0.2;
constexpr double kBeginAnyway = 0.8;
// Of freed room, so much is counted on: some of it lies in pieces that no row fits into, and what the
// statistics call dead lags behind by a second.
constexpr double kUsable = 0.8;
// Bytes of a row at most, as long as nobody knows how many rows there are: until the first round.
constexpr double kRowUnknown = 8'192;
// A round that freed little is not repeated at once: somebody holds an old snapshot.
constexpr std::chrono::seconds kTryAgain{5};

class Growth : public Signal {
 public:
  Growth(const Scene& scene, double limit)
      : limit_(limit),
        run_(std::to_string(scene.run)),
        vacuum_(schema::ThrottleValue(scene.values, "vacuum")),
        rounds_(scene.where) {
    for (const WatchedTable& table : scene.tables) {
      if (!table.gains_rows) tables_.push_back({table});
    }
  }

  std::string name() const override { return "growth"; }
  std::chrono::milliseconds interval() const override { return std::chrono::milliseconds(150); }

  std::optional<std::string> Obstacle(db::Session& session) override {
    makes_ = vacuum_ == "make" || vacuum_ == "auto";
    for (const Table& table : tables_) {
      if (!makes_ || VacuumRounds::IsAllowed(session, table.watched)) continue;
      if (vacuum_ == "make") {
        return fmt::format(
            "the role may not vacuum {}. Let its owner run the migration, or say "
            "vacuum=let to wait for autovacuum.",
            table.watched.Display());
      }
      makes_ = false;
    }
    return std::nullopt;
  }

  std::optional<Reading> Read(db::Session& session) override {
    Reading worst{0, limit_, 0, "the tables have not grown", false};
    for (Table& table : tables_) {
      const Reading reading = ReadOne(session, table);
      if (reading.pressure >= worst.pressure) worst = reading;
    }
    return worst;
  }

 private:
  struct Table {
    WatchedTable watched;
    double bytes = 0;
    double row_bytes = 0;
    double dead_bytes = 0;
    // Of the last round: what it found, and the ledger's last batch when it began.
    double growth_at_round = 0;
    std::int64_t batch_at_round = 0;
    double changed_bytes = 0;   // Since that round began.
    double counted_bytes = 0;   // Of those, taken off freed_bytes already.
    double freed_bytes = 0;     // By it, as far as nothing has used it again.
    double freed_at_first = 0;  // The same when it ended.
    bool freed = false;         // It has ended, and its result is counted.
    bool seen = false;
  };

  Reading ReadOne(db::Session& session, Table& table) {
    const auto found = session.Query(
        R"sql(SELECT pg_catalog.pg_relation_size($1::oid),
       (SELECT CASE WHEN reltuples > 0 THEN reltuples::bigint
                    ELSE pg_catalog.pg_stat_get_live_tuples(oid) END
          FROM pg_catalog.pg_class WHERE oid = $1::oid),
       pg_catalog.pg_stat_get_dead_tuples($1::oid),
       (SELECT coalesce(sum(rows), 0)::bigint FROM pawl.ledger
         WHERE batch_id > $2::bigint AND run_id = $3::bigint))sql",
        {std::to_string(table.watched.oid), std::to_string(table.batch_at_round), run_});
    const db::Row& row = found.rows.at(0);
    if (!row[0]) throw db::Error(db::Action::kStop, table.watched.Display() + " is gone");
    const auto bytes = static_cast<double>(db::ToInt(row[0]));
    if (table.watched.bytes_at_start == 0) table.watched.bytes_at_start = db::ToInt(row[0]);
    const auto start = std::max(8192.0, static_cast<double>(table.watched.bytes_at_start));
    // Statistics are lost by a crash, a failover, a copy: then they count what came since, and a row
    // would seem as large as a table. The catalogue keeps what the last vacuum has counted, and the
    // next one, at the latest ours, corrects it.
    table.row_bytes = start / std::max(start / kRowUnknown, static_cast<double>(db::ToInt(row[1])));
    table.dead_bytes = static_cast<double>(db::ToInt(row[2])) * table.row_bytes;
    table.changed_bytes = static_cast<double>(db::ToInt(row[3])) * table.row_bytes;
    CountFreed(table, bytes);
    const double allowance = limit_ * start;
    const double growth = std::max(0.0, bytes - start);
    const double room = std::max(0.0, allowance - growth) + kUsable * table.freed_bytes;
    Reading reading{growth / start, limit_, std::max(0.0, 1 - room / allowance), "", false};
    reading.sentence = fmt::format("{} has grown by {} (limit {}){}", table.watched.Display(),
                                   ShareText(reading.value), ShareText(limit_),
                                   Vacuumed(session, table, growth, allowance, reading.pressure));
    return reading;
  }

  void CountFreed(Table& table, double bytes) {
    if (table.batch_at_round > 0 && !table.freed && !rounds_.running()) {
      table.freed = true;
      // The statistics say what the vacuum could not take.
      table.freed_bytes = rounds_.failure().empty() ? table.growth_at_round - table.dead_bytes : 0;
      table.freed_at_first = table.freed_bytes;
      table.freed_bytes = std::max(0.0, table.freed_bytes - table.changed_bytes);
      table.counted_bytes = table.changed_bytes;
    } else if (table.freed) {
      table.freed_bytes -= table.changed_bytes - table.counted_bytes;
      table.counted_bytes = table.changed_bytes;
    }
    // A table that grows has no free room, whatever the figures make of it.
    if (table.seen) table.freed_bytes -= std::max(0.0, bytes - table.bytes);
    table.freed_bytes = std::max(0.0, table.freed_bytes);
    table.seen = true;
    table.bytes = bytes;
  }

  // Begins a round where one is due; says what is going on.
  std::string Vacuumed(db::Session& session, Table& table, double growth, double allowance,
                       double pressure) {
    if (!makes_) return pressure < 1 ? "" : "; waits for a vacuum to free room";
    if (rounds_.running()) return "; a vacuum of ours is under way";
    const bool due = pressure >= kBeginAnyway ||
                     (pressure >= kBeginAt && table.dead_bytes >= kDeadShare * allowance);
    // One that freed much is welcome again as soon as that is used.
    const bool well = table.freed && table.freed_at_first > allowance / 2;
    if (due && (well || Clock::now() >= try_at_)) {
      try_at_ = Clock::now() + kTryAgain;
      table.batch_at_round = db::ToInt(
          session.Query("SELECT coalesce(max(batch_id), 0) + 1 FROM pawl.ledger").rows.at(0)[0]);
      table.growth_at_round = growth;
      table.freed = false;
      table.counted_bytes = 0;
      rounds_.Begin(table.watched);
      return "; a vacuum of ours begins";
    }
    if (const std::string failure = rounds_.failure(); !failure.empty()) {
      return "; the vacuum failed: " + failure;
    }
    return pressure < 1 ? "" : Holder(session);
  }

  // Whoever keeps dead rows from being freed.
  static std::string Holder(db::Session& session) {
    const auto found = session.Query(
        R"sql(SELECT pid, extract(epoch FROM clock_timestamp() - xact_start)
  FROM pg_catalog.pg_stat_activity
 WHERE backend_xmin IS NOT NULL AND application_name NOT LIKE 'pawl/%' AND xact_start IS NOT NULL
 ORDER BY pg_catalog.age(backend_xmin) DESC LIMIT 1)sql");
    if (found.rows.empty()) return "; waits for room to be freed";
    return fmt::format("; a vacuum frees nothing while session {} holds its snapshot, for {} now",
                       db::ToText(found.rows[0][0]), TimeText(db::ToDouble(found.rows[0][1])));
  }

  double limit_;
  std::string run_;
  std::string vacuum_;
  bool makes_ = false;
  std::vector<Table> tables_;
  VacuumRounds rounds_;
  Clock::time_point try_at_{};
};

}  // namespace

std::unique_ptr<Signal> MakeGrowth(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.growth");
  return limit ? std::make_unique<Growth>(scene, *limit) : nullptr;
}

}  // namespace pawl::throttle
