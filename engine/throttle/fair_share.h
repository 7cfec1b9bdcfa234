// What part of a database's budget is this run's, when several are at work: by weight, decided by
// each for itself from the control schema, all with the same answer.
//
//   budget: the most workers that any of the runs has. Two runs with two workers each and equal
//   weights get one worker's worth each; together they load the database like one of them.
#pragma once

#include <cstdint>
#include <string>

#include "db/session.h"

namespace pawl::throttle {

struct Share {
  double weight = 1;
  int workers = 1;
  double share = 1;
  double level_max = 1;
  std::string sentence;  // Empty where the run is alone.
};

// Pure. `others_weight` and `others_workers` (the most of any) are 0 where the run is alone. The
// level is at most `workers`, and more than 0.
Share Divide(double weight, int workers, double others_weight, int others_workers);

// Reads pawl.throttle. Throws db::Error.
Share ShareOf(db::Session& session, std::int64_t run, double weight, int workers);

}  // namespace pawl::throttle
