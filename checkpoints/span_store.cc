#include "checkpoints/span_store.h"

#include <fmt/format.h>

#include "db/error.h"
#include "db/fault.h"

namespace pawl::checkpoints {
namespace {

std::string Text(std::int64_t value) { return std::to_string(value); }

std::vector<db::Value> Of(const Round& round) {
  return {Text(round.run), Text(round.step), Text(round.round)};
}

std::optional<SpanLease> FirstLease(const db::Result& result) {
  if (result.rows.empty()) return std::nullopt;
  const db::Row& row = result.rows[0];
  return SpanLease{db::ToInt(row[0]), db::ToInt(row[1]), db::ToInt(row[2]), db::ToText(row[3]),
                   db::ToText(row[4])};
}

// Each waits for a row as long as a control session waits for any lock, 5 s: together longer than a
// batch may take (kBatchTimeoutSeconds).
constexpr int kRetireAttempts = 4;

constexpr const char* kCountUnfinished =
    "SELECT count(*) FROM pawl.span WHERE run_id = $1::bigint AND step = $2::integer AND round = "
    "$3::integer AND NOT done";

constexpr const char* kLeaseColumns = "span_id, lease_epoch, seq, end_key, cursor";

}  // namespace

std::optional<SpanLease> ClaimSpan(db::Pipeline& pipeline, const Round& round,
                                   std::int64_t worker) {
  // A holder is gone when its process's connection no longer exists; breaking its lease is always
  // safe, because the epoch rises, and waiting for the lease to run out would cost kLeaseSeconds on
  // every restart.
  static const std::string sql = fmt::format(
      R"sql(UPDATE pawl.span SET lease_epoch = lease_epoch + 1, worker_id = $4::bigint,
                           lease_until = clock_timestamp() + interval '{} seconds'
 WHERE span_id = (
   SELECT c.span_id FROM pawl.span AS c
    WHERE c.run_id = $1::bigint AND c.step = $2::integer AND c.round = $3::integer AND NOT c.done
      AND (c.worker_id IS NULL OR c.lease_until < clock_timestamp() OR NOT EXISTS (
             SELECT FROM pawl.worker AS w JOIN pg_stat_activity AS a
                 ON a.pid = w.backend_pid
                AND (a.backend_start IS NULL OR a.backend_start = w.backend_start)
              WHERE w.worker_id = c.worker_id AND w.left_at IS NULL))
    ORDER BY c.span_id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING {})sql",
      kLeaseSeconds, kLeaseColumns);
  std::vector<db::Value> parameters = Of(round);
  parameters.push_back(Text(worker));
  PAWL_FAULT("before_claim");
  const db::Result claimed = pipeline.Run({{sql, parameters}})[0];
  PAWL_FAULT("after_claim");
  return FirstLease(claimed);
}

std::optional<SpanLease> ReclaimSpan(db::Pipeline& pipeline, const SpanLease& lease,
                                     std::int64_t worker) {
  // No SKIP LOCKED: the row lock of the transaction in doubt is what is waited for.
  static const std::string sql = fmt::format(
      R"sql(UPDATE pawl.span SET lease_epoch = lease_epoch + 1, worker_id = $3::bigint,
                           lease_until = clock_timestamp() + interval '{} seconds'
 WHERE span_id = $1::bigint AND lease_epoch = $2::bigint AND NOT done RETURNING {})sql",
      kLeaseSeconds, kLeaseColumns);
  PAWL_FAULT("before_reclaim");
  const db::Result claimed =
      pipeline.Run({{sql, {Text(lease.span), Text(lease.epoch), Text(worker)}}})[0];
  PAWL_FAULT("after_reclaim");
  return FirstLease(claimed);
}

std::optional<SpanLease> ReloadLease(db::Pipeline& pipeline, const SpanLease& lease) {
  static const std::string sql = fmt::format(
      "SELECT {} FROM pawl.span WHERE span_id = $1::bigint AND lease_epoch = $2::bigint AND NOT "
      "done",
      kLeaseColumns);
  return FirstLease(pipeline.Run({{sql, {Text(lease.span), Text(lease.epoch)}}})[0]);
}

void FinishSpan(db::Pipeline& pipeline, const SpanLease& lease) {
  PAWL_FAULT("before_finish_span");
  pipeline.Run(
      {{"UPDATE pawl.span SET done = true WHERE span_id = $1::bigint AND lease_epoch = $2::bigint "
        "AND cursor = $3 AND end_key = $4",
        {Text(lease.span), Text(lease.epoch), lease.cursor, lease.end_key}}});
}

void ReleaseSpan(db::Pipeline& pipeline, const SpanLease& lease) {
  PAWL_FAULT("before_release");
  pipeline.Run(
      {{"UPDATE pawl.span SET worker_id = NULL, lease_until = NULL WHERE span_id = $1::bigint AND "
        "lease_epoch = $2::bigint",
        {Text(lease.span), Text(lease.epoch)}}});
  PAWL_FAULT("after_release");
}

db::Call Fence(const SpanLease& lease, const std::string& new_cursor, bool done,
               std::int64_t rows_visited) {
#ifndef PAWL_MUTANT_fence_epoch
  constexpr const char* epoch = "lease_epoch = $2::bigint";
#else
  constexpr const char* epoch = "$2::bigint IS NOT NULL";
#endif
#ifndef PAWL_MUTANT_fence_cursor
  constexpr const char* cursor = "cursor = $3 AND end_key = $4";
#else
  constexpr const char* cursor = "$3::text IS NOT NULL AND $4::text IS NOT NULL";
#endif
  // The cast of a word to a number is how plain SQL raises an error; it runs only when no row
  // matched.
  static const std::string sql = fmt::format(
      R"sql(WITH fence AS (
UPDATE pawl.span SET cursor = $5, done = $6::boolean, seq = seq + 1,
                     rows_scanned = rows_scanned + $7::bigint,
                     lease_until = clock_timestamp() + interval '{} seconds'
 WHERE span_id = $1::bigint AND {} AND {} AND NOT done RETURNING seq)
SELECT CASE count(*) WHEN 1 THEN max(seq) ELSE ('{} ' || count(*))::bigint END FROM fence)sql",
      kLeaseSeconds, epoch, cursor, kLostLease);
  return {sql,
          {Text(lease.span), Text(lease.epoch), lease.cursor, lease.end_key, new_cursor,
           done ? "true" : "false", Text(rows_visited)}};
}

void RenewLeases(db::Session& session, const std::vector<HeldLease>& held) {
  static const std::string sql = fmt::format(
      "UPDATE pawl.span SET lease_until = clock_timestamp() + interval '{} seconds' WHERE span_id "
      "IN (SELECT span_id FROM pawl.span WHERE span_id = $1::bigint AND lease_epoch = $2::bigint "
      "AND NOT done AND lease_until < clock_timestamp() + interval '{} seconds' FOR UPDATE SKIP "
      "LOCKED)",
      kLeaseSeconds, kLeaseSeconds / 2);
  // SKIP LOCKED: a span in the middle of a batch renews itself.
  PAWL_FAULT("before_renew");
  for (const HeldLease& lease : held) session.Query(sql, {Text(lease.span), Text(lease.epoch)});
  PAWL_FAULT("after_renew");
}

bool CreateSpans(db::Session& session, const Round& round, const std::vector<SpanSeed>& spans) {
  db::Transaction transaction(session);
  if (round.round > 0) {
    const auto moved = session.Query(
        "UPDATE pawl.step SET state = 'running', round = $3::integer, started_at = "
        "coalesce(started_at, now()) WHERE run_id = $1::bigint AND step = $2::integer AND round IS "
        "DISTINCT FROM $3::integer",
        Of(round));
    if (moved.affected == 0) return false;
  }
  // Whatever the step says of its round: a second set of spans would change every row twice.
  const auto there = session.Query(
      "SELECT 1 FROM pawl.span WHERE run_id = $1::bigint AND step = $2::integer AND round = "
      "$3::integer LIMIT 1",
      Of(round));
  if (!there.rows.empty()) {
    transaction.Commit();
    return false;
  }
  for (const SpanSeed& span : spans) {
    std::vector<db::Value> parameters = Of(round);
    parameters.insert(parameters.end(),
                      {span.begin_key, span.end_key, span.cursor, Text(span.rows_estimated)});
    session.Query(
        "INSERT INTO pawl.span (run_id, step, round, begin_key, end_key, cursor, rows_estimated) "
        "VALUES ($1::bigint, $2::integer, $3::integer, $4, $5, $6, $7::bigint)",
        parameters);
  }
  PAWL_FAULT("in_spans");
  transaction.Commit();
  return true;
}

std::optional<SpanLease> LargestSpan(db::Pipeline& pipeline, const Round& round,
                                     std::int64_t* rows_left) {
  static const std::string sql = fmt::format(
      "SELECT {}, rows_estimated - rows_scanned FROM pawl.span WHERE run_id = $1::bigint AND step "
      "= $2::integer AND round = $3::integer AND NOT done AND worker_id IS NOT NULL ORDER BY "
      "rows_estimated - rows_scanned DESC LIMIT 1",
      kLeaseColumns);
  const db::Result found = pipeline.Run({{sql, Of(round)}})[0];
  if (!found.rows.empty()) *rows_left = db::ToInt(found.rows[0][5]);
  return FirstLease(found);
}

bool SplitSpan(db::Pipeline& pipeline, const SpanLease& span, const std::string& middle,
               const SpanSeed& tail) {
  PAWL_FAULT("before_split");
  // One statement: the new span exists exactly if the old one was cut.
  const db::Result cut = pipeline.Run({{
      R"sql(WITH cut AS (
UPDATE pawl.span SET end_key = $4, rows_estimated = rows_estimated - $5::bigint
 WHERE span_id = $1::bigint AND cursor = $2 AND end_key = $3 AND NOT done
RETURNING run_id, step, round)
INSERT INTO pawl.span (run_id, step, round, begin_key, end_key, cursor, rows_estimated)
SELECT run_id, step, round, $6, $7, $8, $5::bigint FROM cut RETURNING span_id)sql",
      {Text(span.span), span.cursor, span.end_key, middle, Text(tail.rows_estimated),
       tail.begin_key, tail.end_key, tail.cursor}}})[0];
  PAWL_FAULT("after_split");
  return !cut.rows.empty();
}

void RetireForwardSpans(db::Session& session, std::int64_t run) {
  // A statement sees the spans of its beginning: the tail that a worker cuts off while a lock is
  // waited for is seen by the next one. A tail is never cut off a span that is done.
  constexpr const char* kRetire =
      "UPDATE pawl.span SET done = true, lease_epoch = lease_epoch + 1, worker_id = NULL, "
      "lease_until = NULL, rows_estimated = least(rows_estimated, rows_scanned) WHERE run_id = "
      "$1::bigint AND round > 0 AND NOT done";
  int attempts_left = kRetireAttempts;
  while (true) {
    try {
      if (session.Query(kRetire, {Text(run)}).affected == 0) return;
    } catch (const db::Error& error) {
      if (error.action() != db::Action::kRetryBatch) throw;
      if (--attempts_left > 0) continue;
      throw db::Error(error.action(),
                      fmt::format("A batch of run {} is still at work, or its session hangs ({}). "
                                  "End that session, or wait for it, and say the same again.",
                                  run, error.what()),
                      error.sqlstate());
    }
  }
}

std::int64_t UnfinishedSpans(db::Session& session, const Round& round) {
  return db::ToInt(session.Query(kCountUnfinished, Of(round)).rows.at(0)[0]);
}

std::int64_t UnfinishedSpans(db::Pipeline& pipeline, const Round& round) {
  return db::ToInt(pipeline.Run({{kCountUnfinished, Of(round)}})[0].rows.at(0)[0]);
}

}  // namespace pawl::checkpoints
