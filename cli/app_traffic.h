// The application of `pawl demo`: threads that read, update and insert orders at a fixed modest
// rate and note how long each statement took.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "db/connection_string.h"

namespace pawl::cli {

// What the application has felt over some time.
struct Latency {
  std::size_t statements = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double max_ms = 0;
};

// Of unsorted times in milliseconds; all zero where there are none.
Latency LatencyOf(std::vector<double> times_ms);

// Thread safety: all methods. The threads end with it.
class AppTraffic {
 public:
  // Starts `threads` threads that send `statements_per_second` together to the table of
  // MakeDemoTable() with `rows` rows.
  AppTraffic(const db::ConnectionString& where, std::int64_t rows, int threads,
             double statements_per_second);
  ~AppTraffic();
  AppTraffic(const AppTraffic&) = delete;
  AppTraffic& operator=(const AppTraffic&) = delete;

  // Returns what was felt since the last call, and begins anew.
  Latency TakeLatency();

  // Of the first thread that had to give up; empty where none had.
  std::string first_error();

 private:
  void Work(const db::ConnectionString& where, int thread, std::chrono::nanoseconds interval);
  void Note(double time_ms);

  std::int64_t rows_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::vector<double> times_ms_;  // Guarded by mutex_, as is the next one.
  std::string first_error_;
  std::vector<std::thread> threads_;
};

}  // namespace pawl::cli
