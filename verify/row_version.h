// Which transaction wrote a row, as expressions: its xmin, 32 bits, made whole with the next xid of
// the server. For the files check_sql*.cc only.
//
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <string>

namespace pawl::verify {

// xmin as a number of 32 bits, and whole.
std::string ShortXid(const std::string& quoted_table);
std::string WholeXid(const std::string& quoted_table);

// Whether the row version is visible in `snapshot`, an expression.
std::string IsVisible(const std::string& quoted_table, const std::string& snapshot);

// The oldest xid that was under way in a snapshot, from the snapshot's text.
std::string OldestUnderWay(const std::string& snapshot);

// Whether a batch wrote the row version, by 32 bits. `condition` picks the batches.
std::string WrittenBy(const std::string& quoted_table, std::int64_t run,
                      const std::string& condition);

}  // namespace pawl::verify
