#include "cli/child_pawl.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "db/error.h"

namespace pawl::cli {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> EnvironmentWith(const std::string& database_url) {
  std::vector<std::string> environment = {"PAWL_DATABASE_URL=" + database_url};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    // Variables of the user's own database must not reach into the demo's.
    if (!text.starts_with("PG") && !text.starts_with("PAWL_DATABASE_URL=")) {
      environment.emplace_back(text);
    }
  }
  return environment;
}

}  // namespace

ChildPawl::ChildPawl(const std::vector<std::string>& arguments, const std::string& database_url) {
  std::vector<std::string> words = {"pawl"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = EnvironmentWith(database_url);
  const int error = posix_spawn(&pid_, "/proc/self/exe", nullptr, nullptr, Pointers(words).data(),
                                Pointers(environment).data());
  if (error != 0) {
    throw db::Error(db::Action::kStop, std::string("Cannot start pawl as a child process: ") +
                                           std::strerror(error) + ". Is /proc mounted?");
  }
}

ChildPawl::~ChildPawl() { Kill9(); }

void ChildPawl::Reap(int options) {
  if (ended_) return;
  pid_t reaped = 0;
  do {
    reaped = waitpid(pid_, &status_, options);
  } while (reaped < 0 && errno == EINTR);
  ended_ = reaped != 0;
}

bool ChildPawl::Running() {
  Reap(WNOHANG);
  return !ended_;
}

int ChildPawl::Wait() {
  Reap(0);
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

void ChildPawl::Kill9() {
  if (!Running()) return;
  kill(pid_, SIGKILL);
  Reap(0);
}

}  // namespace pawl::cli
