// A number of the user's own: `query="SELECT …" limit.query=100`.
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

std::optional<double> NumberIn(const db::Value& value) {
  if (!value) return std::nullopt;
  double number = 0;
  const char* last = value->data() + value->size();
  const auto [end, error] = std::from_chars(value->data(), last, number);
  if (error != std::errc() || end != last || !std::isfinite(number)) return std::nullopt;
  return number;
}

class UserQuery : public Signal {
 public:
  UserQuery(std::string sql, double limit) : sql_(std::move(sql)), limit_(limit) {}

  std::string name() const override { return "query"; }
  std::chrono::milliseconds interval() const override { return std::chrono::milliseconds(1'000); }

  std::optional<std::string> Obstacle(db::Session& session) override {
    try {
      Ask(session);
    } catch (const db::Error& error) {
      db::FailInput(
          fmt::format("query=\"{}\": {}. Give a SELECT that returns one number. Nothing "
                      "was changed.",
                      sql_, error.what()));
    }
    return std::nullopt;
  }

  std::optional<Reading> Read(db::Session& session) override {
    const double value = Ask(session);
    return Reading{value, limit_, std::max(0.0, value / limit_),
                   fmt::format("the query gives {:g} (limit {:g})", value, limit_), false};
  }

 private:
  double Ask(db::Session& session) {
    db::Transaction reading(session, false, true);
    const auto found = session.Query(sql_);
    if (found.rows.empty()) throw db::Error(db::Action::kStop, "it returned no row");
    if (found.rows.size() > 1 || found.rows[0].size() != 1) {
      throw db::Error(db::Action::kStop, "it returned more than one value");
    }
    const auto number = NumberIn(found.rows[0][0]);
    if (number) return *number;
    throw db::Error(db::Action::kStop,
                    fmt::format("it returned {}, which is no number",
                                found.rows[0][0] ? "\"" + *found.rows[0][0] + "\"" : "NULL"));
  }

  std::string sql_;
  double limit_;
};

}  // namespace

std::unique_ptr<Signal> MakeQuery(const Scene& scene) {
  const std::string sql = schema::ThrottleValue(scene.values, "query");
  const auto limit = schema::ThrottleNumber(scene.values, "limit.query");
  const auto is_said = [&](const char* name) { return scene.values.contains(name); };
  // Either switches it off, so that one word is enough for a query that is broken.
  if ((sql == "off" && is_said("query")) || (!limit && is_said("limit.query"))) return nullptr;
  if (sql == "off" && !limit) return nullptr;
  if (sql == "off" || !limit) {
    db::FailInput(
        "query= and limit.query= belong together: one says what to ask, the other what "
        "number is too high. Nothing was changed.");
  }
  return std::make_unique<UserQuery>(sql, *limit);
}

}  // namespace pawl::throttle
