// The command line as a whole: finds the command, runs it, and makes an error a sentence and an
// exit code. The commands are in command_<name>.cc.
#pragma once

namespace pawl::cli {

// Returns the exit code of the process; see exit_code.h. Throws nothing.
int Main(int argc, char** argv);

}  // namespace pawl::cli
