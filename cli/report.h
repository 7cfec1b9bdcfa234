// How run, resume, worker and revert end: prints the result and returns the exit code.
#pragma once

#include "cli/output.h"
#include "engine/engine.h"

namespace pawl::cli {

int ReportRun(const Output& output, const engine::RunResult& result);

// Says on stderr that a verification found differences; the report itself is on stdout.
void WarnOfDifferences(const Output& output, std::int64_t run, const engine::VerifyReport& report);

}  // namespace pawl::cli
