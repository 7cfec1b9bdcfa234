#include "cli/report.h"

#include <fmt/format.h>

#include "cli/exit_code.h"
#include "cli/format.h"
#include "cli/json.h"
#include "cli/summary.h"

namespace pawl::cli {

int ReportRun(const Output& output, const engine::RunResult& result) {
  const ExitCode code = ExitCodeFor(result);
  const std::string summary = result.reverts ? RevertSummary(result) : RunSummary(result);
  output.Say(ResultEvent(ToJson(result), code));
  if (code == kFailed || code == kConflicts) {
    output.Warn(summary);
    return code;
  }
  output.Say(summary);
  if (code == kDifference) WarnOfDifferences(output, result.run, *result.verification);
  return code;
}

void WarnOfDifferences(const Output& output, std::int64_t run, const engine::VerifyReport& report) {
  output.Warn(fmt::format("Verification of run {} failed: {} found.", run,
                          Counted(report.differences_count, "difference")));
}

}  // namespace pawl::cli
