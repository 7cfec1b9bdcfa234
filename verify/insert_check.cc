#include "verify/insert_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "db/quote.h"

namespace pawl::verify {
namespace {

// Rows that are named and explained one by one; of more than that a chunk is broken as a whole.
constexpr std::int64_t kExplainedMax = 1'000;

// Two transactions on one snapshot; ended, whatever happens, when the object goes.
class SharedSnapshot {
 public:
  SharedSnapshot(db::Pipeline& source, db::Pipeline& target) : source_(source), target_(target) {
    source_.Execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const db::Result exported = source_.Execute("SELECT pg_export_snapshot()");
    target_.Execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    target_.Execute("SET TRANSACTION SNAPSHOT " +
                    db::QuoteLiteral(db::ToText(exported.rows[0][0])));
  }
  ~SharedSnapshot() {
    for (db::Pipeline* side : {&source_, &target_}) {
      try {
        side->Execute("ROLLBACK");
      } catch (...) {  // A broken connection has no transaction left.
      }
    }
  }
  SharedSnapshot(const SharedSnapshot&) = delete;
  SharedSnapshot& operator=(const SharedSnapshot&) = delete;

 private:
  db::Pipeline& source_;
  db::Pipeline& target_;
};

std::string ArrayOf(const std::vector<Difference>& differences) {
  std::vector<std::string> literals;
  for (const Difference& difference : differences) {
    literals.push_back(db::QuoteLiteral(difference.key));
  }
  return fmt::format("ARRAY[{}]::text[]", fmt::join(literals, ", "));
}

}  // namespace

struct InsertCheck::Evidence {
  std::map<std::string, std::string> source;  // Verdicts by key.
  std::map<std::string, std::string> target;
  std::int64_t targets_changed = 0;  // Inserted rows that were changed or deleted since: each
                                     // explains one missing row.
  std::int64_t sources_newer = 0;    // Source rows changed since: each explains one extra row.
};

InsertCheck::InsertCheck(const db::ConnectionString& where, const db::SessionSettings& settings,
                         const CheckSql& sql, StepFindings& findings, bool accept_changed)
    : source_(where, "verify", settings),
      target_(where, "verify", settings),
      sql_(sql),
      findings_(findings),
      accept_changed_(accept_changed) {}

void InsertCheck::Report(const std::string& key, const std::string& what) {
  findings_.AddDifferences(1);
  findings_.AddFinding(key, what);
}

void InsertCheck::Compare(const RowChunk& rows, const std::string& batch_ids) {
  const SharedSnapshot snapshot(source_, target_);
  const Comparison comparison =
      CompareCopies(source_.raw(), sql_.CopySource(rows), target_.raw(), sql_.CopyTarget(batch_ids),
                    {.differences_max = kExplainedMax});
  if (comparison.equal()) {
    findings_.AddVerified(comparison.target.row_count());
  } else {
    Explain(rows, batch_ids, comparison);
  }
}

void InsertCheck::LookBehind(const RowChunk& rows) {
  const std::string left = sql_.SourceRows(rows, "");
  const db::Result found = source_.Execute(CheckSql::CountOf(left));
  for (const db::Row& row : found.rows) {
    if (db::ToText(row[0]) != "outside") continue;
    findings_.AddDifferences(db::ToInt(row[1]));
    const db::Result named = source_.Execute(
        CheckSql::ListOf(left, "'outside'", std::max<std::int64_t>(0, findings_.room())));
    for (const db::Row& name : named.rows) {
      findings_.AddFinding(
          db::ToText(name[0]),
          "The source's row was there at the start of the run, but behind the last span: it was "
          "not inserted.");
    }
  }
}

void InsertCheck::Explain(const RowChunk& rows, const std::string& batch_ids,
                          const Comparison& comparison) {
  Evidence evidence = Gather(rows, batch_ids, ArrayOf(comparison.differences));
  std::int64_t extra = 0;
  // What is missing first: it explains what is extra.
  for (const Difference& difference : comparison.differences) {
    if (difference.kind == Difference::kMissing) Judge(difference, evidence);
  }
  for (const Difference& difference : comparison.differences) {
    if (difference.kind == Difference::kMissing) continue;
    Judge(difference, evidence);
    ++extra;
  }
  findings_.AddVerified(std::max<std::int64_t>(0, comparison.target.row_count() - extra));
  if (!comparison.complete) {
    Report("and more",
           fmt::format("More than {} rows of a chunk differ; the others were not looked at one by "
                       "one.",
                       kExplainedMax));
  }
}

InsertCheck::Evidence InsertCheck::Gather(const RowChunk& rows, const std::string& batch_ids,
                                          const std::string& keys) {
  Evidence evidence;
  for (const db::Row& row : source_.Execute(sql_.SourceRows(rows, keys)).rows) {
    // Of equal rows the newest explains the most.
    std::string& verdict = evidence.source[db::ToText(row[0])];
    if (verdict != "newer") verdict = db::ToText(row[1]);
  }
  const std::string targets = sql_.TargetRows(batch_ids);
  for (const db::Row& row : target_.Execute(CheckSql::CountOf(targets)).rows) {
    if (db::ToText(row[0]) != "verified") evidence.targets_changed += db::ToInt(row[1]);
  }
  const db::Result named = target_.Execute(fmt::format(
      "SELECT key, verdict FROM (\n{}\n) AS verdicts WHERE key = ANY ({})", targets, keys));
  for (const db::Row& row : named.rows) evidence.target[db::ToText(row[0])] = db::ToText(row[1]);
  return evidence;
}

void InsertCheck::Judge(const Difference& difference, Evidence& evidence) {
  if (difference.kind == Difference::kMissing) {
    const std::string verdict = evidence.source[difference.key];
    if (verdict == "newer") {
      ++evidence.sources_newer;
      findings_.AddChangedSince(1);
    } else if (verdict == "quarantine") {
      findings_.AddNoted(1, "in quarantine, set aside by the step.");
    } else if (evidence.targets_changed > 0) {
      --evidence.targets_changed;
      findings_.AddChangedSince(1);
    } else {
      Report(difference.key,
             "The SELECT gives the row, and its source was there when its batch ran, but the "
             "batch did not insert it.");
    }
    return;
  }
  if (evidence.target[difference.key] == "changed") return;  // Counted with the row it was.
  if (evidence.sources_newer > 0) {
    --evidence.sources_newer;
  } else if (accept_changed_) {
    findings_.AddChangedSince(1);
  } else {
    Report(difference.key,
           "A batch inserted the row, but the SELECT does not give it (any more): its source was "
           "changed or deleted after the batch, or the batch was wrong.");
  }
}

}  // namespace pawl::verify
