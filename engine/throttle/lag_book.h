// How far a replica is behind, in seconds and bytes, from what the primary has written and what the
// replica says it has replayed: no clock of the replica's, and no "last transaction" that looks old
// when nobody writes.
//
//   primary:   12:00:00.0 at 0/50   12:00:00.2 at 0/90   12:00:00.4 at 0/120
//   replica:   replayed up to 0/60  ──> behind since 12:00:00.2, the first moment past 0/60
//
// What is written now will be replayed later than what is replayed now: where a replica is behind
// and its backlog grows, the time to work the backlog off counts, if it is longer.
//
// Thread safety: none. Owned by one signal.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "engine/throttle/sample.h"

namespace pawl::throttle {

struct Lag {
  double seconds = 0;
  double bytes = 0;
  bool connected = true;
};

class LagBook {
 public:
  // The primary has written up to `lsn` at `now`. Neither goes backwards.
  void Wrote(Clock::time_point now, std::int64_t lsn);

  // Replica `name` has replayed up to `lsn`. Requires a Wrote at `now`.
  void Replayed(const std::string& name, Clock::time_point now, std::int64_t lsn);

  // Of each replica seen so far. One that was not heard of at `now` is not connected, and as far
  // behind as if it had replayed nothing since.
  std::map<std::string, Lag> Lags(Clock::time_point now) const;

 private:
  struct Moment {
    Clock::time_point at;
    std::int64_t lsn = 0;
  };
  struct Replica {
    Clock::time_point heard{};
    std::int64_t lsn = 0;
    double bytes_per_second = 0;  // While it had something to replay.
  };

  double SecondsBehind(Clock::time_point now, std::int64_t lsn) const;

  std::deque<Moment> written_;  // Only moments with new LSNs, of the last hour at most.
  std::map<std::string, Replica> replicas_;
};

}  // namespace pawl::throttle
