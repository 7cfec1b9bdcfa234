// A row of pawl.span, and what each statement of checkpoints/span_store.cc does to it. Positions
// are small numbers, 0 is the beginning. span_row_pg_test.cc compares each function with the real
// SQL on every small row, which binds the model to the code.
//
// Each is one statement at READ COMMITTED: where the row is locked it waits and then looks at the
// new version; the model's steps say when it may run (run_model.cc).
//
// Thread safety: all functions.
#pragma once

#include <cstdint>

namespace pawl::model {

using Small = std::uint8_t;

// Who holds the lease, as a claim sees it.
enum Holder : Small {
  kNobody,
  kAlive,    // Its process's connection exists and the lease has not run out.
  kExpired,  // It exists, and the lease has run out.
  kGone,     // The connection does not exist any more.
};

struct SpanRow {
  Small begin = 0;
  Small end = 0;
  Small cursor = 0;
  Small seq = 0;
  Small epoch = 0;
  Small holder = kNobody;
  Small done = 0;

  bool operator==(const SpanRow&) const = default;
};

// What a worker believes, checkpoints::SpanLease.
struct Lease {
  Small epoch = 0;
  Small cursor = 0;
  Small end = 0;
  Small seq = 0;

  bool operator==(const Lease&) const = default;
};

// The lines that keep a promise; a test takes each out and must see a promise broken.
struct Guards {
  bool fence_epoch = true;
  bool fence_cursor = true;
  bool fence_end = true;
  bool fence_done = true;
  bool claim_raises_epoch = true;
  bool claim_skips_locked = true;
  bool reclaim_waits = true;
  bool split_cursor = true;
  bool retire_forward =
      true;  // Before anything is taken back, no forward batch can commit any more.
};

inline Lease LeaseOf(const SpanRow& row) { return {row.epoch, row.cursor, row.end, row.seq}; }

inline bool FenceMatches(const SpanRow& row, const Lease& lease, const Guards& guards = {}) {
  return (row.epoch == lease.epoch || !guards.fence_epoch) &&
         (row.cursor == lease.cursor || !guards.fence_cursor) &&
         (row.end == lease.end || !guards.fence_end) && (!row.done || !guards.fence_done);
}

// Requires FenceMatches. It renews the lease, of whoever has it.
inline void Fence(SpanRow& row, Small new_cursor, bool done) {
  row.cursor = new_cursor;
  row.done = done;
  ++row.seq;
  if (row.holder == kExpired) row.holder = kAlive;
}

inline bool CanClaim(const SpanRow& row) { return !row.done && row.holder != kAlive; }

inline void Claim(SpanRow& row, const Guards& guards = {}) {
  if (guards.claim_raises_epoch) ++row.epoch;
  row.holder = kAlive;
}

inline bool CanReclaim(const SpanRow& row, const Lease& lease) {
  return row.epoch == lease.epoch && !row.done;
}

inline void Reclaim(SpanRow& row) {
  ++row.epoch;
  row.holder = kAlive;
}

// ReloadLease finds the row, and what it says is then the lease.
inline bool CanReload(const SpanRow& row, const Lease& lease) {
  return row.epoch == lease.epoch && !row.done;
}

inline void Finish(SpanRow& row, const Lease& lease) {
  if (row.epoch == lease.epoch && row.cursor == lease.cursor && row.end == lease.end) row.done = 1;
}

inline void Release(SpanRow& row, const Lease& lease) {
  if (row.epoch == lease.epoch) row.holder = kNobody;
}

inline bool CanSplit(const SpanRow& row, Small cursor, Small end, const Guards& guards = {}) {
  return (row.cursor == cursor || !guards.split_cursor) && row.end == end && !row.done;
}

// Requires CanSplit. Returns the tail.
inline SpanRow Split(SpanRow& row, Small middle) {
  SpanRow tail;
  tail.begin = tail.cursor = middle;
  tail.end = row.end;
  row.end = middle;
  return tail;
}

// Takes a span away from whoever works on it, for good.
inline void Retire(SpanRow& row) {
  if (row.done) return;
  row.done = 1;
  ++row.epoch;
  row.holder = kNobody;
}

}  // namespace pawl::model
