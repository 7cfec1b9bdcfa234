// Statements that take long, some of which may not run in a transaction; beside them the run listens
// to commands.
#include <atomic>
#include <semaphore>
#include <thread>

#include <fmt/format.h>

#include "db/fault.h"
#include "db/log.h"
#include "db/quote.h"
#include "engine/failure_advice.h"
#include "engine/run_process.h"
#include "schema/form_steps.h"

namespace pawl::engine {

namespace {

// Waits for those who keep a statement that gives up early from beginning: a vacuum, another change of
// the schema. This lock stops nobody who reads or writes, and neither does waiting for it; an autovacuum
// gives way to it after a second.
std::string AwaitTables(const schema::Step& step) {
  std::string tables = "ONLY " + db::QuoteName(step.table.schema, step.table.name);
  for (const schema::TableName& table : step.also) {
    tables += ", ONLY " + db::QuoteName(table.schema, table.name);
  }
  return fmt::format(
      "SELECT pg_catalog.pg_sleep(0.1);\nBEGIN;\nSET LOCAL lock_timeout = 0;\nLOCK TABLE {} IN SHARE "
      "UPDATE EXCLUSIVE MODE;\nCOMMIT",
      tables);
}

}  // namespace

bool RunProcess::Says(const std::string& question) {
  return !question.empty() && db::ToBool(session_->Query(question).rows.at(0)[0]);
}

// Nothing but PostgreSQL's own books says how far such a statement has come: a process that was
// killed in the middle may have left it done, half done (an invalid index), or still at work. In
// that last case the removal of the left-over waits for it.
RunProcess::Verdict RunProcess::RunAloneStep(const schema::Step& step, const std::string& sql,
                                             const std::string& new_state) {
  const bool is_there = Says(step.settled);
  const bool back = new_state == "reverted";
  const bool is_done = back ? !step.settled.empty() && !is_there && !Says(step.leftover) : is_there;
  if (!is_done && !sql.empty()) {
    PAWL_FAULT("before_ddl");
    if (RunAlone(step, sql) == Verdict::kInterrupted) return Verdict::kInterrupted;
    PAWL_FAULT("after_ddl");
  }
  SetStepState(step, new_state);
  return Verdict::kDone;
}

// Its lock lets everybody read and write, so it may wait for as long as it likes; where it does not
// (LockWaitOf), it gives up in time, and has then mostly done what `settled` asks for. Whatever ends
// it early, what it left invalid goes with it: by `clear`, or by what that gives where it is a SELECT.
RunProcess::Verdict RunProcess::RunAlone(const schema::Step& step, const std::string& sql) {
  std::atomic<int> backend{0};
  const auto clear = [&](db::Session& session) {
    if (step.leftover.empty() || !db::ToBool(session.Query(step.leftover).rows.at(0)[0])) return;
    if (!step.clear.starts_with("SELECT ")) return session.Execute(step.clear);
    for (const db::Row& row : session.Query(step.clear).rows) session.Execute(db::ToText(row[0]));
  };
  const auto work = [&] {
    db::SessionSettings settings = Settings();
    settings.lock_timeout = schema::LockWaitOf(step);
    db::Session session(where_, "ddl", settings);
    backend = session.backend_pid();
    clear(session);
    if (sql.empty()) return;
    while (true) {
      try {
        session.Execute(sql);
        return;
      } catch (const db::Error& error) {
        clear(session);
        if (settings.lock_timeout.count() == 0 || error.action() != db::Action::kRetryBatch) throw;
      }
      if (db::ToBool(session.Query(step.settled).rows.at(0)[0])) return;
      session.Execute(AwaitTables(step));
    }
  };
  return Meanwhile(work, [&] { Cancel(backend, "pawl/ddl"); });
}

// Asks for one number, of a whole table perhaps, on a connection of its own. nullopt where a command
// asks to stop.
std::optional<std::int64_t> RunProcess::CountMeanwhile(const std::string& question) {
  std::atomic<int> backend{0};
  std::int64_t count = 0;
  const auto work = [&] {
    db::Session session(where_, "count", Settings());
    backend = session.backend_pid();
    count = db::ToInt(session.Query(question).rows.at(0)[0]);
  };
  const Verdict verdict = Meanwhile(work, [&] { Cancel(backend, "pawl/count"); });
  return verdict == Verdict::kDone ? std::optional(count) : std::nullopt;
}

// By its name as well: the number may be somebody else's as soon as the session has ended.
void RunProcess::Cancel(int backend, const std::string& name) {
  session_->Query(
      "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = $1::integer AND "
      "application_name = $2",
      {std::to_string(backend), name});
}

// Runs `work` on a thread of its own. Where a command asks to stop, calls `cancel`, which must end
// it soon, and again until it has ended: the first may have come too early.
RunProcess::Verdict RunProcess::Meanwhile(const std::function<void()>& work,
                                          const std::function<void()>& cancel) {
  std::optional<db::Error> failure;
  std::binary_semaphore ended{0};
  std::jthread thread([&] {
    try {
      work();
    } catch (const db::Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure = db::Error(db::Action::kStop, error.what());
    }
    ended.release();
  });
  bool interrupted = false;
  try {
    while (!ended.try_acquire_for(kTick)) {
      if (!interrupted && !Attend(nullptr, std::chrono::milliseconds(0))) interrupted = true;
      if (interrupted) cancel();
    }
  } catch (...) {
    try {
      // Our connection is gone. Were the other one not, its work would be waited for, for hours.
      session_ = std::make_unique<db::Session>(where_, "run");
      cancel();
    } catch (const std::exception& error) {
      db::Log(db::LogLevel::kWarning, "cannot cancel", {{"message", error.what()}});
    }
    throw;
  }
  thread.join();
  if (interrupted) return Verdict::kInterrupted;
  // Else it would ask for ever.
  if (failure && failure->sqlstate() == "53300") throw NoConnection(*failure);
  if (failure) throw *failure;
  return Verdict::kDone;
}

}  // namespace pawl::engine
