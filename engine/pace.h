// Spreads work over time: how many workers of a process may be at a batch at once, which share of
// the time, and how many rows a second at most.
//
//   level 1.5 of two workers:   slot 0  ▓▓▓▓░▓▓▓▓░▓▓▓▓░      ▓ a batch, ░ the rest after it: as long
//                               slot 1  ▓▓▓▓░▓▓▓▓░▓▓▓▓░        as leaves three quarters at work
//
// Whoever has no slot waits, keeps its span, and is not stalled.
//
// Thread safety: all methods.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace pawl::engine {

class Pace {
 public:
  using Clock = std::chrono::steady_clock;

  // The right to one batch, given back when it goes. Owned by the worker that took it.
  class Turn {
   public:
    Turn(Pace* pace, std::size_t slot, Clock::time_point began)
        : pace_(pace), slot_(slot), began_(began) {}
    ~Turn();
    Turn(Turn&& other) noexcept;
    Turn& operator=(Turn&&) = delete;

    // Time that was spent waiting for the pace is not work, and needs no rest after it.
    void Waited(Clock::duration time) { waited_ += time; }

   private:
    Pace* pace_;  // nullptr: moved from, or nothing to give back.
    std::size_t slot_;
    Clock::time_point began_;
    Clock::duration waited_{0};
  };

  // 0: unlimited.
  void SetRowsPerSecond(double rows);

  // So many workers' worth of work from now on; 0: nothing begins. Unlimited until the first call.
  void Allow(double level);

  // nullopt where nobody may begin now.
  std::optional<Turn> Take(Clock::time_point now);

  // How many of the `rows` that a worker would take at full speed the next batch is to have: while
  // there are rests or a pace, shorter batches, so that work is spread evenly. At least 1.
  std::int64_t BatchRows(std::int64_t rows) const;

  // Books `rows` and returns when they may be worked on.
  Clock::time_point Book(std::int64_t rows, Clock::time_point now);

 private:
  struct Slot {
    bool taken = false;
    Clock::time_point free_at{};
  };

  void GiveBack(std::size_t slot, Clock::time_point now, Clock::duration worked);
  double ShareLocked() const;

  mutable std::mutex mutex_;
  double rows_per_second_ = 0;
  Clock::time_point next_{};
  std::optional<double> level_;
  std::vector<Slot> slots_;
};

}  // namespace pawl::engine
