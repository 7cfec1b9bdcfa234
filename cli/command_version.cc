// pawl version
#include <cstdio>

#include "cli/commands.h"

namespace pawl::cli {

const char* Version() { return "pawl " PAWL_VERSION; }

void AddVersion(CLI::App& app, Action& action) {
  app.add_subcommand("version", "Print the version")->callback([&action] {
    action = [] {
      std::puts(Version());
      return 0;
    };
  });
}

}  // namespace pawl::cli
