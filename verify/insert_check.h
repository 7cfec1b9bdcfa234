// The chunks of an INSERT … SELECT: what the SELECT gives now against the rows of the undo records,
// on one snapshot.
#pragma once

#include "db/pipeline.h"
#include "verify/chunk_feed.h"
#include "verify/compare_copies.h"

namespace pawl::verify {

// Thread safety: none. Owned by the check of a step.
class InsertCheck {
 public:
  // All must outlive it. Connects twice; throws db::Error.
  InsertCheck(const db::ConnectionString& where, const db::SessionSettings& settings,
              const CheckSql& sql, StepFindings& findings, bool accept_changed);

  // Compares both sides of a chunk. Throws db::Error.
  void Compare(const RowChunk& rows, const std::string& batch_ids);

  // Looks for rows of the source that no batch covered, though the run saw them at its start.
  void LookBehind(const RowChunk& rows);

 private:
  struct Evidence;

  void Explain(const RowChunk& rows, const std::string& batch_ids, const Comparison& comparison);
  Evidence Gather(const RowChunk& rows, const std::string& batch_ids, const std::string& keys);
  void ReportGone(const std::string& batch_ids, Evidence& evidence);
  void JudgeAll(const Comparison& comparison, Difference::Kind kind, Evidence& evidence);
  void JudgeMissing(const Difference& difference, Evidence& evidence);
  void JudgeExtra(const Difference& difference, Evidence& evidence);
  void Report(const std::string& key, const std::string& what);

  db::Pipeline source_;
  db::Pipeline target_;
  const CheckSql& sql_;
  StepFindings& findings_;
  bool accept_changed_;
};

}  // namespace pawl::verify
