// pawl worker RUN: joins a run as a further process, on this machine or another.
#include <memory>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_display.h"
#include "cli/report.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
  std::int64_t run = 0;
  WorkOptions work;
};

engine::RunResult WorkToEnd(const Arguments& arguments, const Output& output) {
  engine::Engine engine(Prepare(arguments.common));
  const auto display = MakeProgressDisplay(output);
  const PauseOnInterrupt guard(engine);
  return engine.Work(arguments.run, arguments.work.Settings(),
                     [&](const engine::Progress& progress) { display->Show(progress); });
}

int Work(const Arguments& arguments) {
  const Output output(arguments.common.json);
  return ReportRun(output, WorkToEnd(arguments, output));
}

}  // namespace

void AddWorker(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("worker", "Join a run as a further process, on any machine");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddRunArgument(*command, arguments->run);
  AddWorkOptions(*command, arguments->work);
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Work(*arguments); }; });
}

}  // namespace pawl::cli
