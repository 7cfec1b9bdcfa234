// The end of a command as a tired person wants it: what is true now, and what to type next. Pure.
//
// Thread safety: all functions.
#pragma once

#include <string>

#include "engine/engine.h"

namespace pawl::cli {

// Of a run on its way forward. Several lines where there is more to say than one sentence.
std::string RunSummary(const engine::RunResult& result);

// What a verification found: the verdict, its notes, and the first 20 differences.
std::string VerifySummary(std::int64_t run, const engine::VerifyReport& report);

// Of a run that is being taken back or was (RunResult::reverts), by whichever command.
std::string RevertSummary(const engine::RunResult& result);

// With the first 10 conflicts.
std::string PreviewSummary(std::int64_t run, const engine::RevertPreview& preview);

}  // namespace pawl::cli
