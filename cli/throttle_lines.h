// What `pawl throttle` prints: why a run goes as fast as it does. Pure.
//
// Thread safety: all functions.
#pragma once

#include <string>

#include "engine/engine.h"

namespace pawl::cli {

// One sentence, and with `why` every signal, the last minute and who has changed what.
std::string ThrottleText(const engine::ThrottleReport& report, bool why);

}  // namespace pawl::cli
