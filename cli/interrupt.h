// Ctrl-C and SIGTERM while a run is at work: the first one pauses the run, the second one leaves at
// once, which is safe too: the database holds the state.
#pragma once

#include "engine/engine.h"

namespace pawl::cli {

// Only one at a time. While it lives, a pipe that nobody reads any more does not end the run
// either.
//
// Thread safety: none; made and destroyed by the main thread.
class PauseOnInterrupt {
 public:
  // `engine` must outlive it.
  explicit PauseOnInterrupt(engine::Engine& engine);
  ~PauseOnInterrupt();
  PauseOnInterrupt(const PauseOnInterrupt&) = delete;
  PauseOnInterrupt& operator=(const PauseOnInterrupt&) = delete;
};

}  // namespace pawl::cli
