#include "verify/row_version.h"

#include <fmt/format.h>

namespace pawl::verify {

std::string ShortXid(const std::string& quoted_table) {
  return quoted_table + ".xmin::text::bigint";
}

// Below 3 are the xids of rows that were always there. One subtraction: the distance to the next
// xid, modulo 2^32. A cast to xid8 would not go through bigint, hence the texts.
std::string WholeXid(const std::string& quoted_table) {
  // A sub-select, so that it is asked once a statement and not once a row.
  constexpr const char* kNext = "(SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint)";
  const std::string xid = ShortXid(quoted_table);
  return fmt::format(
      "(CASE WHEN {0} < 3 THEN 0 ELSE {1} - ((({1} - {0}) % 4294967296 + 4294967296) % 4294967296) "
      "END)",
      xid, kNext);
}

std::string IsVisible(const std::string& quoted_table, const std::string& snapshot) {
  const std::string xid = WholeXid(quoted_table);
  return fmt::format("({0} < 3 OR pg_visible_in_snapshot(({0})::text::xid8, {1}))", xid, snapshot);
}

std::string OldestUnderWay(const std::string& snapshot) {
  return snapshot.substr(0, snapshot.find(':'));
}

std::string WrittenBy(const std::string& quoted_table, std::int64_t run,
                      const std::string& condition) {
  return fmt::format(
      "{} IN (SELECT l.xid::text::bigint % 4294967296 FROM pawl.ledger AS l WHERE l.run_id = {} "
      "AND {})",
      ShortXid(quoted_table), run, condition);
}

}  // namespace pawl::verify
