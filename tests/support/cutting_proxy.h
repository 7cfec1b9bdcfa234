// A TCP proxy in front of a PostgreSQL server that breaks connections at exactly the wrong moment.
//
//     code under test  ──►  127.0.0.1:port()  ──►  server
//
// It understands the protocol, so it can cut after a COMMIT was executed and before anybody heard
// of it, the case in which a client must not guess. It refuses TLS, so that it can read along.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pawl::test {

enum class Direction { kToServer, kToClient };

enum class CutMoment {
  kBeforeServer,   // The statement is never forwarded; the server sees the connection end.
  kAfterExecuted,  // The server has executed it (and committed), the client hears nothing of it.
};

// Thread safety: all methods. It has a thread of its own, which ends with it; what is connected
// then is reset.
class CuttingProxy {
 public:
  // Listens for clients of the server at `server_url` (postgresql://user@host:port/database), which
  // need not run yet.
  explicit CuttingProxy(const std::string& server_url);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  int port() const;
  // `server_url`, but through the proxy.
  std::string url() const;

  // Ends delays, black holes and refusals, and disarms cuts. What a black hole has held is
  // delivered then, as TCP would.
  void PassThrough();

  // Delivers every message of both directions this much later.
  void Delay(std::chrono::milliseconds by);

  // Delivers nothing in one direction, not even that the other end has gone, until PassThrough().
  void BlackHole(Direction direction);

  // Resets all connections now. Returns how many.
  int ResetAll();

  // Connects clients that come from now on to the server at this port of 127.0.0.1, as an address
  // does that follows a failover.
  void LeadTo(int server_port);

  // Resets new connections as soon as they come, until PassThrough().
  void RefuseNew();

  // Cuts the connection of the `nth` COMMIT that a client sends from now on (1: the next), once. A
  // COMMIT that the server refuses is delivered as it is, and the next one is cut in its place.
  void CutAtCommit(CutMoment moment = CutMoment::kAfterExecuted, int nth = 1);

  // The same for the `nth` executed statement of which `is_marked` says yes to its text. Called on
  // the proxy's thread; it must not call the proxy.
  void CutAtStatement(std::function<bool(std::string_view sql)> is_marked, CutMoment moment,
                      int nth = 1);

  // Waits until `count` cuts were made in all. Returns false when that takes longer than `limit`.
  bool WaitForCuts(int count = 1, std::chrono::milliseconds limit = std::chrono::seconds(30)) const;

  int cuts() const;
  int commits_forwarded() const;  // COMMITs that clients sent and the server got.
  int connections() const;        // Open now.

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
  std::string server_url_;
};

}  // namespace pawl::test
