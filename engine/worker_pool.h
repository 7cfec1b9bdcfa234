// Worker threads over one round of one step. Finished batches travel to the coordinator through a
// lock-free queue; the coordinator steers by four atomics.
//
// Thread safety: owned and called by the coordinator's thread.
#pragma once

#include <atomic>
#include <cstdint>
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
  // their batch.
  void Resize(int count);

  // No new batch begins from now on; the running ones finish. Returns at once.
  void Stop() { stopping_ = true; }

  // Waits until every worker has ended.
  void Join();

  // True when every worker has ended by itself: the round is done, or failed.
  bool idle() const { return running_ == 0; }
  int size() const { return target_; }

  // What made a worker give up; nullopt as long as none has.
  std::optional<db::Error> failure();

  // The batches finished since the last call.
  std::vector<BatchReport> Drain();

 private:
  struct Queue;

  void Start(int index);

  const WorkOrder& order_;
  std::unique_ptr<Queue> queue_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> target_{0};
  std::atomic<int> running_{0};
  std::mutex failure_mutex_;
  std::optional<db::Error> failure_;
  std::vector<std::jthread> threads_;
};

}  // namespace pawl::engine
