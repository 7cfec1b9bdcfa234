// The subcommands. Each Add function registers one with `app`; when the words name it, it puts into
// `action` what is then to be done. The action returns an exit code and throws db::Error.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace pawl::cli {

using Action = std::function<int()>;

void AddAbort(CLI::App& app, Action& action);
void AddCompletion(CLI::App& app, Action& action);
void AddContract(CLI::App& app, Action& action);
void AddDemo(CLI::App& app, Action& action);
void AddDrift(CLI::App& app, Action& action);
void AddHistory(CLI::App& app, Action& action);
void AddInit(CLI::App& app, Action& action);
void AddLint(CLI::App& app, Action& action);
void AddPause(CLI::App& app, Action& action);
void AddPlan(CLI::App& app, Action& action);
void AddResume(CLI::App& app, Action& action);
void AddRevert(CLI::App& app, Action& action);
void AddRun(CLI::App& app, Action& action);
void AddSet(CLI::App& app, Action& action);
void AddThrottle(CLI::App& app, Action& action);
void AddStatus(CLI::App& app, Action& action);
void AddVerify(CLI::App& app, Action& action);
void AddVersion(CLI::App& app, Action& action);
void AddWorker(CLI::App& app, Action& action);

// "pawl 0.1.0"
const char* Version();

}  // namespace pawl::cli
