#include "tests/support/standby_server.h"

#include <signal.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "control/server_binaries.h"
#include "tests/support/test_database.h"

namespace pawl::test {
namespace {

// Only names the socket; the standby listens on no network address.
constexpr const char* kPort = "5999";
constexpr std::chrono::seconds kWaitMax{60};

}  // namespace

StandbyServer::StandbyServer(control::PrivateServer& primary, const std::string& name)
    : primary_(primary), name_(name), directory_(primary.directory() + "/standby-" + name) {
  const std::string source = "host=" + primary.directory() +
                             " port=" + std::to_string(primary.port()) +
                             " user=postgres application_name=" + name;
  Run({control::FindServerBinaries() + "/pg_basebackup", "-D", directory_, "-d", source, "-R", "-X",
       "stream", "--checkpoint=fast", "--no-sync"});
  Start();
}

StandbyServer::~StandbyServer() { Stop(); }

void StandbyServer::Run(const std::vector<std::string>& arguments) {
  const pid_t child = control::StartChild({.arguments = arguments,
                                           .directory = primary_.directory(),
                                           .output_path = primary_.log_path(),
                                           .account = control::UnprivilegedAccount()});
  const auto status = control::WaitForChild(child, kWaitMax);
  if (!status || *status != 0) {
    throw std::runtime_error(arguments[0] + " failed; see " + primary_.log_path());
  }
}

void StandbyServer::Start() {
  pid_ = control::StartChild(
      {.arguments = {control::FindServerBinaries() + "/postgres", "-D", directory_, "-p", kPort,
                     "-c", "listen_addresses=", "-c", "hot_standby=on"},
       .directory = primary_.directory(),
       .output_path = primary_.log_path(),
       .account = control::UnprivilegedAccount()});
  Sql primary(primary_.ConnectionString());
  const auto deadline = std::chrono::steady_clock::now() + kWaitMax;
  while (primary.Integer("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND "
                         "replay_lsn IS NOT NULL AND application_name = '" +
                         name_ + "'") == 0) {
    if (std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("the standby does not stream; see " + primary_.log_path());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void StandbyServer::Stop() {
  if (pid_ == 0) return;
  kill(pid_, SIGINT);
  if (!control::WaitForChild(pid_, kWaitMax)) {
    kill(pid_, SIGKILL);
    control::WaitForChild(pid_, kWaitMax);
  }
  pid_ = 0;
}

std::string StandbyServer::url() const {
  return "host=" + primary_.directory() + " port=" + kPort + " user=postgres dbname=postgres";
}

}  // namespace pawl::test
