#include "engine/ddl.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "db/error.h"
#include "db/fault.h"
#include "db/quote.h"
#include "schema/form_steps.h"
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
// Where sessions may be ended, it is not the first thing that is tried.
constexpr std::chrono::seconds kEndAfter{5};

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
  LockService(db::Session& session, const Ddl& ddl, LockTerms& terms)
      : session_(session), ddl_(ddl), terms_(terms), tried_at_(steady_clock::now()) {}

  // True where a try is likely to get the lock and may be paid for.
  bool MayTry() {
    const auto now = steady_clock::now();
    if (now - terms_.minute_from > std::chrono::minutes(1)) {
      terms_.spent = milliseconds(0);
      terms_.minute_from = now;
    }
    if (terms_.spent + kTry > terms_.stall_budget) {
      why_ = fmt::format("the stall budget (limit.stall) of {} ms a minute is spent; ",
                         terms_.stall_budget.count());
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
      const milliseconds left = terms_.stall_budget - terms_.spent;
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

  // Ends the sessions that hold the lock, of roles for which the user allows it: not those whose
  // transaction is younger than kEndAfter, which may be about to let go, and never a vacuum against
  // wraparound, which is nobody's.
  void EndHolders() {
    if (terms_.end_sessions.empty() || ddl_.tables.empty()) return;
    const auto found = session_.Query(fmt::format(R"sql(
SELECT a.pid, a.backend_start::text, a.usename,
       format('pid %s of role %s (%s, %s for %s s: %s)', a.pid, a.usename, a.application_name, a.state,
              extract(epoch FROM clock_timestamp() - a.xact_start)::bigint,
              left(regexp_replace(a.query, '\s+', ' ', 'g'), 100))
  FROM ({}) AS l
  JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE a.backend_type = 'client backend' AND a.application_name NOT LIKE 'pawl/%'
   AND a.xact_start <= clock_timestamp() - $1::integer * interval '1 millisecond')sql",
                                                  HoldersSql()),
                                      {std::to_string(milliseconds(kEndAfter).count())});
    for (const db::Row& row : found.rows) {
      const std::string role = db::ToText(row[2]);
      const auto& allowed = terms_.end_sessions;
      if (std::find(allowed.begin(), allowed.end(), role) == allowed.end()) continue;
      // Said before it is done: what is in the books was at least meant. The number may belong to
      // another session by now; its start does not.
      session_.Query(
          "INSERT INTO pawl.audit (run_id, event, detail) VALUES ($1::bigint, $2, $3)",
          {std::to_string(terms_.run), "end session",
           fmt::format("{} held the lock on {}", db::ToText(row[3]), Names(ddl_.tables))});
      session_.Query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::integer AND "
          "backend_start = $2::timestamptz",
          {db::ToText(row[0]), db::ToText(row[1])});
    }
  }

  std::string Sentence() {
    const std::string holders = Holders(milliseconds(0));
    return fmt::format("{}waiting for the lock on {}, held by {}", why_, Names(ddl_.tables),
                       holders.empty() ? "a session that has ended meanwhile" : holders);
  }

 private:
  void Spend() { terms_.spent += duration_cast<milliseconds>(steady_clock::now() - tried_at_); }

  // The sessions that have a lock in our way; empty where no table is locked.
  std::string HoldersSql() const {
    std::string oids;
    for (const schema::TableName& table : ddl_.tables) {
      oids += fmt::format("{}to_regclass({})", oids.empty() ? "" : ", ",
                          db::QuoteLiteral(db::QuoteName(table.schema, table.name)));
    }
    if (oids.empty()) return {};
    return fmt::format(
        "SELECT DISTINCT pid FROM pg_locks WHERE granted AND relation IN ({}) AND pid <> "
        "pg_backend_pid(){}",
        oids, ddl_.stops_readers ? "" : " AND mode NOT IN ('AccessShareLock', 'RowShareLock')");
  }

  // "pid 4711 (psql, idle in transaction for 93 s: UPDATE orders …)"
  std::string Holders(milliseconds at_least) {
    if (ddl_.tables.empty()) return {};
    const auto found = session_.Query(fmt::format(
                                          R"sql(
SELECT a.pid, coalesce(nullif(a.application_name, ''), a.backend_type, 'no name'),
       coalesce(a.state, 'state hidden'),
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::bigint::text, '?'),
       coalesce(left(regexp_replace(a.query, '\s+', ' ', 'g'), 100), '')
  FROM ({}) AS l
  JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE a.xact_start <= clock_timestamp() - $1::integer * interval '1 millisecond'
    OR $1::integer = 0
 ORDER BY a.xact_start LIMIT 3)sql",
                                          HoldersSql()),
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
  LockTerms& terms_;
  std::string why_;
  steady_clock::time_point tried_at_;
};

}  // namespace

Ddl DdlFor(const schema::Step& step, const std::string& sql) {
  Ddl ddl;
  ddl.sql = sql;
  ddl.stops_readers = sql != step.sql || !step.lock.starts_with("SHARE ");
  ddl.is_cut_over = step.kind == schema::StepKind::kCutOver || schema::IsBrief(step);
  // A function alone is replaced without a lock that anybody could be in the way of.
  if (sql.empty() || step.lock == "none" || sql.starts_with("CREATE OR REPLACE FUNCTION "))
    return ddl;
  if (!step.table.name.empty()) ddl.tables.push_back(step.table);
  ddl.tables.insert(ddl.tables.end(), step.also.begin(), step.also.end());
  return ddl;
}

bool RunDdl(db::Session& session, const Ddl& ddl, LockTerms& terms,
            const std::function<void()>& bookkeeping,
            const std::function<bool(const std::string&)>& waiting) {
  std::minstd_rand random(std::random_device{}());
  const auto began = steady_clock::now();
  milliseconds pause{100};
  LockService locks(session, ddl, terms);
  while (!locks.MayTry() || !locks.Try(bookkeeping)) {
    const std::string sentence = locks.Sentence();
    if (steady_clock::now() - began > kTryFor) {
      throw db::Error(
          db::Action::kRefused,
          fmt::format("Ten minutes of {}. End that session, choose a quieter time, or let Pawl end "
                      "sessions of its role (end_sessions=ROLE), then resume.",
                      sentence));
    }
    if (!waiting(sentence)) return false;
    if (steady_clock::now() - began > kEndAfter) locks.EndHolders();
    std::uniform_real_distribution<double> jitter(0.5, 1.5);
    std::this_thread::sleep_for(duration_cast<milliseconds>(pause * jitter(random)));
    pause = std::min(milliseconds(2'000), pause * 2);
  }
  return true;
}

LockTerms::LockTerms(std::int64_t of_run, const schema::ThrottleValues& values) : run(of_run) {
  Set(values);
}

void LockTerms::Set(const schema::ThrottleValues& values) {
  stall_budget =
      milliseconds(std::llround(1'000 * schema::ThrottleNumber(values, "limit.stall").value_or(0)));
  end_sessions = schema::ThrottleNames(values, "end_sessions");
}

void CheckLockTerms(db::Session& session, const schema::ThrottleValues& values) {
  for (const std::string& role : schema::ThrottleNames(values, "end_sessions")) {
    const auto found = session.Query(
        "SELECT (pg_has_role(current_user, 'pg_signal_backend', 'USAGE') OR "
        "pg_has_role(current_user, oid, 'USAGE')) AND (NOT rolsuper OR (SELECT rolsuper FROM pg_roles "
        "WHERE rolname = current_user)) FROM pg_roles WHERE rolname = $1",
        {role});
    if (found.rows.empty()) {
      db::FailInput(fmt::format(
          "end_sessions names the role \"{}\", which does not exist. Nothing was changed.", role));
    }
    if (!db::ToBool(found.rows[0][0])) {
      db::FailInput(fmt::format(
          "end_sessions={}: the role that Pawl connects as may not end its sessions. GRANT "
          "pg_signal_backend to it first; those of a superuser only a superuser may "
          "end. Nothing was changed.",
          role));
    }
  }
}

}  // namespace pawl::engine
