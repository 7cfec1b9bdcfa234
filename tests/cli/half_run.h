// A run that was interrupted in the middle: rows of `item` up to some id are price = id + 1, the
// rest price = id. One that was changed twice would show.
#pragma once

#include <memory>
#include <string>

#include "tests/cli/pawl_process.h"

namespace pawl::test {

// Thread safety: none.
class HalfRun {
 public:
  static constexpr std::int64_t kRows = 4'000;

  // Makes `item` and lets `pawl run` change some of it, by the key in batches of 100 rows, until it
  // is interrupted.
  explicit HalfRun(TestDatabase& database, const std::string& url = {});

  // The words of the command that began it.
  std::vector<std::string> command() const { return {"run", file_}; }
  std::string run() const { return "1"; }
  std::int64_t RowsChanged();
  // Of every row of `item`.
  std::string Hash();
  // Carries on with it to the end.
  void ExpectItCarriesOn();

 private:
  TestDatabase& database_;
  std::string file_;
};

// Starts that run and returns when it has changed some rows.
std::unique_ptr<PawlProcess> StartSlowRun(TestDatabase& database, const std::string& url);

}  // namespace pawl::test
