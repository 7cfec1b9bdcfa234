#include "verify/row_stream.h"

#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include <array>

#include "db/error.h"

namespace pawl::verify {
namespace {

// Blocks under way per connection: one being read, two being hashed or combined, one to spare. More
// hide no delay that the socket's buffer does not hide, and leave the cache.
constexpr std::size_t kBlocksUnderWay = 4;

void HashBlock(HashedBlock& hashed) {
  for (std::size_t index = 0; index < hashed.block.row_count(); ++index) {
    hashed.digest.Add(DigestRow(hashed.block.row(index)));
  }
}

}  // namespace

StreamDigest DigestCopy(pg_conn* connection, const std::string& copy_sql, int threads) {
  return StreamRows(connection, copy_sql, threads, {}, HashBlock, [](const HashedBlock&) {});
}

StreamDigest StreamRows(pg_conn* connection, const std::string& copy_sql, int threads,
                        const std::stop_token& stop, const std::function<void(HashedBlock&)>& hash,
                        const std::function<void(const HashedBlock&)>& combine) {
  PAWL_CHECK(threads > 0);
  db::CopyReader reader(connection, copy_sql);
  std::array<HashedBlock, kBlocksUnderWay> blocks;
  std::size_t blocks_read = 0;
  StreamDigest total;

  const auto read_stage = [&](tbb::flow_control& control) -> HashedBlock* {
    // The slot is free again: blocks leave in order, and no more than kBlocksUnderWay are inside.
    HashedBlock& hashed = blocks[blocks_read++ % kBlocksUnderWay];
    if (!stop.stop_requested() && reader.Read(hashed.block)) return &hashed;
    control.stop();
    return nullptr;
  };
  const auto hash_stage = [&](HashedBlock* hashed) {
    hashed->digest = {};
    hashed->rows.clear();
    hash(*hashed);
    return hashed;
  };
  const auto combine_stage = [&](HashedBlock* hashed) {
    total.digest.Add(hashed->digest);
    combine(*hashed);
  };
  const auto stages =
      tbb::make_filter<void, HashedBlock*>(tbb::filter_mode::serial_in_order, read_stage) &
      tbb::make_filter<HashedBlock*, HashedBlock*>(tbb::filter_mode::parallel, hash_stage) &
      tbb::make_filter<HashedBlock*, void>(tbb::filter_mode::serial_in_order, combine_stage);
  tbb::task_arena arena(threads);
  arena.execute([&] { tbb::parallel_pipeline(kBlocksUnderWay, stages); });
  total.byte_count = reader.byte_count();
  return total;
}

}  // namespace pawl::verify
