// Keeps pawl.throttle up to date: the last decision, what each signal says, and the last minute,
// for other processes and for `pawl throttle RUN --why`. One row a run, written once a second.
//
// Thread safety: none. Owned by the throttle's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "db/session.h"
#include "engine/throttle/controller.h"
#include "engine/throttle/fair_share.h"
#include "engine/throttle/signal.h"

namespace pawl::throttle {

class Record {
 public:
  // Makes the run's row where there is none, and reads how large the tables were when the run
  // began. Throws db::Error.
  void Load(db::Session& session, std::int64_t run, std::vector<WatchedTable>& tables);

  // Which limits are not kept here, and why.
  void SetNotes(db::Session& session, std::int64_t run, const std::vector<std::string>& notes);

  // Writes at most once a second, and at once when the run is held or let go; then it wakes the
  // run's other processes too. Throws db::Error.
  void Note(db::Session& session, std::int64_t run, const Decision& decision,
            const Situation& situation, const Share& share);

 private:
  struct Moment {
    double server_seconds = 0;
    double level = 0;
    bool held = false;
    std::string sentence;
  };

  void Write(db::Session& session, std::int64_t run, const Decision& decision,
             const Situation& situation, const Share& share);

  std::deque<Moment> minute_;
  Clock::time_point written_at_{};
  bool held_ = false;
  double level_ = -1;
};

}  // namespace pawl::throttle
