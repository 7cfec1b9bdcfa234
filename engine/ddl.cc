#include "engine/ddl.h"

#include <algorithm>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "db/error.h"
#include "db/fault.h"
#include "db/quote.h"
#include "schema/sql_tokens.h"

namespace pawl::engine {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What one try may cost, over all the locks that it asks for.
constexpr milliseconds kTry{60};
constexpr milliseconds kLockMin{15};
constexpr milliseconds kLockMax{50};
constexpr std::chrono::minutes kTryFor{10};
// Who has held a lock for this long will most likely hold it for longer than a try.
constexpr milliseconds kLongHolder{250};
// They are asked all the same from time to time: not every lock is in the way of every statement.
constexpr std::chrono::seconds kAskAnyway{15};

std::string Names(const std::vector<schema::TableName>& tables) {
  std::string names;
  for (const schema::TableName& table : tables) {
    names += (names.empty() ? "" : ", ") + table.schema + "." + table.name;
  }
  return names;
}

// `sql` with what is left of `budget`, from the transaction's beginning on, as the time-out of each of
// its statements: the server begins anew with each, so that twenty of them, or twenty locks, could
// take twenty times as long. Asking the server for it costs no round trip under the lock.
std::string Bounded(const std::string& sql, milliseconds budget) {
  const std::string remaining = fmt::format(
      "SELECT pg_catalog.set_config('statement_timeout', greatest(1, {} - (extract(epoch FROM "
      "pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()) * 1000)::integer)::text, "
      "true)",
      budget.count());
  std::string bounded;
  std::size_t begin = 0;
  const auto add = [&](std::size_t end) {
    bounded += fmt::format("{}{};\n{}", bounded.empty() ? "" : "\n;\n", remaining,
                           sql.substr(begin, end - begin));
  };
  for (const schema::Token& token : schema::ScanTokens(sql)) {
    if (token.is_comment || token.depth > 0 || token.word != ";") continue;
    add(token.begin);
    begin = token.end;
  }
  add(sql.size());
  return bounded;
}

// Thread safety: none. Lives for one statement.
class LockService {
 public:
  LockService(db::Session& session, const Ddl& ddl, StallLedger& stalls)
      : session_(session), ddl_(ddl), stalls_(stalls), tried_at_(steady_clock::now()) {}

  // True where a try is likely to get the lock and may be paid for.
  bool MayTry() {
    const auto now = steady_clock::now();
    if (now - stalls_.minute_from > std::chrono::minutes(1)) stalls_ = {milliseconds(0), now};
    if (stalls_.spent + kTry > kStallBudget) {
      why_ = fmt::format("the stall budget of {} ms a minute is spent; ", kStallBudget.count());
      return false;
    }
    why_.clear();
    if (now - tried_at_ > kAskAnyway) return true;
    return Holders(kLongHolder).empty();
  }

  // One transaction; false where a lock was not had in time.
  bool Try(const std::function<void()>& bookkeeping) {
    tried_at_ = steady_clock::now();
    try {
      db::Transaction transaction(session_);
      const auto locks = std::max<std::int64_t>(1, static_cast<std::int64_t>(ddl_.tables.size()));
      const milliseconds each = std::clamp(kTry / locks, kLockMin, kLockMax);
      session_.Execute(fmt::format("SET LOCAL lock_timeout = '{}ms'", each.count()));
      // A commit that waits for a standby keeps its locks meanwhile, and everybody would wait with
      // it. What it did and its bookkeeping are lost together or not at all, and the run's next
      // commit waits for both.
      session_.Execute("SET LOCAL synchronous_commit = local");
      const milliseconds left = kStallBudget - stalls_.spent;
      if (ddl_.is_cut_over) {
        session_.Execute(fmt::format("SET LOCAL statement_timeout = '{}ms'", left.count()));
      }
      // Before 13, the time-out holds for the whole string.
      const bool is_bounded = ddl_.is_cut_over && session_.server_version() >= 130000;
      session_.Execute(is_bounded ? Bounded(ddl_.sql, left)
                                  : (ddl_.sql.empty() ? "SELECT 1" : ddl_.sql));
      bookkeeping();
      PAWL_FAULT("in_ddl");
      transaction.Commit();
      if (ddl_.is_cut_over) Spend();
      return true;
    } catch (const db::Error& error) {
      const bool again = error.action() == db::Action::kRetryBatch ||
                         (ddl_.is_cut_over && error.action() == db::Action::kSplit);
      if (!again) throw;
    }
    Spend();
    return false;
  }

  std::string Sentence() {
    const std::string holders = Holders(milliseconds(0));
    return fmt::format("{}waiting for the lock on {}, held by {}", why_, Names(ddl_.tables),
                       holders.empty() ? "a session that has ended meanwhile" : holders);
  }

 private:
  void Spend() { stalls_.spent += duration_cast<milliseconds>(steady_clock::now() - tried_at_); }

  // "pid 4711 (psql, idle in transaction for 93 s: UPDATE orders …)"
  std::string Holders(milliseconds at_least) {
    std::string oids;
    for (const schema::TableName& table : ddl_.tables) {
      oids += fmt::format("{}to_regclass({})", oids.empty() ? "" : ", ",
                          db::QuoteLiteral(db::QuoteName(table.schema, table.name)));
    }
    if (oids.empty()) return {};
    const auto found = session_.Query(
        fmt::format(
            R"sql(
SELECT a.pid, coalesce(nullif(a.application_name, ''), a.backend_type, 'no name'),
       coalesce(a.state, 'state hidden'),
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::bigint::text, '?'),
       coalesce(left(regexp_replace(a.query, '\s+', ' ', 'g'), 100), '')
  FROM (SELECT DISTINCT pid FROM pg_locks
         WHERE granted AND relation IN ({}) AND pid <> pg_backend_pid(){}) AS l
  JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE a.xact_start <= clock_timestamp() - $1::integer * interval '1 millisecond'
    OR $1::integer = 0
 ORDER BY a.xact_start LIMIT 3)sql",
            oids, ddl_.stops_readers ? "" : " AND mode NOT IN ('AccessShareLock', 'RowShareLock')"),
        {std::to_string(at_least.count())});
    std::string text;
    for (const db::Row& row : found.rows) {
      text += fmt::format("{}pid {} ({}, {} for {} s: {})", text.empty() ? "" : ", ",
                          db::ToText(row[0]), db::ToText(row[1]), db::ToText(row[2]),
                          db::ToText(row[3]), db::ToText(row[4]));
    }
    return text;
  }

  db::Session& session_;
  const Ddl& ddl_;
  StallLedger& stalls_;
  std::string why_;
  steady_clock::time_point tried_at_;
};

}  // namespace

Ddl DdlFor(const schema::Step& step, const std::string& sql) {
  Ddl ddl;
  ddl.sql = sql;
  ddl.stops_readers = sql != step.sql || !step.lock.starts_with("SHARE ");
  ddl.is_cut_over = step.kind == schema::StepKind::kCutOver;
  // A function alone is replaced without a lock that anybody could be in the way of.
  if (step.lock == "none" || sql.starts_with("CREATE OR REPLACE FUNCTION ")) return ddl;
  if (!step.table.name.empty()) ddl.tables.push_back(step.table);
  ddl.tables.insert(ddl.tables.end(), step.also.begin(), step.also.end());
  return ddl;
}

bool RunDdl(db::Session& session, const Ddl& ddl, const std::function<void()>& bookkeeping,
            const std::function<bool(const std::string&)>& waiting, StallLedger* stalls) {
  std::minstd_rand random(std::random_device{}());
  const auto began = steady_clock::now();
  milliseconds pause{100};
  StallLedger own;
  LockService locks(session, ddl, stalls != nullptr && ddl.is_cut_over ? *stalls : own);
  while (!locks.MayTry() || !locks.Try(bookkeeping)) {
    const std::string sentence = locks.Sentence();
    if (steady_clock::now() - began > kTryFor) {
      throw db::Error(
          db::Action::kRefused,
          fmt::format("Ten minutes of {}. No session was disturbed. End that session or choose a "
                      "quieter time, then resume.",
                      sentence));
    }
    if (!waiting(sentence)) return false;
    std::uniform_real_distribution<double> jitter(0.5, 1.5);
    std::this_thread::sleep_for(duration_cast<milliseconds>(pause * jitter(random)));
    pause = std::min(milliseconds(2'000), pause * 2);
  }
  return true;
}

}  // namespace pawl::engine
