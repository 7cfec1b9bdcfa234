#include "cli/app.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "db/error.h"

namespace pawl::cli {
namespace {

constexpr const char* kDescription =
    "Pawl turns plain SQL into small, checkpointed, revertible batches on a live PostgreSQL.";
constexpr const char* kFooter =
    "\nThe database: --database, else $PAWL_DATABASE_URL, else $DATABASE_URL, else libpq's own "
    "variables.\n\n"
    "Exit codes: 0 done and proved; 1 failed, state kept; 2 bad input, nothing changed;\n"
    "3 a difference was found; 4 refused by a gate or budget; 5 revert left conflicts;\n"
    "130 interrupted and paused.";

// Each registers one subcommand, in the order in which a newcomer meets them.
constexpr auto kCommands = {&AddDemo,   &AddLint,   &AddPlan,       &AddRun,      &AddStatus,
                            &AddPause,  &AddResume, &AddSet,        &AddThrottle, &AddWorker,
                            &AddVerify, &AddRevert, &AddContract,   &AddAbort,    &AddHistory,
                            &AddDrift,  &AddInit,   &AddCompletion, &AddVersion};

// The parser has not got to its flags yet when it fails, so this looks for itself.
bool AsksForJson(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) return true;
  }
  return false;
}

std::string ChosenCommand(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? "pawl" : "pawl " + chosen.front()->get_name();
}

// A run that is at work connects again by itself; here a command broke off before or behind that.
std::string Sentence(const db::Error& error) {
  if (error.action() != db::Action::kReconnect) return error.what();
  std::string message = error.what();
  while (!message.empty() && message.back() == '.') message.pop_back();
  return fmt::format(
      "The connection to the server broke: {}. What was committed before is kept, and nothing is "
      "half done. Give the same command again: it carries on from there.",
      message);
}

int ExitUsage(const CLI::App& app, const CLI::ParseError& error, const Output& output) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help
  const std::vector<std::string> left = app.remaining();
  if (app.get_subcommands().empty() && !left.empty()) {
    const char* kind = left.front().starts_with('-') ? "option" : "command";
    output.Fail(fmt::format("There is no {} \"{}\". See `pawl --help`.", kind, left.front()),
                kBadInput);
    return kBadInput;
  }
  std::string sentence = error.what();
  while (!sentence.empty() && (sentence.back() == '\n' || sentence.back() == '.')) {
    sentence.pop_back();
  }
  output.Fail(fmt::format("{}. See `{} --help`.", sentence, ChosenCommand(app)), kBadInput);
  return kBadInput;
}

}  // namespace

int Main(int argc, char** argv) {
  CLI::App app(kDescription, "pawl");
  app.footer(kFooter);
  app.require_subcommand(1);
  app.set_version_flag("--version", Version());
  Action action;
  for (const auto add : kCommands) add(app, action);

  const Output output(AsksForJson(argc, argv));
  if (argc == 1) {
    std::fputs(app.help().c_str(), stderr);
    return kBadInput;
  }
  try {
    app.parse(argc, argv);
    return action();
  } catch (const CLI::ParseError& error) {
    return ExitUsage(app, error, output);
  } catch (const db::Error& error) {
    const ExitCode code = ExitCodeFor(error);
    output.Fail(Sentence(error), code);
    return code;
  } catch (const std::exception& error) {
    output.Fail(error.what(), kFailed);
    return kFailed;
  }
}

}  // namespace pawl::cli
