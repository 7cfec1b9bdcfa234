// Runs short DDL without a stall. A waiting exclusive lock is already an outage, because every
// reader queues behind it. So whoever would be in the way is looked for first, and named; then the
// lock is asked for, for milliseconds at a time, over a long time.
//
// What sessions of the application may be made to wait is a budget, limit.stall in any minute of the
// run. A try that fails spends as long as it took, and so does a cut-over that succeeds; where too
// little is left, the next one comes with the next minute. A cut-over as a whole takes no longer than
// what is left, over all its statements and locks.
//
// Nobody's session is ended, but for those of roles that end_sessions names.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "db/session.h"
#include "schema/plan.h"
#include "schema/throttle_options.h"

namespace pawl::engine {

struct Ddl {
  std::string sql;
  std::vector<schema::TableName> tables;  // Which it locks, the first one first.
  bool stops_readers = true;              // Else those who write, only.
  // Its statements are known to touch the catalogue only: one that takes longer than the budget is
  // given up, and tried again.
  bool is_cut_over = false;
};

// On what terms locks of the application's tables are asked for. Shared by all steps of a run, whose
// limits may be set while it waits. Thread safety: none.
struct LockTerms {
  LockTerms(std::int64_t of_run, const schema::ThrottleValues& values);
  void Set(const schema::ThrottleValues& values);

  std::int64_t run;
  std::chrono::milliseconds stall_budget{0};  // For a minute.
  std::vector<std::string> end_sessions;      // Roles.
  // Of the budget, in this minute.
  std::chrono::milliseconds spent{0};
  std::chrono::steady_clock::time_point minute_from = std::chrono::steady_clock::now();
};

// Throws kBadInput where `values` name roles that do not exist, or whose sessions this role may not
// end.
void CheckLockTerms(db::Session& session, const schema::ThrottleValues& values);

// `sql` is that of `step` or of its way back.
Ddl DdlFor(const schema::Step& step, const std::string& sql);

// Runs the statements and then `bookkeeping` in one transaction. While the lock is not had,
// `waiting` is called with a sentence that names the holders; it returns false to give up (then the
// result is false and nothing has changed). Throws db::Error; kRefused after ten minutes without
// the lock. Sessions that were ended are in pawl.audit.
bool RunDdl(db::Session& session, const Ddl& ddl, LockTerms& terms,
            const std::function<void()>& bookkeeping,
            const std::function<bool(const std::string&)>& waiting);

}  // namespace pawl::engine
