// pawl history: what was applied, when, by whom and from which file.
#include <boost/json/array.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
};

std::string HistoryTable(const std::vector<engine::AppliedMigration>& history) {
  if (history.empty()) return "Nothing was applied yet.";
  std::vector<std::vector<std::string>> lines = {
      {"started", "finished", "by", "migration", "hash", "run", "state"}};
  for (const engine::AppliedMigration& applied : history) {
    lines.push_back({applied.started_at, applied.finished_at, applied.started_by, applied.migration,
                     applied.migration_hash, std::to_string(applied.run), applied.state});
  }
  return Aligned(lines, {5});
}

int History(const Arguments& arguments) {
  const Output output(arguments.common.json);
  engine::Engine engine(Prepare(arguments.common));
  const std::vector<engine::AppliedMigration> history = engine.History();
  boost::json::array array;
  for (const engine::AppliedMigration& applied : history) array.push_back(ToJson(applied));
  output.Say(boost::json::value(std::move(array)));
  output.Say(HistoryTable(history));
  return kDone;
}

}  // namespace

void AddHistory(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("history", "List what was applied, when, by whom, and its hash");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return History(*arguments); }; });
}

}  // namespace pawl::cli
