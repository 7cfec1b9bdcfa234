#include "engine/ddl.h"

#include <chrono>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "db/error.h"
#include "db/fault.h"
#include "db/quote.h"

namespace pawl::engine {
namespace {

using std::chrono::milliseconds;

// A waiting exclusive lock is an outage for every reader behind it: 50 ms is all a try may cost.
constexpr const char* kLockTimeout = "SET LOCAL lock_timeout = '50ms'";
constexpr std::chrono::minutes kTryFor{10};

// "pid 4711 (psql, idle in transaction for 93 s: UPDATE orders …)"
std::string Holders(db::Session& session, const schema::TableName& table) {
  const auto found = session.Query(
      R"sql(SELECT a.pid, coalesce(nullif(a.application_name, ''), 'no name'),
                 coalesce(a.state, 'state hidden'),
                 coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::bigint::text, '?'),
                 coalesce(left(regexp_replace(a.query, '\s+', ' ', 'g'), 100), '')
            FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
           WHERE l.granted AND l.relation = to_regclass($1) AND l.pid <> pg_backend_pid()
           ORDER BY a.xact_start LIMIT 3)sql",
      {db::QuoteName(table.schema, table.name)});
  std::string text;
  for (const db::Row& row : found.rows) {
    text +=
        fmt::format("{}pid {} ({}, {} for {} s: {})", text.empty() ? "" : ", ", db::ToText(row[0]),
                    db::ToText(row[1]), db::ToText(row[2]), db::ToText(row[3]), db::ToText(row[4]));
  }
  return text.empty() ? "a session that has ended meanwhile" : text;
}

}  // namespace

bool RunDdl(db::Session& session, const schema::TableName& table, const std::string& sql,
            const std::function<void()>& bookkeeping,
            const std::function<bool(const std::string&)>& waiting) {
  std::minstd_rand random(std::random_device{}());
  const auto began = std::chrono::steady_clock::now();
  milliseconds pause{100};
  while (true) {
    try {
      db::Transaction transaction(session);
      session.Execute(kLockTimeout);
      session.Execute(sql);
      bookkeeping();
      PAWL_FAULT("in_ddl");
      transaction.Commit();
      return true;
    } catch (const db::Error& error) {
      if (error.action() != db::Action::kRetryBatch) throw;
    }
    const std::string sentence = fmt::format("waiting for the lock on {}.{}, held by {}",
                                             table.schema, table.name, Holders(session, table));
    if (std::chrono::steady_clock::now() - began > kTryFor) {
      throw db::Error(
          db::Action::kRefused,
          fmt::format("Ten minutes of {}. No session was disturbed. End that session or choose a "
                      "quieter time, then resume.",
                      sentence));
    }
    if (!waiting(sentence)) return false;
    const std::uniform_real_distribution<double> jitter(0.5, 1.5);
    std::this_thread::sleep_for(std::chrono::duration_cast<milliseconds>(
        pause * std::uniform_real_distribution<double>(jitter)(random)));
    pause = std::min(milliseconds(2'000), pause * 2);
  }
}

}  // namespace pawl::engine
