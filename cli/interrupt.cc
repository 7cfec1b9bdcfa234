#include "cli/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <string_view>

#include "cli/exit_code.h"

namespace pawl::cli {
namespace {

// What the handler may touch. A handler has no other way to its objects.
std::atomic<engine::Engine*> engine_at_work{nullptr};
std::atomic<int> interrupts{0};

static_assert(std::atomic<engine::Engine*>::is_always_lock_free &&
              std::atomic<int>::is_always_lock_free);

void WriteToStderr(std::string_view text) {
  // Nobody to tell, when it fails.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
}

// The live display leaves the cursor at its beginning, so this wipes it and writes in its place.
void WipeDisplay() {
  if (isatty(STDERR_FILENO)) WriteToStderr("\r\033[J");
}

// Signal-safe calls only: write, isatty, _exit and lock-free atomics.
void OnSignal(int) {
  const int saved = errno;
  WipeDisplay();
  if (interrupts.fetch_add(1) > 0) _exit(kInterrupted);
  WriteToStderr("pawl: pausing: running batches finish; press Ctrl-C again to leave at once.\n");
  if (engine::Engine* engine = engine_at_work.load()) engine->RequestPause();
  errno = saved;
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

PauseOnInterrupt::PauseOnInterrupt(engine::Engine& engine) {
  engine_at_work.store(&engine);
  interrupts.store(0);
  Handle(SIGINT, OnSignal);
  Handle(SIGTERM, OnSignal);
  Handle(SIGPIPE, SIG_IGN);
}

PauseOnInterrupt::~PauseOnInterrupt() {
  Handle(SIGINT, SIG_DFL);
  Handle(SIGTERM, SIG_DFL);
  Handle(SIGPIPE, SIG_DFL);
  engine_at_work.store(nullptr);
}

}  // namespace pawl::cli
