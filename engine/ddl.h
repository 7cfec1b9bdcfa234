// Runs short DDL without a stall. A waiting exclusive lock is already an outage, because every
// reader queues behind it. So whoever would be in the way is looked for first, and named; then the
// lock is asked for, for milliseconds at a time, over a long time.
//
// What sessions of the application may be made to wait is a budget: kStallBudget in any minute. A
// try that fails spends as long as it took, and so does a cut-over that succeeds; where too little is
// left, the next one comes with the next minute. A cut-over as a whole takes no longer than what is
// left, over all its statements and locks.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "db/session.h"
#include "schema/plan.h"

namespace pawl::engine {

inline constexpr std::chrono::milliseconds kStallBudget{200};

struct Ddl {
  std::string sql;
  std::vector<schema::TableName> tables;  // Which it locks, the first one first.
  bool stops_readers = true;              // Else those who write, only.
  // Its statements are known to touch the catalogue only: one that takes longer than the budget is
  // given up, and tried again.
  bool is_cut_over = false;
};

// What was spent of the budget in this minute. Shared by the cut-overs of a run.
// Thread safety: none.
struct StallLedger {
  std::chrono::milliseconds spent{0};
  std::chrono::steady_clock::time_point minute_from = std::chrono::steady_clock::now();
};

// `sql` is that of `step` or of its way back.
Ddl DdlFor(const schema::Step& step, const std::string& sql);

// Runs the statements and then `bookkeeping` in one transaction. While the lock is not had,
// `waiting` is called with a sentence that names the holders; it returns false to give up (then the
// result is false and nothing has changed). Throws db::Error; kRefused after ten minutes without
// the lock. A cut-over spends from `stalls`, where it is given.
bool RunDdl(db::Session& session, const Ddl& ddl, const std::function<void()>& bookkeeping,
            const std::function<bool(const std::string&)>& waiting, StallLedger* stalls = nullptr);

}  // namespace pawl::engine
