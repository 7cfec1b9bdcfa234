// The story that `pawl demo` tells: a backfill under live traffic, killed on the way, carried on,
// proved, taken back, and the same as one big UPDATE.
#pragma once

#include <cstdint>

namespace pawl::cli {

struct DemoOptions {
  std::int64_t rows = 1'000'000;
  bool keep = false;
};

// Returns an exit code: 0 only where everything that was told has come true. Throws db::Error.
int TellDemo(const DemoOptions& options);

}  // namespace pawl::cli
