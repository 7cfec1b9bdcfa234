// One target as a libFuzzer program: PAWL_FUZZ_TARGET names it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const pawl::fuzz::Target target = [] {
    for (const pawl::fuzz::Target& candidate : pawl::fuzz::Targets()) {
      if (candidate.name == PAWL_FUZZ_TARGET) return candidate;
    }
    std::abort();
  }();
  target.feed(std::string(reinterpret_cast<const char*>(bytes), size));
  return 0;
}
