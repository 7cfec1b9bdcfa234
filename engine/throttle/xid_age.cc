// The age of the oldest transaction id of any database: each batch takes one, and at two thousand
// million the server stops.
#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class XidAge : public Signal {
 public:
  explicit XidAge(double limit) : limit_(limit) {}

  std::string name() const override { return "xid_age"; }
  std::chrono::milliseconds interval() const override { return std::chrono::milliseconds(1'000); }

  std::optional<Reading> Read(db::Session& session) override {
    const auto found = session.Query(
        "SELECT datname, pg_catalog.age(datfrozenxid) FROM pg_catalog.pg_database ORDER BY 2 DESC "
        "LIMIT 1");
    const auto age = static_cast<double>(db::ToInt(found.rows.at(0)[1]));
    return Reading{age, limit_, std::max(0.0, age) / limit_,
                   fmt::format("the oldest transaction id of database {} is {:.0f} million old "
                               "(limit {:.0f} million)",
                               db::ToText(found.rows[0][0]), age / 1e6, limit_ / 1e6),
                   false};
  }

 private:
  double limit_;
};

}  // namespace

std::unique_ptr<Signal> MakeXidAge(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.xid_age");
  return limit ? std::make_unique<XidAge>(*limit) : nullptr;
}

}  // namespace pawl::throttle
