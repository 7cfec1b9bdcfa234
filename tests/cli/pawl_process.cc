#include "tests/cli/pawl_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace pawl::test {
namespace {

namespace fs = std::filesystem;

std::string FreshDirectory() {
  std::string path = (fs::temp_directory_path() / "pawl-cli-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make " + path);
  return path;
}

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string PawlBinary() {
  if (const char* path = std::getenv("PAWL_BINARY")) return path;
#ifdef PAWL_BINARY
  return PAWL_BINARY;
#else
  throw std::runtime_error("PAWL_BINARY is not set");
#endif
}

boost::json::value Finished::LastJson() const {
  const std::size_t end = out.find_last_not_of('\n');
  if (end == std::string::npos) throw std::runtime_error("no output; stderr: " + err);
  const std::size_t begin = out.find_last_of('\n', end);
  return boost::json::parse(
      out.substr(begin == std::string::npos ? 0 : begin + 1, end + 1 - (begin + 1)));
}

PawlProcess::PawlProcess(const std::vector<std::string>& arguments, const std::string& database_url,
                         const std::string& input)
    : directory_(FreshDirectory()) {
  std::ofstream(directory_ + "/in") << input;
  std::vector<std::string> words = {"pawl"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> environment = {"PAWL_DATABASE_URL=" + database_url};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!text.starts_with("PAWL_DATABASE_URL=") && !text.starts_with("PG")) {
      environment.push_back(text);
    }
  }
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const int write = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&files, 0, (directory_ + "/in").c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, (directory_ + "/out").c_str(), write, 0600);
  posix_spawn_file_actions_addopen(&files, 2, (directory_ + "/err").c_str(), write, 0600);
  const int error = posix_spawn(&pid_, PawlBinary().c_str(), &files, nullptr,
                                Pointers(words).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::runtime_error("cannot start " + PawlBinary());
}

PawlProcess::~PawlProcess() {
  if (Running()) {
    kill(pid_, SIGKILL);
    Reap(0);
  }
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void PawlProcess::Signal(int signal) const { kill(pid_, signal); }

void PawlProcess::Reap(int options) {
  if (ended_) return;
  pid_t reaped = 0;
  do {
    reaped = waitpid(pid_, &status_, options);
  } while (reaped < 0 && errno == EINTR);
  ended_ = reaped != 0;
}

bool PawlProcess::Running() {
  Reap(WNOHANG);
  return !ended_;
}

Finished PawlProcess::Wait() {
  Reap(0);
  const int code = WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  return {code, Content(directory_ + "/out"), Content(directory_ + "/err")};
}

Finished RunPawl(const std::vector<std::string>& arguments, const std::string& database_url,
                 const std::string& input) {
  return PawlProcess(arguments, database_url, input).Wait();
}

std::string MigrationFile(const std::string& name, const std::string& text) {
  struct Directory {
    std::string path = FreshDirectory();
    ~Directory() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  };
  static const Directory directory;
  const std::string path = directory.path + "/" + name;
  std::ofstream(path) << text;
  return path;
}

bool WaitUntil(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

void MakeItems(TestDatabase& database, std::int64_t rows) {
  database.Exec(
      "CREATE TABLE item (id bigint PRIMARY KEY, price bigint NOT NULL, label text NOT NULL);"
      "INSERT INTO item SELECT n, n, 'item ' || n FROM generate_series(1, " +
      std::to_string(rows) + ") AS n; ANALYZE item");
}

}  // namespace pawl::test
