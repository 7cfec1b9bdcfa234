// pawl verify RUN: proves a run again, from the data alone.
#include <memory>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/summary.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
  std::int64_t run = 0;
  bool accept_changed = false;
};

int Verify(const Arguments& arguments) {
  const Output output(arguments.common.json);
  engine::Engine engine(Prepare(arguments.common));
  const engine::VerifyReport report = engine.Verify(arguments.run, arguments.accept_changed);
  const ExitCode code = report.passed ? kDone : kDifference;
  boost::json::object members = {{"run", arguments.run}};
  for (const auto& member : ToJson(report)) members.insert(member);
  output.Say(ResultEvent(std::move(members), code));
  output.Say(VerifySummary(arguments.run, report));
  if (code != kDone) WarnOfDifferences(output, arguments.run, report);
  return code;
}

}  // namespace

void AddVerify(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("verify", "Prove a run again, from the data alone");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddRunArgument(*command, arguments->run);
  command->add_flag("--accept-changed", arguments->accept_changed,
                    "Rows the application has changed since are no differences");
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Verify(*arguments); }; });
}

}  // namespace pawl::cli
