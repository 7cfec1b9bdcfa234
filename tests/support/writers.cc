#include "tests/support/writers.h"

#include <libpq-fe.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

namespace pawl::test {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

enum class Change { kInsert, kUpdate, kDelete };

// "s.t" -> "s.t_history", "\"T\"" -> "\"T_history\"".
std::string Beside(const std::string& table, const std::string& suffix) {
  if (table.ends_with('"')) return table.substr(0, table.size() - 1) + suffix + '"';
  return table + suffix;
}

std::string HistoryOf(const WriterOptions& options) { return Beside(options.table, "_history"); }
std::string BeforeOf(const WriterOptions& options) { return Beside(options.table, "_before"); }

std::string Replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

// Renders one change of the row with key $1 that returns the row's counter, if there was one to
// change. The history line is in the same statement, hence in the same transaction, and comes after
// the row's lock, so that the lines of one key are in the order of its changes.
std::string RenderChange(const WriterOptions& options, const std::string& key_type, Change change) {
  const std::string& key = options.key_column;
  const std::string key_value = "$1::" + key_type;
  const std::string& counter = options.counter_column;
  std::string sql;
  char letter = 'u';
  switch (change) {
    case Change::kInsert: {
      letter = 'i';
      std::string columns = key + ", " + counter;
      std::string values = key_value + ", 0";
      for (const auto& [column, value] : options.insert_columns) {
        columns += ", " + column;
        values += ", " + Replaced(value, "$1", key_value);
      }
      sql = "INSERT INTO " + options.table + " (" + columns + ") VALUES (" + values +
            ") ON CONFLICT (" + key + ") DO NOTHING RETURNING " + counter;
      break;
    }
    case Change::kUpdate:
      sql = "UPDATE " + options.table + " SET " + counter + " = " + counter + " + 1 WHERE " + key +
            " = " + key_value + " RETURNING " + counter;
      break;
    case Change::kDelete:
      letter = 'd';
      sql = "DELETE FROM " + options.table + " WHERE " + key + " = " + key_value + " RETURNING " +
            counter;
      break;
  }
  if (!options.with_history) return sql;
  return "WITH changed AS (" + sql + "), noted AS (INSERT INTO " + HistoryOf(options) +
         " (key, change) SELECT (" + key_value + ")::text, '" + letter + "' FROM changed) SELECT " +
         counter + " FROM changed";
}

// One thread's account.
struct Account {
  WriterCounts counts;
  std::vector<microseconds> latencies;
};

bool IsRolledBack(std::string_view sqlstate) {
  return sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "55P03" || sqlstate == "57014";
}

}  // namespace

class Writers::Crew {
 public:
  explicit Crew(WriterOptions options);
  ~Crew() { Join(); }

  void Join() {
    stopping_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  std::int64_t acknowledged() const { return acknowledged_; }
  const WriterOptions& options() const { return options_; }
  WriterCounts Sum() const;
  std::string HistoryMismatch(const std::string& table);
  std::string SumMismatch(const std::string& table);

 private:
  void Write(int number);
  void Note(Account& account, Change change, const pg_result* result, bool is_connected);
  Change Pick(std::mt19937_64& random) const;

  WriterOptions options_;
  std::string key_type_;
  std::int64_t rows_before_ = 0;
  std::int64_t counters_before_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> acknowledged_{0};
  std::vector<Account> accounts_;
  std::vector<std::thread> threads_;
};

Writers::Crew::Crew(WriterOptions options)
    : options_(std::move(options)), accounts_(static_cast<std::size_t>(options_.threads)) {
  Sql sql(options_.url);
  const Row before = sql.Rows("SELECT count(*), coalesce(sum(" + options_.counter_column +
                              "), 0) FROM " + options_.table)[0];
  key_type_ =
      sql.Value("SELECT pg_typeof(" + options_.key_column +
                ") FROM (SELECT NULL) AS nothing LEFT JOIN " + options_.table + " ON false");
  rows_before_ = std::stoll(before[0]);
  counters_before_ = std::stoll(before[1]);
  if (options_.with_history) {
    sql.Exec("CREATE TABLE " + HistoryOf(options_) +
             " (line bigserial PRIMARY KEY, key text NOT NULL, change \"char\" NOT NULL)");
    sql.Exec("CREATE TABLE " + BeforeOf(options_) + " AS SELECT " + options_.key_column +
             "::text AS key, " + options_.counter_column + " AS counter FROM " + options_.table);
  }
  for (int number = 0; number < options_.threads; ++number) {
    threads_.emplace_back([this, number] { Write(number); });
  }
}

Change Writers::Crew::Pick(std::mt19937_64& random) const {
  while (true) {
    const auto change = static_cast<Change>(random() % 3);
    if (change == Change::kInsert && options_.inserts) return change;
    if (change == Change::kUpdate && options_.updates) return change;
    if (change == Change::kDelete && options_.deletes) return change;
    if (!options_.inserts && !options_.updates && !options_.deletes) return Change::kUpdate;
  }
}

void Writers::Crew::Write(int number) {
  Account& account = accounts_[static_cast<std::size_t>(number)];
  std::mt19937_64 random(options_.seed * 1'000 + static_cast<std::uint64_t>(number));
  std::uniform_int_distribution<std::int64_t> any_key(options_.key_begin, options_.key_end - 1);
  const auto interval = options_.changes_per_second > 0
                            ? microseconds(static_cast<std::int64_t>(1e6 * options_.threads /
                                                                     options_.changes_per_second))
                            : microseconds(0);
  const std::array<std::string, 3> statements{RenderChange(options_, key_type_, Change::kInsert),
                                              RenderChange(options_, key_type_, Change::kUpdate),
                                              RenderChange(options_, key_type_, Change::kDelete)};
  const std::unique_ptr<pg_conn, decltype(&PQfinish)> connection(PQconnectdb(options_.url.c_str()),
                                                                 &PQfinish);
  auto next = Clock::now();
  while (!stopping_) {
    if (PQstatus(connection.get()) != CONNECTION_OK) {
      std::this_thread::sleep_for(milliseconds(20));
      PQreset(connection.get());
      continue;
    }
    const Change change = Pick(random);
    std::int64_t number_of_key = any_key(random);
    if (change == Change::kInsert && !options_.inserts_meet) {
      number_of_key += number - number_of_key % options_.threads;
      if (number_of_key < options_.key_begin) number_of_key += options_.threads;
    }
    const std::string key = std::to_string(number_of_key);
    const std::array<const char*, 1> values{key.c_str()};
    const auto begin = Clock::now();
    const std::unique_ptr<pg_result, decltype(&PQclear)> result(
        PQexecParams(connection.get(), statements[static_cast<std::size_t>(change)].c_str(), 1,
                     nullptr, values.data(), nullptr, nullptr, 0),
        &PQclear);
    account.latencies.push_back(std::chrono::duration_cast<microseconds>(Clock::now() - begin));
    Note(account, change, result.get(), PQstatus(connection.get()) == CONNECTION_OK);
    next =
        std::max(next + interval, Clock::now() - interval);  // No burst to catch up after a stall.
    std::this_thread::sleep_until(next);
  }
}

void Writers::Crew::Note(Account& account, Change change, const pg_result* result,
                         bool is_connected) {
  WriterCounts& counts = account.counts;
  if (PQresultStatus(result) == PGRES_TUPLES_OK) {
    if (PQntuples(result) == 0) {
      ++counts.missed;
      return;
    }
    ++acknowledged_;
    if (change == Change::kInsert) ++counts.inserts;
    if (change == Change::kUpdate) ++counts.updates;
    if (change == Change::kDelete) {
      ++counts.deletes;
      counts.deleted_counters += std::strtoll(PQgetvalue(result, 0, 0), nullptr, 10);
    }
    return;
  }
  const char* sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (sqlstate && IsRolledBack(sqlstate)) {
    ++counts.retried;
  } else if (!is_connected) {
    ++counts.in_doubt;
  } else {
    if (counts.refused++ == 0) counts.first_refusal = PQresultErrorMessage(result);
  }
}

WriterCounts Writers::Crew::Sum() const {
  WriterCounts sum;
  std::vector<microseconds> latencies;
  for (const Account& account : accounts_) {
    const WriterCounts& one = account.counts;
    sum.inserts += one.inserts;
    sum.updates += one.updates;
    sum.deletes += one.deletes;
    sum.deleted_counters += one.deleted_counters;
    sum.missed += one.missed;
    sum.retried += one.retried;
    sum.in_doubt += one.in_doubt;
    sum.refused += one.refused;
    if (sum.first_refusal.empty()) sum.first_refusal = one.first_refusal;
    latencies.insert(latencies.end(), account.latencies.begin(), account.latencies.end());
  }
  if (latencies.empty()) return sum;
  std::ranges::sort(latencies);
  sum.latency_p50 = latencies[latencies.size() / 2];
  sum.latency_p99 = latencies[latencies.size() * 99 / 100];
  sum.latency_max = latencies.back();
  return sum;
}

// Every key's state follows from the state before and the key's lines: the last insert or delete
// says whether it is there, and the updates since then (or since the start) what its counter is.
std::string Writers::Crew::HistoryMismatch(const std::string& table) {
  const std::string history = HistoryOf(options_);
  const std::string sql =
      "WITH turn AS ("
      "   SELECT DISTINCT ON (key) key, line, change FROM " +
      history +
      "   WHERE change IN ('i', 'd') ORDER BY key, line DESC),"
      " since AS ("
      "   SELECT h.key, count(*) AS updates FROM " +
      history +
      " h LEFT JOIN turn USING (key)"
      "   WHERE h.change = 'u' AND h.line > coalesce(turn.line, 0) GROUP BY h.key),"
      " expected AS ("
      "   SELECT key, coalesce(since.updates, 0)"
      "               + CASE WHEN turn.line IS NULL THEN b.counter ELSE 0 END AS counter"
      "   FROM " +
      BeforeOf(options_) +
      " b FULL JOIN turn USING (key) LEFT JOIN since USING (key)"
      "   WHERE turn.line IS NULL OR turn.change = 'i'),"
      " actual AS ("
      "   SELECT " +
      options_.key_column + "::text AS key, " + options_.counter_column +
      " AS counter"
      "   FROM " +
      table +
      ")"
      " SELECT key, e.counter, a.counter FROM expected e FULL JOIN actual a USING (key)"
      " WHERE e.counter IS DISTINCT FROM a.counter ORDER BY key LIMIT 10";
  std::string text;
  for (const Row& row : Sql(options_.url).Rows(sql)) {
    text += "\n  key " + row[0] + ": counter " + row[1] + " expected, " + row[2] + " found";
  }
  return text.empty() ? text
                      : table + " is not what the application wrote (NULL: no such row):" + text;
}

std::string Writers::Crew::SumMismatch(const std::string& table) {
  const WriterCounts counts = Sum();
  const Row found = Sql(options_.url)
                        .Rows("SELECT count(*), coalesce(sum(" + options_.counter_column +
                              "), 0) FROM " + table)[0];
  const std::int64_t rows = rows_before_ + counts.inserts - counts.deletes;
  const std::int64_t counters = counters_before_ + counts.updates - counts.deleted_counters;
  if (counts.in_doubt > 0) {
    return std::to_string(counts.in_doubt) + " changes are in doubt; use a history to judge";
  }
  if (found[0] == std::to_string(rows) && found[1] == std::to_string(counters)) return {};
  return table + " must have " + std::to_string(rows) + " rows and a sum of " +
         std::to_string(counters) + ", but has " + found[0] + " and " + found[1];
}

Writers::Writers(WriterOptions options) : crew_(std::make_unique<Crew>(std::move(options))) {}

Writers::~Writers() = default;

std::int64_t Writers::acknowledged() const { return crew_->acknowledged(); }

bool Writers::WaitForMore(std::int64_t count, milliseconds limit) const {
  const std::int64_t goal = acknowledged() + count;
  const auto deadline = Clock::now() + limit;
  while (acknowledged() < goal) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

WriterCounts Writers::Stop() {
  crew_->Join();
  return crew_->Sum();
}

std::string Writers::Mismatch(const std::string& table) {
  const std::string& compared = table.empty() ? crew_->options().table : table;
  return crew_->options().with_history ? crew_->HistoryMismatch(compared)
                                       : crew_->SumMismatch(compared);
}

}  // namespace pawl::test
