// Bytes of WAL a second, of all sessions together: for networks and archives with a known limit.
#include <cmath>

#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

constexpr double kSmoothSeconds = 1;

class WalRate : public Signal {
 public:
  explicit WalRate(double limit) : limit_(limit) {}

  std::string name() const override { return "wal_rate"; }
  Kind kind() const override { return Kind::kGauge; }
  bool counts_alone() const override { return true; }

  std::optional<Reading> Read(db::Session& session) override {
    const auto found =
        session.Query("SELECT (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint");
    const auto now = Clock::now();
    const auto lsn = static_cast<double>(db::ToInt(found.rows.at(0)[0]));
    if (at_ != Clock::time_point{}) {
      const double seconds = std::max(0.01, std::chrono::duration<double>(now - at_).count());
      rate_ += (1 - std::exp(-seconds / kSmoothSeconds)) * ((lsn - lsn_) / seconds - rate_);
    }
    at_ = now;
    lsn_ = lsn;
    return Reading{rate_, limit_, rate_ / limit_,
                   fmt::format("the server writes {}/s of WAL (limit {}/s)", SizeText(rate_),
                               SizeText(limit_)),
                   false};
  }

 private:
  double limit_;
  double rate_ = 0;
  double lsn_ = 0;
  Clock::time_point at_{};
};

}  // namespace

std::unique_ptr<Signal> MakeWalRate(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.wal_rate");
  return limit ? std::make_unique<WalRate>(*limit) : nullptr;
}

}  // namespace pawl::throttle
