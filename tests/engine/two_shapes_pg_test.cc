// Two versions of one application, one for each shape of a table, from expand to contract and back:
// no statement of either ever fails, each reads what it has written, and at the end every write
// that was acknowledged is there under both names.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "engine/engine.h"
#include "tests/support/test_database.h"

namespace pawl::engine {
namespace {

using test::TestDatabase;

constexpr std::int64_t kHotRow = 7;
constexpr std::int64_t kIntegerMax = 2'147'483'647;
constexpr std::int64_t kSeedRows = 5'000;

// What one row and its children must be.
struct Expected {
  std::int64_t updates = 0;
  std::int64_t items = 0;
  std::int64_t notes = 0;
};

// One connection that changes rows of its own, children included, and a row that all change. It
// stops at the first statement that fails. Thread safety: what is atomic, from any thread; the rest
// after Stop().
class Client {
 public:
  Client(const std::string& url, const char* name, std::int64_t first_key, unsigned seed)
      : named(name), key_next(first_key), sql_(url), random_(seed) {}
  ~Client() { Stop(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Start() {
    thread_ = std::jthread([this](const std::stop_token& stop) {
      try {
        while (!stop.stop_requested() && failure_.empty()) {
          Change();
          ++changes;
          std::this_thread::sleep_for(std::chrono::microseconds(500));
        }
      } catch (const std::exception& error) {
        failure_ = error.what();
      }
    });
  }

  // Returns the first failure, or nothing.
  std::string Stop() {
    if (thread_.joinable()) {
      thread_.request_stop();
      thread_.join();
    }
    return failure_;
  }

  // Every row of its own, as Rows() gives them.
  std::string ExpectedRows(std::int64_t key_max) const {
    std::string text;
    for (const auto& [key, row] : rows_) {
      if (key > key_max) continue;
      text += (text.empty() ? "" : ",") + std::to_string(key) + " " + std::to_string(row.updates) +
              " " + std::to_string(row.items) + " " + std::to_string(row.notes);
    }
    return text.empty() ? "NULL" : text;
  }

  std::int64_t rows_above(std::int64_t key) const {
    return std::distance(rows_.upper_bound(key), rows_.end());
  }
  std::int64_t hot_updates() const { return hot_updates_; }

  std::atomic<const char*> named;  // The key, as this version of the application knows it.
  std::atomic<const char*> inserts_by = nullptr;  // As new rows name it; null: by `named`.
  std::atomic<std::int64_t> key_next;
  std::atomic<bool> upserts = false;   // By ON CONFLICT of the key.
  std::atomic<bool> finds_all = true;  // Rows of others have their value under that name.
  std::atomic<std::int64_t> changes{0};

 private:
  void Change() {
    const std::string name = named.load();
    const std::int64_t kind = rows_.size() < 20 ? 0 : static_cast<std::int64_t>(random_() % 7);
    auto row = rows_.begin();
    if (!rows_.empty()) {
      std::advance(row, static_cast<std::int64_t>(random_() % rows_.size()));
    }
    const std::string where = rows_.empty() ? "" : " WHERE " + name + " = " + Text(row->first);
    if (kind <= 1) {
      const std::int64_t key = key_next++;
      const char* const by = inserts_by;
      Do("INSERT INTO t (" + (by == nullptr ? name : by) + ", label) VALUES (" + Text(key) +
         ", 'c')");
      rows_[key] = {};
    } else if (kind == 2) {
      AddChild(row->first, row->second);
    } else if (kind == 3) {
      Do(upserts ? "INSERT INTO t (" + name + ", label) VALUES (" + Text(row->first) +
                       ", 'c') ON CONFLICT (" + name + ") DO UPDATE SET updates = t.updates + 1"
                 : "UPDATE t SET updates = updates + 1" + where);
      ++row->second.updates;
    } else if (kind == 4 && finds_all) {
      Do("UPDATE t SET updates = updates + 1 WHERE " + name + " = " + Text(kHotRow));
      ++hot_updates_;
    } else if (kind == 5 && rows_.size() > 40) {
      Do("DELETE FROM t" + where);
      rows_.erase(row);
    } else if (kind == 5) {
      const std::int64_t key = key_next++;
      Do("UPDATE t SET " + name + " = " + Text(key) + where);
      rows_[key] = row->second;
      rows_.erase(row);
    } else if (const auto read = sql_.Value("SELECT updates FROM t" + where);
               read != Text(row->second.updates)) {
      failure_ =
          "row " + Text(row->first) + " has " + read + " updates, not " + Text(row->second.updates);
    }
  }

  void AddChild(std::int64_t key, Expected& row) {
    const bool is_item = key <= kIntegerMax && random_() % 2 == 0;
    Do((is_item ? "INSERT INTO item (t_id) VALUES (" : "INSERT INTO note (t_id) VALUES (") +
       Text(key) + ")");
    ++(is_item ? row.items : row.notes);
  }

  void Do(const std::string& statement) {
    if (sql_.Exec(statement) != 1) failure_ = "no row: " + statement;
  }

  static std::string Text(std::int64_t number) { return std::to_string(number); }

  test::Sql sql_;
  std::minstd_rand random_;
  std::map<std::int64_t, Expected> rows_;
  std::int64_t hot_updates_ = 0;
  std::string failure_;
  std::jthread thread_;
};

class TwoShapesPgTest : public testing::Test {
 protected:
  static constexpr std::int64_t kOldKeys = 1'000'000;
  static constexpr std::int64_t kNewKeys = 2'000'000;

  TwoShapesPgTest() {
    database_.Exec(R"sql(
CREATE TABLE t (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, updates integer NOT NULL DEFAULT 0,
                label text NOT NULL);
INSERT INTO t (label) SELECT 'seed' FROM generate_series(1, 5000);
CREATE TABLE item (id bigserial PRIMARY KEY, t_id integer NOT NULL REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE note (id bigserial PRIMARY KEY, t_id bigint NOT NULL REFERENCES t ON DELETE CASCADE ON UPDATE CASCADE);
CREATE INDEX ON item (t_id);
CREATE INDEX ON note (t_id);
INSERT INTO item (t_id) SELECT 1 + g % 5000 FROM generate_series(1, 5000) AS g;
INSERT INTO note (t_id) SELECT 1 + g % 5000 FROM generate_series(1, 5000) AS g)sql");
    engine_.Init();
  }

  void WaitForMore(const Client& client, std::int64_t count) {
    const std::int64_t until = client.changes + count;
    for (int i = 0; client.changes < until && i < 6'000; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_GE(client.changes, until) << "the application came to a stop";
  }

  // The rows from `begin` to before `end`, as the column of that name knows them.
  std::string Rows(const std::string& name, std::int64_t begin, std::int64_t end) {
    return database_.Value(
        "SELECT string_agg(concat_ws(' ', k, updates, items, notes), ',' ORDER BY k) FROM (SELECT " +
        name + " AS k, updates, (SELECT count(*) FROM item WHERE t_id = t." + name +
        ") AS items, (SELECT count(*) FROM note WHERE t_id = t." + name +
        ") AS notes FROM t WHERE " + name + " >= " + std::to_string(begin) + " AND " + name +
        " < " + std::to_string(end) + ") AS own");
  }

  void ExpectAcknowledged(const std::string& name, const Client& older, const Client& newer) {
    SCOPED_TRACE(name);
    EXPECT_EQ(Rows(name, kOldKeys, kNewKeys), older.ExpectedRows(kIntegerMax));
    EXPECT_EQ(Rows(name, kNewKeys, kIntegerMax), newer.ExpectedRows(kIntegerMax));
    EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE " + name + " < 1000000"), kSeedRows);
    EXPECT_EQ(database_.Integer("SELECT updates FROM t WHERE " + name + " = 7"),
              older.hot_updates() + newer.hot_updates());
  }

  TestDatabase database_;
  Engine engine_{db::ConnectionString(database_.url())};
};

// After the cut-over the older version finds and changes its rows by the old column, and the newer one
// writes keys that only the new type can hold.
TEST_F(TwoShapesPgTest, BothVersionsWorkThroughAChangeOfType) {
  Client older(database_.url(), "id", kOldKeys, 1);
  Client newer(database_.url(), "id", kNewKeys, 2);
  older.Start();
  newer.Start();
  const RunResult run = engine_.Run("m", "ALTER TABLE t ALTER id TYPE bigint", {}, {});
  ASSERT_EQ(run.state, "completed") << run.reason;
  older.inserts_by = "id";
  older.named = "id_pawl_old";
  newer.upserts = true;
  newer.key_next = 5'000'000'000;
  WaitForMore(older, 200);
  WaitForMore(newer, 200);
  EXPECT_EQ(newer.Stop(), "");
  EXPECT_EQ(older.Stop(), "");
  EXPECT_GT(newer.rows_above(kIntegerMax), 0);
  ExpectAcknowledged("id", older, newer);
  ExpectAcknowledged("id_pawl_old", older, newer);
  EXPECT_EQ(Rows("id", kNewKeys, std::int64_t{1} << 40), newer.ExpectedRows(std::int64_t{1} << 40));
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE id_pawl_old IS NULL"),
            newer.rows_above(kIntegerMax));
  older.named = "id";
  older.Start();
  newer.Start();
  WaitForMore(newer, 50);
  ASSERT_EQ(engine_.Contract(run.run, {}).state, "contracted");
  WaitForMore(older, 50);
  EXPECT_EQ(newer.Stop(), "");
  EXPECT_EQ(older.Stop(), "");
  ExpectAcknowledged("id", older, newer);
}

TEST_F(TwoShapesPgTest, BothVersionsWorkThroughARename) {
  Client older(database_.url(), "id", kOldKeys, 3);
  Client newer(database_.url(), "key", kNewKeys, 4);
  older.upserts = true;
  newer.finds_all = false;
  older.Start();
  bool has_begun = false;
  const auto begin = [&](const Progress&) {
    if (has_begun || database_.Integer("SELECT count(*) FROM pg_attribute WHERE attrelid = "
                                       "'t'::regclass AND attname = 'key'") == 0) {
      return;
    }
    has_begun = true;
    newer.Start();
  };
  const RunResult run = engine_.Run("m", "ALTER TABLE t RENAME id TO key", {}, begin);
  ASSERT_EQ(run.state, "completed") << run.reason;
  ASSERT_TRUE(has_begun);
  newer.upserts = newer.finds_all = true;
  WaitForMore(older, 100);
  WaitForMore(newer, 100);
  EXPECT_EQ(newer.Stop(), "");
  EXPECT_EQ(older.Stop(), "");
  ExpectAcknowledged("id", older, newer);
  ExpectAcknowledged("key", older, newer);
  newer.Start();
  WaitForMore(newer, 20);
  ASSERT_EQ(engine_.Contract(run.run, {}).state, "contracted");
  WaitForMore(newer, 20);
  EXPECT_EQ(newer.Stop(), "");
  ExpectAcknowledged("key", older, newer);
}

// The newer version is taken out of service, the run is taken back, and what it wrote stays.
TEST_F(TwoShapesPgTest, ARevertKeepsWhatBothVersionsWrote) {
  for (const std::string statement :
       {"ALTER TABLE t RENAME id TO key", "ALTER TABLE t ALTER id TYPE bigint"}) {
    SCOPED_TRACE(statement);
    const bool is_rename = statement.ends_with("key");
    Client older(database_.url(), "id", kOldKeys, 5);
    Client newer(database_.url(), is_rename ? "key" : "id", kNewKeys, 6);
    older.Start();
    const RunResult run = engine_.Run("m", statement, {}, {});
    ASSERT_EQ(run.state, "completed") << run.reason;
    newer.Start();
    WaitForMore(newer, 100);
    EXPECT_EQ(newer.Stop(), "");
    const RunResult back = engine_.Revert(run.run, {}, {});
    ASSERT_EQ(back.state, "reverted") << back.reason;
    WaitForMore(older, 50);
    EXPECT_EQ(older.Stop(), "");
    ExpectAcknowledged("id", older, newer);
    database_.Exec("DELETE FROM t WHERE id >= 1000000; UPDATE t SET updates = 0 WHERE id = 7");
  }
}

}  // namespace
}  // namespace pawl::engine
