// pawl lint FILE…: what in a migration would stop the application, lose data or break its readers.
#include <iostream>
#include <memory>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/migration_text.h"
#include "cli/options.h"
#include "control/lint_report.h"
#include "engine/preconditions.h"

namespace pawl::cli {
namespace {

struct Arguments {
  std::vector<std::string> files;
  std::string database;
  std::string format = "text";
  std::string fail_on = "error";
};

bool Fails(const control::LintedFile& file, const std::string& fail_on) {
  if (fail_on == "never") return false;
  for (const schema::Finding& finding : file.findings) {
    if (finding.severity == schema::Severity::kError) return true;
    if (finding.severity == schema::Severity::kWarning && fail_on != "error") return true;
    if (fail_on == "note") return true;
  }
  return false;
}

int Lint(const Arguments& arguments) {
  std::unique_ptr<db::Session> session;
  if (!arguments.database.empty()) {
    session = engine::OpenFirst(db::ConnectionString(arguments.database), "lint");
  }
  std::vector<control::LintedFile> files;
  bool fails = false;
  for (const std::string& path : arguments.files) {
    const MigrationText migration = ReadMigration({path, {}, {}});
    files.push_back({path, schema::Lint(migration.name, migration.text, session.get())});
    fails = fails || Fails(files.back(), arguments.fail_on);
  }
  if (arguments.format == "json") {
    std::cout << control::LintJson(files) << std::endl;
  } else if (arguments.format == "sarif") {
    std::cout << control::LintSarif(files, PAWL_VERSION) << std::endl;
  } else {
    std::cout << control::LintText(files) << std::flush;
  }
  return fails ? kRefused : kDone;
}

}  // namespace

void AddLint(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("lint", "Say what in a migration would hurt; needs no database");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  command->add_option("FILE", arguments->files, "SQL files")->required();
  command->add_option("--database", arguments->database,
                      "Also look at sizes, types and dependents there; reads only");
  command->add_option("--format", arguments->format, "text, json or sarif")
      ->check(CLI::IsMember({"text", "json", "sarif"}));
  command->add_flag_callback(
      "--json", [arguments] { arguments->format = "json"; }, "The same as --format json");
  command
      ->add_option("--fail-on", arguments->fail_on,
                   "Exit 4 from this severity on: note, warning, error or never")
      ->check(CLI::IsMember({"note", "warning", "error", "never"}));
  command->callback([arguments, &action] { action = [arguments] { return Lint(*arguments); }; });
}

}  // namespace pawl::cli
