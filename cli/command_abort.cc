// pawl abort RUN: gives a run up. What it has changed stays, and can still be reverted.
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

int Abort(const Arguments& arguments) {
  const Output output(arguments.common.json);
  engine::Engine engine(Prepare(arguments.common));
  engine.Abort(arguments.run);
  output.Say(ResultEvent({{"run", arguments.run}, {"command", "abort"}}, 0));
  output.Say(
      fmt::format("Run {0} is given up. What it has changed stays; take that back with: pawl "
                  "revert {0}",
                  arguments.run));
  return 0;
}

}  // namespace

void AddAbort(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("abort", "Give a run up; what it has changed stays");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddRunArgument(*command, arguments->run);
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Abort(*arguments); }; });
}

}  // namespace pawl::cli
