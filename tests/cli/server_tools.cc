#include "tests/cli/server_tools.h"

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "control/child_process.h"
#include "control/server_binaries.h"
#include "tests/cli/pawl_process.h"

namespace pawl::test {
namespace {

using std::chrono::seconds;

std::string Content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string LogPath(const std::vector<std::string>& arguments, const std::string& directory) {
  const std::string& program = arguments.front();
  return directory + "/" + program.substr(program.find_last_of('/') + 1) + ".log";
}

pid_t Start(const std::vector<std::string>& arguments, const std::string& directory) {
  return control::StartChild({.arguments = arguments,
                              .directory = directory,
                              .output_path = LogPath(arguments, directory),
                              .account = control::UnprivilegedAccount()});
}

}  // namespace

std::string ServerProgram(const std::string& name) {
  return control::FindServerBinaries() + "/" + name;
}

void RunTool(const std::vector<std::string>& arguments, const std::string& directory) {
  const pid_t pid = Start(arguments, directory);
  const auto status = control::WaitForChild(pid, seconds(60));
  if (!status) {
    kill(pid, SIGKILL);
    control::WaitForChild(pid, seconds(10));
  }
  if (!status || *status != 0) {
    throw std::runtime_error(arguments.front() +
                             " failed: " + Content(LogPath(arguments, directory)));
  }
}

void WriteForTool(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  const control::Account account = control::UnprivilegedAccount();
  if (account.differs_from_ours && chown(path.c_str(), account.uid, account.gid) != 0) {
    throw std::runtime_error("cannot give " + path + " away");
  }
}

BackgroundTool::BackgroundTool(const std::vector<std::string>& arguments,
                               const std::string& directory)
    : log_path_(LogPath(arguments, directory)), pid_(Start(arguments, directory)) {}

BackgroundTool::~BackgroundTool() {
  kill(pid_, SIGINT);
  if (control::WaitForChild(pid_, seconds(20))) return;
  kill(pid_, SIGKILL);
  control::WaitForChild(pid_, seconds(10));
}

void BackgroundTool::WaitUntilReady(const std::string& url) {
  const auto answers = [&] {
    try {
      return Sql(url).Integer("SELECT 1") == 1;
    } catch (const SqlError&) {
      return false;
    }
  };
  if (!WaitUntil(answers, seconds(30))) {
    throw std::runtime_error("not ready: " + Content(log_path_));
  }
}

std::string SocketUrl(const std::string& directory, int port, const std::string& database) {
  std::string host;
  for (const char c : directory) host += c == '/' ? std::string("%2F") : std::string(1, c);
  return "postgresql://postgres@" + host + ":" + std::to_string(port) + "/" + database;
}

}  // namespace pawl::test
