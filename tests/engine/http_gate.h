// An HTTP endpoint that answers as it is told to.
//
// Thread safety: all methods.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio.hpp>

namespace pawl::test {

class HttpGate {
 public:
  HttpGate()
      : acceptor_(context_,
                  boost::asio::ip::tcp::endpoint(boost::asio::ip::make_address("127.0.0.1"), 0)) {
    thread_ = std::jthread([this] { Serve(); });
  }
  ~HttpGate() {
    stop_ = true;
    boost::system::error_code ignored;
    boost::asio::io_context context;
    boost::asio::ip::tcp::socket last(context);
    last.connect(acceptor_.local_endpoint(), ignored);
  }
  std::string url() const {
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + "/gate";
  }
  std::atomic<int> status{200};  // 0: takes the request and never answers.

 private:
  void Serve() {
    std::vector<boost::asio::ip::tcp::socket> hanging;
    while (!stop_) {
      boost::asio::ip::tcp::socket socket(context_);
      boost::system::error_code error;
      acceptor_.accept(socket, error);
      if (error || stop_) return;
      if (status == 0) {
        hanging.push_back(std::move(socket));
        continue;
      }
      const std::string answer =
          "HTTP/1.1 " + std::to_string(status) + " so\r\nConnection: close\r\n\r\n";
      boost::asio::write(socket, boost::asio::buffer(answer), error);
    }
  }

  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::atomic<bool> stop_{false};
  std::jthread thread_;
};

}  // namespace pawl::test
