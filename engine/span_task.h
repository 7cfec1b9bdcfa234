// What a worker does with one leased span: yields batches one after the other. The worker knows
// transactions, leases and failures; the task knows which rows come next and what is done to them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoints/span_store.h"
#include "db/pipeline.h"

namespace pawl::engine {

// One batch: what stands between the fence and the COMMIT.
struct Batch {
  // The first one returns: batch id, rows changed, duration in microseconds.
  std::vector<db::Call> calls;
  std::string new_cursor;
  bool done = false;  // Nothing of the span is left behind new_cursor.
  std::int64_t rows_visited = 0;
  bool repeatable_read = false;
};

// Thread safety: none. Owned by one worker, for the length of one lease.
class SpanTask {
 public:
  virtual ~SpanTask() = default;

  // The next batch, or nullopt at the end of the span. `exact`: cut it to exactly `rows` rows or
  // fewer. Asked again before Committed, it yields the same rows or fewer. Throws db::Error.
  virtual std::optional<Batch> Next(std::int64_t rows, bool exact) = 0;

  // The same batch without the change: it moves past a row that is set aside. Requires a Next
  // before.
  virtual Batch Skip() = 0;

  // The last batch of Next or Skip committed with these results, one for each of its calls.
  virtual void Committed(const std::vector<db::Result>& results) = 0;

  // Another worker took the tail of the span.
  virtual void MoveEnd(const std::string& end_key) = 0;

  // The key of the last batch, as the JSON text of its upper end; the offender's where it is one
  // row.
  virtual std::string KeyText() const = 0;

  // Asks for the key of the one row that the last Next holds, where KeyText is no key but a place.
  virtual std::optional<db::Call> KeyCall() const { return std::nullopt; }

  // Where it is, for people: "key …" or "batch …".
  virtual std::string Place() const { return "key " + KeyText(); }

  // Share of HOT updates, -1 where it is not measured.
  virtual double hot_share() const { return -1; }
};

// Makes the task of a lease. Called by each worker, with its own connection.
class TaskSource {
 public:
  virtual ~TaskSource() = default;
  virtual std::unique_ptr<SpanTask> Open(db::Pipeline& pipeline,
                                         const checkpoints::SpanLease& lease,
                                         std::int64_t worker) = 0;
  // Takes work over from another worker where no span is free. Returns true if a span may be free
  // now.
  virtual bool Split(db::Pipeline& pipeline) = 0;
};

}  // namespace pawl::engine
