// Programs beside a test's server (pg_dump, pg_basebackup, pgbouncer, a second postgres), run as
// the account of the server and never as root.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace pawl::test {

// Where the server's own programs are.
std::string ServerProgram(const std::string& name);

// Runs a program in `directory`, which the account must be able to enter, to its end. Throws
// std::runtime_error with its output where it fails.
void RunTool(const std::vector<std::string>& arguments, const std::string& directory);

// Makes `path` with `text` in it the account's own.
void WriteForTool(const std::string& path, const std::string& text);

// One that keeps running. Stopped by SIGINT, by its own pid, when it goes out of scope.
// Thread safety: none.
class BackgroundTool {
 public:
  // Its output goes to <directory>/<program>.log.
  BackgroundTool(const std::vector<std::string>& arguments, const std::string& directory);
  ~BackgroundTool();
  BackgroundTool(const BackgroundTool&) = delete;
  BackgroundTool& operator=(const BackgroundTool&) = delete;

  // Waits until `url` takes connections. Throws std::runtime_error with the log where it does not.
  void WaitUntilReady(const std::string& url);

 private:
  std::string log_path_;
  pid_t pid_;
};

// The address of `database` of a server or pooler that listens on <directory>/.s.PGSQL.<port>.
std::string SocketUrl(const std::string& directory, int port, const std::string& database);

}  // namespace pawl::test
