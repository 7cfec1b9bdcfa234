// Reads the rows of a COPY query and digests them.
//
//     read blocks (serial) ──▶ hash rows (parallel) ──▶ combine (serial)
//
// One pipeline per connection. Memory does not grow with the table: the blocks under way are
// bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "db/copy_stream.h"
#include "verify/digest.h"

namespace pawl::verify {

struct StreamDigest {
  RangeDigest digest;
  std::int64_t byte_count = 0;  // Of the rows; the stream's own framing is not counted.
};

// Threads of a pipeline, the calling one included; with 1, all stages run on the calling thread.
// More do not pay where they were measured (2 cores, bench/verify_stream_bench.cc): of a row's
// time, the server takes 1.4 us, libpq 0.2 and hashing 0.1, and a TBB thread that looks out for the
// next block burns 0.5 that the server could use. They would pay where one reader is slower than
// its server.
constexpr int kThreadsDefault = 1;

// Returns the digest of the rows of `copy_sql`, one COPY … TO STDOUT (FORMAT binary), run on the
// idle `connection`. Throws db::Error (db/copy_stream.h); the connection is then idle again, or
// broken. Requires threads > 0.
StreamDigest DigestCopy(pg_conn* connection, const std::string& copy_sql,
                        int threads = kThreadsDefault);

// A row that the hashing stage picked out for the combining stage.
struct HashedRow {
  std::size_t index = 0;  // In its block.
  std::uint64_t key_hash = 0;
  RowDigest digest;
};

// A block on its way through the pipeline; reused, so that nothing is allocated per block.
struct HashedBlock {
  db::CopyBlock block;
  RangeDigest digest;           // Of all rows of the block.
  std::vector<HashedRow> rows;  // Those picked out.
};

// Like DigestCopy, with the two stages given. `hash` gets a block with an empty digest and no rows
// picked out, and fills in both; it is called for several blocks at once. `combine` gets the blocks
// one at a time, in the order of the stream. Ends early, with what was read so far, once `stop` is
// requested. Throws what DigestCopy throws and what the stages throw.
StreamDigest StreamRows(pg_conn* connection, const std::string& copy_sql, int threads,
                        const std::stop_token& stop, const std::function<void(HashedBlock&)>& hash,
                        const std::function<void(const HashedBlock&)>& combine);

}  // namespace pawl::verify
