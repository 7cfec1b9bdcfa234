#include "control/child_process.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "db/error.h"

namespace pawl::control {
namespace {

// Named by the child over a pipe when a step before the program fails.
enum class Step : int { kSession, kGroups, kGroup, kUser, kDirectory, kFiles, kProgram };

struct Failure {
  Step step;
  int error_number;
};

[[noreturn]] void ThrowFailure(const ChildCommand& command, const Failure& failure) {
  const std::string why = std::strerror(failure.error_number);
  const std::string& program = command.arguments.front();
  switch (failure.step) {
    case Step::kDirectory:
      throw db::Error(db::Action::kStop, "Cannot start " + program + ": user " +
                                             command.account.name + " cannot enter " +
                                             command.directory + " (" + why +
                                             "). Set TMPDIR to a directory that is open to all.");
    case Step::kSession:
    case Step::kGroups:
    case Step::kGroup:
    case Step::kUser:
      throw db::Error(db::Action::kStop, "Cannot start " + program + " as user " +
                                             command.account.name + " (" + why +
                                             "). Start Pawl as that user instead of root.");
    case Step::kFiles:
    case Step::kProgram:
      break;
  }
  throw db::Error(db::Action::kStop, "Cannot start " + program + ": " + why +
                                         ". Check that it is there and may be executed.");
}

[[noreturn]] void Report(int report_fd, Step step) {
  const Failure failure{step, errno};
  [[maybe_unused]] const auto written = write(report_fd, &failure, sizeof failure);
  _exit(127);
}

// Files as the child shall see them, opened before the fork.
struct ChildFiles {
  int input;
  int output;
  int report;  // Closes by itself when the program starts.
};

// Runs in the child between fork and exec, so it may call async-signal-safe functions only: another
// thread of the parent may have held the allocator's lock at the moment of the fork.
[[noreturn]] void BecomeProgram(const ChildCommand& command, const ChildFiles& files,
                                char* const* arguments, char* const* environment) {
  // Out of the way first: where our starter had closed its standard input, these are 0 to 2
  // themselves.
  constexpr int kReport = 3;
  constexpr int kAside = 10;
  const int input = fcntl(files.input, F_DUPFD_CLOEXEC, kAside);
  const int output = fcntl(files.output, F_DUPFD_CLOEXEC, kAside);
  const int report = fcntl(files.report, F_DUPFD_CLOEXEC, kAside);
  if (input < 0 || output < 0 || report < 0) Report(files.report, Step::kFiles);
  if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
      dup2(report, kReport) < 0) {
    Report(report, Step::kFiles);
  }
  fcntl(kReport, F_SETFD, FD_CLOEXEC);
  close_range(kReport + 1, ~0U, 0);
  if (setsid() < 0) Report(kReport, Step::kSession);
  if (command.account.differs_from_ours) {
    if (setgroups(0, nullptr) < 0) Report(kReport, Step::kGroups);
    if (setgid(command.account.gid) < 0) Report(kReport, Step::kGroup);
    if (setuid(command.account.uid) < 0) Report(kReport, Step::kUser);
  }
  if (chdir(command.directory.c_str()) < 0) Report(kReport, Step::kDirectory);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(arguments[0], arguments, environment);
  Report(kReport, Step::kProgram);
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Everything the child may know of ours. PG* variables would point its tools at another server, and
// an LD_PRELOAD meant for Pawl (a false clock, say) must not reach the server.
std::vector<std::string> CleanEnvironment(const ChildCommand& command) {
  std::vector<std::string> environment{"LC_ALL=C", "HOME=" + command.directory};
  for (const char* name : {"PATH", "TZ", "LD_LIBRARY_PATH"}) {
    if (const char* value = std::getenv(name))
      environment.push_back(std::string(name) + "=" + value);
  }
  return environment;
}

struct ProcessState {
  char state = 'X';  // X: there is no such program.
  pid_t parent = 0;
};

ProcessState StateOf(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  std::getline(file, line);
  // "4711 (a name) S 815 …": the name may hold anything, so look behind the last parenthesis.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos || name_end + 4 >= line.size()) return {};
  return {line[name_end + 2],
          static_cast<pid_t>(std::strtol(line.c_str() + name_end + 4, nullptr, 10))};
}

}  // namespace

Account UnprivilegedAccount() {
  if (geteuid() != 0) {
    const passwd* own = getpwuid(geteuid());
    return {geteuid(), getegid(), own ? own->pw_name : std::to_string(geteuid()), false};
  }
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* entry = getpwnam(name)) return {entry->pw_uid, entry->pw_gid, name, true};
  }
  throw db::Error(
      db::Action::kStop,
      "Cannot start a private PostgreSQL server: it refuses to run as root, and there is "
      "neither a user postgres nor a user nobody. Start Pawl as another user.");
}

pid_t StartChild(const ChildCommand& command) {
  std::vector<std::string> arguments = command.arguments;
  std::vector<std::string> environment = CleanEnvironment(command);
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> environment_pointers = Pointers(environment);

  std::array<int, 2> report{};
  if (pipe2(report.data(), O_CLOEXEC) < 0) ThrowFailure(command, {Step::kFiles, errno});
  const int null_input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int output =
      open(command.output_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const int open_error = errno;
  if (output >= 0 && command.account.differs_from_ours) {
    // So that the account can also append to it by itself, as `scripts/postgres` does.
    [[maybe_unused]] const int given = fchown(output, command.account.uid, command.account.gid);
  }
  const int input = command.standard_input < 0 ? null_input : command.standard_input;
  const bool opened = null_input >= 0 && output >= 0;
  const pid_t pid = opened ? fork() : -1;
  if (pid == 0) {
    BecomeProgram(command, {input, output, report[1]}, argument_pointers.data(),
                  environment_pointers.data());
  }
  const int fork_error = errno;
  close(report[1]);
  if (null_input >= 0) close(null_input);
  if (output >= 0) close(output);
  Failure failure{};
  const bool failed = pid > 0 && read(report[0], &failure, sizeof failure) == sizeof failure;
  close(report[0]);
  if (pid < 0) ThrowFailure(command, {Step::kFiles, opened ? fork_error : open_error});
  if (failed) {
    waitpid(pid, nullptr, 0);
    ThrowFailure(command, failure);
  }
  return pid;
}

std::optional<int> WaitForChild(pid_t pid, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    int status = 0;
    const pid_t waited = waitpid(pid, &status, WNOHANG);
    if (waited == pid) return status;
    if (waited < 0 && errno == ECHILD) return 0;
    if (std::chrono::steady_clock::now() >= deadline) return std::nullopt;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (StateOf(name).parent == pid) children.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return children;
}

bool IsAlive(pid_t pid) {
  const char state = StateOf(std::to_string(pid)).state;
  return state != 'X' && state != 'Z';
}

}  // namespace pawl::control
