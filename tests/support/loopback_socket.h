// A TCP socket on 127.0.0.1 that closes itself, orderly or with a reset.
#pragma once

#include <netinet/in.h>

namespace pawl::test {

// Thread safety: none.
class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  ~Socket() { Close(); }
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;

  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void Close();
  // Closes with RST, so that the peer sees an error and no orderly end.
  void Reset();
  // Sends at once, and never waits.
  void MakePrompt() const;

 private:
  int fd_;
};

sockaddr_in Loopback(int port);

// Returns a connected socket, made prompt, or one that is not open where nobody listens.
Socket ConnectToLoopback(int port);

}  // namespace pawl::test
