// How long the application's own statements take, from pg_stat_statements where it is installed:
// thousands a second tell what a probe needs a minute for. Under the same limit as the canary.
#include <fmt/format.h>

#include "db/quote.h"
#include "engine/throttle/felt_signal.h"
#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

constexpr std::chrono::milliseconds kOften{250};
// Choosing reads the text of all statements; new ones may wait so long.
constexpr std::chrono::seconds kChooseEvery{20};
constexpr int kChosen = 100;

// Fewer calls say little; but where statements have become slow there are fewer, and after so long
// those must do.
constexpr std::int64_t kCallsMin = 5;
constexpr std::chrono::seconds kCollectMax{1};

struct Totals {
  Clock::time_point at{};
  std::int64_t calls = 0;
  double milliseconds = 0;
};

class Statements : public FeltSignal {
 public:
  explicit Statements(const schema::LatencyLimit& limit)
      : FeltSignal(limit,
                   {.window = std::chrono::milliseconds(2'000), .quantile = 0.7, .count_min = 2}) {}

  std::string name() const override { return "statements"; }
  std::chrono::milliseconds interval() const override { return kOften; }

  // Empty: there is nothing to be mended, the canary does it alone.
  std::optional<std::string> Obstacle(db::Session& session) override {
    const auto found = session.Query(
        R"sql(SELECT n.nspname FROM pg_catalog.pg_extension AS e
  JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements')sql");
    if (found.rows.empty()) return "";
    view_ = db::QuoteName(db::ToText(found.rows[0][0]), "pg_stat_statements");
    if (!SeesActivity(session)) return NeedsMonitor(session, "the statements of other roles");
    try {
      session.Query(fmt::format("SELECT FROM {} LIMIT 1", view_));
    } catch (const db::Error& error) {
      return fmt::format(
          "pg_stat_statements cannot be read ({}). Add it to "
          "shared_preload_libraries.",
          error.what());
    }
    return std::nullopt;
  }

 private:
  void Measure(db::Session& session) override {
    const auto now = Clock::now();
    if (now > choose_at_) {
      choose_at_ = now + kChooseEvery;
      Choose(session);
    }
    Totals totals = Add(session);
    totals.at = now;
    const std::int64_t calls = before_ ? totals.calls - before_->calls : 0;
    if (!before_ || calls < 0) {  // Somebody has reset the statistics.
      before_ = totals;
    } else if (calls >= (now - before_->at > kCollectMax ? 1 : kCallsMin)) {
      felt().Add(now,
                 (totals.milliseconds - before_->milliseconds) / 1e3 / static_cast<double>(calls));
      before_ = totals;
    }
  }

  std::string Words() const override { return "the application's statements take"; }
  void Forget() override { before_.reset(); }

  // The application's busiest statements. Ours name schema pawl or the catalog, or say so in a
  // comment; the ones that look for keys sample, or end in OFFSET … LIMIT 1.
  void Choose(db::Session& session) {
    const auto found = session.Query(fmt::format(
        R"sql(SELECT coalesce(pg_catalog.array_agg(queryid)::text, '{{}}') FROM (
  SELECT queryid FROM {}
   WHERE dbid = (SELECT oid FROM pg_catalog.pg_database
                  WHERE datname = pg_catalog.current_database())
     AND query !~ 'pawl[._]|pg_catalog[.]|pg_stat|TABLESAMPLE|OFFSET \$[0-9]+'
     AND query ~* '^\s*(select|insert|update|delete|with|merge)\M'
   ORDER BY calls DESC LIMIT {}) AS busiest)sql",
        view_, kChosen));
    if (db::ToText(found.rows.at(0)[0]) == chosen_) return;
    chosen_ = db::ToText(found.rows[0][0]);
    before_.reset();
  }

  Totals Add(db::Session& session) {
    const auto found = session.Query(
        fmt::format(
            R"sql(SELECT coalesce(sum(calls), 0)::bigint, coalesce(sum(total_exec_time), 0)
  FROM {}(false)
 WHERE queryid = ANY ($1::bigint[]))sql",
            view_),
        {chosen_});
    const db::Row& row = found.rows.at(0);
    return {{}, db::ToInt(row[0]), db::ToDouble(row[1])};
  }

  std::string view_;
  std::string chosen_;
  Clock::time_point choose_at_{};
  std::optional<Totals> before_;
};

}  // namespace

std::unique_ptr<Signal> MakeStatements(const Scene& scene) {
  const auto limit = schema::ThrottleLatency(scene.values, "limit.latency");
  return limit ? std::make_unique<Statements>(*limit) : nullptr;
}

}  // namespace pawl::throttle
