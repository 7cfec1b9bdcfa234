// Spans and their leases: who may work where, and the fence that makes it so.
//
// A lease is a worker's right to a span. Its epoch rises with each lease. Every batch begins with
// the fence: it moves the cursor where span, epoch, cursor and end all still are what the worker
// believes. A worker that was frozen past its lease, and one whose span was split behind its back,
// both match no row: their transaction fails and leaves nothing.
//
// This folder never interprets a cursor or a boundary; it compares their text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/pipeline.h"
#include "db/session.h"

namespace pawl::checkpoints {

struct SpanLease {
  std::int64_t span = 0;
  std::int64_t epoch = 0;
  std::int64_t seq = 0;  // Batches committed so far.
  std::string end_key;
  std::string cursor;
};

struct SpanSeed {
  db::Value begin_key;
  std::string end_key;
  std::string cursor;
  std::int64_t rows_estimated = 0;
};

struct Round {
  std::int64_t run = 0;
  int step = 0;
  int round = 0;  // 1: the change; 2 and up: closing sweeps; negative: taking back round -n.
};

// A frozen worker's span is free again after this long. Longer than any batch may take
// (kBatchTimeoutSeconds), so that a lease never runs out under a live batch.
inline constexpr int kLeaseSeconds = 15;
inline constexpr int kBatchTimeoutSeconds = 10;

// Leases a free span of the round, or one whose holder is gone or frozen; nullopt where there is
// none.
std::optional<SpanLease> ClaimSpan(db::Pipeline& pipeline, const Round& round, std::int64_t worker);

// Leases this very span again, waiting for a transaction that is still under way on it: afterwards
// the cursor says for certain whether a batch in doubt has committed, and no earlier one can commit
// any more. nullopt where another worker has taken the span meanwhile.
std::optional<SpanLease> ReclaimSpan(db::Pipeline& pipeline, const SpanLease& lease,
                                     std::int64_t worker);

// Reads the span as it is now; nullopt where the lease is lost.
std::optional<SpanLease> ReloadLease(db::Pipeline& pipeline, const SpanLease& lease);

// Marks a span done whose cursor already stands at its end (its tail was taken over). Does nothing
// where the lease is lost or the end has moved again.
void FinishSpan(db::Pipeline& pipeline, const SpanLease& lease);

// Gives the span back; does nothing where the lease is lost.
void ReleaseSpan(db::Pipeline& pipeline, const SpanLease& lease);

// The fence, as the first statement of a batch transaction. Fails with a message that begins with
// kLostLease where the lease is lost or the end has moved.
inline constexpr const char* kLostLease = "pawl: lost lease";
db::Call Fence(const SpanLease& lease, const std::string& new_cursor, bool done,
               std::int64_t rows_visited);

// Renews these leases. Only those that a thread of this process knows it holds: a claim whose
// answer was lost is held by nobody, and must run out.
struct HeldLease {
  std::int64_t span = 0;
  std::int64_t epoch = 0;
  bool operator==(const HeldLease&) const = default;
};
void RenewLeases(db::Session& session, const std::vector<HeldLease>& held);

// Creates the spans of a round, once: does nothing and returns false where the round exists. In one
// transaction with the step's state.
bool CreateSpans(db::Session& session, const Round& round, const std::vector<SpanSeed>& spans);

// The unfinished span with most left to do, for splitting; nullopt where all are done.
std::optional<SpanLease> LargestSpan(db::Pipeline& pipeline, const Round& round,
                                     std::int64_t* rows_left);

// Cuts (middle, end] off a span as a new one with `tail`. Returns false, and changes nothing, where
// the cursor is no longer the one in `span`: the caller looks again. It waits for the span's row
// lock, so that a batch under way commits first and the next one meets the new end.
bool SplitSpan(db::Pipeline& pipeline, const SpanLease& span, const std::string& middle,
               const SpanSeed& tail);

// Takes every unfinished forward span of the run away for good: afterwards no batch of the way
// forward can commit, however late its worker wakes up, and nobody can lease or split one. Waits
// for batches under way. To be called before the ledger is read for taking it back.
//
// Accident without it: a worker that was frozen, or has not heard yet, commits behind the back of a
// revert, which then says that all is as it was.
void RetireForwardSpans(db::Session& session, std::int64_t run);

// Spans of the round that are not done, whoever holds them.
std::int64_t UnfinishedSpans(db::Session& session, const Round& round);
std::int64_t UnfinishedSpans(db::Pipeline& pipeline, const Round& round);

}  // namespace pawl::checkpoints
