#include "engine/timeline_watch.h"

#include <fmt/format.h>

#include "db/error.h"

namespace pawl::engine {

void TimelineWatch::Note(std::int64_t timeline, const std::string& server) {
  if (timeline == 0) {
    throw db::Error(db::Action::kStop,
                    fmt::format("The server behind {} is a replica now. Nothing was written to it. "
                                "Point --database at the primary and resume.",
                                server));
  }
  std::int64_t highest = highest_;
  while (timeline > highest && !highest_.compare_exchange_weak(highest, timeline)) {
  }
#ifdef PAWL_MUTANT_timeline
  return;
#endif
  if (timeline >= highest) return;
  throw db::Error(
      db::Action::kStop,
      fmt::format("The server behind {} writes to timeline {}, and this run has worked on timeline "
                  "{}: it is the old primary of a failover. Nothing was written to it. Point "
                  "--database at the primary and resume.",
                  server, timeline, highest));
}

}  // namespace pawl::engine
