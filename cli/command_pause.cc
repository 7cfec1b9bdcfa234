// pawl pause RUN: asks whoever is at a run to pause it.
#include <fmt/format.h>

#include <memory>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
  std::int64_t run = 0;
};

int Pause(const Arguments& arguments) {
  const Output output(arguments.common.json);
  engine::Engine engine(Prepare(arguments.common));
  engine.Pause(arguments.run);
  output.Say(ResultEvent({{"run", arguments.run}, {"command", "pause"}}, 0));
  output.Say(fmt::format(
      "Run {0} is paused; running batches finish. Carry on with: pawl resume {0}", arguments.run));
  return 0;
}

}  // namespace

void AddPause(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("pause", "Pause a run, whichever process or host is at it");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddRunArgument(*command, arguments->run);
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Pause(*arguments); }; });
}

}  // namespace pawl::cli
