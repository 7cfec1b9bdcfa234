#include "cli/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/format.h"

namespace pawl::cli {
namespace {

constexpr std::size_t kDifferencesShownMax = 20;
constexpr std::size_t kConflictsShownMax = 10;

// ", in 6.2 s (161,290 rows/s)"
std::string Elapsed(std::int64_t rows, double seconds) {
  const std::string elapsed = fmt::format(", in {}", Duration(seconds));
  if (rows <= 0 || seconds < 0.001) return elapsed;
  return fmt::format("{} ({} rows/s)", elapsed,
                     Grouped(std::llround(static_cast<double>(rows) / seconds)));
}

std::string RowsSoFar(const engine::RunResult& result) {
  if (result.rows_estimated <= 0) return Rows(result.rows_done);
  return fmt::format("{} of about {}", Grouped(result.rows_done),
                     Rows(std::max(result.rows_estimated, result.rows_done)));
}

std::string Notes(const engine::VerifyReport& report) {
  std::string lines;
  if (report.rows_changed_since > 0) {
    lines += fmt::format(
        "\n{} changed since by the application.",
        report.rows_changed_since == 1 ? "1 row was" : Rows(report.rows_changed_since) + " were");
  }
  for (const std::string& note : report.notes) lines += "\n" + note;
  return lines;
}

std::string Quarantined(const engine::RunResult& result) {
  if (result.rows_quarantined == 0) return "";
  return fmt::format(
      "\n{} refused the change and {} set aside: SELECT * FROM pawl.quarantine WHERE "
      "run_id = {}.",
      Rows(result.rows_quarantined), result.rows_quarantined == 1 ? "is" : "are", result.run);
}

// "public.orders (17)", whether the key came with its parentheses or without.
std::string Place(const engine::VerifyReport::Difference& difference) {
  const bool wrapped = difference.key.starts_with('(');
  return fmt::format("{} {}{}{}", difference.table, wrapped ? "" : "(", difference.key,
                     wrapped ? "" : ")");
}

std::string More(std::int64_t count) {
  return count > 0 ? fmt::format("\n  … and {} more", Grouped(count)) : "";
}

std::string DifferenceLines(const engine::VerifyReport& report) {
  std::string lines;
  const std::size_t shown = std::min(report.differences.size(), kDifferencesShownMax);
  for (std::size_t i = 0; i < shown; ++i) {
    lines += fmt::format("\n  {}: {}", Place(report.differences[i]), report.differences[i].what);
  }
  return lines + More(report.differences_count - static_cast<std::int64_t>(shown));
}

std::string OldShape(const engine::RunResult& result) {
  return result.keeps_old_shape
             ? fmt::format("\nThe old shape is kept in step until: pawl contract {}", result.run)
             : "";
}

std::string DoneSummary(const engine::RunResult& result) {
  const std::string elapsed = Elapsed(result.rows_done, result.seconds);
  const std::string back = fmt::format(" Take it back with: pawl revert {}", result.run);
  if (!result.verification) {
    return fmt::format("Done, not verified: {} changed{}. Prove it with: pawl verify {}{}",
                       Rows(result.rows_done), elapsed, result.run,
                       Quarantined(result) + OldShape(result));
  }
  return fmt::format("Done and proved: {} changed, {} verified, {}{}.{}{}{}",
                     Rows(result.rows_done), Grouped(result.verification->rows_verified),
                     Counted(result.verification->differences_count, "difference"), elapsed, back,
                     Quarantined(result), Notes(*result.verification) + OldShape(result));
}

std::string NotRightSummary(const engine::RunResult& result) {
  return fmt::format("{} changed{}.\n{}{}", Rows(result.rows_done),
                     Elapsed(result.rows_done, result.seconds),
                     VerifySummary(result.run, *result.verification), Quarantined(result));
}

// ": the reason." or, without one, "."
std::string Because(const std::string& reason) {
  if (reason.empty()) return ".";
  return fmt::format(": {}{}", reason, reason.ends_with('.') ? "" : ".");
}

// "add_total" or, where the engine does not say, nothing.
std::string Named(const engine::RunResult& result) {
  return result.migration.empty() ? "" : fmt::format(" ({})", result.migration);
}

std::string LeftAlone(const engine::RunResult& result) {
  if (result.conflicts == 0) return "";
  return fmt::format(
      " Left alone: {}: rows the application has changed since. List: SELECT * FROM pawl.conflict "
      "WHERE run_id = {}",
      Counted(result.conflicts, "conflict"), result.run);
}

// "failed: the reason.", "is paused by an interrupt."
std::string How(const engine::RunResult& result) {
  if (result.state == "failed") return "failed" + Because(result.reason);
  // The reason often reads "paused by …".
  const bool says_paused = result.state == "paused" && result.reason.starts_with("paused");
  return says_paused ? "is " + result.reason + "." : "is " + result.state + Because(result.reason);
}

std::string StateSummary(const engine::RunResult& result) {
  const std::string stands = fmt::format("Run {}{} {} {} changed", result.run, Named(result),
                                         How(result), RowsSoFar(result));
  if (result.state == "paused") {
    return fmt::format("{} and kept. Carry on with: pawl resume {}", stands, result.run);
  }
  if (result.state == "failed") {
    return fmt::format("{} and kept. Carry on with: pawl resume {}. Give it up with: pawl abort {}",
                       stands, result.run, result.run);
  }
  return fmt::format("{} so far. See: pawl status {}", stands, result.run);
}

}  // namespace

std::string RunSummary(const engine::RunResult& result) {
  if (result.verification && !result.verification->passed) return NotRightSummary(result);
  if (result.already_done && result.state == "completed") {
    return fmt::format(
        "Nothing to do: {} is already done, by run {} ({}). Take it back with: pawl "
        "revert {}{}",
        result.migration, result.run, Rows(result.rows_done), result.run, OldShape(result));
  }
  if (result.already_done && result.state == "contracted") {
    return fmt::format("Nothing to do: {} is already done and contracted, by run {}.",
                       result.migration, result.run);
  }
  return result.state == "completed" ? DoneSummary(result) : StateSummary(result);
}

std::string VerifySummary(std::int64_t run, const engine::VerifyReport& report) {
  if (report.passed) {
    return fmt::format("Proved: run {} holds: {} verified, {} counted, {}{}.{}", run,
                       Rows(report.rows_verified), Grouped(report.rows_counted),
                       Counted(report.differences_count, "difference"),
                       Elapsed(report.rows_verified, report.seconds), Notes(report));
  }
  return fmt::format(
      "Not proved: run {}: {} found ({} verified, {} counted):{}{}\nThe data is as it "
      "was found. Look at these rows; take the run back with: pawl revert {}",
      run, Counted(report.differences_count, "difference"), Rows(report.rows_verified),
      Grouped(report.rows_counted), DifferenceLines(report), Notes(report), run);
}

std::string RevertSummary(const engine::RunResult& result) {
  if (result.already_done) {
    return fmt::format("Nothing to do: run {}{} is already taken back.{}", result.run,
                       Named(result), LeftAlone(result));
  }
  if (result.state == "reverted" || result.state == "completed") {
    return fmt::format("Taken back: {} of run {}{}.{}", Rows(result.rows_done), result.run,
                       Elapsed(result.rows_done, result.seconds), LeftAlone(result));
  }
  const std::string so_far = fmt::format("{} taken back so far.", Rows(result.rows_done));
  // The reason names the rows and says how to go on.
  if (result.stopped_at_conflict) {
    return fmt::format("Reverting run {}{} stopped{} {}", result.run, Named(result),
                       Because(result.reason), so_far);
  }
  const bool resumable = result.state == "paused" || result.state == "failed";
  const std::string next = fmt::format(" Carry on with: pawl resume {}", result.run);
  return fmt::format("Reverting run {}{} {} {}{}{}{}", result.run, Named(result), How(result),
                     so_far, resumable ? next : "", resumable && result.conflicts > 0 ? "." : "",
                     LeftAlone(result));
}

std::string PreviewSummary(std::int64_t run, const engine::RevertPreview& preview) {
  std::string text = fmt::format(
      "Reverting run {} would take back {} in {}, with {}. Nothing was "
      "changed.",
      run, Rows(preview.rows),
      preview.batches == 1 ? "1 batch" : Grouped(preview.batches) + " batches",
      Counted(preview.conflicts, "conflict"));
  const std::size_t shown = std::min(preview.keys.size(), kConflictsShownMax);
  for (std::size_t i = 0; i < shown; ++i) text += "\n  " + preview.keys[i];
  return text + More(preview.conflicts - static_cast<std::int64_t>(shown));
}

}  // namespace pawl::cli
