// A read such as the application makes, some eighty times a second, as the application would feel
// it: `canary="SELECT …"`, or else one row of the table that is changed, by its key.
#include <algorithm>

#include <fmt/format.h>

#include "db/quote.h"
#include "engine/throttle/felt_time.h"
#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kOften{12};
// A drain is short, and what it tells holds for long.
constexpr milliseconds kOftenInDrain{8};
// A canary that takes long is asked less often: it is to be a part of the load that nobody notices.
constexpr int kTimesItself = 20;
constexpr milliseconds kSeldom{1'000};  // Before what is known is stale.
constexpr int kKeys = 256;
// Blocks to take keys from.
constexpr double kPages = 64;

class Canary : public Signal {
 public:
  Canary(const Scene& scene, const schema::LatencyLimit& limit)
      // Higher quantiles of so few reads are noise, which is taken for load.
      : felt_(limit, {.window = milliseconds(2'000), .quantile = 0.80, .count_min = 5}),
        statement_(schema::ThrottleValue(scene.values, "canary")) {
    if (!scene.tables.empty()) table_ = scene.tables.front();
  }

  std::string name() const override { return "latency"; }
  Kind kind() const override { return Kind::kGauge; }
  milliseconds interval() const override {
    const milliseconds often = draining_ ? kOftenInDrain : kOften;
    return std::clamp(kTimesItself * took_, often, kSeldom);
  }

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

  std::optional<Reading> Read(db::Session& session) override {
    if (!present_) return std::nullopt;
    if (!prepared_) {
      Prepare(session);  // Again where it fails: what asks nothing of the table is always quick.
      prepared_ = true;
    }
    const auto began = Clock::now();
    if (keys_.empty()) {
      session.Query(sql_);
    } else {
      session.Query(sql_, keys_[next_++ % keys_.size()]);
    }
    const auto ended = Clock::now();
    const double seconds = std::chrono::duration<double>(ended - began).count();
    took_ = std::chrono::duration_cast<milliseconds>(ended - began);
    felt_.Add(ended, seconds);
    return felt_.Judge(
        ended, keys_.empty() ? "the canary takes" : "a read of " + table_.Display() + " takes");
  }

  bool wants_baseline() const override { return felt_.relative(); }
  bool has_baseline() const override { return felt_.has_baseline(); }
  void ApplicationPresent(bool present) override { present_ = present; }

  void DrainBegan() override {
    draining_ = true;
    felt_.DrainBegan(Clock::now());
  }

  void DrainEnded() override {
    draining_ = false;
    felt_.DrainEnded();
  }

 private:
  // The comments keep it out of what is taken for the application's; see statements.cc.
  void Prepare(db::Session& session) {
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

  FeltTime felt_;
  std::string statement_;
  WatchedTable table_;
  bool prepared_ = false;
  bool present_ = false;
  bool draining_ = false;
  std::string sql_;
  std::vector<db::Row> keys_;
  std::size_t next_ = 0;
  milliseconds took_{0};  // The last one.
};

}  // namespace

std::unique_ptr<Signal> MakeCanary(const Scene& scene) {
  const auto limit = schema::ThrottleLatency(scene.values, "limit.latency");
  return limit ? std::make_unique<Canary>(scene, *limit) : nullptr;
}

}  // namespace pawl::throttle
