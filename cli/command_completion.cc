// pawl completion bash: a completion script, made from the commands themselves so that it knows
// what they know.
//
//     source <(pawl completion bash)
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <memory>

#include "cli/commands.h"

namespace pawl::cli {
namespace {

std::vector<std::string> LongFlags(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

int PrintBash(const CLI::App& app) {
  std::vector<std::string> names;
  std::string cases;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
    cases +=
        fmt::format("    {}) words='{}' ;;\n", names.back(), fmt::join(LongFlags(*command), " "));
  }
  std::cout << fmt::format(R"bash(_pawl() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{}' -- "$word"))
    return
  fi
  case ${{COMP_WORDS[COMP_CWORD - 1]}} in
    --on-conflict) words='stop skip force' ;;
    --order) words='auto key block key_strides block_strides' ;;
    --undo) words='auto image none inverse' ;;
    --log-level) words='debug info warning error' ;;
    *) case ${{COMP_WORDS[1]}} in
{}    esac ;;
  esac
  case ${{COMP_WORDS[1]}}:$word in
    lint:[!-]* | plan:[!-]* | run:[!-]* | lint: | plan: | run:) COMPREPLY=($(compgen -f -- "$word")) ;;
    *) COMPREPLY=($(compgen -W "$words" -- "$word")) ;;
  esac
}}
complete -o filenames -F _pawl pawl
)bash",
                           fmt::join(names, " "), cases)
            << std::flush;
  return 0;
}

}  // namespace

void AddCompletion(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("completion", "Print a completion script for a shell");
  auto shell = std::make_shared<std::string>();  // Owners: the parser's option, by its callback.
  command->add_option("SHELL", *shell, "bash")->required()->check(CLI::IsMember({"bash"}));
  command->callback([shell, &app, &action] { action = [&app] { return PrintBash(app); }; });
}

}  // namespace pawl::cli
