// pawl run FILE: runs a migration to its end. The same command again carries on, or says that it is
// done.
#include <memory>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/migration_text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress_display.h"
#include "cli/report.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
  MigrationOptions migration;
  WorkOptions work;
};

engine::RunResult RunToEnd(const Arguments& arguments, const Output& output) {
  engine::Engine engine(Prepare(arguments.common));
  const MigrationText migration = ReadMigration(arguments.migration);
  const auto display = MakeProgressDisplay(output);
  const PauseOnInterrupt guard(engine);
  engine::RunResult result = AsWritten(migration, [&] {
    return engine.Run(migration.name, migration.text, arguments.work.Settings(),
                      [&](const engine::Progress& progress) { display->Show(progress); });
  });
  result.reason = migration.AsWritten(result.reason);
  return result;
}

int Run(const Arguments& arguments) {
  const Output output(arguments.common.json);
  return ReportRun(output, RunToEnd(arguments, output));
}

}  // namespace

void AddRun(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("run", "Run a migration to its end, or carry on with it");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddMigrationOptions(*command, arguments->migration);
  AddWorkOptions(*command, arguments->work);
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Run(*arguments); }; });
}

}  // namespace pawl::cli
