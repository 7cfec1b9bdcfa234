#include "cli/demo_story.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/app_traffic.h"
#include "cli/child_pawl.h"
#include "cli/demo_table.h"
#include "cli/exit_code.h"
#include "cli/format.h"
#include "control/private_server.h"
#include "db/error.h"
#include "db/session.h"
#include "engine/engine.h"
#include "schema/plan.h"

namespace pawl::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr int kTrafficThreads = 4;
constexpr double kTrafficPerSecond = 300;
constexpr milliseconds kBaseline{3'000};  // About 900 statements: enough for a p99.
constexpr double kKillAtFraction = 0.4;

// Ctrl-C ends the story at once: the child first, then us; the server's watchdog tidies up.
std::atomic<pid_t> child_at_work{0};

void OnInterrupt(int) {
  if (const pid_t child = child_at_work.load(); child > 0) kill(child, SIGKILL);
  _exit(kInterrupted);
}

void Tell(const std::string& text) {
  std::fputs((text + "\n").c_str(), stdout);
  std::fflush(stdout);
}

// A killed child leaves its live display on the screen.
void WipeDisplay() {
  if (isatty(STDERR_FILENO)) std::fputs("\r\033[J", stderr);
}

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string LatencyText(double ms) {
  return ms < 9.95 ? fmt::format("{:.1f} ms", ms) : Duration(ms / 1'000);
}

struct Felt {
  std::string when;
  Latency latency;
};

// Thread safety: none. Lives for one demo.
class Story {
 public:
  explicit Story(const DemoOptions& options)
      : options_(options),
        server_(
            {.settings = {"shared_buffers=256MB", "max_wal_size=4GB", "checkpoint_timeout=15min"}}),
        url_(server_.ConnectionString()),
        session_(db::ConnectionString(url_), "demo"),
        migration_path_(server_.directory() + "/add_total_cents.sql") {
    if (options.keep) server_.KeepDirectory();
    std::ofstream(migration_path_) << kDemoMigration;
  }

  int Tell();

 private:
  void MakeTable();
  void StartTraffic();
  void Plan();
  void RunAndKill();
  void RunAgain();
  void Count();
  void Revert();
  void RunAsOneUpdate();
  void Close();

  void Heading(const std::string& text) { cli::Tell(fmt::format("\n── {}", text)); }
  int Command(const std::vector<std::string>& arguments);
  void CommandLine(const std::vector<std::string>& arguments) {
    cli::Tell(fmt::format("$ pawl {}", fmt::join(arguments, " ")));
  }
  std::optional<engine::RunStatus> LatestRun();
  void Feel(const std::string& when) { felt_.push_back({when, traffic_->TakeLatency()}); }
  void Expect(bool true_now, const std::string& what);

  DemoOptions options_;
  control::PrivateServer server_;
  std::string url_;
  db::Session session_;
  std::string migration_path_;
  std::optional<AppTraffic> traffic_;
  std::int64_t run_ = 0;
  std::vector<Felt> felt_;
  bool all_true_ = true;
};

// Runs a command to its end in front of the reader. Returns its exit code.
int Story::Command(const std::vector<std::string>& arguments) {
  CommandLine(arguments);
  ChildPawl child(arguments, url_);
  child_at_work.store(child.pid());
  const int code = child.Wait();
  child_at_work.store(0);
  return code;
}

std::optional<engine::RunStatus> Story::LatestRun() {
  const auto runs = engine::Engine(db::ConnectionString(url_)).Status(std::nullopt);
  return runs.empty() ? std::nullopt : std::optional(runs.front());
}

void Story::Expect(bool true_now, const std::string& what) {
  if (true_now) return;
  all_true_ = false;
  cli::Tell(fmt::format("THIS IS NOT AS IT SHOULD BE: {}", what));
}

void Story::MakeTable() {
  const auto begin = Clock::now();
  MakeDemoTable(session_, options_.rows);
  const auto bytes =
      db::ToInt(session_.Query("SELECT pg_total_relation_size('orders')").rows[0][0]);
  cli::Tell(fmt::format("A PostgreSQL {} of our own in {}; table orders: {}, {}, made in {}.",
                        session_.server_version() / 10'000, server_.directory(),
                        Rows(options_.rows), Bytes(bytes), Duration(SecondsSince(begin))));
}

void Story::StartTraffic() {
  Heading("The application is live");
  traffic_.emplace(db::ConnectionString(url_), options_.rows, kTrafficThreads, kTrafficPerSecond);
  cli::Tell(
      fmt::format("{} connections read, update and insert orders, {:.0f} statements a second, "
                  "until the end.",
                  kTrafficThreads, kTrafficPerSecond));
  std::this_thread::sleep_for(milliseconds(500));  // The connections are made.
  traffic_->TakeLatency();
  std::this_thread::sleep_for(kBaseline);
  Feel("before");
}

void Story::Plan() {
  Heading("The migration, plain SQL");
  cli::Tell(kDemoMigration);
  Expect(Command({"plan", migration_path_}) == kDone, "the plan was refused");
  traffic_->TakeLatency();
}

void Story::RunAndKill() {
  Heading("Run it, and kill it on the way");
  CommandLine({"run", migration_path_});
  ChildPawl child({"run", migration_path_}, url_);
  child_at_work.store(child.pid());
  std::int64_t rows_done = 0;
  while (child.Running()) {
    const auto run = LatestRun();
    if (run && static_cast<double>(run->progress.rows_done) >=
                   kKillAtFraction * static_cast<double>(options_.rows)) {
      child.Kill9();
      rows_done = run->progress.rows_done;
      break;
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  child_at_work.store(0);
  WipeDisplay();
  if (const int code = child.Wait(); code == 128 + SIGKILL) {
    cli::Tell(fmt::format("$ kill -9 {}     # {} were committed; what was in flight rolled back",
                          child.pid(), Rows(rows_done)));
  } else {
    cli::Tell("It was done before it could be killed. Give more --rows.");
    Expect(code == kDone, "the run failed");
  }
}

void Story::RunAgain() {
  Heading("The same command carries on");
  Expect(Command({"run", migration_path_}) == kDone, "the run was not done and proved");
  Feel("during the backfill");
  const auto run = LatestRun();
  run_ = run ? run->progress.run : 0;
}

// Asks PostgreSQL alone, so that the reader need not take our word. The trigger that kept new
// writes in step goes with the end of the run; what the application has written after that is not
// judged.
void Story::Count() {
  Heading("Ask the table");
  const auto synced_until = db::ToText(
      session_
          .Query("SELECT coalesce(max(started_at), now()) - interval '100 ms' FROM pawl.step "
                 "WHERE run_id = $1 AND kind = $2",
                 {std::to_string(run_), schema::NameOf(schema::StepKind::kSyncOff)})
          .rows[0][0]);
  const std::string sql = fmt::format(
      "SELECT count(*),\n       count(*) FILTER (WHERE total_cents IS DISTINCT FROM round(total * "
      "100)::bigint)\n  FROM orders WHERE updated_at < '{}'",
      synced_until);
  cli::Tell("$ psql");
  cli::Tell(sql + ";");
  const auto result = session_.Query(sql);
  const auto rows = db::ToInt(result.rows[0][0]);
  const auto wrong = db::ToInt(result.rows[0][1]);
  cli::Tell(fmt::format("{}, {} of them wrong.", Rows(rows), Grouped(wrong)));
  Expect(rows > 0 && wrong == 0, "rows are wrong");
}

void Story::Revert() {
  Heading("Take it back");
  traffic_->TakeLatency();
  const std::string run = std::to_string(run_);
  // Since the sync trigger went, the application has changed totals: rows that no longer hold what
  // the migration wrote. A plain revert would stop at them.
  const int preview = Command({"revert", run, "--validate-only"});
  Expect(preview == kDone || preview == kConflicts, "the preview failed");
  cli::Tell(
      "Conflicts are rows that the application has changed since. Pawl leaves such rows alone "
      "unless told otherwise.");
  Expect(Command({"revert", run, "--on-conflict", "force"}) == kDone,
         "the revert was not complete");
  Feel("during the revert");
  const bool column_left =
      db::ToBool(session_
                     .Query("SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = "
                            "'orders'::regclass AND attname = 'total_cents' AND NOT attisdropped)")
                     .rows[0][0]);
  cli::Tell(fmt::format("Column total_cents is {}.", column_left ? "still there" : "gone"));
  Expect(!column_left, "the column is still there");
}

void Story::RunAsOneUpdate() {
  Heading("For comparison: the same as one big UPDATE");
  traffic_->TakeLatency();
  const auto begin = Clock::now();
  session_.Execute("ALTER TABLE orders ADD COLUMN total_cents bigint");
  const auto changed = session_
                           .Query(
                               "UPDATE orders SET total_cents = round(total * 100)::bigint WHERE "
                               "total_cents IS NULL")
                           .affected;
  const double seconds = SecondsSince(begin);
  std::this_thread::sleep_for(milliseconds(300));  // Those who waited get their answer.
  Feel("during one big UPDATE");
  cli::Tell(fmt::format("{} in {} ({} rows/s): one transaction, no pause, no undo, no proof.",
                        Rows(changed), Duration(seconds),
                        Grouped(std::llround(static_cast<double>(changed) / seconds))));
}

void Story::Close() {
  Heading("What the application felt");
  cli::Tell(
      fmt::format("{:<24}{:>12}{:>12}{:>12}{:>12}", "", "statements", "p50", "p99", "slowest"));
  for (const Felt& felt : felt_) {
    cli::Tell(fmt::format("{:<24}{:>12}{:>12}{:>12}{:>12}", felt.when,
                          Grouped(static_cast<std::int64_t>(felt.latency.statements)),
                          LatencyText(felt.latency.p50_ms), LatencyText(felt.latency.p99_ms),
                          LatencyText(felt.latency.max_ms)));
  }
  const std::string error = traffic_->first_error();
  Expect(error.empty(), "the application saw an error: " + error);
  traffic_.reset();
  if (options_.keep) {
    cli::Tell(fmt::format("\nKept: {}. Start it again with: scripts/postgres start {}",
                          server_.directory(), server_.directory()));
  }
}

int Story::Tell() {
  MakeTable();
  StartTraffic();
  Plan();
  RunAndKill();
  RunAgain();
  Count();
  if (run_ > 0) Revert();
  RunAsOneUpdate();
  Close();
  return all_true_ ? kDone : kFailed;
}

}  // namespace

int TellDemo(const DemoOptions& options) {
  struct sigaction action {};
  action.sa_handler = OnInterrupt;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return Story(options).Tell();
}

}  // namespace pawl::cli
