// pawl plan FILE: compiles a migration and shows what would be done. Writes nothing.
#include <iostream>
#include <memory>

#include "cli/commands.h"
#include "cli/migration_text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "schema/planner.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
  MigrationOptions migration;
  WorkOptions work;
};

int Plan(const Arguments& arguments) {
  engine::Engine engine(Prepare(arguments.common));
  const MigrationText migration = ReadMigration(arguments.migration);
  schema::Plan plan = AsWritten(migration, [&] {
    return engine.Compile(migration.name, migration.text, arguments.work.Throttle());
  });
  for (schema::Step& step : plan.steps) step.line -= migration.lines_added;
  // As in a run, where these flags are the run's and not the plan's: the hash stays.
  if (arguments.work.workers) plan.workers = *arguments.work.workers;
  if (arguments.work.pace) plan.pace = *arguments.work.pace;
  std::cout << (arguments.common.json ? schema::ToJson(plan) + "\n" : schema::Describe(plan))
            << std::flush;
  return 0;
}

}  // namespace

void AddPlan(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("plan", "Show what a migration would do; writes nothing");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddMigrationOptions(*command, arguments->migration);
  AddWorkOptions(*command, arguments->work);
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Plan(*arguments); }; });
}

}  // namespace pawl::cli
