// How fast is a batched UPDATE that keeps no promise at all?
//
// The yardstick for `pawl run`: raw libpq in pipeline mode, one round trip and one implicit
// transaction per batch, no cursor, no ledger, no undo record, no digest, no throttle. Not a tool:
// a crash half way leaves nothing to resume from. It only checks, after the timed part, that every
// row of the table was changed exactly once; so --where has to hold for every row at the start.
//
//   giant           one statement
//   key | block     ranges of the key | of ctid, one after the other
//   *_strides       windows of ranges; each window is passed over `stride` times, each pass changes
//                   the rows of one key residue, so that pages prune themselves between passes
//
// Prints one JSON line. Exit status: 0 all rows changed once, 1 an error, 2 wrong usage, 3 a row
// was missed or changed twice.
#include <libpq-fe.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr Oid kInt8Oid = 20;  // Bound as bigint: a text parameter would be cast once per row.

struct Options {
  std::string mode;
  std::string database;
  std::string table = "orders";
  std::string key = "id";
  std::string set_clause = "total_cents = round(total * 100)::bigint";
  std::string where = "total_cents IS NULL";
  std::string isolation = "read committed";
  std::int64_t workers = 2;
  std::int64_t rows_per_batch = 1'000;
  std::int64_t stride = 16;
  std::int64_t window_pages = 5'000;
  std::int64_t depth = 2;  // Batches sent ahead per worker, so that the server never waits for us.
  std::int64_t sleep_ms = 0;  // After each batch; the throttle of those who have none.
  bool async_commit = false;

  bool by_block() const { return mode == "block" || mode == "block_strides"; }
  bool by_stride() const { return mode == "key_strides" || mode == "block_strides"; }
};

constexpr std::string_view kUsage =
    "usage: bare_loop giant|key|block|key_strides|block_strides --database URL\n"
    "  [--table NAME] [--key COLUMN] [--set SQL] [--where SQL] [--workers N] [--rows-per-batch N]\n"
    "  [--stride N] [--window-pages N] [--depth N] [--sleep-ms N] [--isolation LEVEL]\n"
    "  [--async-commit]\n";

struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::int64_t ParseCount(const std::string& name, const std::string& text) {
  std::size_t used = 0;
  std::int64_t count = 0;
  try {
    count = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || count < 1) {
    throw UsageError(name + " needs a positive whole number, not \"" + text + "\".");
  }
  return count;
}

void CheckOptions(const Options& options) {
  constexpr std::string_view kModes[] = {"giant", "key", "block", "key_strides", "block_strides"};
  if (std::find(std::begin(kModes), std::end(kModes), options.mode) == std::end(kModes)) {
    throw UsageError("There is no mode \"" + options.mode + "\".");
  }
  if (options.database.empty()) throw UsageError("--database is required.");
  if ((options.stride & (options.stride - 1)) != 0) {
    throw UsageError("--stride must be a power of two: the residue is taken with a bit mask.");
  }
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  const std::map<std::string, std::string*> texts = {
      {"--database", &options.database}, {"--table", &options.table},
      {"--key", &options.key},           {"--set", &options.set_clause},
      {"--where", &options.where},       {"--isolation", &options.isolation}};
  const std::map<std::string, std::int64_t*> counts = {
      {"--workers", &options.workers}, {"--rows-per-batch", &options.rows_per_batch},
      {"--stride", &options.stride},   {"--window-pages", &options.window_pages},
      {"--depth", &options.depth},     {"--sleep-ms", &options.sleep_ms}};
  if (argc < 2) throw UsageError("A mode is required.");
  options.mode = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--async-commit") {
      options.async_commit = true;
      continue;
    }
    if (!texts.contains(name) && !counts.contains(name)) {
      throw UsageError("There is no option " + name + ".");
    }
    if (++i == argc) throw UsageError(name + " needs a value.");
    if (texts.contains(name)) {
      *texts.at(name) = argv[i];
    } else {
      *counts.at(name) = ParseCount(name, argv[i]);
    }
  }
  // A batch that was sent ahead would fill the pause.
  if (options.sleep_ms > 0) options.depth = 1;
  CheckOptions(options);
  return options;
}

struct FinishConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, FinishConnection>;

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, ClearResult>;

// Returns `result` if the server did what was asked, and throws its message otherwise.
Result Checked(PGconn* connection, PGresult* raw) {
  Result result(raw);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_PIPELINE_SYNC) {
    throw std::runtime_error(PQerrorMessage(connection));
  }
  return result;
}

Result Execute(PGconn* connection, const std::string& sql) {
  return Checked(connection, PQexec(connection, sql.c_str()));
}

std::string ScalarText(PGconn* connection, const std::string& sql) {
  const Result result = Execute(connection, sql);
  if (PQntuples(result.get()) != 1) throw std::runtime_error("Not one row: " + sql);
  return PQgetvalue(result.get(), 0, 0);
}

std::int64_t ScalarCount(PGconn* connection, const std::string& sql) {
  return std::stoll(ScalarText(connection, sql));
}

Connection Connect(const Options& options) {
  Connection connection(PQconnectdb(options.database.c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    throw std::runtime_error(PQerrorMessage(connection.get()));
  }
  Execute(connection.get(), "SET default_transaction_isolation = '" + options.isolation + "'");
  if (options.async_commit) Execute(connection.get(), "SET synchronous_commit = off");
  return connection;
}

std::string Quoted(PGconn* connection, const std::string& name) {
  const std::unique_ptr<char, decltype(&PQfreemem)> text(
      PQescapeIdentifier(connection, name.c_str(), name.size()), &PQfreemem);
  if (text == nullptr) throw std::runtime_error(PQerrorMessage(connection));
  return text.get();
}

// What the table looks like before the first batch.
struct Table {
  std::string name;      // Quoted.
  std::string key;       // Quoted.
  std::string key_type;  // As format_type() writes it.
  std::int64_t page_count = 0;
  std::int64_t row_count = 0;  // The planner's estimate.

  bool has_integer_key() const {
    return key_type == "bigint" || key_type == "integer" || key_type == "smallint";
  }
  std::int64_t rows_per_page() const {
    return std::max<std::int64_t>(1, row_count / std::max<std::int64_t>(1, page_count));
  }
};

Table Inspect(PGconn* connection, const Options& options) {
  Table table;
  table.name = Quoted(connection, options.table);
  table.key = Quoted(connection, options.key);
  table.key_type = ScalarText(
      connection, "SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = '" +
                      table.name + "'::regclass AND attname = '" + options.key + "'");
  table.page_count =
      ScalarCount(connection, "SELECT pg_relation_size('" + table.name +
                                  "'::regclass) / current_setting('block_size')::bigint");
  // The estimate, not a count: counting would warm a cache that is meant to be cold.
  table.row_count = ScalarCount(connection, "SELECT reltuples::bigint FROM pg_class WHERE oid = '" +
                                                table.name + "'::regclass");
  return table;
}

// The expression whose low bits spread the rows of a page evenly over the passes.
std::string ResidueSource(const Table& table) {
  if (table.has_integer_key()) return "t." + table.key + "::bigint";
  if (table.key_type == "uuid") return "uuid_hash(t." + table.key + ")::bigint";
  throw std::runtime_error("No residue is known for a key of type " + table.key_type +
                           "; use key or block.");
}

// Renders the batch statement. Its parameters are the range's lower bound, its upper bound unless
// `open_ended`, and the residue in a stride mode.
std::string BatchSql(const Options& options, const Table& table, bool open_ended) {
  const std::string column = options.by_block() ? "ctid" : table.key;
  const std::string type = options.by_block() ? "tid" : table.key_type;
  std::string sql = "UPDATE " + table.name + " AS t\nSET " + options.set_clause;
  sql += "\nWHERE t." + column + " >= $1::" + type;
  if (!open_ended) sql += "\n  AND t." + column + " < $2::" + type;
  if (options.by_stride()) {
    sql += "\n  AND (" + ResidueSource(table) + " & " + std::to_string(options.stride - 1) +
           ") = $" + (open_ended ? "2" : "3");
  }
  return sql + "\n  AND (" + options.where + ")";
}

// Consecutive half-open ranges, ascending: range i is [bounds[i], bounds[i + 1]). The last one has
// no upper bound if `open_ended`.
struct Ranges {
  std::vector<std::string> bounds;
  bool open_ended = false;

  std::size_t size() const { return open_ended ? bounds.size() : bounds.size() - 1; }
};

// Ends at the page count of now: pages appended by the batches hold changed rows only, and scanning
// them once per pass would be paid for nothing.
Ranges BlockRanges(const Table& table, std::int64_t rows_per_range) {
  const std::int64_t pages = std::max<std::int64_t>(1, rows_per_range / table.rows_per_page());
  Ranges ranges;
  for (std::int64_t page = 0; page < table.page_count; page += pages) {
    ranges.bounds.push_back("(" + std::to_string(page) + ",0)");
  }
  ranges.bounds.push_back("(" + std::to_string(table.page_count) + ",0)");
  return ranges;
}

// Divides an integer key evenly. Right only for a key without large gaps, which the bench's has.
Ranges IntegerRanges(PGconn* connection, const Table& table, std::int64_t rows_per_range) {
  const std::string from = table.key + ") FROM " + table.name;
  const std::int64_t first = ScalarCount(connection, "SELECT min(" + from);
  const std::int64_t last = ScalarCount(connection, "SELECT max(" + from);
  const double keys_per_row =
      static_cast<double>(last - first + 1) / static_cast<double>(table.row_count);
  const auto keys_per_range = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(keys_per_row * static_cast<double>(rows_per_range)));
  Ranges ranges;
  for (std::int64_t key = first; key <= last; key += keys_per_range) {
    ranges.bounds.push_back(std::to_string(key));
  }
  ranges.bounds.push_back(std::to_string(last + 1));
  return ranges;
}

// Walks the key's index, one probe per range.
Ranges ProbedRanges(PGconn* connection, const Table& table, std::int64_t rows_per_range) {
  const std::string select = "SELECT " + table.key + " FROM " + table.name;
  const std::string order = " ORDER BY " + table.key;
  Ranges ranges;
  ranges.open_ended = true;
  ranges.bounds.push_back(ScalarText(connection, select + order + " LIMIT 1"));
  for (;;) {
    const Result next =
        Execute(connection, select + " WHERE " + table.key + " >= '" + ranges.bounds.back() + "'" +
                                order + " OFFSET " + std::to_string(rows_per_range) + " LIMIT 1");
    if (PQntuples(next.get()) == 0) return ranges;
    ranges.bounds.emplace_back(PQgetvalue(next.get(), 0, 0));
  }
}

Ranges CutRanges(PGconn* connection, const Options& options, const Table& table) {
  if (table.row_count < 1) throw std::runtime_error("The table is empty, or not yet analyzed.");
  const std::int64_t rows_per_range =
      options.rows_per_batch * (options.by_stride() ? options.stride : 1);
  if (options.by_block()) return BlockRanges(table, rows_per_range);
  if (table.has_integer_key()) return IntegerRanges(connection, table, rows_per_range);
  return ProbedRanges(connection, table, rows_per_range);
}

struct Batch {
  std::size_t range = 0;
  std::int64_t residue = 0;
};

// All passes of a window come before the next window; within a pass the ranges ascend.
std::vector<Batch> OrderBatches(const Options& options, const Table& table,
                                std::size_t range_count) {
  const std::int64_t passes = options.by_stride() ? options.stride : 1;
  const std::int64_t rows_per_window = options.window_pages * table.rows_per_page();
  const auto window = static_cast<std::size_t>(
      std::max<std::int64_t>(1, rows_per_window / (options.rows_per_batch * options.stride)));
  std::vector<Batch> batches;
  for (std::size_t begin = 0; begin < range_count; begin += window) {
    const std::size_t end = std::min(begin + window, range_count);
    for (std::int64_t residue = 0; residue < passes; ++residue) {
      for (std::size_t range = begin; range < end; ++range) batches.push_back({range, residue});
    }
  }
  return batches;
}

struct WorkerTally {
  std::int64_t rows = 0;
  std::vector<double> batch_ms;  // From sending a batch to its result, in order of completion.
};

// Takes batches from a list shared by all workers and keeps `depth` of them on the wire.
// Thread safety: none. Owned by one worker thread; only `next` is shared.
class Worker {
 public:
  Worker(const Options& options, const Table& table, const Ranges& ranges,
         const std::vector<Batch>& batches, std::atomic<std::size_t>& next)
      : options_(options),
        ranges_(ranges),
        batches_(batches),
        next_(next),
        connection_(Connect(options)) {
    Prepare("range", BatchSql(options, table, false), 2);
    Prepare("tail", BatchSql(options, table, true), 1);
    if (PQenterPipelineMode(connection_.get()) != 1) throw std::runtime_error("No pipeline mode.");
  }

  // Runs until no batch is left. On an error, takes the rest from the other workers and throws.
  WorkerTally Run() {
    try {
      while (FillPipeline()) {
        ReadOneBatch();
        std::this_thread::sleep_for(std::chrono::milliseconds(options_.sleep_ms));
      }
    } catch (...) {
      next_ = batches_.size();
      throw;
    }
    return std::move(tally_);
  }

 private:
  void Prepare(const char* name, const std::string& sql, int bound_count) {
    std::vector<Oid> types(static_cast<std::size_t>(bound_count), 0);
    if (options_.by_stride()) types.push_back(kInt8Oid);
    Checked(connection_.get(), PQprepare(connection_.get(), name, sql.c_str(),
                                         static_cast<int>(types.size()), types.data()));
  }

  // Returns false once nothing is on the wire and nothing is left to send.
  bool FillPipeline() {
    while (static_cast<std::int64_t>(sent_at_.size()) < options_.depth) {
      const std::size_t index = next_.fetch_add(1);
      if (index >= batches_.size()) break;
      Send(batches_[index]);
    }
    return !sent_at_.empty();
  }

  void Send(const Batch& batch) {
    const bool tail = batch.range + 1 == ranges_.bounds.size();
    const std::string residue = std::to_string(batch.residue);
    std::vector<const char*> values = {ranges_.bounds[batch.range].c_str()};
    if (!tail) values.push_back(ranges_.bounds[batch.range + 1].c_str());
    if (options_.by_stride()) values.push_back(residue.c_str());
    const int sent =
        PQsendQueryPrepared(connection_.get(), tail ? "tail" : "range",
                            static_cast<int>(values.size()), values.data(), nullptr, nullptr, 0);
    if (sent != 1 || PQpipelineSync(connection_.get()) != 1) {
      throw std::runtime_error(PQerrorMessage(connection_.get()));
    }
    sent_at_.push_back(Clock::now());
  }

  void ReadOneBatch() {
    const Result result = Checked(connection_.get(), PQgetResult(connection_.get()));
    tally_.rows += std::stoll(PQcmdTuples(result.get()));
    PQgetResult(connection_.get());  // NULL: the end of this statement's results.
    const Result sync = Checked(connection_.get(), PQgetResult(connection_.get()));
    const std::chrono::duration<double, std::milli> elapsed = Clock::now() - sent_at_.front();
    sent_at_.pop_front();
    tally_.batch_ms.push_back(elapsed.count());
  }

  const Options& options_;
  const Ranges& ranges_;
  const std::vector<Batch>& batches_;
  std::atomic<std::size_t>& next_;
  Connection connection_;
  std::deque<Clock::time_point> sent_at_;
  WorkerTally tally_;
};

struct Outcome {
  WorkerTally tally;
  double seconds = 0;
  double cut_seconds = 0;  // Part of `seconds`: time to find the boundaries.
};

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Outcome RunGiant(PGconn* connection, const Options& options, const Table& table) {
  const auto start = Clock::now();
  const Result result = Execute(connection, "UPDATE " + table.name + " AS t\nSET " +
                                                options.set_clause + "\nWHERE " + options.where);
  Outcome outcome;
  outcome.seconds = SecondsSince(start);
  outcome.tally.rows = std::stoll(PQcmdTuples(result.get()));
  outcome.tally.batch_ms.push_back(outcome.seconds * 1e3);
  return outcome;
}

// Connecting and preparing are timed: whoever runs the job waits for them too.
Outcome RunBatches(PGconn* connection, const Options& options, const Table& table) {
  const auto start = Clock::now();
  Outcome outcome;
  const Ranges ranges = CutRanges(connection, options, table);
  const std::vector<Batch> batches = OrderBatches(options, table, ranges.size());
  outcome.cut_seconds = SecondsSince(start);
  std::atomic<std::size_t> next = 0;
  std::vector<std::future<WorkerTally>> workers;
  for (std::int64_t i = 0; i < options.workers; ++i) {
    workers.push_back(std::async(
        std::launch::async, [&] { return Worker(options, table, ranges, batches, next).Run(); }));
  }
  for (auto& worker : workers) {
    const WorkerTally tally = worker.get();
    outcome.tally.rows += tally.rows;
    outcome.tally.batch_ms.insert(outcome.tally.batch_ms.end(), tally.batch_ms.begin(),
                                  tally.batch_ms.end());
  }
  outcome.seconds = SecondsSince(start);
  return outcome;
}

double Percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  return values[static_cast<std::size_t>(last * share)];
}

// Returns the exit status.
int Measure(const Options& options) {
  const Connection connection = Connect(options);
  const Table table = Inspect(connection.get(), options);
  const std::string wal_start = ScalarText(connection.get(), "SELECT pg_current_wal_insert_lsn()");
  const Outcome outcome = options.mode == "giant" ? RunGiant(connection.get(), options, table)
                                                  : RunBatches(connection.get(), options, table);
  const std::int64_t wal_bytes = ScalarCount(
      connection.get(), "SELECT pg_current_wal_insert_lsn() - '" + wal_start + "'::pg_lsn");
  const std::string count = "SELECT count(*) FROM " + table.name + " AS t";
  const std::int64_t expected = ScalarCount(connection.get(), count);
  const std::int64_t remaining = ScalarCount(connection.get(), count + " WHERE " + options.where);
  const std::int64_t rows = outcome.tally.rows;
  std::printf(
      R"({"mode": "%s", "rows": %lld, "rows_expected": %lld, "rows_remaining": %lld, )"
      R"("seconds": %.4f, "cut_seconds": %.4f, "rows_per_second": %.0f, "wal_bytes": %lld, )"
      R"("batches": %zu, "batch_p50_ms": %.2f, "batch_p99_ms": %.2f, "rows_per_page": %lld})"
      "\n",
      options.mode.c_str(), static_cast<long long>(rows), static_cast<long long>(expected),
      static_cast<long long>(remaining), outcome.seconds, outcome.cut_seconds,
      static_cast<double>(rows) / outcome.seconds, static_cast<long long>(wal_bytes),
      outcome.tally.batch_ms.size(), Percentile(outcome.tally.batch_ms, 0.50),
      Percentile(outcome.tally.batch_ms, 0.99), static_cast<long long>(table.rows_per_page()));
  return rows == expected && remaining == 0 ? 0 : 3;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Measure(ParseOptions(argc, argv));
  } catch (const UsageError& error) {
    std::fprintf(stderr, "%s\n%s", error.what(), kUsage.data());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bare_loop: %s\n", error.what());
    return 1;
  }
}
