// A run whose gate has a name that the resolver takes for ever to look up: it holds, obeys, and ends.
// The resolver is the system's, but for that one name: this program has a getaddrinfo of its own.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <netdb.h>

#include <condition_variable>
#include <mutex>
#include <string_view>

#include "tests/engine/http_gate.h"
#include "tests/engine/run_aside.h"
#include "tests/support/test_database.h"

namespace {

// What "gate.test" is looked up with: answers 127.0.0.1, or keeps whoever asks.
class SlowNames {
 public:
  void Answer(bool answers) {
    const std::lock_guard lock(mutex_);
    answers_ = answers;
    changed_.notify_all();
  }
  void WaitForAnswer() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.wait(lock, [this] { return answers_; });
    --waiting_;
  }
  int waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool answers_ = true;
  int waiting_ = 0;
};

SlowNames slow_names;

}  // namespace

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  static const auto system_one =
      reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (node == nullptr || std::string_view(node) != "gate.test") {
    return system_one(node, service, hints, found);
  }
  slow_names.WaitForAnswer();
  return system_one("127.0.0.1", service, hints, found);
}

namespace pawl::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

class ThrottleNamesPgTest : public testing::Test {
 protected:
  ThrottleNamesPgTest() {
    database_.Exec(
        "CREATE TABLE t (id bigint PRIMARY KEY, x integer NOT NULL); INSERT INTO t SELECT n, 0 "
        "FROM generate_series(1, 20000) AS n");
    database_.Exec("VACUUM ANALYZE t");
  }
  // Nobody is kept longer than the test lasts.
  ~ThrottleNamesPgTest() override {
    slow_names.Answer(true);
    EXPECT_TRUE(WaitUntil([] { return slow_names.waiting() == 0; }, seconds(5)));
  }

  std::string Url() const {
    const std::string url = gate_.url();
    return "http://gate.test" + url.substr(url.rfind(':'));
  }
  std::int64_t Raised() { return database_.Integer("SELECT count(*) FROM t WHERE x = 1"); }

  // A run that is at work and then held, because the name gets no answer any more.
  std::unique_ptr<RunAside> HeldRun() {
    RunSettings settings;
    settings.workers = 2;
    settings.pace = 10'000;
    settings.throttle = {{"http", Url()}};
    auto run = std::make_unique<RunAside>(
        database_.url(), "-- pawl: batch_rows=100\nUPDATE t SET x = x + 1;", settings);
    EXPECT_TRUE(WaitUntil([&] { return Raised() > 0; }, seconds(10))) << run->progress().note;
    slow_names.Answer(false);
    EXPECT_TRUE(WaitUntil(
        [&] {
          return run->progress().note.find("gate.test was not looked up within a second") !=
                 std::string::npos;
        },
        seconds(4)))
        << run->progress().note;
    return run;
  }

  test::TestDatabase database_;
  test::HttpGate gate_;
  Engine engine_{db::ConnectionString(database_.url())};
};

TEST_F(ThrottleNamesPgTest, TheRunEndsThoughANameIsStillLookedUp) {
  const auto run = HeldRun();
  const auto began = steady_clock::now();
  run->Pause();
  EXPECT_EQ(run->Wait().state, "paused");
  EXPECT_LT(steady_clock::now() - began, seconds(3));
  EXPECT_GT(slow_names.waiting(), 0);
}

TEST_F(ThrottleNamesPgTest, OtherSettingsAreTakenUpMeanwhile) {
  const auto run = HeldRun();
  engine_.Set(1, std::nullopt, 0, {{"http", "off"}});
  EXPECT_EQ(run->Wait().state, "completed");
  EXPECT_GT(slow_names.waiting(), 0);
  EXPECT_EQ(Raised(), 20'000);
}

TEST_F(ThrottleNamesPgTest, ANameThatIsLookedUpAgainLetsGo) {
  const auto run = HeldRun();
  slow_names.Answer(true);
  EXPECT_EQ(run->Wait().state, "completed");
  EXPECT_EQ(Raised(), 20'000);
}

}  // namespace
}  // namespace pawl::engine
