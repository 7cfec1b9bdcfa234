#include "tests/support/cutting_proxy.h"

#include <libpq-fe.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/loopback_socket.h"
#include "tests/support/pg_messages.h"

namespace pawl::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kHeldBytesMax = 64U
                                      << 20;  // Beyond, the sender waits, as with a full window.

constexpr std::uint32_t kCancelRequest = 80877102;
constexpr std::uint32_t kTlsRequest = 80877103;
constexpr std::uint32_t kGssRequest = 80877104;

// One direction of one connection: messages that wait for their time, then for the reader.
struct Lane {
  struct Held {
    Clock::time_point due;
    std::string bytes;
  };
  std::deque<Held> held;
  std::size_t held_bytes = 0;
  bool sender_is_done = false;
  MessageCutter cutter;

  void Hold(std::string bytes, Clock::time_point due) {
    held_bytes += bytes.size();
    if (!held.empty() && held.back().due == due && held.back().bytes.size() < kReadBytes) {
      held.back().bytes += bytes;
    } else {
      held.push_back({due, std::move(bytes)});
    }
  }
};

struct Connection {
  Socket client;
  Socket server;
  Lane to_server;
  Lane to_client;
  RequestLog log;
  bool client_is_typed = false;  // The start-up message has passed.
  bool is_marked = false;        // Sent the statement to cut at; its answer is withheld.
  std::vector<std::string> withheld;
  bool is_over = false;
};

std::uint32_t RequestCode(const std::string& message) {
  if (message.size() < 8) return 0;
  std::uint32_t code = 0;
  for (std::size_t i = 4; i < 8; ++i) code = code << 8 | static_cast<unsigned char>(message[i]);
  return code;
}

int PortOf(const std::string& url) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(url.c_str(), nullptr), &PQconninfoFree);
  for (const PQconninfoOption* option = options.get(); option && option->keyword; ++option) {
    if (std::string_view(option->keyword) == "port" && option->val) return std::atoi(option->val);
  }
  return 5432;
}

}  // namespace

// Thread safety: the public functions lock; the thread locks except while it polls.
class CuttingProxy::Loop {
 public:
  explicit Loop(int server_port)
      : server_port_(server_port), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    listener_ = Socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address = Loopback(0);
    socklen_t length = sizeof address;
    if (bind(listener_.fd(), reinterpret_cast<sockaddr*>(&address), length) < 0 ||
        listen(listener_.fd(), 128) < 0 ||
        getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &length) < 0) {
      throw std::runtime_error("the cutting proxy cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }

  ~Loop() {
    Change([this] { stopping_ = true; });
    thread_.join();
    for (const auto& connection : connections_) Cut(*connection);
  }

  template <typename Edit>
  void Change(Edit edit) {
    {
      const std::lock_guard lock(mutex_);
      edit();
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = write(wake_.fd(), &one, sizeof one);
  }

  int port() const { return port_; }

  // All below: with the lock held.
  void Cut(Connection& connection) {
    connection.client.Reset();
    connection.server.Reset();
    connection.is_over = true;
  }

  std::mutex mutex_;
  std::condition_variable changed_;  // A cut was made, or a reset carried out.
  std::vector<std::unique_ptr<Connection>> connections_;
  milliseconds delay_{0};
  bool holds_to_server_ = false;
  bool holds_to_client_ = false;
  bool refuses_new_ = false;
  bool resets_all_ = false;
  int resets_ = 0;  // Connections ended by the last ResetAll().
  bool stopping_ = false;
  RequestLog::Marker is_marked_;  // Empty: not armed.
  CutMoment moment_ = CutMoment::kAfterExecuted;
  int until_cut_ = 0;
  int cuts_ = 0;
  int commits_forwarded_ = 0;
  int server_port_;

 private:
  void Run();
  std::vector<pollfd> Watched();
  int PollTimeoutMs() const;
  void Accept();
  void ResetConnections();
  void Serve(Connection& connection);
  bool Read(const Socket& socket, Lane& lane);
  void TakeFromClient(Connection& connection);
  void TakeFromServer(Connection& connection);
  bool TakeStartup(Connection& connection, const std::string& message);
  void Deliver(Lane& lane, Socket& reader, bool is_held, Connection& connection);
  void CountCut(Connection& connection);
  Clock::time_point Due() const {
    return delay_ == milliseconds(0) ? Clock::time_point{} : Clock::now() + delay_;
  }

  int port_ = 0;
  Socket wake_;
  Socket listener_;
  std::thread thread_;
};

void CuttingProxy::Loop::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    std::vector<pollfd> watched = Watched();
    const int timeout_ms = PollTimeoutMs();
    lock.unlock();
    poll(watched.data(), watched.size(), timeout_ms);
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = read(wake_.fd(), &count, sizeof count);
    lock.lock();
    Accept();
    if (resets_all_) ResetConnections();
    for (const auto& connection : connections_) {
      try {
        if (!connection->is_over) Serve(*connection);
      } catch (const std::exception&) {
        Cut(*connection);  // Not the protocol.
      }
    }
    std::erase_if(connections_, [](const auto& connection) { return connection->is_over; });
  }
}

std::vector<pollfd> CuttingProxy::Loop::Watched() {
  std::vector<pollfd> watched{{wake_.fd(), POLLIN, 0}, {listener_.fd(), POLLIN, 0}};
  const auto now = Clock::now();
  const auto watch = [&](const Socket& socket, const Lane& from, const Lane& to, bool is_held) {
    int events = 0;
    if (!from.sender_is_done && from.held_bytes < kHeldBytesMax) events |= POLLIN;
    if (!is_held && !to.held.empty() && to.held.front().due <= now) events |= POLLOUT;
    if (events) watched.push_back({socket.fd(), static_cast<short>(events), 0});
  };
  for (const auto& connection : connections_) {
    watch(connection->client, connection->to_server, connection->to_client, holds_to_client_);
    watch(connection->server, connection->to_client, connection->to_server, holds_to_server_);
  }
  return watched;
}

int CuttingProxy::Loop::PollTimeoutMs() const {
  if (delay_ == milliseconds(0)) return connections_.empty() ? -1 : 50;
  return 1;
}

void CuttingProxy::Loop::Accept() {
  while (true) {
    Socket client(accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.is_open()) return;
    client.MakePrompt();
    Socket server;
    if (!refuses_new_) server = ConnectToLoopback(server_port_);
    if (!server.is_open()) {
      client.Reset();
      continue;
    }
    connections_.push_back(std::make_unique<Connection>());
    connections_.back()->client = std::move(client);
    connections_.back()->server = std::move(server);
  }
}

void CuttingProxy::Loop::ResetConnections() {
  for (const auto& connection : connections_) Cut(*connection);
  resets_ = static_cast<int>(connections_.size());
  resets_all_ = false;
  changed_.notify_all();
}

void CuttingProxy::Loop::Serve(Connection& connection) {
  Read(connection.client, connection.to_server);
  TakeFromClient(connection);
  if (connection.is_over) return;
  Read(connection.server, connection.to_client);
  TakeFromServer(connection);
  if (connection.is_over) return;
  Deliver(connection.to_server, connection.server, holds_to_server_, connection);
  if (connection.is_over) return;
  Deliver(connection.to_client, connection.client, holds_to_client_, connection);
}

// Returns false at the end of the stream.
bool CuttingProxy::Loop::Read(const Socket& socket, Lane& lane) {
  std::array<char, kReadBytes> bytes;
  while (!lane.sender_is_done && lane.held_bytes < kHeldBytesMax) {
    const ssize_t count = recv(socket.fd(), bytes.data(), bytes.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (count <= 0) {
      lane.sender_is_done = true;
      return false;
    }
    lane.cutter.Add({bytes.data(), static_cast<std::size_t>(count)});
    if (static_cast<std::size_t>(count) < bytes.size()) return true;
  }
  return true;
}

void CuttingProxy::Loop::TakeFromClient(Connection& connection) {
  while (auto message = connection.to_server.cutter.Next(connection.client_is_typed)) {
    if (!connection.client_is_typed) {
      if (TakeStartup(connection, *message)) continue;
    } else {
      bool commits = false;
      const bool is_marked = connection.log.ClientSent(*message, [&](std::string_view sql) {
        commits = HasCommit(sql);
        return is_marked_ && until_cut_ > 0 && is_marked_(sql) && --until_cut_ == 0;
      });
      if (is_marked && moment_ == CutMoment::kBeforeServer) {
        CountCut(connection);
        return;
      }
      connection.is_marked = connection.is_marked || is_marked;
      if (commits) ++commits_forwarded_;
    }
    connection.to_server.Hold(std::move(*message), Due());
  }
}

// Returns whether the proxy has answered `message` itself. A start-up message is followed by typed
// ones.
bool CuttingProxy::Loop::TakeStartup(Connection& connection, const std::string& message) {
  const std::uint32_t code = RequestCode(message);
  if (code == kTlsRequest || code == kGssRequest) {
    connection.to_client.Hold("N", Due());
    return true;
  }
  connection.client_is_typed = code != kCancelRequest;
  return false;
}

void CuttingProxy::Loop::TakeFromServer(Connection& connection) {
  while (auto message = connection.to_client.cutter.Next(true)) {
    const RequestLog::Answer answer = connection.log.ServerSent(*message);
    if (!connection.is_marked || answer == RequestLog::Answer::kOther) {
      connection.to_client.Hold(std::move(*message), Due());
      continue;
    }
    if (answer == RequestLog::Answer::kMarkedDone) {
      CountCut(connection);
      return;
    }
    connection.withheld.push_back(std::move(*message));
    if (answer == RequestLog::Answer::kMarkedRefused) {
      for (std::string& part : connection.withheld)
        connection.to_client.Hold(std::move(part), Due());
      connection.withheld.clear();
      connection.is_marked = false;
      until_cut_ = 1;
    }
  }
}

void CuttingProxy::Loop::Deliver(Lane& lane, Socket& reader, bool is_held, Connection& connection) {
  if (is_held) return;
  const auto now = Clock::now();
  while (!lane.held.empty() && lane.held.front().due <= now) {
    std::string& bytes = lane.held.front().bytes;
    const ssize_t count = send(reader.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < 0) {
      Cut(connection);
      return;
    }
    lane.held_bytes -= static_cast<std::size_t>(count);
    bytes.erase(0, static_cast<std::size_t>(count));
    if (bytes.empty()) lane.held.pop_front();
  }
  // Where the sender has gone and all it said was heard, the reader learns of it.
  if (lane.sender_is_done && lane.held.empty()) {
    connection.client.Close();
    connection.server.Close();
    connection.is_over = true;
  }
}

void CuttingProxy::Loop::CountCut(Connection& connection) {
  Cut(connection);
  is_marked_ = nullptr;
  ++cuts_;
  changed_.notify_all();
}

CuttingProxy::CuttingProxy(const std::string& server_url)
    : loop_(std::make_unique<Loop>(PortOf(server_url))), server_url_(server_url) {}

CuttingProxy::~CuttingProxy() = default;

int CuttingProxy::port() const { return loop_->port(); }

std::string CuttingProxy::url() const {
  const std::size_t authority = server_url_.find("://") + 3;
  const std::size_t end = std::min(server_url_.find_first_of("/?", authority), server_url_.size());
  const std::size_t at = server_url_.substr(0, end).rfind('@');
  const std::size_t host = at == std::string::npos || at < authority ? authority : at + 1;
  return server_url_.substr(0, host) + "127.0.0.1:" + std::to_string(port()) +
         server_url_.substr(end);
}

void CuttingProxy::PassThrough() {
  loop_->Change([this] {
    loop_->delay_ = milliseconds(0);
    loop_->holds_to_server_ = loop_->holds_to_client_ = loop_->refuses_new_ = false;
    loop_->is_marked_ = nullptr;
    loop_->until_cut_ = 0;
  });
}

void CuttingProxy::Delay(milliseconds by) {
  loop_->Change([&] { loop_->delay_ = by; });
}

void CuttingProxy::BlackHole(Direction direction) {
  loop_->Change([&] {
    (direction == Direction::kToServer ? loop_->holds_to_server_ : loop_->holds_to_client_) = true;
  });
}

int CuttingProxy::ResetAll() {
  loop_->Change([this] { loop_->resets_all_ = true; });
  std::unique_lock lock(loop_->mutex_);
  loop_->changed_.wait(lock, [this] { return !loop_->resets_all_; });
  return loop_->resets_;
}

void CuttingProxy::LeadTo(int server_port) {
  loop_->Change([&] { loop_->server_port_ = server_port; });
}

void CuttingProxy::RefuseNew() {
  loop_->Change([this] { loop_->refuses_new_ = true; });
}

void CuttingProxy::CutAtCommit(CutMoment moment, int nth) {
  CutAtStatement([](std::string_view sql) { return HasCommit(sql); }, moment, nth);
}

void CuttingProxy::CutAtStatement(std::function<bool(std::string_view sql)> is_marked,
                                  CutMoment moment, int nth) {
  loop_->Change([&] {
    loop_->is_marked_ = std::move(is_marked);
    loop_->moment_ = moment;
    loop_->until_cut_ = nth;
  });
}

bool CuttingProxy::WaitForCuts(int count, milliseconds limit) const {
  std::unique_lock lock(loop_->mutex_);
  return loop_->changed_.wait_for(lock, limit, [&] { return loop_->cuts_ >= count; });
}

int CuttingProxy::cuts() const {
  const std::lock_guard lock(loop_->mutex_);
  return loop_->cuts_;
}

int CuttingProxy::commits_forwarded() const {
  const std::lock_guard lock(loop_->mutex_);
  return loop_->commits_forwarded_;
}

int CuttingProxy::connections() const {
  const std::lock_guard lock(loop_->mutex_);
  return static_cast<int>(loop_->connections_.size());
}

}  // namespace pawl::test
