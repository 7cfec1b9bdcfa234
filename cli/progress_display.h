// Shows a run's progress in the way the reader can use: a live display in a terminal, a line now
// and then in a log, JSON lines for a program.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "cli/output.h"
#include "engine/engine.h"

namespace pawl::cli {

// Says when the next report is due: at once when the step has changed, otherwise every `interval`.
//
// Thread safety: none.
class Cadence {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit Cadence(std::chrono::milliseconds interval) : interval_(interval) {}

  // Returns whether to report now, and if so counts it as reported.
  bool Due(const engine::Progress& progress, Time now);

 private:
  std::chrono::milliseconds interval_;
  bool reported_ = false;
  Time reported_at_{};
  int step_ = 0;
  std::string state_;
};

// Thread safety: none. The engine calls Show from one thread at a time.
class ProgressDisplay {
 public:
  virtual ~ProgressDisplay() = default;
  virtual void Show(const engine::Progress& progress) = 0;

  // Removes what must not stay on the screen; also done when destroyed. Call it before printing.
  virtual void Clear() {}
};

// Live on stderr where that is a terminal, else plain lines there; with --json lines on stdout.
std::unique_ptr<ProgressDisplay> MakeProgressDisplay(const Output& output);

}  // namespace pawl::cli
