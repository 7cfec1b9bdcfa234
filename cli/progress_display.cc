#include "cli/progress_display.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cli/json.h"
#include "cli/progress_lines.h"

namespace pawl::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kLiveInterval{100};  // Ten a second: smooth, and no load worth naming.
constexpr milliseconds kPlainInterval{5'000};
constexpr milliseconds kJsonInterval{1'000};

bool TerminalSpeaksUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    return strcasestr(value, "utf-8") != nullptr || strcasestr(value, "utf8") != nullptr;
  }
  return false;
}

TerminalShape ShapeOf(int fd) {
  TerminalShape shape;
  winsize size{};
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) shape.columns = size.ws_col;
  shape.utf8 = TerminalSpeaksUtf8();
  return shape;
}

// Two lines, drawn over themselves. Between draws the cursor waits at the beginning of the first,
// so that whatever else is printed, by the signal handler for instance, takes their place.
class LiveDisplay : public ProgressDisplay {
 public:
  ~LiveDisplay() override { Clear(); }

  void Show(const engine::Progress& progress) override {
    if (!cadence_.Due(progress, steady_clock::now())) return;
    const auto lines = LiveLines(progress, ShapeOf(STDERR_FILENO));
    const std::string text = "\r\033[J" + lines[0] + "\n" + lines[1] + "\r\033[1A";
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
    drawn_ = true;
  }

  void Clear() override {
    if (!drawn_) return;
    std::fputs("\r\033[J", stderr);
    std::fflush(stderr);
    drawn_ = false;
  }

 private:
  Cadence cadence_{kLiveInterval};
  bool drawn_ = false;
};

class PlainDisplay : public ProgressDisplay {
 public:
  void Show(const engine::Progress& progress) override {
    if (!cadence_.Due(progress, steady_clock::now())) return;
    std::fputs((PlainLine(progress) + "\n").c_str(), stderr);
    std::fflush(stderr);
  }

 private:
  Cadence cadence_{kPlainInterval};
};

class JsonDisplay : public ProgressDisplay {
 public:
  explicit JsonDisplay(const Output& output) : output_(output) {}

  void Show(const engine::Progress& progress) override {
    if (!cadence_.Due(progress, steady_clock::now())) return;
    boost::json::object line = {{"event", "progress"}};
    for (const auto& member : ToJson(progress)) line.insert(member);
    output_.Say(boost::json::value(std::move(line)));
  }

 private:
  Output output_;
  Cadence cadence_{kJsonInterval};
};

}  // namespace

bool Cadence::Due(const engine::Progress& progress, Time now) {
  const bool changed = progress.step != step_ || progress.state != state_;
  if (reported_ && !changed && now - reported_at_ < interval_) return false;
  reported_ = true;
  reported_at_ = now;
  step_ = progress.step;
  state_ = progress.state;
  return true;
}

std::unique_ptr<ProgressDisplay> MakeProgressDisplay(const Output& output) {
  if (output.json()) return std::make_unique<JsonDisplay>(output);
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal != nullptr && std::strcmp(terminal, "dumb") == 0;
  if (isatty(STDERR_FILENO) && !dumb) return std::make_unique<LiveDisplay>();
  return std::make_unique<PlainDisplay>();
}

}  // namespace pawl::cli
