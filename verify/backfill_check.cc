#include "verify/backfill_check.h"

#include <fmt/format.h>

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "db/error.h"
#include "db/fault.h"
#include "schema/position.h"
#include "verify/check_sql.h"
#include "verify/chunk_feed.h"
#include "verify/derivable.h"
#include "verify/insert_check.h"
#include "verify/verdict_tally.h"

namespace pawl::verify {
namespace {

using schema::StatementKind;
using schema::UndoKind;

// Of a chunk in which the expressions fail: so many of the rows that somebody wrote since are looked
// at in halves down to the ones that fail, at three statements a row. Some ten seconds at worst.
constexpr std::int64_t kOpenRowsMax = 10'000;

class StepChecker {
 public:
  StepChecker(const db::ConnectionString& where, const db::SessionSettings& settings,
              const schema::Backfill& backfill, std::int64_t run, int step,
              const CheckOptions& options)
      : where_(where),
        settings_(settings),
        backfill_(backfill),
        run_(run),
        step_(step),
        options_(options),
        sql_(backfill, run, step),
        findings_(options.differences_max),
        tally_(findings_, options.accept_changed),
        session_(where, "verify", settings),
        feed_(session_, backfill, run, step, findings_) {}

  StepCheck Check();

 private:
  void CountLedger();
  void LookForRecords();
  void CheckInserts();
  void CheckRows();
  void Work();
  std::optional<Chunk> NextChunk();
  void CheckChunk(db::Session& session, const Chunk& chunk);
  void CheckEqual(db::Session& session, const RowChunk& rows);
  void CheckOpen(db::Session& session, const RowChunk& rows);
  void CheckOpen(db::Session& session, std::span<const std::string> places);
  void CheckLeft(db::Session& session, const RowChunk& rows, bool with_newer);
  void TallyAltered(const std::string& verdicts);
  void CountWriters(db::Session& session, const RowChunk& rows);
  void LookForAltered();
  void LookForAltered(const Window& window);
  void LookForAlteredBlocks(const Chunk& chunk);
  void CheckRecords(db::Session& session, const std::string& batch_ids);
  void CheckRecordCounts(db::Session& session, const std::string& batch_ids);
  static bool Succeeds(db::Session& session, const std::function<void()>& look);
  void Report(const std::string& where, const std::string& what);

  // Whether a row that somebody wrote after its batch, and that does not tell so itself, is to be
  // looked for: a strict verification of rows that are not compared with undo records anyway.
  bool looks_for_altered() const {
    return !options_.accept_changed && backfill_.kind == StatementKind::kUpdate &&
           (backfill_.re_evaluable || !has_records_);
  }
  bool is_insert() const { return backfill_.kind == StatementKind::kInsertSelect; }
  bool is_delete() const { return backfill_.kind == StatementKind::kDelete; }

  const db::ConnectionString& where_;
  const db::SessionSettings& settings_;
  const schema::Backfill& backfill_;
  std::int64_t run_;
  int step_;
  const CheckOptions& options_;
  CheckSql sql_;
  StepFindings findings_;
  VerdictTally tally_;

  bool has_records_ = false;
  bool derive_ = false;
  bool failed_to_tell_altered_ = false;
  bool may_verify_none_ = false;  // There is a reason, and a note.
  std::int64_t rows_counted_ = 0;
  // Rows that a batch of this step wrote last, that a later step did, that anybody else did since.
  std::atomic<std::int64_t> rows_ours_ = 0;
  std::atomic<std::int64_t> rows_later_ = 0;
  std::atomic<std::int64_t> rows_newer_ = 0;

  std::mutex mutex_;  // Guards what follows.
  db::Session session_;
  ChunkFeed feed_;
  std::exception_ptr failure_;
};

void StepChecker::Report(const std::string& where, const std::string& what) {
  findings_.AddDifferences(1);
  findings_.AddFinding(where, what);
}

StepCheck StepChecker::Check() {
  CountLedger();
  LookForRecords();
  if (is_insert()) {
    CheckInserts();
  } else {
    CheckRows();
  }
  StepCheck check = findings_.Take();
  check.rows_counted = rows_counted_;
#ifndef PAWL_MUTANT_verify_none
  if (rows_counted_ > 0 && check.rows_verified + check.rows_changed_since == 0 &&
      check.differences_count == 0 && !may_verify_none_ && !tally_.has_noted()) {
    check.differences.push_back(
        {fmt::format("step {}", step_),
         fmt::format("Verified no row though the ledger counts {}.", rows_counted_)});
    ++check.differences_count;
  }
#endif
  return check;
}

void StepChecker::CountLedger() {
  const db::Result found = session_.Query(fmt::format(
      R"sql(SELECT coalesce(sum(l.rows) FILTER (WHERE r.reverts IS NULL), 0), count(r.reverts)
FROM pawl.ledger AS l
LEFT JOIN (SELECT DISTINCT reverts FROM pawl.ledger WHERE reverts IS NOT NULL) AS r
  ON r.reverts = l.batch_id
WHERE l.run_id = {} AND l.step = {} AND l.kind = 'change')sql",
      run_, step_));
  rows_counted_ = db::ToInt(found.rows.at(0)[0]);
  const std::int64_t taken_back = db::ToInt(found.rows[0][1]);
  if (taken_back > 0) findings_.AddNote(fmt::format("{} batches were taken back.", taken_back));
}

void StepChecker::LookForRecords() {
  if (backfill_.undo != UndoKind::kImage) {
    if (is_insert() || is_delete()) {
      may_verify_none_ = true;
      findings_.AddNote(
          "The step keeps no undo records: which rows it changed cannot be looked at.");
    }
    return;
  }
  const db::Result found =
      session_.Query(fmt::format("SELECT to_regclass('{}') IS NOT NULL", sql_.undo_table()));
  has_records_ = db::ToBool(found.rows.at(0)[0]);
  if (!has_records_ && rows_counted_ > 0) {
    Report(sql_.undo_table(), "The table of the step's undo records does not exist.");
  }
  if (!has_records_ || backfill_.kind != StatementKind::kUpdate || backfill_.re_evaluable) return;
  const std::string why_not = WhyNotDerivable(session_, backfill_, sql_.StatementText());
  derive_ = why_not.empty();
  if (!derive_) {
    findings_.AddNote(
        fmt::format("What the step wrote was not computed again, because {}; it was compared with "
                    "the undo records.",
                    why_not));
  }
}

// ---- INSERT … SELECT ----

void StepChecker::CheckInserts() {
  InsertCheck inserts(where_, settings_, sql_, findings_, options_.accept_changed);
  const bool in_pieces =
      backfill_.order == schema::Order::kKey || backfill_.order == schema::Order::kKeyStrides;
  RowChunk all;
  std::string all_batches;
  while (const std::optional<Chunk> chunk = NextChunk()) {
    if (!chunk->batch_ids.empty() && has_records_) CheckRecordCounts(session_, chunk->batch_ids);
    if (chunk->is_tail) {
      inserts.LookBehind(*chunk->rows);
    } else if (in_pieces && chunk->rows) {
      if (has_records_) inserts.Compare(*chunk->rows, chunk->batch_ids);
    } else {
      // A row of the source may lie in other blocks now than when its batch ran.
      if (chunk->rows) all = {{}, {}, chunk->rows->covers, chunk->rows->rest_snapshot};
      if (!chunk->batch_ids.empty()) {
        all_batches += (all_batches.empty() ? "" : ",") + chunk->batch_ids;
      }
    }
  }
  if (!in_pieces && has_records_) inserts.Compare(all, all_batches);
}

// ---- UPDATE, DELETE ----

void StepChecker::CheckRows() {
  std::vector<std::jthread> threads;
  for (int i = 0; i < options_.threads; ++i) threads.emplace_back([this] { Work(); });
  threads.clear();
  if (failure_) std::rethrow_exception(failure_);
    // As many as the batches changed are still as they left them: nobody changed or deleted one.
#ifndef PAWL_MUTANT_verify_altered
  if (looks_for_altered() && rows_ours_ < rows_counted_) LookForAltered();
#endif
}

void StepChecker::CountWriters(db::Session& session, const RowChunk& rows) {
  const db::Result counts = session.Query(sql_.CountWriters(rows));
  rows_ours_ += db::ToInt(counts.rows.at(0)[0]);
  rows_later_ += db::ToInt(counts.rows[0][1]);
  rows_newer_ += db::ToInt(counts.rows[0][2]);
}

// A row that was written after its batch and matches WHERE is the application's insert, or one of
// ours that somebody changed; one that is not there tells nothing. Undo records know their keys.
// Without, the counts of a range tell whether any is amiss, and all that may be are named.
void StepChecker::LookForAltered() {
  StepFindings told_already(0);
  ChunkFeed feed(session_, backfill_, run_, step_, told_already);
  const bool in_blocks =
      backfill_.order == schema::Order::kBlock || backfill_.order == schema::Order::kBlockStrides;
  while (const std::optional<Chunk> chunk = feed.Next()) {
    const db::Transaction transaction(session_, true, true);
    if (has_records_) {
      if (!chunk->batch_ids.empty()) TallyAltered(sql_.AlteredRecords(chunk->batch_ids));
    } else if (in_blocks) {
      LookForAlteredBlocks(*chunk);
    } else {
      for (const Window& window : chunk->windows) LookForAltered(window);
    }
  }
  // A row that moved may have been changed by two batches.
  const std::int64_t there = rows_ours_ + rows_later_ + rows_newer_;
  if (!has_records_ && in_blocks && there < rows_counted_) {
    findings_.AddDifferences(rows_counted_ - there);
    findings_.AddFinding(
        fmt::format("step {}", step_),
        fmt::format("The batches changed {} rows, but only {} are there that they or somebody "
                    "after them wrote: rows were deleted, or changed twice. The step keeps no "
                    "record of their keys.",
                    rows_counted_, there));
  }
}

void StepChecker::LookForAltered(const Window& window) {
  const db::Result counts = session_.Query(sql_.CountWriters(window.rows));
  const std::int64_t there = db::ToInt(counts.rows.at(0)[0]) + db::ToInt(counts.rows[0][1]);
  if (there >= window.rows_changed) return;
  TallyAltered(sql_.AlteredRows(window.rows));
  const std::string lo =
      window.rows.lo ? schema::Display(schema::PositionFrom(*window.rows.lo)) : "the beginning";
  const std::int64_t gone = window.rows_changed - there - db::ToInt(counts.rows[0][2]);
  if (gone <= 0) return;
  findings_.AddDifferences(gone);
  findings_.AddFinding(
      fmt::format("after {} up to {}", lo, schema::Display(schema::PositionFrom(*window.rows.hi))),
      fmt::format("{} of the {} rows that were changed here {} no longer there. The step keeps no "
                  "record of their keys.",
                  gone, window.rows_changed, gone == 1 ? "is" : "are"));
}

// Rows move between blocks, so that only the whole table has a sum.
void StepChecker::LookForAlteredBlocks(const Chunk& chunk) {
  if (chunk.rows && rows_ours_ + rows_later_ < rows_counted_) {
    TallyAltered(sql_.AlteredRows(*chunk.rows));
  }
}

void StepChecker::TallyAltered(const std::string& verdicts) {
  if (Succeeds(session_, [&] { tally_.Add(session_, verdicts); })) return;
  if (std::exchange(failed_to_tell_altered_, true)) return;
  Report(fmt::format("step {}", step_),
         "Of some rows that match the WHERE clause and were written after their batch it cannot be "
         "told whether the batch had changed them: what they should hold cannot be computed over "
         "one of them any more.");
}

void StepChecker::Work() {
  try {
    db::Session session(where_, "verify", settings_);
    while (const std::optional<Chunk> chunk = NextChunk()) CheckChunk(session, *chunk);
  } catch (...) {
    const std::scoped_lock lock(mutex_);
    if (!failure_) failure_ = std::current_exception();
  }
}

std::optional<Chunk> StepChecker::NextChunk() {
  const std::scoped_lock lock(mutex_);
  if (failure_) return std::nullopt;
  if (options_.stopped()) {
    throw db::Error(
        db::Action::kStop,
        fmt::format("The verification of step {} was stopped before its end, so there is no "
                    "verdict. Verify it again.",
                    step_));
  }
  return feed_.Next();
}

void StepChecker::CheckChunk(db::Session& session, const Chunk& chunk) {
  PAWL_FAULT("before_chunk");
  const db::Transaction transaction(session, true, true);
  if (has_records_ && !chunk.batch_ids.empty()) CheckRecords(session, chunk.batch_ids);
  if (!chunk.rows) return;
  if (looks_for_altered() && !chunk.is_tail) CountWriters(session, *chunk.rows);
  if (backfill_.re_evaluable && !chunk.is_tail) {
    CheckEqual(session, *chunk.rows);
    return;
  }
  // Where written values are kept, those tell what was changed since.
  const bool with_newer = backfill_.undo != UndoKind::kImage || is_delete();
  CheckLeft(session, *chunk.rows, with_newer && !chunk.is_tail);
  if (backfill_.kind == StatementKind::kUpdate && backfill_.undo != UndoKind::kImage &&
      !chunk.is_tail) {
    findings_.AddNote(
        "The statement does not give the same again and no values were kept: rows were verified to "
        "be written by the run, not what they hold.");
    tally_.Add(session, sql_.RowsWritten(*chunk.rows));
  }
}

// Rows that the application wrote after their batch may not suit the WHERE clause.
void StepChecker::CheckLeft(db::Session& session, const RowChunk& rows, bool with_newer) {
  using enum CheckSql::Newer;
  const auto look = [&] {
    tally_.Add(session, sql_.RowsLeft(rows, with_newer ? kCounted : kLeftOut));
  };
  if (Succeeds(session, look)) return;
  if (with_newer) {
    findings_.AddNote(
        "The WHERE clause cannot be evaluated over a row that was written after its batch: rows "
        "that match it and were written after their batches were not counted everywhere.");
  }
  tally_.Add(session, sql_.RowsLeft(rows, kNotEvaluated));
}

// Nearly always all rows are equal, and one count is all there is to do.
void StepChecker::CheckEqual(db::Session& session, const RowChunk& rows) {
  const bool succeeds = Succeeds(session, [&] {
    const db::Result counts = session.Query(sql_.CountEqual(rows));
    const std::int64_t in_scope = db::ToInt(counts.rows.at(0)[0]);
    const std::int64_t equal = db::ToInt(counts.rows[0][1]);
    if (equal != in_scope) tally_.Add(session, sql_.UnequalRows(rows));
    findings_.AddVerified(equal);
  });
  if (!succeeds) CheckOpen(session, rows);
}

// What the run wrote must be evaluated and is never excused: where that fails, so does the check.
void StepChecker::CheckOpen(db::Session& session, const RowChunk& rows) {
  tally_.Add(session, sql_.SettledRows(rows));
  const db::Result open = session.Query(sql_.OpenRows(rows, kOpenRowsMax));
  if (open.rows.empty()) return;
  std::vector<std::string> places;
  for (const db::Row& row : open.rows) places.push_back(db::ToText(row[0]));
  CheckOpen(session, places);
  const std::int64_t rest = db::ToInt(open.rows[0][1]) - static_cast<std::int64_t>(places.size());
  if (rest == 0) return;
  tally_.Weigh("failing", rest);
  findings_.AddNoted(rest, "written after the batch, and not looked at beside so many others.");
}

// Halves them until the ones that fail are alone.
void StepChecker::CheckOpen(db::Session& session, std::span<const std::string> places) {
  if (Succeeds(session, [&] { tally_.Add(session, sql_.OpenVerdicts(places)); })) return;
  if (places.size() > 1) {
    CheckOpen(session, places.first(places.size() / 2));
    return CheckOpen(session, places.subspan(places.size() / 2));
  }
  findings_.AddNoted(
      1, "written after the batch, over which what it should hold cannot be computed any more.");
  const auto evaluate = [&](bool where) {
    tally_.Add(session, sql_.FailingVerdicts(places, where));
  };
  if (!Succeeds(session, [&] { evaluate(true); })) evaluate(false);
}

void StepChecker::CheckRecords(db::Session& session, const std::string& batch_ids) {
  CheckRecordCounts(session, batch_ids);
  if (is_delete()) {
    tally_.Add(session, sql_.DeleteRecords(batch_ids));
  } else if (!backfill_.re_evaluable) {
    tally_.Add(session, sql_.UpdateRecords(batch_ids, derive_));
  }
}

void StepChecker::CheckRecordCounts(db::Session& session, const std::string& batch_ids) {
  for (const db::Row& row : session.Query(sql_.RecordCounts(batch_ids)).rows) {
    Report("batch " + db::ToText(row[0]),
           fmt::format("The batch changed {} rows by the ledger, but has undo records of {}.",
                       db::ToText(row[1]), db::ToText(row[2])));
  }
}

// Whether no row refused to be looked at; if one did, the transaction goes on as if not asked.
bool StepChecker::Succeeds(db::Session& session, const std::function<void()>& look) {
  session.Execute("SAVEPOINT pawl_look");
  try {
    look();
  } catch (const db::Error& error) {
    if (error.action() != db::Action::kBadData) throw;
    session.Execute("ROLLBACK TO SAVEPOINT pawl_look");
    return false;
  }
  session.Execute("RELEASE SAVEPOINT pawl_look");
  return true;
}

}  // namespace

StepCheck CheckBackfill(const db::ConnectionString& where, const db::SessionSettings& settings,
                        const schema::Backfill& backfill, std::int64_t run, int step,
                        const CheckOptions& options) {
  PAWL_CHECK(options.threads > 0);
  return StepChecker(where, settings, backfill, run, step, options).Check();
}

}  // namespace pawl::verify
