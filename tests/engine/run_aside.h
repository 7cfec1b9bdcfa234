// A run on a thread of its own, whose progress can be looked at while it works.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "engine/engine.h"

namespace pawl::engine {

// Looks every 10 ms; false where it does not hold within `limit`.
inline bool WaitUntil(const std::function<bool()>& holds, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

// Paused when it goes out of scope. Thread safety: all methods but Wait, which is called once.
class RunAside {
 public:
  RunAside(const std::string& url, const std::string& text, const RunSettings& settings,
           const std::string& name = "m")
      : engine_(db::ConnectionString(url)), thread_([=, this] {
          try {
            result_ = engine_.Run(name, text, settings, [this](const Progress& progress) {
              const std::lock_guard lock(mutex_);
              progress_ = progress;
            });
          } catch (const std::exception& error) {
            result_.reason = error.what();
          }
          done_ = true;
        }) {}
  ~RunAside() { engine_.RequestPause(); }

  Progress progress() {
    const std::lock_guard lock(mutex_);
    return progress_;
  }
  bool done() const { return done_; }
  void Pause() { engine_.RequestPause(); }
  // Fails the test where the run takes minutes, and says what it waits for.
  RunResult Wait() {
    EXPECT_TRUE(WaitUntil([this] { return done(); }, std::chrono::minutes(4))) << progress().note;
    engine_.RequestPause();
    thread_.join();
    return result_;
  }

 private:
  Engine engine_;
  std::mutex mutex_;
  Progress progress_;
  RunResult result_;
  std::atomic<bool> done_{false};
  std::jthread thread_;
};

}  // namespace pawl::engine
