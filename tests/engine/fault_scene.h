// What the tests that break things share: the binary as a child process, and a scene for it, which
// is a table, a migration that raises every row once, and an application that writes meanwhile.
//
// x = x + 1 is not idempotent, so a row missed or done twice shows.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/test_database.h"
#include "tests/support/writers.h"

namespace pawl::test {

// A release has no fault points compiled in.
bool HasFaultPoints();

// Returns false when it takes longer than `limit`.
bool WaitUntil(const std::function<bool()>& holds,
               std::chrono::milliseconds limit = std::chrono::seconds(60));

// A directory that is empty and ours. Throws where none can be made.
std::string FreshDirectory();

// One process of the binary; both its streams go to a file. Killed when it goes out of scope.
// Thread safety: none.
class Child {
 public:
  // `environment` are NAME=value, above ours without its PAWL_* and PG*.
  Child(std::vector<std::string> words, std::vector<std::string> environment,
        const std::string& output);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void Signal(int signal) const;
  bool Ended();

  // The exit code, 128 + the signal that ended it, or -1 where it still runs after `limit`.
  int Wait(std::chrono::milliseconds limit = std::chrono::seconds(90));

  std::string Output() const;

 private:
  std::string output_;
  pid_t pid_ = 0;
  bool ended_ = false;
  int status_ = 0;
};

// Thread safety: none.
class Scene {
 public:
  static constexpr std::int64_t kRows = 5'000;

  explicit Scene(std::int64_t rows = kRows, const std::string& options = "batch_rows=100");
  ~Scene();

  // `pawl run` of the migration. `fault` as in db/fault.h; passes of points are told in this scene.
  std::unique_ptr<Child> Start(const std::vector<std::string>& more = {},
                               const std::string& fault = {}, const std::string& url = {});

  // Another command, to its end. Returns its exit code.
  int Command(const std::vector<std::string>& words, const std::string& fault = {});

  // The same command again until it is done, as an operator would.
  void Finish(int attempts_max = 5);

  bool WaitForBatches(std::int64_t count);
  std::int64_t Batches();

  // How often a fault point was passed, by all processes of this scene.
  std::int64_t Passes(const std::string& point) const;
  bool WaitForPass(const std::string& point, std::int64_t count);
  // Passes one by hand, for a thread that waits for it.
  void Pass(const std::string& point);

  // Our own connection is broken as well, and connects anew after it has noticed.
  void NoticeRestart();
  std::string Run() { return database_.Value("SELECT run_id FROM pawl.run"); }

  // What must hold at the end, by SQL alone.
  void ExpectRaisedOnce();

  TestDatabase& database() { return database_; }

 private:
  std::int64_t rows_;
  TestDatabase database_;
  std::string directory_ = FreshDirectory();
  std::unique_ptr<Writers> writers_;
};

}  // namespace pawl::test
