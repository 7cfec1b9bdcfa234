#include "engine/throttle/lag_book.h"

#include <algorithm>

namespace pawl::throttle {
namespace {

// Five a second for an hour. A replica that is behind by more is behind by an hour at least.
constexpr std::size_t kMomentsMax = 18'000;
// A rate is measured only over a backlog that keeps the replica busy for the whole of it.
constexpr std::int64_t kBusyBytes = 256 << 10;
constexpr double kRateWeight = 0.4;
// Only a replica that is behind at all has a backlog that grows.
constexpr double kBehindSeconds = 0.3;

double Seconds(Clock::duration elapsed) { return std::chrono::duration<double>(elapsed).count(); }

}  // namespace

void LagBook::Wrote(Clock::time_point now, std::int64_t lsn) {
  if (!written_.empty() && written_.back().lsn >= lsn) return;
  written_.push_back({now, lsn});
  if (written_.size() > kMomentsMax) written_.pop_front();
}

void LagBook::Replayed(const std::string& name, Clock::time_point now, std::int64_t lsn) {
  Replica& replica = replicas_[name];
  const double seconds = Seconds(now - replica.heard);
  const bool busy = !written_.empty() && written_.back().lsn - lsn > kBusyBytes;
  if (replica.heard != Clock::time_point{} && busy && seconds > 0.05 && lsn > replica.lsn) {
    const double rate = static_cast<double>(lsn - replica.lsn) / seconds;
    replica.bytes_per_second =
        replica.bytes_per_second == 0
            ? rate
            : replica.bytes_per_second * (1 - kRateWeight) + rate * kRateWeight;
  }
  replica.heard = now;
  replica.lsn = std::max(replica.lsn, lsn);
}

double LagBook::SecondsBehind(Clock::time_point now, std::int64_t lsn) const {
  const auto first = std::upper_bound(
      written_.begin(), written_.end(), lsn,
      [](std::int64_t replayed, const Moment& moment) { return replayed < moment.lsn; });
  return first == written_.end() ? 0 : Seconds(now - first->at);
}

std::map<std::string, Lag> LagBook::Lags(Clock::time_point now) const {
  std::map<std::string, Lag> lags;
  for (const auto& [name, replica] : replicas_) {
    Lag lag;
    lag.connected = replica.heard == now;
    lag.seconds = SecondsBehind(now, replica.lsn);
    lag.bytes =
        written_.empty()
            ? 0
            : static_cast<double>(std::max<std::int64_t>(0, written_.back().lsn - replica.lsn));
    if (lag.connected && lag.seconds > kBehindSeconds && replica.bytes_per_second > 0) {
      lag.seconds = std::max(lag.seconds, lag.bytes / replica.bytes_per_second);
    }
    // Gone is behind, whether or not anything is written meanwhile: it must come back to be asked.
    if (!lag.connected) lag.seconds = std::max(lag.seconds, Seconds(now - replica.heard));
    lags[name] = lag;
  }
  return lags;
}

}  // namespace pawl::throttle
