// What `pawl drift` prints for people, and for psql. Pure.
//
// Thread safety: all functions.
#pragma once

#include <string>

#include "engine/engine.h"

namespace pawl::cli {

// The difference as SQL, with a comment in front; what would lose data is a comment itself. One
// sentence where there is none. `database`: its name for people.
std::string DriftLines(const engine::DriftReport& report, const std::string& database);

}  // namespace pawl::cli
