// pawl throttle RUN --why: what holds or slows a run, signal by signal. Works from any host.
#include <memory>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/throttle_lines.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
  std::int64_t run = 0;
  bool why = false;
};

int Throttle(const Arguments& arguments) {
  const Output output(arguments.common.json);
  engine::Engine engine(Prepare(arguments.common));
  const engine::ThrottleReport report = engine.ReportThrottle(arguments.run);
  output.Say(boost::json::value(ToJson(report)));
  output.Say(ThrottleText(report, arguments.why));
  return kDone;
}

}  // namespace

void AddThrottle(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("throttle", "Show what holds or slows a run");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddRunArgument(*command, arguments->run);
  command->add_flag("--why", arguments->why, "Each signal, the last minute, who set what");
  AddCommonOptions(*command, arguments->common);
  command->callback(
      [arguments, &action] { action = [arguments] { return Throttle(*arguments); }; });
}

}  // namespace pawl::cli
