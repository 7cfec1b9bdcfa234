// pawl drift: what was changed in the schema since the last run, or sets two databases apart, as SQL.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <memory>

#include "cli/commands.h"
#include "cli/drift_lines.h"
#include "cli/exit_code.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"
#include "db/error.h"

namespace pawl::cli {
namespace {

struct Arguments {
  CommonOptions common;
  std::string other;
  bool record = false;
};

int Record(engine::Engine& engine, const db::ConnectionString& where, const Output& output) {
  engine.RecordPicture();
  output.Say(ResultEvent({{"recorded", true}}, kDone));
  output.Say(fmt::format(
      "The schema of {} is recorded as it is. `pawl drift` tells what changes from now on.",
      where.Display()));
  return kDone;
}

int Drift(const Arguments& arguments) {
  const Output output(arguments.common.json);
  const db::ConnectionString where = Prepare(arguments.common);
  engine::Engine engine(where);
  if (arguments.record) return Record(engine, where, output);
  std::optional<db::ConnectionString> other;
  if (!arguments.other.empty()) other = db::ConnectionString::Resolve(arguments.other);
  const engine::DriftReport report = engine.Drift(other);
  if (!report.note.empty()) output.Warn(report.note);
  const ExitCode code = report.statements.empty() ? kDone : kDifference;
  output.Say(ResultEvent(ToJson(report), code));
  output.Say(DriftLines(report, where.Display()));
  return code;
}

}  // namespace

void AddDrift(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("drift", "Print as SQL what was changed since the last run");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  auto* other = command->add_option("--other", arguments->other,
                                    "Compare with this database, as --database names one");
  command
      ->add_flag("--record", arguments->record, "Record the schema as it is, to compare with later")
      ->excludes(other);
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Drift(*arguments); }; });
}

}  // namespace pawl::cli
