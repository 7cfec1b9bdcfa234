// pawl revert RUN: takes a run back, or some of its batches.
#include <map>
#include <memory>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_display.h"
#include "cli/report.h"
#include "cli/summary.h"
#include "schema/statement.h"

namespace pawl::cli {
namespace {

using engine::OnConflict;

const std::map<std::string, OnConflict> kPolicies = {
    {"stop", OnConflict::kStop}, {"skip", OnConflict::kSkip}, {"force", OnConflict::kForce}};

struct Arguments {
  CommonOptions common;
  std::int64_t run = 0;
  std::vector<std::int64_t> batches;
  bool validate_only = false;
  std::string on_conflict = "stop";
  std::optional<int> workers;

  engine::RevertSettings Settings() const { return {batches, kPolicies.at(on_conflict), workers}; }
};

int Preview(const Arguments& arguments) {
  const Output output(arguments.common.json);
  engine::Engine engine(Prepare(arguments.common));
  const engine::RevertPreview preview = engine.PreviewRevert(arguments.run, arguments.Settings());
  const ExitCode code = preview.conflicts > 0 ? kConflicts : kDone;
  boost::json::object members = {{"run", arguments.run}, {"validate_only", true}};
  for (const auto& member : ToJson(preview)) members.insert(member);
  output.Say(ResultEvent(std::move(members), code));
  output.Say(PreviewSummary(arguments.run, preview));
  return code;
}

engine::RunResult RevertToEnd(const Arguments& arguments, const Output& output) {
  engine::Engine engine(Prepare(arguments.common));
  const auto display = MakeProgressDisplay(output);
  const PauseOnInterrupt guard(engine);
  return engine.Revert(arguments.run, arguments.Settings(),
                       [&](const engine::Progress& progress) { display->Show(progress); });
}

int Revert(const Arguments& arguments) {
  if (arguments.validate_only) return Preview(arguments);
  const Output output(arguments.common.json);
  return ReportRun(output, RevertToEnd(arguments, output));
}

}  // namespace

void AddRevert(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("revert", "Take a run back, or some of its batches");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddRunArgument(*command, arguments->run);
  command->add_option("--batch", arguments->batches, "Only these batches; see pawl.ledger")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command->add_flag("--validate-only", arguments->validate_only,
                    "Count what would be taken back; write nothing");
  command
      ->add_option("--on-conflict", arguments->on_conflict,
                   "Rows the application has changed since: stop, skip or force")
      ->check(CLI::IsMember({"stop", "skip", "force"}));
  command->add_option("--workers", arguments->workers, "Workers in this process")
      ->check(CLI::Range(1, schema::kWorkersMax));
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Revert(*arguments); }; });
}

}  // namespace pawl::cli
