// How fast is digesting a COPY stream against reading the same stream and throwing it away?
//
// Same rows, same connections, one after the other in each round; medians over the rounds. The
// floor is a bare PQgetCopyData loop: what libpq alone takes. Ratios are to the floor of the same
// rows. Server and client share the machine, so a cycle of hashing is one that the server does not
// get.
//
//     verify_stream_bench --database postgresql:///bench --rows 1000000 [--rounds 7] [--json FILE]
//
// Creates the table pawl_bench_orders in the database and leaves it, so that the next call need
// not.
#include <fmt/format.h>
#include <libpq-fe.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "db/copy_stream.h"
#include "verify/compare_copies.h"
#include "verify/row_stream.h"

namespace {

struct PgDelete {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, PgDelete>;
using Result = std::unique_ptr<PGresult, PgDelete>;

constexpr const char* kTable = "pawl_bench_orders";

struct Options {
  std::string database;
  std::int64_t rows = 1'000'000;
  int rounds = 7;
  std::string json_file;
};

// One way to read, with its time per round.
struct Way {
  std::string name;
  std::size_t floor;  // Index of the way it is measured against.
  std::int64_t rows;
  std::function<void()> run;
  std::vector<double> seconds;
  std::vector<double> cpu_seconds;  // Of this process alone, all threads.
};

Result Execute(PGconn* connection, const std::string& sql) {
  Result result{PQexec(connection, sql.c_str())};
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_OUT) {
    throw std::runtime_error(PQerrorMessage(connection));
  }
  return result;
}

Connection Connect(const std::string& database) {
  Connection connection{PQconnectdb(database.c_str())};
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    throw std::runtime_error(PQerrorMessage(connection.get()));
  }
  return connection;
}

std::int64_t CountRows(PGconn* connection) {
  const Result exists =
      Execute(connection, fmt::format("SELECT to_regclass('{}') IS NOT NULL", kTable));
  if (PQgetvalue(exists.get(), 0, 0)[0] != 't') return 0;
  const Result count = Execute(connection, fmt::format("SELECT count(*) FROM {}", kTable));
  return std::atoll(PQgetvalue(count.get(), 0, 0));
}

void FillTable(PGconn* connection, std::int64_t rows) {
  Execute(connection, fmt::format("DROP TABLE IF EXISTS {}", kTable));
  Execute(connection, fmt::format(R"sql(
      CREATE TABLE {} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        customer_id bigint,
        status text,
        total numeric(12,2),
        currency text,
        note text,
        created_at timestamptz,
        updated_at timestamptz,
        quantity int,
        discount int,
        payload jsonb,
        total_cents bigint))sql",
                                  kTable));
  Execute(connection, fmt::format(R"sql(
      INSERT INTO {} (customer_id, status, total, currency, note, created_at, updated_at, quantity,
                      discount, payload, total_cents)
      SELECT i % 50000,
             (ARRAY['new', 'paid', 'shipped', 'returned'])[1 + i % 4],
             (i % 1000000) / 100.0,
             (ARRAY['EUR', 'USD', 'CHF'])[1 + i % 3],
             CASE WHEN i % 5 = 0 THEN NULL ELSE 'note ' || md5(i::text) END,
             timestamptz '2024-01-01' + i * interval '1 second',
             timestamptz '2024-06-01' + i * interval '1 second',
             i % 100,
             CASE WHEN i % 3 = 0 THEN i % 20 END,
             jsonb_build_object('sku', md5((i * 7)::text),
                                'tags', jsonb_build_array('a', 'b', i % 10),
                                'address', jsonb_build_object('zip', i % 99999,
                                                              'city', md5((i % 977)::text))),
             i % 1000000
      FROM generate_series(1, {}) AS i)sql",
                                  kTable, rows));
  Execute(connection, fmt::format("VACUUM (FREEZE, ANALYZE) {}", kTable));
}

std::string Copy(const std::string& what) {
  return fmt::format("COPY ({}) TO STDOUT (FORMAT binary)", what);
}

void Discard(PGconn* connection, const std::string& copy_sql) {
  Execute(connection, copy_sql);
  char* message = nullptr;
  int length = 0;
  while ((length = PQgetCopyData(connection, &message, 0)) > 0) PQfreemem(message);
  Result result{PQgetResult(connection)};
  if (length != -1 || PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
    throw std::runtime_error(PQerrorMessage(connection));
  }
  while (result) result.reset(PQgetResult(connection));
}

// What Pawl's own reading costs before any hash: the copy into blocks and the search for rows'
// ends.
void ReadBlocks(PGconn* connection, const std::string& copy_sql) {
  pawl::db::CopyReader reader(connection, copy_sql);
  pawl::db::CopyBlock block;
  while (reader.Read(block)) {
  }
}

// The alternative to a pipeline: no stages at all.
void DigestInline(PGconn* connection, const std::string& copy_sql) {
  pawl::db::CopyReader reader(connection, copy_sql);
  pawl::db::CopyBlock block;
  pawl::verify::RangeDigest digest;
  while (reader.Read(block)) {
    for (std::size_t index = 0; index < block.row_count(); ++index) {
      digest.Add(pawl::verify::DigestRow(block.row(index)));
    }
  }
  if (digest.row_count() != reader.row_count()) throw std::runtime_error("a row was not digested");
}

template <int kThreads>
void DigestPipeline(PGconn* connection, const std::string& copy_sql) {
  pawl::verify::DigestCopy(connection, copy_sql, kThreads);
}

using Read = void (*)(PGconn*, const std::string&);

void OnBoth(Read read, PGconn* first, const std::string& first_sql, PGconn* second,
            const std::string& second_sql) {
  std::future<void> other = std::async(std::launch::async, [&] { read(second, second_sql); });
  read(first, first_sql);
  other.get();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<Way> Ways(PGconn* first, PGconn* second, std::int64_t rows) {
  const std::string whole = Copy(fmt::format("SELECT * FROM {}", kTable));
  const std::string low = Copy(fmt::format("SELECT * FROM {} WHERE id <= {}", kTable, rows / 2));
  const std::string high = Copy(fmt::format("SELECT * FROM {} WHERE id > {}", kTable, rows / 2));
  const std::string keyed = Copy(fmt::format("SELECT id::text, t.* FROM {} AS t", kTable));
  const auto one = [=](Read read) { return [=] { read(first, whole); }; };
  const auto two = [=](Read read) { return [=] { OnBoth(read, first, low, second, high); }; };
  const auto compare = [=](int threads) {
    return [=] {
      const pawl::verify::CompareLimits limits{.threads_per_connection = threads};
      if (!pawl::verify::CompareCopies(first, keyed, second, keyed, limits).equal()) {
        throw std::runtime_error("the table differs from itself");
      }
    };
  };
  return {
      {"1 connection: discard", 0, rows, one(Discard), {}, {}},
      {"  read blocks", 0, rows, one(ReadBlocks), {}, {}},
      {"  digest, no pipeline", 0, rows, one(DigestInline), {}, {}},
      {"  digest, pipeline of 1 thread", 0, rows, one(DigestPipeline<1>), {}, {}},
      {"  digest, pipeline of 2 threads", 0, rows, one(DigestPipeline<2>), {}, {}},
      {"2 connections, a half each: discard", 5, rows, two(Discard), {}, {}},
      {"  read blocks", 5, rows, two(ReadBlocks), {}, {}},
      {"  digest, no pipeline", 5, rows, two(DigestInline), {}, {}},
      {"  digest, pipelines of 1 thread", 5, rows, two(DigestPipeline<1>), {}, {}},
      {"  digest, pipelines of 2 threads", 5, rows, two(DigestPipeline<2>), {}, {}},
      {"2 connections, a side each: discard",
       10,
       2 * rows,
       [=] { OnBoth(Discard, first, keyed, second, keyed); },
       {},
       {}},
      {"  compare, pipelines of 1 thread", 10, 2 * rows, compare(1), {}, {}},
      {"  compare, pipelines of 2 threads", 10, 2 * rows, compare(2), {}, {}},
  };
}

double CpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void Time(Way& way) {
  const double cpu_begin = CpuSeconds();
  const auto begin = std::chrono::steady_clock::now();
  way.run();
  way.seconds.push_back(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  way.cpu_seconds.push_back(CpuSeconds() - cpu_begin);
}

// The median of the rounds' own ratios: what else the machine does changes from round to round, and
// within one round least.
double RatioToFloor(const Way& way, const Way& floor) {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < way.seconds.size(); ++round) {
    ratios.push_back(floor.seconds[round] / way.seconds[round]);
  }
  return Median(ratios);
}

// The table indents a way below its floor; the JSON says it in words.
std::string Trimmed(const std::string& name) { return name.substr(name.find_first_not_of(' ')); }

void Report(const std::vector<Way>& ways, const Options& options) {
  std::string json;
  fmt::print("{:<38}{:>10}{:>10}{:>8}{:>16}\n", "", "rows/s", "seconds", "ratio", "client us/row");
  for (const Way& way : ways) {
    const double seconds = Median(way.seconds);
    const double rows_per_second = static_cast<double>(way.rows) / seconds;
    const double ratio = RatioToFloor(way, ways[way.floor]);
    const double cpu = Median(way.cpu_seconds) / static_cast<double>(way.rows) * 1e6;
    fmt::print("{:<38}{:>10.0f}{:>10.3f}{:>8.3f}{:>16.3f}\n", way.name, rows_per_second, seconds,
               ratio, cpu);
    json += fmt::format(
        "{}\n    {{\"way\": \"{}\", \"floor\": \"{}\", \"rows_per_second\": {:.0f}, \"seconds\": "
        "{:.4f}, \"ratio\": {:.4f}, \"client_cpu_us_per_row\": {:.4f}, \"seconds_per_round\": "
        "[{:.4f}]}}",
        json.empty() ? "" : ",", Trimmed(way.name), ways[way.floor].name, rows_per_second, seconds,
        ratio, cpu, fmt::join(way.seconds, ", "));
  }
  if (options.json_file.empty()) return;
  std::ofstream file(options.json_file);
  file << fmt::format(
      "{{\n  \"bench\": \"verify_stream\", \"rows\": {}, \"rounds\": {},\n"
      "  \"ways\": [{}\n  ]\n}}\n",
      options.rows, options.rounds, json);
  if (!file.flush()) throw std::runtime_error("cannot write " + options.json_file);
}

void Run(const Options& options) {
  const Connection first = Connect(options.database);
  const Connection second = Connect(options.database);
  if (CountRows(first.get()) != options.rows) FillTable(first.get(), options.rows);

  std::vector<Way> ways = Ways(first.get(), second.get(), options.rows);
  for (Way& way : ways) way.run();  // Warm: the cache is not the question.
  for (int round = 0; round < options.rounds; ++round) {
    // Each round starts elsewhere, so that none is always the one behind the same other.
    for (std::size_t i = 0; i < ways.size(); ++i) {
      Time(ways[(i + static_cast<std::size_t>(round)) % ways.size()]);
    }
  }
  Report(ways, options);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Digesting a COPY stream against throwing it away"};
  app.add_option("--database", options.database, "Connection string or URL")->required();
  app.add_option("--rows", options.rows, "Rows of the table")->check(CLI::Range(2, 100'000'000));
  app.add_option("--rounds", options.rounds, "Rounds; the median counts")
      ->check(CLI::Range(1, 1'000));
  app.add_option("--json", options.json_file, "Also write the figures here");
  CLI11_PARSE(app, argc, argv);
  try {
    Run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "verify_stream_bench: {}\n", error.what());
    return EXIT_FAILURE;
  }
}
