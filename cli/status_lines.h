// What `pawl status` prints for people. Pure.
//
// Thread safety: all functions.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"

namespace pawl::cli {

// A table, one line a run.
std::string StatusTable(const std::vector<engine::RunStatus>& runs);

// One run, in full.
std::string StatusOf(const engine::RunStatus& run);

// Whether nothing more happens to the run unless somebody asks for it.
bool AtRest(const engine::RunStatus& run);

}  // namespace pawl::cli
