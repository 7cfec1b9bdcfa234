// Compares the rows of two COPY queries and names those that differ.
//
//     first reading    both sides, a digest per bucket of keys     equal: done
//     next readings    rows of differing buckets, matched by digest, until enough are named
//
// Memory does not grow with the tables. It knows rows, not ranges: the caller chooses what is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "verify/digest.h"
#include "verify/row_matcher.h"
#include "verify/row_stream.h"

struct pg_conn;

namespace pawl::verify {

struct CompareLimits {
  std::int64_t differences_max = 100;  // 0: compare the digests only.
  // Rows of differing buckets that one reading may hold while it matches them, both sides together.
  // About 100 bytes and the key's text each: 100 to 200 MB if no row finds its match, which takes
  // two sides in different order.
  std::int64_t rows_held_max = 1'000'000;
  int threads_per_connection = kThreadsDefault;
};

struct Comparison {
  RangeDigest source;
  RangeDigest target;
  // In the order of RowMatcher::Differences. Where there are more than differences_max, which ones
  // are given depends on the rows only, not on timing.
  std::vector<Difference> differences;
  bool complete = true;         // There are no others.
  std::int64_t byte_count = 0;  // Of all rows read on both sides, repeated readings included.

  bool equal() const { return source == target; }
};

// Compares two COPY … TO STDOUT (FORMAT binary) as multisets of rows. The first column of both is
// the row's key as text, and is part of the row:
//
//     COPY (SELECT id::text, t.* FROM orders AS t WHERE …) TO STDOUT (FORMAT binary)
//
// A key of several columns is best written `ROW(a, b)::text`, which quotes; rows without a key can
// take their whole text. Keys may repeat or be NULL: of three equal rows against two, one is
// missing.
//
// Every reading must give the same rows: both connections belong in REPEATABLE READ transactions
// (on one exported snapshot, if it is one database), with equal client_encoding and equal settings
// that shape text. A reading that gives other rows than the first throws kStop.
//
// The connections must be two, and idle. They are read at the same time, the target's on a thread
// of its own that has ended when the call returns. Throws db::Error; the connections are then idle
// again, or broken. Requires 0 <= differences_max <= 1,000,000; the other limits > 0.
//
// Among more than rows_held_max rows with one key, a changed row may be given as missing and extra.
Comparison CompareCopies(pg_conn* source, const std::string& source_copy, pg_conn* target,
                         const std::string& target_copy, const CompareLimits& limits = {});

}  // namespace pawl::verify
