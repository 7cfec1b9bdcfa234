// A vacuum at work on a table that is changed: `limit.vacuum=any` waits for each, `wraparound` for
// one that must not be delayed.
#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class VacuumRunning : public Signal {
 public:
  VacuumRunning(const Scene& scene, bool wraparound_only)
      : tables_(scene.tables), wraparound_only_(wraparound_only) {}

  std::string name() const override { return "vacuum"; }

  std::optional<std::string> Obstacle(db::Session& session) override {
    if (SeesActivity(session)) return std::nullopt;
    return NeedsMonitor(session, "what vacuum works on");
  }

  std::optional<Reading> Read(db::Session& session) override {
    for (const WatchedTable& table : tables_) {
      // Our own rounds are not waited for: they are part of the work.
      const auto found = session.Query(
          R"sql(SELECT v.pid, v.phase FROM pg_catalog.pg_stat_progress_vacuum AS v
  JOIN pg_catalog.pg_stat_activity AS a USING (pid)
 WHERE v.relid = $1::oid AND v.datname = pg_catalog.current_database()
   AND a.application_name NOT LIKE 'pawl/%'
   AND (NOT $2::boolean OR a.query LIKE '%(to prevent wraparound)'))sql",
          {std::to_string(table.oid), wraparound_only_ ? "true" : "false"});
      if (found.rows.empty()) continue;
      return Reading{1, 1, 1,
                     fmt::format("a vacuum works on {} (session {}, {})", table.Display(),
                                 db::ToText(found.rows[0][0]), db::ToText(found.rows[0][1])),
                     false};
    }
    return Reading{0, 1, 0, "no vacuum works on the tables", false};
  }

 private:
  std::vector<WatchedTable> tables_;
  bool wraparound_only_;
};

}  // namespace

std::unique_ptr<Signal> MakeVacuum(const Scene& scene) {
  const std::string which = schema::ThrottleValue(scene.values, "limit.vacuum");
  if (which == "off") return nullptr;
  return std::make_unique<VacuumRunning>(scene, which == "wraparound");
}

}  // namespace pawl::throttle
