// What the verdicts of check_sql.h count for: verified, changed since, a difference, a note.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "db/session.h"
#include "verify/step_findings.h"

namespace pawl::verify {

// Thread safety: all methods.
class VerdictTally {
 public:
  // With `accept_changed`, rows that somebody changed after their batch are counted as such, and are
  // no differences.
  VerdictTally(StepFindings& findings, bool accept_changed)
      : findings_(findings), accept_changed_(accept_changed) {}

  // Adds the rows of a query that gives each its verdict. Throws db::Error, kBadData where a row
  // cannot be evaluated: nothing is counted then.
  void Add(db::Session& session, const std::string& verdicts);

  // Adds `rows` of one verdict, none of which is named. Returns whether they are differences.
  bool Weigh(const std::string& verdict, std::int64_t rows);

  // Whether there were rows that only a note tells of.
  bool has_noted() const { return has_noted_; }

 private:
  StepFindings& findings_;
  bool accept_changed_;
  std::atomic<bool> has_noted_ = false;
};

}  // namespace pawl::verify
