// pawl demo: the whole story on a throwaway PostgreSQL server, in about a minute.
#include <memory>

#include "cli/commands.h"
#include "cli/demo_story.h"

namespace pawl::cli {

void AddDemo(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("demo", "See it work on a throwaway server; about a minute");
  auto options = std::make_shared<DemoOptions>();  // Owners: the parser's callback and the action.
  command->add_option("--rows", options->rows, "Rows of the table")
      ->check(CLI::Range(std::int64_t{1'000}, std::int64_t{1'000'000'000}))
      ->default_str("1000000");
  command->add_flag("--keep", options->keep, "Leave the server's directory behind");
  command->callback([options, &action] { action = [options] { return TellDemo(*options); }; });
}

}  // namespace pawl::cli
