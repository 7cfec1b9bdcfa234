// Whether anybody else is at work in the database, and what time it is there.
//
// A backfill on a database that nobody uses slows nobody down: then gauges do not count. Whoever was
// seen at work counts for ten seconds more. A role that may not see others takes them for present.
//
// Thread safety: none. Owned by the throttle's thread.
#pragma once

#include "db/session.h"
#include "engine/throttle/sample.h"

namespace pawl::throttle {

class Presence {
 public:
  Presence() = default;
  // Throws db::Error.
  explicit Presence(db::Session& session);

  // Looks twice a second; returns whether the answer has changed. Throws db::Error.
  bool Look(db::Session& session, Clock::time_point now);

  bool present() const { return present_; }
  // The server's clock, in seconds since its epoch.
  double server_seconds(Clock::time_point now) const;

 private:
  bool sees_others_ = false;
  bool present_ = true;
  double server_seconds_ = 0;
  Clock::time_point looked_at_{};
  Clock::time_point seen_at_{};
};

}  // namespace pawl::throttle
