// Whether the server behind an address is still the one that a process works on. A failover leads
// the address to another server with the same system identifier, which is right; but led back to
// the old primary, which nobody has switched off, a worker would go on there, on data that has been
// given up. Each promotion raises the timeline, so one that is lower than before tells.
//
// A process that starts anew has seen no timeline. It cannot be told then, and does no harm to the
// server that was promoted.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace pawl::engine {

// Thread safety: all methods.
class TimelineWatch {
 public:
  // One row: the timeline that the server writes to, 0 where it is a replica.
  static constexpr const char* kSql =
      "SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN 0 ELSE ('x' || "
      "left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8))::bit(32)::bigint "
      "END";

  // Throws db::Error kStop where `timeline` is 0 or lower than one that was noted before; notes it
  // otherwise. `server` is for the message.
  void Note(std::int64_t timeline, const std::string& server);

 private:
  std::atomic<std::int64_t> highest_{0};
};

}  // namespace pawl::engine
