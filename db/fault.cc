#include "db/fault.h"

#ifdef PAWL_FAULT_POINTS
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "db/error.h"

namespace pawl::db {
namespace {

using std::chrono::milliseconds;

// A race that cannot be placed must fail its test, not hang it.
constexpr std::chrono::seconds kUntilMax{60};

struct Fault {
  std::string point;
  int pass = 0;
  std::string action;
};

bool IsKnown(std::string_view point) {
  return std::find(kFaultPoints.begin(), kFaultPoints.end(), point) != kFaultPoints.end();
}

Fault FaultFrom(const std::string& text) {
  const auto first = text.find(':');
  const auto second = text.find(':', first + 1);
  PAWL_CHECK(first != std::string::npos && second != std::string::npos);
  Fault fault{text.substr(0, first), std::atoi(text.substr(first + 1, second - first - 1).c_str()),
              text.substr(second + 1)};
  PAWL_CHECK(IsKnown(fault.point));
  return fault;
}

std::vector<Fault> FromEnvironment() {
  std::vector<Fault> faults;
  const char* text = std::getenv("PAWL_FAULT_AT");
  std::string rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const auto end = std::min(rest.find(';'), rest.size());
    faults.push_back(FaultFrom(rest.substr(0, end)));
    rest.erase(0, end + 1);
  }
  return faults;
}

std::string FileOf(std::string_view point) {
  const char* directory = std::getenv("PAWL_FAULT_DIR");
  return directory == nullptr ? "" : std::string(directory) + "/" + std::string(point);
}

// One byte a pass: appends of several processes do not get in each other's way.
void TellOthers(std::string_view point) {
  const std::string path = FileOf(point);
  if (path.empty()) return;
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  PAWL_CHECK(file >= 0 && write(file, ".", 1) == 1);
  close(file);
}

// `passes` is point:n.
void WaitUntil(const std::string& passes) {
  const auto colon = passes.find(':');
  PAWL_CHECK(colon != std::string::npos);
  const std::string point = passes.substr(0, colon);
  const std::string path = FileOf(point);
  PAWL_CHECK(IsKnown(point) && !path.empty());
  const auto deadline = std::chrono::steady_clock::now() + kUntilMax;
  struct stat file {};
  while (stat(path.c_str(), &file) != 0 || file.st_size < std::atoi(passes.c_str() + colon + 1)) {
    PAWL_CHECK(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(milliseconds(2));
  }
}

void Act(const Fault& fault) {
  if (fault.action == "kill") {
    std::raise(SIGKILL);
  } else if (fault.action == "throw") {
    throw Error(Action::kReconnect, "fault point " + fault.point);
  } else if (fault.action.starts_with("delay=")) {
    std::this_thread::sleep_for(milliseconds(std::atoi(fault.action.c_str() + 6)));
  } else {
    PAWL_CHECK(fault.action.starts_with("until="));
    WaitUntil(fault.action.substr(6));
  }
}

}  // namespace

void PassFaultPoint(std::string_view point) {
  PAWL_CHECK(IsKnown(point));
  static const std::vector<Fault> faults = FromEnvironment();
  static std::mutex mutex;
  static std::map<std::string, int, std::less<>> passes;
  int pass = 0;
  {
    const std::lock_guard lock(mutex);
    pass = ++passes[std::string(point)];
    TellOthers(point);
  }
  for (const Fault& fault : faults) {
    if (fault.point == point && fault.pass == pass) Act(fault);
  }
}

}  // namespace pawl::db
#endif
