// How long a small commit takes to reach the disk, and the synchronous standby where there is one.
#include "engine/throttle/felt_signal.h"
#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

using std::chrono::milliseconds;

class CommitLatency : public Probe {
 public:
  explicit CommitLatency(const schema::LatencyLimit& limit)
      : Probe(limit, {.window = milliseconds(3'000), .quantile = 0.75, .count_min = 1},
              {.usually = milliseconds(60), .in_drain = milliseconds(30)}) {}

  std::string name() const override { return "commit"; }

  std::optional<std::string> Obstacle(db::Session& session) override {
    const auto found = session.Query(
        "SELECT coalesce(bool_and(pg_catalog.has_function_privilege(oid, 'EXECUTE')), false) FROM "
        "pg_catalog.pg_proc WHERE proname = 'pg_logical_emit_message'");
    if (db::ToBool(found.rows.at(0)[0])) return std::nullopt;
    return "the role may not write a message to the WAL. GRANT EXECUTE ON FUNCTION "
           "pg_logical_emit_message TO it, or switch the limit off.";
  }

 private:
  // The throttle's own session does not wait for its commits; the application does as is set.
  void Prepare(db::Session& session) override {
    as_usual_ = db::ToText(session
                               .Query("SELECT reset_val FROM pg_catalog.pg_settings WHERE name = "
                                      "'synchronous_commit'")
                               .rows.at(0)[0]);
  }

  // The smallest thing that a commit has to write and to wait for; no table, no row, no bloat.
  void Ask(db::Session& session) override {
    session.Query(
        "SELECT pg_catalog.set_config('synchronous_commit', $1, true), "
        "pg_catalog.pg_logical_emit_message(true, 'pawl', '')",
        {as_usual_});
  }

  std::string Words() const override { return "a commit takes"; }

  std::string as_usual_;
};

}  // namespace

std::unique_ptr<Signal> MakeCommit(const Scene& scene) {
  const auto limit = schema::ThrottleLatency(scene.values, "limit.commit");
  return limit ? std::make_unique<CommitLatency>(*limit) : nullptr;
}

}  // namespace pawl::throttle
