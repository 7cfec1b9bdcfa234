#include "verify/verdict_tally.h"

#include <map>
#include <string_view>

#include <fmt/format.h>

#include "verify/check_sql.h"

namespace pawl::verify {
namespace {

enum class Weight {
  kNothing,
  kVerified,
  kChangedSince,
  kAfterAll,  // A difference that was counted as changed since.
  kDifference,
  kUnlessAccepted,
  kNoted
};

struct Meaning {
  Weight weight;
  const char* what;  // The sentence of a difference, or the end of a note.
};

constexpr const char* kFailing =
    "The row was written after its batch, and what it should hold cannot be computed over it any "
    "more.";

constexpr const char* kPerhapsChanged =
    "The row was written after its batch: it is one that the batch had changed, or a new one "
    "beside such a one. The step keeps no record of their keys.";

// The verdicts of check_sql.h.
const std::map<std::string_view, Meaning> kMeanings = {
    {"verified", {Weight::kVerified, ""}},
    {"outside", {Weight::kNothing, ""}},
    {"newer", {Weight::kChangedSince, ""}},
    {"open", {Weight::kNothing, ""}},
    {"failing", {Weight::kUnlessAccepted, kFailing}},
    {"later", {Weight::kNoted, "written again by a later batch of the run."}},
    {"quarantine", {Weight::kNoted, "in quarantine, set aside by the step."}},
    {"changed", {Weight::kUnlessAccepted, "The row was changed after its batch."}},
    {"altered", {Weight::kAfterAll, "The row was changed after its batch."}},
    {"rewritten", {Weight::kAfterAll, kPerhapsChanged}},
    {"overwritten", {Weight::kDifference, kPerhapsChanged}},
    {"gone", {Weight::kUnlessAccepted, "The row was deleted after its batch."}},
    {"again",
     {Weight::kUnlessAccepted, "The row was deleted, but one with its key is there again."}},
    {"wrong", {Weight::kDifference, "The row does not hold what its batch should have left."}},
    {"missed",
     {Weight::kDifference,
      "The row matches the WHERE clause and was there when its batch ran, but was not changed."}},
    {"disagrees",
     {Weight::kDifference,
      "What its batch wrote is not what the statement gives for the row as it was."}},
};

}  // namespace

void VerdictTally::Add(db::Session& session, const std::string& verdicts) {
  std::string differing;
  for (const db::Row& row : session.Query(CheckSql::CountOf(verdicts)).rows) {
    const std::string verdict = db::ToText(row[0]);
    if (!Weigh(verdict, db::ToInt(row[1]))) continue;
    differing += fmt::format("{}'{}'", differing.empty() ? "" : ", ", verdict);
  }
  const std::int64_t room = findings_.room();
  if (differing.empty() || room <= 0) return;
  for (const db::Row& row : session.Query(CheckSql::ListOf(verdicts, differing, room)).rows) {
    findings_.AddFinding(db::ToText(row[0]), kMeanings.at(db::ToText(row[1])).what);
  }
}

bool VerdictTally::Weigh(const std::string& verdict, std::int64_t rows) {
  const Meaning& meaning = kMeanings.at(verdict);
  Weight weight = meaning.weight;
  if (weight == Weight::kUnlessAccepted) {
    weight = accept_changed_ ? Weight::kChangedSince : Weight::kDifference;
  }
  switch (weight) {
    case Weight::kVerified:
      findings_.AddVerified(rows);
      break;
    case Weight::kChangedSince:
      findings_.AddChangedSince(rows);
      break;
    case Weight::kNoted:
      findings_.AddNoted(rows, meaning.what);
      has_noted_ = true;
      break;
    case Weight::kAfterAll:
      findings_.AddChangedSince(-rows);
      findings_.AddDifferences(rows);
      return true;
    case Weight::kDifference:
      findings_.AddDifferences(rows);
      return true;
    case Weight::kNothing:
    case Weight::kUnlessAccepted:
      break;
  }
  return false;
}

}  // namespace pawl::verify
