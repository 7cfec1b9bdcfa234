// A read such as the application makes, some eighty times a second, as the application would feel
// it: `canary="SELECT …"`, or else one row of the table that is changed, by its key.
#include <algorithm>

#include <fmt/format.h>

#include "db/quote.h"
#include "engine/throttle/felt_signal.h"
#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

using std::chrono::milliseconds;

constexpr int kKeys = 256;
// Blocks to take keys from.
constexpr double kPages = 64;

class Canary : public Probe {
 public:
  Canary(const Scene& scene, const schema::LatencyLimit& limit)
      // Higher quantiles of so few reads are noise, which is taken for load.
      : Probe(limit, {.window = milliseconds(2'000), .quantile = 0.80, .count_min = 5},
              {.usually = milliseconds(12), .in_drain = milliseconds(8)}),
        statement_(schema::ThrottleValue(scene.values, "canary")) {
    if (!scene.tables.empty()) table_ = scene.tables.front();
  }

  std::string name() const override { return "latency"; }

  std::optional<std::string> Obstacle(db::Session& session) override {
    if (statement_ == "off") return std::nullopt;
    db::Transaction reading(session, false, true);
    try {
      session.Query(statement_);
    } catch (const db::Error& error) {
      db::FailInput(
          fmt::format("canary=\"{}\" fails: {}. Give a SELECT that the role may run. "
                      "Nothing was changed.",
                      statement_, error.what()));
    }
    return std::nullopt;
  }

 private:
  // The comments keep it out of what is taken for the application's; see statements.cc. Again where
  // it fails: what asks nothing of the table is always quick.
  void Prepare(db::Session& session) override {
    sql_ = statement_ == "off" ? "SELECT /* pawl. */ 1" : statement_;
    if (statement_ != "off" || table_.key.empty()) return;
    std::string columns;
    std::string condition;
    for (const std::string& column : table_.key) {
      columns += (columns.empty() ? "" : ", ") + db::QuoteName(column) + "::text";
      condition +=
          fmt::format("{}{} = ${}", condition.empty() ? "" : " AND ", db::QuoteName(column),
                      1 + std::count(condition.begin(), condition.end(), '$'));
    }
    const std::string table = db::QuoteName(table_.schema, table_.name);
    const auto pages =
        session.Query("SELECT greatest(1, relpages) FROM pg_catalog.pg_class WHERE oid = $1::oid",
                      {std::to_string(table_.oid)});
    if (pages.rows.empty()) return;
    const double share =
        std::min(100.0, 100 * kPages / static_cast<double>(db::ToInt(pages.rows[0][0])));
    keys_ = session
                .Query(fmt::format("SELECT {} FROM {} TABLESAMPLE SYSTEM ({:.6f}) LIMIT {}",
                                   columns, table, share, kKeys))
                .rows;
    if (!keys_.empty()) {
      sql_ = fmt::format("SELECT /* pawl. */ ctid FROM {} WHERE {}", table, condition);
    }
  }

  void Ask(db::Session& session) override {
    if (keys_.empty()) {
      session.Query(sql_);
    } else {
      session.Query(sql_, keys_[next_++ % keys_.size()]);
    }
  }

  std::string Words() const override {
    return keys_.empty() ? "the canary takes" : "a read of " + table_.Display() + " takes";
  }

  std::string statement_;
  WatchedTable table_;
  std::string sql_;
  std::vector<db::Row> keys_;
  std::size_t next_ = 0;
};

}  // namespace

std::unique_ptr<Signal> MakeCanary(const Scene& scene) {
  const auto limit = schema::ThrottleLatency(scene.values, "limit.latency");
  return limit ? std::make_unique<Canary>(scene, *limit) : nullptr;
}

}  // namespace pawl::throttle
