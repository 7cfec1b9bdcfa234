// The cutting proxy for a test that is not C++: one command a line on standard input, one answer a
// line on standard output.
//
//     cutting_proxy PORT            of the server, on 127.0.0.1
//
//     port                          its own port
//     pass                          ends delays, black holes, refusals and cuts to come
//     delay MS | black_hole to_server | black_hole to_client | refuse | reset
//     cut before NTH | cut after NTH    at the NTH COMMIT, before it reaches the server or after
//     lead PORT                     new connections go to another server
//     cuts                          how many were made
//
// Every answer is a number; "?" where the command is not understood. Ends with its input.
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>

#include "tests/support/cutting_proxy.h"

namespace {

using pawl::test::CutMoment;
using pawl::test::CuttingProxy;
using pawl::test::Direction;

// Returns the answer, or -1 where the command is not understood.
int Obey(CuttingProxy& proxy, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  std::string which;
  int number = 0;
  words >> command;
  if (command == "port") return proxy.port();
  if (command == "cuts") return proxy.cuts();
  if (command == "reset") return proxy.ResetAll();
  if (command == "pass") {
    proxy.PassThrough();
  } else if (command == "refuse") {
    proxy.RefuseNew();
  } else if (command == "delay" && words >> number) {
    proxy.Delay(std::chrono::milliseconds(number));
  } else if (command == "lead" && words >> number) {
    proxy.LeadTo(number);
  } else if (command == "black_hole" && words >> which) {
    proxy.BlackHole(which == "to_server" ? Direction::kToServer : Direction::kToClient);
  } else if (command == "cut" && words >> which >> number) {
    proxy.CutAtCommit(which == "before" ? CutMoment::kBeforeServer : CutMoment::kAfterExecuted,
                      number);
  } else {
    return -1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: cutting_proxy PORT\n";
    return 2;
  }
  CuttingProxy proxy("postgresql://127.0.0.1:" + std::string(argv[1]) + "/postgres");
  std::string line;
  while (std::getline(std::cin, line)) {
    const int answer = Obey(proxy, line);
    std::cout << (answer < 0 ? "?" : std::to_string(answer)) << std::endl;
  }
  return 0;
}
