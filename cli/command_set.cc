// pawl set RUN workers=4 pace=5000 limit.replica_lag=10s: steers a run while it is at work.
#include <fmt/format.h>

#include <charconv>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/output.h"
#include "db/error.h"
#include "schema/statement.h"
#include "schema/throttle_options.h"

namespace pawl::cli {
namespace {

constexpr std::int64_t kPaceMax = 1'000'000'000'000;

struct Arguments {
  CommonOptions common;
  std::int64_t run = 0;
  std::vector<std::string> settings;
};

std::int64_t NumberOf(const std::string& setting, std::int64_t min, std::int64_t max) {
  const std::string text = setting.substr(setting.find('=') + 1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= min && number <= max) {
    return number;
  }
  db::FailInput(fmt::format("\"{}\" is not understood: give a number from {} to {}.", setting, min,
                            Grouped(max)));
}

int Set(const Arguments& arguments) {
  std::optional<int> workers;
  std::optional<std::int64_t> pace;
  schema::ThrottleValues throttle;
  for (const std::string& setting : arguments.settings) {
    if (setting.starts_with("workers=")) {
      workers = static_cast<int>(NumberOf(setting, 1, schema::kWorkersMax));
    } else if (setting.starts_with("pace=")) {
      pace = NumberOf(setting, 0, kPaceMax);
    } else {
      const auto [name, value] = schema::ParseThrottleSetting(setting);
      throttle[name] = value;
    }
  }
  const Output output(arguments.common.json);
  engine::Engine engine(Prepare(arguments.common));
  engine.Set(arguments.run, workers, pace, throttle);
  output.Say(ResultEvent({{"run", arguments.run}, {"command", "set"}}, 0));
  output.Say(
      fmt::format("Run {} has its new settings; processes at work take them up within "
                  "seconds.",
                  arguments.run));
  return 0;
}

}  // namespace

void AddSet(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("set", "Steer a run: workers=N, pace=N, limits");
  auto arguments = std::make_shared<Arguments>();  // Owners: the parser's callback and the action.
  AddRunArgument(*command, arguments->run);
  command->add_option("SETTING", arguments->settings, "workers=N, pace=N, limit.replica_lag=10s, …")
      ->required();
  AddCommonOptions(*command, arguments->common);
  command->callback([arguments, &action] { action = [arguments] { return Set(*arguments); }; });
}

}  // namespace pawl::cli
