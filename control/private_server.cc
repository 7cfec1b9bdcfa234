#include "control/private_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

#include "control/server_binaries.h"
#include "db/error.h"

namespace pawl::control {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// A socket's path must fit into 107 bytes; "/pawl-pg-XXXXXX/.s.PGSQL.65535" takes 31 of them.
constexpr std::size_t kParentLengthMax = 76;
constexpr int kPortTriesMax = 10;

// Below 32768, where the kernel picks ports for outgoing connections: one of those could otherwise
// take the server's port while it is stopped for a restart.
constexpr int kPortFirst = 15'000;
constexpr int kPortLast = 32'000;

// Reads the pid anew when it acts, because the server may have been restarted since, and looks
// where that program works, because the number may be another's by now. The directory's name is
// checked once more, because the last thing this does cannot be taken back. It detaches itself,
// because what kills a test that hangs, as ctest does, kills all that descends from it.
constexpr const char* kWatchdogScript = R"sh(
trap '' HUP INT TERM
exec 3<&0
(
  keep=
  read -r keep <&3
  pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
  if [ -n "$pid" ] && [ "/proc/$pid/cwd" -ef "$1/data" ]; then
    kill -QUIT "$pid" 2>/dev/null
    n=0
    while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
    kill -KILL "$pid" 2>/dev/null
  fi
  case $1 in
    */pawl-pg-??????) [ "$keep" = keep ] || [ ! -d "$1" ] || { sleep 0.2; rm -rf -- "$1"; } ;;
  esac
) &
)sh";

bool IsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return free;
}

// Returns a port of 127.0.0.1 that nobody had a moment ago. Somebody may take it before we do.
int RandomFreePort() {
  std::random_device entropy;
  std::uniform_int_distribution<int> any(kPortFirst, kPortLast);
  for (int tries = 0; tries < 1'000; ++tries) {
    const int port = any(entropy);
    if (IsFree(port)) return port;
  }
  throw db::Error(db::Action::kStop,
                  "Cannot start a private PostgreSQL server: found no free port on 127.0.0.1.");
}

std::string PercentEncoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-' || c == '.') {
      encoded += c;
    } else {
      std::array<char, 4> escape{};
      std::snprintf(escape.data(), escape.size(), "%%%02X", static_cast<unsigned char>(c));
      encoded += escape.data();
    }
  }
  return encoded;
}

// Renders "name=value" as a line of postgresql.conf.
std::string SettingLine(const std::string& setting) {
  const std::size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) {
    db::FailInput("A setting of a private server must read name=value, not \"" + setting + "\".");
  }
  std::string quoted;
  for (const char c : setting.substr(equals + 1)) quoted.append(c == '\'' ? 2 : 1, c);
  return setting.substr(0, equals) + " = '" + quoted + "'\n";
}

std::string LastLines(const std::string& path, std::size_t count) {
  std::ifstream file(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
    if (lines.size() > count) lines.pop_front();
  }
  std::string text;
  for (const std::string& line : lines) text += "\n  " + line;
  return text;
}

}  // namespace

PrivateServer::PrivateServer(PrivateServerOptions options)
    : options_(std::move(options)), account_(UnprivilegedAccount()), owner_pid_(getpid()) {
  if (options_.bin_directory.empty()) options_.bin_directory = FindServerBinaries();
  MakeDirectory();
  try {
    StartWatchdog();
    InitializeCluster();
    StartOnFreePort();
  } catch (...) {
    RemoveEverything();
    throw;
  }
}

PrivateServer::~PrivateServer() {
  if (getpid() != owner_pid_) return;
  RemoveEverything();
}

std::string PrivateServer::ConnectionString(std::string_view database) const {
  return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" +
         PercentEncoded(database);
}

std::string PrivateServer::SocketConnectionString(std::string_view database) const {
  return "postgresql://postgres@" + PercentEncoded(directory_) + ":" + std::to_string(port_) + "/" +
         PercentEncoded(database);
}

void PrivateServer::Start() {
  if (running()) return;
  Launch();
  if (!WaitUntilReady()) Fail("Cannot start the private PostgreSQL server again");
}

void PrivateServer::Stop(StopMode mode) {
  if (!running()) return;
  kill(pid_, mode == StopMode::kFast ? SIGINT : SIGQUIT);
  if (!WaitForChild(pid_, options_.wait_max)) {
    Kill9();
    return;
  }
  pid_ = 0;
}

void PrivateServer::Restart(StopMode mode) {
  Stop(mode);
  Start();
}

void PrivateServer::Kill9() {
  if (!running()) return;
  kill(pid_, SIGSTOP);  // So that it forks no backend that we would overlook.
  const std::vector<pid_t> backends = ChildrenOf(pid_);
  for (const pid_t backend : backends) kill(backend, SIGKILL);
  kill(pid_, SIGKILL);
  WaitForChild(pid_, options_.wait_max);
  pid_ = 0;
  // They are not our children, so we can only look whether they are still there.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (const pid_t backend : backends) {
    while (IsAlive(backend) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(milliseconds(2));
    }
  }
}

bool PrivateServer::running() {
  if (pid_ != 0 && WaitForChild(pid_, milliseconds(0))) pid_ = 0;
  return pid_ != 0;
}

void PrivateServer::MakeDirectory() {
  const char* named = std::getenv("TMPDIR");
  std::string parent = named && *named ? named : "/tmp";
  if (parent.size() > kParentLengthMax) parent = "/tmp";
  directory_ = parent + "/pawl-pg-XXXXXX";
  if (!mkdtemp(directory_.data())) {
    throw db::Error(db::Action::kStop,
                    "Cannot make a directory for a private PostgreSQL server in " + parent + ": " +
                        std::strerror(errno) +
                        ". Set TMPDIR to a directory that you may write to.");
  }
  if (account_.differs_from_ours && chown(directory_.c_str(), account_.uid, account_.gid) < 0) {
    const std::string why = std::strerror(errno);
    rmdir(directory_.c_str());
    throw db::Error(db::Action::kStop, "Cannot give " + directory_ + " to user " + account_.name +
                                           ": " + why +
                                           ". Start Pawl as that user instead of root.");
  }
}

void PrivateServer::StartWatchdog() {
  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC) < 0) Fail("Cannot watch over a private PostgreSQL server");
  watchdog_fd_ = pipe[1];
  try {
    Account ours = account_;
    ours.differs_from_ours = false;  // It removes a directory whose parent may be ours alone.
    const pid_t starter =
        StartChild({.arguments = {"/bin/sh", "-c", kWatchdogScript, "pawl-watchdog", directory_},
                    .directory = "/",
                    .output_path = "/dev/null",
                    .account = ours,
                    .standard_input = pipe[0]});
    WaitForChild(starter, options_.wait_max);
  } catch (...) {
    close(pipe[0]);
    throw;
  }
  close(pipe[0]);
}

void PrivateServer::InitializeCluster() {
  const pid_t initdb =
      StartChild({.arguments = {options_.bin_directory + "/initdb", "--pgdata",
                                directory_ + "/data", "--username=postgres", "--auth=trust",
                                "--encoding=UTF8", "--locale=" + options_.locale, "--no-sync"},
                  .directory = directory_,
                  .output_path = log_path(),
                  .account = account_});
  const std::optional<int> status = WaitForChild(initdb, options_.wait_max);
  if (!status) {
    kill(initdb, SIGKILL);
    WaitForChild(initdb, options_.wait_max);
  }
  if (!status || *status != 0) Fail("initdb could not make a private PostgreSQL cluster");
}

void PrivateServer::StartOnFreePort() {
  for (int tries = 1; tries <= kPortTriesMax; ++tries) {
    port_ = RandomFreePort();
    Configure();
    Launch();
    if (WaitUntilReady()) return;
    // Somebody was faster on that port; anything else would fail again.
    if (LastLines(log_path(), 10).find("could not bind") == std::string::npos) break;
  }
  Fail("Cannot start a private PostgreSQL server");
}

void PrivateServer::Configure() const {
  std::ostringstream lines;
  lines << "max_connections = 200\n";
  for (const std::string& setting : options_.settings) lines << SettingLine(setting);
  lines << "listen_addresses = '127.0.0.1'\n"
        << "port = " << port_ << "\n"
        << "unix_socket_directories = '" << directory_ << "'\n"
        << "unix_socket_permissions = 0777\n"  // The directory keeps strangers out.
        << "logging_collector = off\n";
  const std::string path = directory_ + "/data/pawl.conf";
  std::ofstream(path, std::ios::trunc) << lines.str();
  if (account_.differs_from_ours && chown(path.c_str(), account_.uid, account_.gid) < 0) {
    Fail("Cannot give " + path + " to user " + account_.name);
  }
  const std::string main_path = directory_ + "/data/postgresql.conf";
  std::ifstream main_file(main_path);
  std::string text((std::istreambuf_iterator<char>(main_file)), std::istreambuf_iterator<char>());
  const std::string include = "\ninclude 'pawl.conf'\n";
  if (!text.ends_with(include)) std::ofstream(main_path, std::ios::app) << include;
}

void PrivateServer::Launch() {
  pid_ =
      StartChild({.arguments = {options_.bin_directory + "/postgres", "-D", directory_ + "/data"},
                  .directory = directory_,
                  .output_path = log_path(),
                  .account = account_});
}

// The eighth line of postmaster.pid tells the state, which is how pg_ctl knows, too. Returns false
// when the server has ended instead, or was ended here because it took too long.
bool PrivateServer::WaitUntilReady() {
  const auto deadline = std::chrono::steady_clock::now() + options_.wait_max;
  while (running()) {
    std::ifstream file(directory_ + "/data/postmaster.pid");
    std::string line;
    bool ours = false;
    for (int number = 1; number <= 8 && std::getline(file, line); ++number) {
      if (number == 1) ours = line == std::to_string(pid_);
      if (number == 8 && ours && line.starts_with("ready")) return true;
    }
    if (std::chrono::steady_clock::now() >= deadline) Kill9();
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

void PrivateServer::RemoveEverything() {
  Stop(keep_directory_ ? StopMode::kFast : StopMode::kImmediate);
  if (!keep_directory_) {
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }
  if (watchdog_fd_ >= 0) {
    if (keep_directory_) {
      [[maybe_unused]] const auto written = write(watchdog_fd_, "keep\n", 5);
    }
    close(watchdog_fd_);
    watchdog_fd_ = -1;
  }
}

void PrivateServer::Fail(const std::string& what) const {
  throw db::Error(db::Action::kStop, what + " in " + directory_ + " as user " + account_.name +
                                         ". Its log ends with:" + LastLines(log_path(), 15));
}

}  // namespace pawl::control
