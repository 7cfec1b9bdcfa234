#include "cli/status_lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/format.h"

namespace pawl::cli {
namespace {

std::int64_t LiveProcesses(const engine::RunStatus& run) {
  return std::count_if(run.workers.begin(), run.workers.end(),
                       [](const auto& worker) { return worker.alive; });
}

int LiveThreads(const engine::RunStatus& run) {
  int threads = 0;
  for (const auto& worker : run.workers) threads += worker.alive ? worker.threads : 0;
  return threads;
}

std::vector<std::string> CellsOf(const engine::RunStatus& run) {
  const engine::Progress& progress = run.progress;
  return {std::to_string(progress.run),
          progress.migration,
          progress.state,
          Percent(progress.fraction),
          Grouped(progress.rows_done),
          std::to_string(LiveThreads(run)),
          run.started_at};
}

std::string ProcessLine(const engine::RunStatus::Worker& worker) {
  return fmt::format("\n  {} process {}: {}, batches of {}{}", worker.host, worker.pid,
                     Counted(worker.threads, "worker"), Grouped(worker.batch_rows),
                     worker.alive ? "" : ", gone");
}

std::string NextCommands(const engine::RunStatus& run) {
  const std::string& state = run.progress.state;
  const std::int64_t number = run.progress.run;
  if (state == "running" && LiveProcesses(run) == 0) {
    return fmt::format("\nNo process is at it. Carry on with: pawl resume {}", number);
  }
  if (state == "paused" || state == "failed") {
    return fmt::format("\nCarry on with: pawl resume {}", number);
  }
  if (state == "completed") {
    return fmt::format("\nTake it back with: pawl revert {}", number) +
           (run.keeps_old_shape
                ? fmt::format("\nThe old shape is kept in step until: pawl contract {}", number)
                : "");
  }
  return "";
}

}  // namespace

std::string StatusTable(const std::vector<engine::RunStatus>& runs) {
  if (runs.empty()) return "No runs yet.";
  std::vector<std::vector<std::string>> lines = {
      {"run", "migration", "state", "done", "rows", "workers", "started"}};
  for (const engine::RunStatus& run : runs) lines.push_back(CellsOf(run));
  return Aligned(lines, {0, 3, 4, 5});
}

std::string StatusOf(const engine::RunStatus& run) {
  const engine::Progress& progress = run.progress;
  std::string text =
      fmt::format("Run {} ({}) is {}", progress.run, progress.migration, progress.state);
  text += run.reason.empty() ? "." : ": " + run.reason;
  text += fmt::format("\n  {}, {}", Percent(progress.fraction), Rows(progress.rows_done));
  if (progress.rows_estimated > 0) {
    text +=
        fmt::format(" of about {}", Grouped(std::max(progress.rows_estimated, progress.rows_done)));
  }
  if (progress.rows_per_second > 0) {
    text +=
        fmt::format(", {} rows/s", Grouped(static_cast<std::int64_t>(progress.rows_per_second)));
  }
  if (progress.step > 0) {
    text +=
        fmt::format("\n  step {} of {}{}: {}", progress.step, progress.steps,
                    run.phase.empty() ? "" : fmt::format(" ({})", run.phase), progress.step_title);
  }
  if (!progress.note.empty()) text += "\n  " + progress.note;
  for (const auto& worker : run.workers) text += ProcessLine(worker);
  if (run.rows_quarantined > 0) {
    text += fmt::format("\n  {} in pawl.quarantine", Rows(run.rows_quarantined));
  }
  text += fmt::format("\n  undo {}, plan {}", Bytes(run.undo_bytes), run.plan_hash);
  text += fmt::format("\n  started {} by {}", run.started_at, run.started_by);
  if (!run.finished_at.empty()) text += ", finished " + run.finished_at;
  return text + NextCommands(run);
}

bool AtRest(const engine::RunStatus& run) {
  const std::string& state = run.progress.state;
  return state != "running" && state != "verifying" && state != "reverting";
}

}  // namespace pawl::cli
