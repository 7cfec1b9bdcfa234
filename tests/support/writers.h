// The application that keeps writing while Pawl works: threads that insert, update and delete
// random rows, and an account of what was acknowledged, from which the table's contents follow.
//
// After Vitess's stress test of its online schema changes: with every insert starting a counter at
// 0, every update adding 1 and every acknowledged change counted,
//
//     rows      = rows before     + inserts − deletes
//     counters  = counters before + updates − counters of the deleted rows
//
// A history table makes it exact per row, also where the outcome of a commit is in doubt: its line
// is written in the transaction of the change, so it is there if and only if the change is.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/test_database.h"

namespace pawl::test {

struct WriterOptions {
  std::string url{};
  std::string table{};                     // As it is to appear in SQL, schema and quotes included.
  std::string key_column = "id";           // bigint, integer, or text: cast from the number.
  std::string counter_column = "updates";  // integer, NOT NULL, touched by nobody else.
  std::int64_t key_begin = 1;              // Random keys from [key_begin, key_end).
  std::int64_t key_end = 10'000;
  // What an insert must give besides key and counter; $1 is the key: {"payload", "'row ' || $1"}.
  std::vector<std::pair<std::string, std::string>> insert_columns{};
  bool inserts = true;
  bool updates = true;
  bool deletes = true;
  // Whether two threads may insert the same key in the same instant. Where the table has a second
  // unique index, ON CONFLICT (key) refuses one of them (23505), in any PostgreSQL.
  bool inserts_meet = true;
  bool with_history = true;  // Into <table>_history and <table>_before, made by Writers.
  int threads = 2;
  double changes_per_second = 400;  // Of all threads together; 0: as fast as they can.
  std::uint64_t seed = 1;
};

struct WriterCounts {
  std::int64_t inserts = 0;
  std::int64_t updates = 0;
  std::int64_t deletes = 0;
  std::int64_t deleted_counters = 0;  // Sum of the counters of deleted rows.
  std::int64_t missed = 0;            // Hit no row, or one that was there: nothing changed.
  std::int64_t retried = 0;   // Serialization failures, deadlocks and timeouts: rolled back.
  std::int64_t in_doubt = 0;  // The connection broke before the answer.
  std::int64_t refused = 0;   // Any other error; `first_refusal` has the first.
  std::string first_refusal{};
  std::chrono::microseconds latency_p50{0};
  std::chrono::microseconds latency_p99{0};
  std::chrono::microseconds latency_max{0};  // The longest stall that the application saw.

  std::int64_t acknowledged() const { return inserts + updates + deletes; }
};

// Thread safety: none. Its threads end with Stop() or with it.
class Writers {
 public:
  // Notes the table as it is, and begins to write. Throws SqlError where that fails.
  explicit Writers(WriterOptions options);
  ~Writers();
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;

  // Changes acknowledged so far, by all threads.
  std::int64_t acknowledged() const;

  // Waits until `count` more changes are acknowledged. Returns false when that takes longer than
  // `limit`.
  bool WaitForMore(std::int64_t count,
                   std::chrono::milliseconds limit = std::chrono::seconds(60)) const;

  // Ends the threads and returns their account; the same again when called again.
  WriterCounts Stop();

  // After Stop(): compares `table` (default: the one written to) with what must be in it. Returns
  // an empty text, or what differs, with the first keys. With a history it is exact per row;
  // without, by the sums, which cannot judge while something is in doubt (and then say so).
  std::string Mismatch(const std::string& table = {});

 private:
  class Crew;
  std::unique_ptr<Crew> crew_;
};

}  // namespace pawl::test
