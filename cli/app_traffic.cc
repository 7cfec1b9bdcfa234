#include "cli/app_traffic.h"

#include <algorithm>
#include <random>

#include "db/error.h"
#include "db/pipeline.h"

namespace pawl::cli {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// Not SELECT *: a prepared one fails when the table gains a column ("cached plan must not change
// result type"), whoever adds it.
constexpr const char* kRead =
    "SELECT customer_id, status, total, address, updated_at FROM orders WHERE id = $1";
constexpr const char* kUpdate =
    "UPDATE orders SET total = total + 1, updated_at = now() WHERE id = $1";
constexpr const char* kInsert =
    "INSERT INTO orders (customer_id, total, address) "
    "VALUES ($1, 19.99, '{\"city\": \"Utrecht\", \"street\": \"Oudegracht 1\"}')";

// Six reads, three updates, one insert in ten.
const char* StatementFor(int dice) {
  if (dice < 6) return kRead;
  return dice < 9 ? kUpdate : kInsert;
}

double MillisecondsSince(steady_clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
}

}  // namespace

Latency LatencyOf(std::vector<double> times_ms) {
  if (times_ms.empty()) return {};
  std::sort(times_ms.begin(), times_ms.end());
  const std::size_t last = times_ms.size() - 1;
  return {times_ms.size(), times_ms[last / 2], times_ms[last * 99 / 100], times_ms[last]};
}

AppTraffic::AppTraffic(const db::ConnectionString& where, std::int64_t rows, int threads,
                       double statements_per_second)
    : rows_(rows) {
  const nanoseconds interval(static_cast<std::int64_t>(1e9 * threads / statements_per_second));
  for (int thread = 0; thread < threads; ++thread) {
    threads_.emplace_back([this, where, thread, interval] { Work(where, thread, interval); });
  }
}

AppTraffic::~AppTraffic() {
  stop_.store(true);
  for (std::thread& thread : threads_) thread.join();
}

void AppTraffic::Work(const db::ConnectionString& where, int thread, nanoseconds interval) {
  std::mt19937_64 random(static_cast<std::uint64_t>(thread) + 1);
  std::uniform_int_distribution<std::int64_t> any_row(1, rows_);
  std::uniform_int_distribution<int> dice(0, 9);
  try {
    // An application waits as long as it must; how long that was is what the demo shows.
    db::SessionSettings settings;
    settings.lock_timeout = std::chrono::milliseconds(0);
    db::Pipeline connection(where, "demo application", settings);
    auto due = steady_clock::now() + interval * thread / 4;
    while (!stop_.load()) {
      std::this_thread::sleep_until(due);
      // A stall is felt once, by the statement that stalled; it is not made up for afterwards.
      due = std::max(due + interval, steady_clock::now());
      const auto begin = steady_clock::now();
      connection.Run({{StatementFor(dice(random)), {std::to_string(any_row(random))}}});
      Note(MillisecondsSince(begin));
    }
  } catch (const db::Error& error) {  // The demo says so; its story goes on.
    const std::lock_guard lock(mutex_);
    if (first_error_.empty()) first_error_ = error.what();
  }
}

void AppTraffic::Note(double time_ms) {
  const std::lock_guard lock(mutex_);
  times_ms_.push_back(time_ms);
}

std::string AppTraffic::first_error() {
  const std::lock_guard lock(mutex_);
  return first_error_;
}

Latency AppTraffic::TakeLatency() {
  std::vector<double> taken;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(times_ms_);
  }
  return LatencyOf(std::move(taken));
}

}  // namespace pawl::cli
