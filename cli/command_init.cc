// pawl init: creates or upgrades the control schema; --print shows the SQL instead, for whoever is
// allowed to run it.
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "checkpoints/control_schema.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"
#include "db/quote.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
  bool print = false;
};

int Print() {
  // The version row goes in with the tables: without it, they would be taken for somebody else's.
  std::cout << "BEGIN;" << checkpoints::ControlSchemaSql()
            << fmt::format("INSERT INTO pawl.version (version, tool) VALUES ({}, {});\nCOMMIT;\n",
                           checkpoints::kControlSchemaVersion, db::QuoteLiteral(Version()))
            << std::flush;
  return 0;
}

int Init(const Arguments& arguments) {
  if (arguments.print) return Print();
  const Output output(arguments.common.json);
  const db::ConnectionString where = Prepare(arguments.common);
  engine::Engine engine(where);
  engine.Init();
  output.Say(ResultEvent({{"version", checkpoints::kControlSchemaVersion}}, 0));
  output.Say(fmt::format("The control schema pawl.* is ready in {}.", where.Display()));
  return 0;
}

}  // namespace

void AddInit(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("init", "Create or upgrade Pawl's own tables, schema pawl");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  command->add_flag("--print", arguments->print, "Print the SQL instead of running it");
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Init(*arguments); }; });
}

}  // namespace pawl::cli
