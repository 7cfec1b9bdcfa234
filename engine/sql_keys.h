// Finds keys ahead by asking PostgreSQL over the worker's own connection.
#pragma once

#include "batching/span_walker.h"
#include "db/pipeline.h"
#include "schema/plan.h"

namespace pawl::engine {

class SqlKeys : public batching::KeySource {
 public:
  // Both must outlive it.
  SqlKeys(db::Pipeline& pipeline, const schema::Backfill& backfill)
      : pipeline_(pipeline), backfill_(backfill) {}

  std::optional<schema::Position> KeyAt(const schema::Slice& slice, std::int64_t count) override;
  std::optional<schema::Position> Ahead(const schema::Range& range, std::int64_t count) override;

 private:
  db::Pipeline& pipeline_;
  const schema::Backfill& backfill_;
};

bool IsBlockOrder(const schema::Backfill& backfill);

// The tid behind every row of blocks [0, blocks), and the number of blocks up to the one of a tid.
// BlocksUpTo throws db::Error (kStop) where `tid` is none: such positions come from the control
// schema.
schema::Position EndOfBlock(std::int64_t blocks);
std::int64_t BlocksUpTo(const schema::Position& tid);

// Rows a page, at least 1.
std::int64_t RowsPerPage(const schema::Backfill& backfill);

}  // namespace pawl::engine
