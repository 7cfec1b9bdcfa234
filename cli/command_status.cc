// pawl status [RUN]: the runs, from the database's tables alone. Works from any host.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <thread>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/status_lines.h"
#include "db/error.h"

namespace pawl::cli {
namespace {

using Runs = std::vector<engine::RunStatus>;

constexpr std::chrono::seconds kWatchInterval{1};

struct Arguments {
  CommonOptions common;
  std::optional<std::int64_t> run;
  bool watch = false;
};

Runs Ask(engine::Engine& engine, const Arguments& arguments) {
  Runs runs = engine.Status(arguments.run);
  if (arguments.run && runs.empty()) {
    db::FailInput(fmt::format("There is no run {}. List them with: pawl status", *arguments.run));
  }
  return runs;
}

void Print(const Arguments& arguments, const Output& output, const Runs& runs) {
  boost::json::array array;
  for (const engine::RunStatus& run : runs) array.push_back(ToJson(run));
  output.Say(boost::json::value(std::move(array)));
  output.Say(arguments.run ? StatusOf(runs.front()) : StatusTable(runs));
}

// What has changed between two looks gives the rate that the tables themselves do not hold.
void AddRates(Runs& runs, const Runs& before, double seconds) {
  for (engine::RunStatus& run : runs) {
    for (const engine::RunStatus& earlier : before) {
      if (earlier.progress.run != run.progress.run || seconds <= 0) continue;
      const auto rows = run.progress.rows_done - earlier.progress.rows_done;
      run.progress.rows_per_second = static_cast<double>(rows) / seconds;
    }
  }
}

bool AllAtRest(const Runs& runs) {
  for (const engine::RunStatus& run : runs) {
    if (!AtRest(run)) return false;
  }
  return true;
}

// Until everything watched is at rest, so that a script may wait with it.
int Watch(const Arguments& arguments, const Output& output, engine::Engine& engine) {
  using Clock = std::chrono::steady_clock;
  const bool redraw = !output.json() && isatty(STDOUT_FILENO);
  Runs before;
  Clock::time_point asked_before = Clock::now();
  while (true) {
    Runs runs = Ask(engine, arguments);
    const Clock::time_point asked = Clock::now();
    AddRates(runs, before, std::chrono::duration<double>(asked - asked_before).count());
    if (redraw) std::fputs("\033[H\033[2J", stdout);
    Print(arguments, output, runs);
    if (AllAtRest(runs)) return kDone;
    before = std::move(runs);
    asked_before = asked;
    std::this_thread::sleep_for(kWatchInterval);
  }
}

int Status(const Arguments& arguments) {
  const Output output(arguments.common.json);
  engine::Engine engine(Prepare(arguments.common));
  if (arguments.watch) return Watch(arguments, output, engine);
  Print(arguments, output, Ask(engine, arguments));
  return kDone;
}

}  // namespace

void AddStatus(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("status", "Show the runs, or one of them");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  command->add_option("RUN", arguments->run, "Number of the run")->check(RunNumber());
  command->add_flag("--watch", arguments->watch, "Again every second, until nothing is at work");
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Status(*arguments); }; });
}

}  // namespace pawl::cli
