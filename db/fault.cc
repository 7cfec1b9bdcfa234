#include "db/fault.h"

#ifdef PAWL_FAULT_POINTS
#include <csignal>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "db/error.h"

namespace pawl::db {
namespace {

struct Fault {
  std::string point;
  int pass = 0;
  std::string action;
};

Fault FromEnvironment() {
  const char* text = std::getenv("PAWL_FAULT_AT");
  if (text == nullptr) return {};
  const std::string spec(text);
  const auto first = spec.find(':');
  const auto second = spec.find(':', first + 1);
  PAWL_CHECK(first != std::string::npos && second != std::string::npos);
  return {spec.substr(0, first), std::atoi(spec.substr(first + 1, second - first - 1).c_str()),
          spec.substr(second + 1)};
}

}  // namespace

void PassFaultPoint(const char* point) {
  static const Fault fault = FromEnvironment();
  if (fault.point != point) return;
  static std::mutex mutex;
  static int passes = 0;
  {
    const std::lock_guard lock(mutex);
    if (++passes != fault.pass) return;
  }
  if (fault.action == "kill") std::raise(SIGKILL);
  if (fault.action == "throw") throw Error(Action::kReconnect, std::string("fault point ") + point);
  if (fault.action.starts_with("delay=")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(fault.action.c_str() + 6)));
  }
}

}  // namespace pawl::db
#endif
