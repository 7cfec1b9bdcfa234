// The words of a run's progress. Pure.
//
// Thread safety: all functions.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "engine/engine.h"

namespace pawl::cli {

struct TerminalShape {
  std::size_t columns = 80;
  bool utf8 = true;
};

// Two lines, neither of which wraps:
//
//     ██████████░░░░░░░░░░░░  42.3 %  423,000 of about 1,000,000 rows  161,290/s  3 to 4 s left
//     step 2 of 3 · held: … · 2 workers · batches of 5,000 · HOT 87 % · backfill public.orders
std::array<std::string, 2> LiveLines(const engine::Progress& progress, const TerminalShape& shape);

// The same on one line, for logs.
std::string PlainLine(const engine::Progress& progress);

}  // namespace pawl::cli
