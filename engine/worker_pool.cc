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
  const int before = target_.exchange(count);
  for (int index = before; index < count; ++index) Start(index);
}

void WorkerPool::Start(int index) {
  ++running_;
  threads_.emplace_back([this, index] {
    try {
      Worker worker(
          order_, [this, index] { return !stopping_ && index < target_; },
          [this](const BatchReport& report) { queue_->reports.enqueue(report); });
      worker.Run();
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

void WorkerPool::Join() {
  for (std::jthread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  threads_.clear();
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
