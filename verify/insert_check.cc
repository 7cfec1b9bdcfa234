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
  struct Row {
    std::string verdict;
    std::string name;
  };
  std::map<std::string, Row> source;  // By their whole text.
  std::map<std::string, Row> target;
  std::int64_t targets_gone = 0;
  std::int64_t targets_changed = 0;  // By somebody else's transaction, to whatever.
  std::int64_t explained = 0;        // Missing rows that something else found explains.
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
        fmt::format("SELECT name FROM (\n{}\n) AS verdicts WHERE verdict = 'outside' LIMIT {}",
                    left, std::max<std::int64_t>(0, findings_.room())));
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
  if (accept_changed_) {
    evidence.explained = evidence.targets_gone + evidence.targets_changed;
  } else {
    ReportGone(batch_ids, evidence);
    // What the target holds first: it explains what is missing.
    JudgeAll(comparison, Difference::kExtra, evidence);
  }
  JudgeAll(comparison, Difference::kMissing, evidence);
  // Newer rows of the source are known only now, and explain what is extra.
  if (accept_changed_) JudgeAll(comparison, Difference::kExtra, evidence);
  const auto extra =
      std::ranges::count(comparison.differences, Difference::kExtra, &Difference::kind);
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
    Evidence::Row& known = evidence.source[db::ToText(row[0])];
    if (known.verdict != "newer") known = {db::ToText(row[1]), db::ToText(row[2])};
  }
  const std::string targets = sql_.TargetRows(batch_ids);
  for (const db::Row& row : target_.Execute(CheckSql::CountOf(targets)).rows) {
    if (db::ToText(row[0]) == "gone") evidence.targets_gone += db::ToInt(row[1]);
    if (db::ToText(row[0]) == "changed") evidence.targets_changed += db::ToInt(row[1]);
  }
  const db::Result named = target_.Execute(fmt::format(
      "SELECT key, verdict, name FROM (\n{}\n) AS verdicts WHERE key = ANY ({})", targets, keys));
  for (const db::Row& row : named.rows) {
    evidence.target[db::ToText(row[0])] = {db::ToText(row[1]), db::ToText(row[2])};
  }
  return evidence;
}

void InsertCheck::ReportGone(const std::string& batch_ids, Evidence& evidence) {
  evidence.explained += evidence.targets_gone;
  findings_.AddDifferences(evidence.targets_gone);
  if (evidence.targets_gone == 0) return;
  const db::Result named = target_.Execute(
      fmt::format("SELECT name FROM (\n{}\n) AS verdicts WHERE verdict = 'gone' LIMIT {}",
                  sql_.TargetRows(batch_ids), std::max<std::int64_t>(0, findings_.room())));
  for (const db::Row& row : named.rows) {
    findings_.AddFinding(db::ToText(row[0]), "The row was deleted after its batch.");
  }
}

void InsertCheck::JudgeAll(const Comparison& comparison, Difference::Kind kind,
                           Evidence& evidence) {
  for (const Difference& difference : comparison.differences) {
    if (difference.kind != kind) continue;
    if (kind == Difference::kMissing) {
      JudgeMissing(difference, evidence);
    } else {
      JudgeExtra(difference, evidence);
    }
  }
}

void InsertCheck::JudgeMissing(const Difference& difference, Evidence& evidence) {
  const Evidence::Row& source = evidence.source[difference.key];
  if (source.verdict == "newer") {
    ++evidence.sources_newer;
    findings_.AddChangedSince(1);
  } else if (source.verdict == "quarantine") {
    findings_.AddNoted(1, "in quarantine, set aside by the step.");
  } else if (evidence.explained > 0) {
    --evidence.explained;
    if (accept_changed_) findings_.AddChangedSince(1);
  } else {
    Report(source.name,
           "The SELECT gives the row, and its source was there when its batch ran, but the "
           "batch did not insert it.");
  }
}

void InsertCheck::JudgeExtra(const Difference& difference, Evidence& evidence) {
  const Evidence::Row& target = evidence.target[difference.key];
  if (target.verdict == "changed") {
    if (accept_changed_) return;  // Counted with the row it was.
    ++evidence.explained;
    Report(target.name, "The row was changed after its batch.");
  } else if (!accept_changed_) {
    Report(target.name,
           "A batch inserted the row, but the SELECT does not give it (any more): its source was "
           "changed or deleted after the batch, or the batch was wrong.");
  } else if (evidence.sources_newer > 0) {
    --evidence.sources_newer;
  } else {
    findings_.AddChangedSince(1);
  }
}

}  // namespace pawl::verify
