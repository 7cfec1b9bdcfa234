// Somebody's hand in the control schema, at random: any column of any row of a run in the middle
// set to something else. Whatever it was: no crash, an exit code with a sentence, and every row of
// the user's changed once or not at all.
//
//     PAWL_SEED=17 PAWL_SWEEP=200 cli_damaged_sweep_e2e_test     another seed, more of it
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "tests/cli/half_run.h"

namespace pawl::test {
namespace {

struct Place {
  std::string table;
  std::string column;
  std::string type;
};

std::uint64_t FromEnvironment(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::stoull(value);
}

// SQL expressions. A column that does not take one is left alone.
std::vector<std::string> ValuesOf(const std::string& type) {
  if (type == "boolean") return {"true", "false", "NULL"};
  if (type == "integer") return {"NULL", "-1", "0", "2", "2147483647", "-2147483648"};
  if (type == "bigint") return {"NULL", "-1", "0", "2", "9223372036854775807"};
  if (type == "pg_snapshot") return {"NULL", "'1:1:'", "'1:4294967295:'"};
  if (type == "xid8") return {"NULL", "'0'", "'18446744073709551615'"};
  if (type == "pg_lsn") return {"NULL", "'0/0'", "'FFFFFFFF/FFFFFFFF'"};
  if (type.starts_with("timestamp"))
    return {"NULL", "'infinity'", "'-infinity'", "'0001-01-01 BC'"};
  return {"NULL",
          "''",
          "'banana'",
          "'-1'",
          "'[]'",
          "'{}'",
          "'[\"1\",\"2\"]'",
          "'null'",
          "repeat('[', 100000)",
          "repeat('x', 1000000)",
          "chr(10) || '''; --'",
          "'running'",
          "'done'",
          "'paused'",
          "'revert'"};
}

class DamagedSweepE2eTest : public testing::Test {
 protected:
  DamagedSweepE2eTest() {
    database_.Exec("UPDATE pawl.run SET pace = 0");  // It has been caught in the act.
    database_.Exec("CREATE SCHEMA kept");
    for (const std::string& table : Tables()) {
      database_.Exec(fmt::format("CREATE TABLE kept.\"{0}\" AS TABLE pawl.\"{0}\"", table));
    }
    database_.Exec("CREATE TABLE kept.item AS TABLE public.item");
  }

  // Those that may refer to others last.
  std::vector<std::string> Tables() {
    std::vector<std::string> tables;
    for (const Row& row : database_.Rows(
             "SELECT relname FROM pg_class WHERE relnamespace = 'pawl'::regnamespace AND relkind = "
             "'r' AND relname NOT IN ('audit', 'version') ORDER BY array_position(ARRAY["
             "'migration', 'plan', 'run'], relname::text), relname")) {
      tables.push_back(row[0]);
    }
    return tables;
  }

  void PutBack() {
    std::string sql = "BEGIN; SET LOCAL session_replication_role = replica; ";
    for (const Row& row : database_.Rows(
             "SELECT relname FROM pg_class WHERE relnamespace = 'kept'::regnamespace AND relkind = "
             "'r' AND relname <> 'item'")) {
      sql += fmt::format(
          "DELETE FROM pawl.\"{0}\"; INSERT INTO pawl.\"{0}\" OVERRIDING SYSTEM VALUE SELECT * "
          "FROM kept.\"{0}\"; ",
          row[0]);
    }
    database_.Exec(sql + "TRUNCATE item; INSERT INTO item SELECT * FROM kept.item; COMMIT");
  }

  std::vector<Place> Places() {
    std::vector<Place> places;
    for (
        const Row& row : database_.Rows(
            "SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_attribute AS a "
            "JOIN pg_class AS c ON c.oid = a.attrelid WHERE c.relnamespace = 'pawl'::regnamespace "
            "AND c.relname IN ('run', 'step', 'span', 'ledger', 'plan', 'worker') AND a.attnum > 0 "
            "AND NOT a.attisdropped ORDER BY c.relname, a.attnum")) {
      places.push_back({row[0], row[1], row[2]});
    }
    return places;
  }

  void ExpectEachRowOnceOrNotAtAll() {
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM item"), HalfRun::kRows);
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM item WHERE price NOT IN (id, id + 1)"), 0);
  }

  // Returns false where the column does not take the value.
  bool Damage(const Place& place, const std::string& value) {
    try {
      database_.Exec(fmt::format("UPDATE pawl.{} SET {} = {}::{}", place.table, place.column, value,
                                 place.type));
      return true;
    } catch (const SqlError&) {
      return false;
    }
  }

  void ExpectSentenceOrSuccess(const std::vector<std::string>& words, bool says_all_is_done) {
    SCOPED_TRACE(words[0]);
    const Finished finished = RunPawl(words, database_.url());
    ExpectEachRowOnceOrNotAtAll();
    if (finished.exit_code == 0) {
      const std::int64_t changed =
          database_.Integer("SELECT count(*) FROM item WHERE price = id + 1");
      // Else it would be a success that is none.
      if (!says_all_is_done) {
        EXPECT_TRUE(changed == HalfRun::kRows || changed == 0) << changed << finished.both();
      }
      return;
    }
    // 3: the verification has found it, 5: conflicts of a revert.
    EXPECT_LE(finished.exit_code, 5) << finished.both();
    EXPECT_GT(finished.err.size(), 10u) << finished.both();
  }

  TestDatabase database_;
  HalfRun half_{database_};
};

// The same each time, so that a mistake found by another seed is somebody's finding and not
// everybody's red build.
constexpr std::uint64_t kSeed = 20'261'121;

TEST_F(DamagedSweepE2eTest, NoDamageCrashesOrChangesARowTwice) {
  const std::uint64_t seed = FromEnvironment("PAWL_SEED", kSeed);
  const std::uint64_t wanted = FromEnvironment("PAWL_SWEEP", 25);
  std::cout << "PAWL_SEED=" << seed << " PAWL_SWEEP=" << wanted << "\n";
  std::mt19937_64 random(seed);
  const std::vector<Place> places = Places();
  ASSERT_GT(places.size(), 60u);
  for (std::uint64_t done = 0; done < wanted && !HasFailure();) {
    const Place& place = places[random() % places.size()];
    const std::vector<std::string> values = ValuesOf(place.type);
    const std::string& value = values[random() % values.size()];
    SCOPED_TRACE(fmt::format("pawl.{}.{} = {}", place.table, place.column, value));
    const bool resumes = random() % 2 == 0;
    // Two rows a second is a pace, and would take an hour.
    if (place.column == "pace" && value == "2") continue;
    if (!Damage(place, value)) continue;
    ++done;
    // A hand that says "completed" is believed by `pawl run`, which has nothing to do then.
    const bool says_done = place.table == "run" && place.column == "state";
    ExpectSentenceOrSuccess(
        resumes ? std::vector<std::string>{"resume", half_.run()} : half_.command(), says_done);
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"status"}, {"verify", half_.run()}, {"revert", half_.run()}}) {
      const Finished finished = RunPawl(words, database_.url());
      EXPECT_LE(finished.exit_code, 5) << words[0] << ": " << finished.both();
      ExpectEachRowOnceOrNotAtAll();
    }
    PutBack();
  }
}

// These did harm once, or would.
TEST_F(DamagedSweepE2eTest, ARoundThatIsNoneChangesNoRowTwice) {
  for (const char* round : {"0", "-1", "2", "2147483647"}) {
    SCOPED_TRACE(round);
    database_.Exec(std::string("UPDATE pawl.step SET round = ") + round);
    ExpectSentenceOrSuccess(half_.command(), false);
    PutBack();
  }
}

}  // namespace
}  // namespace pawl::test
