// Worker threads over one round of one step. Finished batches travel to the coordinator through a
// lock-free queue; the coordinator steers by four atomics.
//
// Thread safety: owned and called by the coordinator's thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/worker.h"

namespace pawl::engine {

class WorkerPool {
 public:
  // `order` must outlive the pool. Starts no thread yet.
  explicit WorkerPool(const WorkOrder& order);
  // Stops and joins.
  ~WorkerPool();

  // Brings the number of workers to `count`, by starting threads or by letting the last ones finish
  // their batch. One that is still at it and wanted again goes on.
  void Resize(int count);

  // No new batch begins from now on; the running ones finish. Returns at once.
  void Stop() { stopping_ = true; }

  // Waits until every worker has ended.
  void Join();

  // True when every worker has ended by itself: the round is done, or failed.
  bool idle() const { return running_ == 0; }
  int size() const { return target_; }
  int threads() const { return running_; }  // That have not ended yet.

  // What made a worker give up; nullopt as long as none has.
  std::optional<db::Error> failure();

  // The batches finished since the last call.
  std::vector<BatchReport> Drain();

 private:
  struct Queue;

  // The place of one worker; taken until its thread is certain not to work on.
  struct Seat {
    bool taken = false;
    std::jthread thread;
  };

  void Start(int index);
  bool WorkUntilCalledOff(int index);

  const WorkOrder& order_;
  std::unique_ptr<Queue> queue_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> target_{0};
  std::atomic<int> running_{0};
  std::mutex failure_mutex_;
  std::optional<db::Error> failure_;
  std::mutex sizing_mutex_;
  std::deque<Seat> seats_;  // Guarded by sizing_mutex_, but for the threads; never shrinks.
};

}  // namespace pawl::engine
