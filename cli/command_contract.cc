// pawl contract RUN: drops the old shape that a run has kept in step.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_display.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
  std::int64_t run = 0;
  bool now = false;
};

std::string Summary(const engine::RunResult& result) {
  if (result.already_done) {
    return fmt::format("Nothing to do: run {} ({}) is contracted already.", result.run,
                       result.migration);
  }
  if (result.state != "contracted") {
    return fmt::format("Interrupted. Carry on with: pawl contract {}", result.run);
  }
  return fmt::format(
      "Run {} ({}) is contracted: the old shape is gone, and there is no way back any more.",
      result.run, result.migration);
}

int Contract(const Arguments& arguments) {
  const Output output(arguments.common.json);
  engine::Engine engine(Prepare(arguments.common));
  const auto display = MakeProgressDisplay(output);
  const PauseOnInterrupt guard(engine);
  const engine::RunResult result = engine.Contract(
      arguments.run, [&](const engine::Progress& progress) { display->Show(progress); },
      arguments.now);
  const ExitCode code = result.state == "contracted" ? kDone : kInterrupted;
  output.Say(ResultEvent(ToJson(result), code));
  output.Say(Summary(result));
  return code;
}

}  // namespace

void AddContract(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("contract", "Drop the old shape that a run has kept in step");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddRunArgument(*command, arguments->run);
  command->add_flag("--now", arguments->now, "Even where the file's retention is not over");
  AddCommonOptions(*command, arguments->common);
  command->callback(
      [arguments, &action] { action = [arguments] { return Contract(*arguments); }; });
}

}  // namespace pawl::cli
