// An HTTP endpoint that says go (200) or hold (429, 503): `http=http://gate.example:8080/pawl`.
// Anything else, and no answer within a second, is no answer: the run holds.
#include <atomic>
#include <charconv>
#include <future>
#include <thread>

#include <fmt/format.h>
#include <boost/asio.hpp>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::seconds kAnswerWithin{1};
constexpr std::size_t kAnswerBytesMax = 8'192;
// Look-ups of names that may be under way; one is begun a second, and a resolver gives up after ten
// to thirty.
constexpr int kLookUpsMax = 30;

struct Address {
  std::string host;
  std::string port = "80";
  std::string path = "/";
};

// Of "http://host[:port][/path]".
Address AddressOf(const std::string& url) {
  Address address;
  const std::string rest = url.substr(7);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  std::string host = rest.substr(0, slash);
  if (slash < rest.size()) address.path = rest.substr(slash);
  const std::size_t colon = host.rfind(':');
  if (colon != std::string::npos && host.find(']', colon) == std::string::npos) {
    address.port = host.substr(colon + 1);
    host.resize(colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  address.host = host;
  return address;
}

using Endpoints = tcp::resolver::results_type;

class LookingUp {
 public:
  LookingUp() { ++count; }
  ~LookingUp() { --count; }
  LookingUp(const LookingUp&) = delete;
  LookingUp& operator=(const LookingUp&) = delete;

  static inline std::atomic<int> count = 0;  // Under way in this process.
};

// The system's resolver takes as long as it likes and cannot be interrupted. So it is asked on a
// thread that nobody waits for, which touches what it owns and the count, and nothing else.
std::future<Endpoints> LookUp(const Address& address) {
  if (LookingUp::count >= kLookUpsMax) {
    throw db::Error(db::Action::kStop,
                    fmt::format("{} look-ups of names have no answer yet", kLookUpsMax));
  }
  std::packaged_task<Endpoints()> task([host = address.host, port = address.port] {
    const LookingUp counted;
    asio::io_context context;
    return tcp::resolver(context).resolve(host, port);
  });
  std::future<Endpoints> found = task.get_future();
  std::thread(std::move(task)).detach();
  return found;
}

// One request, on a loop of its own. With the look-up of the name it takes a second at most.
class Request {
 public:
  explicit Request(const Address& address) : address_(address) {
    text_ = fmt::format("GET {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: pawl\r\n\r\n", address.path,
                        address.host);
  }

  // Returns the status. Throws db::Error where there is none in time.
  int Send() {
    const auto until = Clock::now() + kAnswerWithin;
    Connect(Resolve(until));
    context_.run_until(until);
    if (status_ == 0 && failure_.empty()) failure_ = "no answer within a second";
    if (status_ == 0) throw db::Error(db::Action::kStop, failure_);
    return status_;
  }

 private:
  bool Failed(const boost::system::error_code& error) {
    if (error) failure_ = error.message();
    return static_cast<bool>(error);
  }

  Endpoints Resolve(Clock::time_point until) const {
    std::future<Endpoints> found = LookUp(address_);
    if (found.wait_until(until) != std::future_status::ready) {
      throw db::Error(db::Action::kStop,
                      fmt::format("{} was not looked up within a second", address_.host));
    }
    try {
      return found.get();
    } catch (const boost::system::system_error& error) {
      throw db::Error(db::Action::kStop, error.code().message());
    }
  }

  void Connect(const Endpoints& found) {
    asio::async_connect(socket_, found, [this](const auto& error, const auto&) {
      if (!Failed(error)) Write();
    });
  }

  void Write() {
    asio::async_write(socket_, asio::buffer(text_), [this](const auto& error, std::size_t) {
      if (!Failed(error)) Read();
    });
  }

  void Read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(answer_, kAnswerBytesMax), '\n',
                           [this](const auto& error, std::size_t) {
                             if (!Failed(error)) Parse();
                           });
  }

  // "HTTP/1.1 200 OK"
  void Parse() {
    const std::size_t space = answer_.find(' ');
    if (answer_.starts_with("HTTP/") && space != std::string::npos) {
      std::from_chars(answer_.data() + space + 1, answer_.data() + answer_.size(), status_);
    }
    if (status_ == 0) failure_ = "the answer is not HTTP";
  }

  const Address& address_;
  std::string text_;
  std::string answer_;
  std::string failure_;
  int status_ = 0;
  asio::io_context context_;
  tcp::socket socket_{context_};
};

class HttpGate : public Signal {
 public:
  explicit HttpGate(std::string url) : url_(std::move(url)), address_(AddressOf(url_)) {}

  std::string name() const override { return "http"; }
  std::chrono::milliseconds interval() const override { return std::chrono::milliseconds(1'000); }

  std::optional<std::string> Obstacle(db::Session&) override {
    try {
      Ask();
    } catch (const db::Error& error) {
      return fmt::format("{}. Mend the endpoint, or leave http= away.", error.what());
    }
    return std::nullopt;
  }

  std::optional<Reading> Read(db::Session&) override {
    const int status = Ask();
    const double hold = status == 200 ? 0 : 1;
    return Reading{hold, 1, hold,
                   fmt::format("{} says {} ({})", url_, status == 200 ? "go" : "hold", status),
                   false};
  }

 private:
  int Ask() {
    int status = 0;
    try {
      status = Request(address_).Send();
    } catch (const db::Error& error) {
      throw db::Error(db::Action::kStop, fmt::format("{}: {}", url_, error.what()));
    }
    if (status == 200 || status == 429 || status == 503) return status;
    throw db::Error(db::Action::kStop,
                    fmt::format("{} answers {}; 200 is go, 429 and 503 are hold", url_, status));
  }

  std::string url_;
  Address address_;
};

}  // namespace

std::unique_ptr<Signal> MakeHttp(const Scene& scene) {
  const std::string url = schema::ThrottleValue(scene.values, "http");
  return url == "off" ? nullptr : std::make_unique<HttpGate>(url);
}

}  // namespace pawl::throttle
