#include "engine/worker_pool.h"

#include <concurrentqueue.h>

namespace pawl::engine {

struct WorkerPool::Queue {
  moodycamel::ConcurrentQueue<BatchReport> reports;
};

WorkerPool::WorkerPool(const WorkOrder& order) : order_(order), queue_(std::make_unique<Queue>()) {}

WorkerPool::~WorkerPool() {
  Stop();
  Join();
}

void WorkerPool::Resize(int count) {
  const std::lock_guard lock(sizing_mutex_);
  target_ = count;
  for (std::size_t index = 0; index < static_cast<std::size_t>(count); ++index) {
    if (index == seats_.size()) seats_.emplace_back();
    if (!seats_[index].taken) Start(static_cast<int>(index));
  }
}

void WorkerPool::Start(int index) {
  Seat& seat = seats_[static_cast<std::size_t>(index)];
  seat.taken = true;
  ++running_;
  // Whoever sat there before has left.
  seat.thread = std::jthread([this, index] {
    try {
      while (WorkUntilCalledOff(index)) {
      }
    } catch (const db::Error& error) {
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = error;
      stopping_ = true;
    } catch (const std::exception& error) {
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = db::Error(db::Action::kStop, error.what());
      stopping_ = true;
    }
    --running_;
  });
}

// Returns true where the worker was called off, and is wanted again. Else it has left its seat.
bool WorkerPool::WorkUntilCalledOff(int index) {
  bool called_off = false;
  Worker worker(
      order_,
      [&] {
        called_off = stopping_ || index >= target_;
        return !called_off;
      },
      [this](const BatchReport& report) { queue_->reports.enqueue(report); });
  worker.Run();
  const std::lock_guard lock(sizing_mutex_);
  if (called_off && !stopping_ && index < target_) return true;
  seats_[static_cast<std::size_t>(index)].taken = false;
  return false;
}

void WorkerPool::Join() {
  for (Seat& seat : seats_) {
    if (seat.thread.joinable()) seat.thread.join();
  }
}

std::optional<db::Error> WorkerPool::failure() {
  const std::lock_guard lock(failure_mutex_);
  return failure_;
}

std::vector<BatchReport> WorkerPool::Drain() {
  std::vector<BatchReport> reports;
  BatchReport report;
  while (queue_->reports.try_dequeue(report)) reports.push_back(report);
  return reports;
}

}  // namespace pawl::engine
