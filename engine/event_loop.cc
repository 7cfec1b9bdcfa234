#include "engine/event_loop.h"

#include <unistd.h>

#include <boost/asio.hpp>

#include "checkpoints/run_store.h"
#include "db/pipeline.h"

namespace pawl::engine {

namespace asio = boost::asio;

class EventLoop::Implementation {
 public:
  // The loop closes its descriptor, and libpq its own: hence the copy.
  explicit Implementation(const db::ConnectionString& where)
      : listener(where, checkpoints::kChannel), socket(context, dup(listener.socket())) {}

  asio::io_context context;
  db::Listener listener;
  asio::posix::stream_descriptor socket;
};

EventLoop::EventLoop(const db::ConnectionString& where)
    : implementation_(std::make_unique<Implementation>(where)) {}

EventLoop::~EventLoop() = default;

int EventLoop::backend_pid() const { return implementation_->listener.backend_pid(); }

bool EventLoop::Wait(std::chrono::milliseconds timeout) {
  asio::io_context& context = implementation_->context;
  asio::posix::stream_descriptor& socket = implementation_->socket;
  bool readable = false;
  asio::steady_timer timer(context, timeout);
  timer.async_wait([&](const boost::system::error_code& error) {
    if (!error) socket.cancel();
  });
  socket.async_wait(asio::posix::stream_descriptor::wait_read,
                    [&](const boost::system::error_code& error) {
                      readable = !error;
                      timer.cancel();
                    });
  context.restart();
  context.run();
  return readable && implementation_->listener.Drain();
}

}  // namespace pawl::engine
