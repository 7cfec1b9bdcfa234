#include "engine/run_process.h"

#include <thread>

#include <boost/asio.hpp>
#include <boost/json.hpp>
#include <fmt/format.h>

#include "db/fault.h"
#include "db/log.h"
#include "db/quote.h"
#include "engine/change_task.h"
#include "engine/ddl.h"
#include "engine/failure_advice.h"
#include "engine/preconditions.h"
#include "engine/revert_task.h"
#include "engine/span_cutting.h"
#include "engine/sql_keys.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kTick{100};
constexpr std::chrono::minutes kReconnectFor{5};
// Traffic may keep bringing rows that need the change; after these sweeps what is left is the
// application's, which verification tells apart. Termination must not depend on traffic.
constexpr int kSweepsMax = 3;
// Advisory lock class of coordinators.
constexpr int kCoordinatorLock = 7'240'616;

}  // namespace

// Timers and the LISTEN socket on one loop.
class RunProcess::EventLoop {
 public:
  explicit EventLoop(const db::ConnectionString& where)
      : listener_(where, checkpoints::kChannel), socket_(context_, dup(listener_.socket())) {}

  int backend_pid() const { return listener_.backend_pid(); }

  // Waits for a notification, at most `timeout`. Returns true if one came.
  bool Wait(milliseconds timeout) {
    bool readable = false;
    boost::asio::steady_timer timer(context_, timeout);
    timer.async_wait([this](const boost::system::error_code& error) {
      if (!error) socket_.cancel();
    });
    socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                       [&](const boost::system::error_code& error) {
                         readable = !error;
                         timer.cancel();
                       });
    context_.restart();
    context_.run();
    return readable && listener_.Drain();
  }

 private:
  boost::asio::io_context context_;
  db::Listener listener_;
  boost::asio::posix::stream_descriptor socket_;
};

std::string ToText(const RevertSettings& settings) {
  boost::json::object object;
  object["batches"] = boost::json::value_from(settings.batches);
  object["on_conflict"] = static_cast<int>(settings.on_conflict);
  return boost::json::serialize(object);
}

RevertSettings RevertSettingsFrom(const std::string& text) {
  try {
    RevertSettings settings;
    const boost::json::value value = boost::json::parse(text);
    settings.batches = boost::json::value_to<std::vector<std::int64_t>>(value.at("batches"));
    settings.on_conflict = static_cast<OnConflict>(value.at("on_conflict").as_int64());
    return settings;
  } catch (const std::exception&) {
    throw db::Error(db::Action::kStop,
                    fmt::format("pawl.run.revert_options holds {}, which is no JSON that this program wrote. "
                                "Ask for the revert again with `pawl revert`, which writes it anew.",
                                text));
  }
}

db::SessionSettings SettingsOf(const schema::Plan& plan) {
  db::SessionSettings settings;
  settings.search_path = plan.search_path;
  settings.time_zone = plan.time_zone;
  return settings;
}

std::int64_t UndoBytes(db::Session& session, std::int64_t run) {
  return db::ToInt(
      session
          .Query("SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c JOIN "
                 "pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'pawl' AND c.relkind = "
                 "'r' AND c.relname LIKE $1",
                 {fmt::format("undo\\_{}\\_%", run)})
          .rows[0][0]);
}

RunProcess::RunProcess(const db::ConnectionString& where, std::int64_t run,
                       const RunSettings& settings, OnProgress on_progress,
                       std::atomic<bool>& pause_requested)
    : where_(where),
      run_id_(run),
      settings_(settings),
      on_progress_(std::move(on_progress)),
      pause_requested_(pause_requested) {}

RunProcess::~RunProcess() = default;

bool RunProcess::Working() const {
  return run_.state == "running" || run_.state == "verifying" || run_.state == "reverting";
}

db::SessionSettings RunProcess::Settings() const { return SettingsOf(plan_); }

RunResult RunProcess::Execute() {
  const auto give_up_at = [] { return steady_clock::now() + kReconnectFor; };
  auto until = give_up_at();
  while (true) {
    try {
      Connect();
      until = give_up_at();
      Attempt();
      AddTime();
      checkpoints::LeaveRun(*session_, worker_);
      return Result();
    } catch (const db::Error& error) {
      if (error.action() != db::Action::kReconnect) throw;
      // The server is gone or restarting: everything committed is kept, and the spans' cursors say where
      // to go on.
      if (steady_clock::now() > until || pause_requested_) throw;
      if (error.sqlstate() == "53300" && worker_ == 0) throw NoConnection(error);  // It never had one.
      progress_.note = fmt::format("connection lost, trying again: {}", error.what());
      if (on_progress_) on_progress_(progress_);
      coordinator_ = false;
      std::this_thread::sleep_for(milliseconds(300));
    }
  }
}

void RunProcess::Connect() {
  events_.reset();
  session_ = std::make_unique<db::Session>(where_, "run");
  run_ = checkpoints::LoadRun(*session_, run_id_);
  plan_ = checkpoints::LoadPlan(*session_, run_.plan_hash);
  RequireSameServer(where_, *session_, plan_);  // Also after a reconnect: the address may lead elsewhere now.
  session_->Execute(db::SettingsSql(Settings()));
  events_ = std::make_unique<EventLoop>(where_);
  worker_ = checkpoints::JoinRun(*session_, run_id_, events_->backend_pid());
  progress_.run = run_id_;
  progress_.migration = run_.migration;
  progress_.steps = static_cast<int>(plan_.steps.size());
  progress_.rows_estimated = 0;
  for (const schema::Step& step : plan_.steps) {
    if (step.backfill) progress_.rows_estimated += step.backfill->rows_estimated;
  }
  workers_set_ = settings_.workers.value_or(run_.workers);
  time_from_ = steady_clock::now();
  wal_from_ = db::ToText(session_->Query("SELECT pg_current_wal_insert_lsn()").rows[0][0]);
  others_ = checkpoints::LiveWorkers(*session_, run_id_, worker_);
  Steer(nullptr);  // The pace holds from the first batch on.
  CountRows();
}

void RunProcess::Attempt() {
  while (true) {
    if (run_.state == "paused") {
      // Paused from elsewhere: wait for a resume. Paused from here: leave.
      if (pause_requested_) return;
      Tick(nullptr);
      continue;
    }
    if (!Working()) return;
    if (!coordinator_ && !BecomeCoordinator()) {
      AssistOnce();
      continue;
    }
    try {
      if (run_.state == "reverting") {
        GoBack();
      } else {
        GoForward();
      }
    } catch (const db::Error& error) {
      if (error.action() == db::Action::kReconnect) throw;
      // Paused or aborted from elsewhere at this very moment: that command stands, and nothing has failed.
      run_ = checkpoints::LoadRun(*session_, run_id_);
      if (!Working()) continue;
      stopped_by_conflict_ = error.sqlstate() == kConflictState;
      checkpoints::MoveRun(*session_, run_id_, "failed", WithAdvice(error));
    }
    run_ = checkpoints::LoadRun(*session_, run_id_);
  }
}

bool RunProcess::BecomeCoordinator() {
  coordinator_ = db::ToBool(session_
                                ->Query("SELECT pg_try_advisory_lock($1::integer, $2::integer)",
                                        {std::to_string(kCoordinatorLock), std::to_string(run_id_)})
                                .rows[0][0]);
  return coordinator_;
}

// Lends workers to the backfill under way, if there is one.
void RunProcess::AssistOnce() {
  for (const schema::Step& step : plan_.steps) {
    if (!step.backfill || run_.state != "running" || StepState(step.number) != "running") continue;
    const auto round = session_->Query(
        "SELECT round FROM pawl.step WHERE run_id = $1::bigint AND step = $2::integer",
        {std::to_string(run_id_), std::to_string(step.number)});
    const checkpoints::Round at{run_id_, step.number, static_cast<int>(db::ToInt(round.rows[0][0]))};
    if (checkpoints::UnfinishedSpans(*session_, at) == 0) break;
    ChangeSource tasks(*step.backfill, {at, session_->server_version()});
    WorkOn(step, at, tasks, *step.backfill);
    return;
  }
  Tick(nullptr);
}

void RunProcess::GoForward() {
  for (const schema::Step& step : plan_.steps) {
    if (step.kind == schema::StepKind::kSyncOff) continue;  // After the proof: it watches until then.
    if (StepState(step.number) == "done") continue;
    if (RunStep(step) == Verdict::kInterrupted) return;
  }
  if (run_.state == "running") checkpoints::MoveRun(*session_, run_id_, "verifying", "");
  run_ = checkpoints::LoadRun(*session_, run_id_);
  if (settings_.verify && VerifyAll() == Verdict::kInterrupted) return;
  if (verification_ && !verification_->passed) {
    checkpoints::MoveRun(*session_, run_id_, "failed",
                         fmt::format("Verification found {} difference(s).",
                                     verification_->differences_count));
    return;
  }
  for (const schema::Step& step : plan_.steps) {
    if (step.kind != schema::StepKind::kSyncOff || StepState(step.number) == "done") continue;
    if (RunSimpleStep(step, step.sql, "done") == Verdict::kInterrupted) return;
  }
  AddTime();
  checkpoints::MoveRun(*session_, run_id_, "completed",
                       settings_.verify ? "" : "not verified, as asked");
}

RunProcess::Verdict RunProcess::RunStep(const schema::Step& step) {
  progress_.step = step.number;
  progress_.step_title = step.title;
  return step.backfill ? RunBackfill(step) : RunSimpleStep(step, step.sql, "done");
}

RunProcess::Verdict RunProcess::RunSimpleStep(const schema::Step& step, const std::string& sql,
                                              const std::string& new_state) {
  PAWL_FAULT("before_ddl");
  const bool done = RunDdl(
      *session_, step.table, sql.empty() ? "SELECT 1" : sql,
      [&] { SetStepState(step.number, new_state); },
      [&](const std::string& sentence) {
        progress_.note = sentence;
        return Tick(nullptr);
      });
  PAWL_FAULT("after_ddl");
  progress_.note.clear();
  return done ? Verdict::kDone : Verdict::kInterrupted;
}

// Rounds: the change itself, and where rows may have moved behind its back, closing sweeps of the same
// predicate until one finds nothing.
RunProcess::Verdict RunProcess::RunBackfill(const schema::Step& step) {
  const schema::Backfill& backfill = *step.backfill;
  const auto found = session_->Query(
      "SELECT round FROM pawl.step WHERE run_id = $1::bigint AND step = $2::integer",
      {std::to_string(run_id_), std::to_string(step.number)});
  int round = std::max(1, static_cast<int>(db::ToInt(found.rows[0][0])));
  const int rounds_max = IsBlockOrder(backfill) ? 1 + kSweepsMax : 1;
  while (true) {
    if (RunRound(step, round) == Verdict::kInterrupted) return Verdict::kInterrupted;
    if (round >= rounds_max || (round > 1 && RowsChanged(step.number, round) == 0)) break;
    ++round;
  }
  // This commit is synchronous, and so makes every batch before it durable.
  SetStepState(step.number, "done");
  return Verdict::kDone;
}

RunProcess::Verdict RunProcess::RunRound(const schema::Step& step, int round) {
  const schema::Backfill& backfill = *step.backfill;
  const checkpoints::Round at{run_id_, step.number, round};
  if (const std::string undo = schema::RenderUndoTable(backfill, run_id_, step.number); !undo.empty()) {
    const auto there = session_->Query("SELECT to_regclass($1) IS NOT NULL",
                                       {schema::UndoTable(run_id_, step.number)});
    if (!db::ToBool(there.rows[0][0])) session_->Execute(undo);
  }
  checkpoints::CreateSpans(*session_, at, CutSpans(*session_, backfill));
  PAWL_FAULT("after_spans");
  ChangeSource tasks(backfill, {at, session_->server_version()});
  return WorkOn(step, at, tasks, backfill);
}

// Runs workers over the spans of a round until none is left.
RunProcess::Verdict RunProcess::WorkOn(const schema::Step& step, const checkpoints::Round& round,
                                       TaskSource& tasks, const schema::Backfill& backfill) {
  if (checkpoints::UnfinishedSpans(*session_, round) == 0) return Verdict::kDone;
  progress_.step = step.number;
  progress_.step_title = step.title;
  WorkOrder order{where_, Settings(), round, worker_, {}, backfill.row_bytes, backfill.quarantine_max,
                  backfill.stands_alone,
                  backfill.walked.schema + "." + backfill.walked.name, plan_.system_identifier, &tasks,
                  &pace_, &leases_};
  order.key_index = backfill.key_index;
  order.settings.statement_timeout = std::chrono::seconds(checkpoints::kBatchTimeoutSeconds);
  order.settings.lock_timeout = std::chrono::seconds(2);
  order.settings.quiet_triggers = backfill.quiet_triggers;
  if (backfill.batch_time_ms > 0) order.limits.duration_target = milliseconds(backfill.batch_time_ms);
  if (backfill.batch_rows > 0) {
    order.limits.rows_initial = backfill.batch_rows;
    order.limits.rows_max = backfill.batch_rows;
  }
  WorkerPool pool(order);
  pool.Resize(workers_set_);
  bool interrupted = false;
  while (!pool.idle()) {
    if (!interrupted && !Tick(&pool)) {
      pool.Stop();
      interrupted = true;
    }
    if (interrupted) std::this_thread::sleep_for(milliseconds(5));
    Absorb(pool);
  }
  pool.Join();
  Absorb(pool);
  if (const auto failure = pool.failure()) throw *failure;
  if (interrupted || checkpoints::UnfinishedSpans(*session_, round) > 0) return Verdict::kInterrupted;
  return Verdict::kDone;
}

// Waits a moment, hears commands, renews leases, tells progress. Returns false when work must stop: the run
// is no longer in a working state, or this process was asked to pause it.
bool RunProcess::Tick(WorkerPool* pool) {
  const bool notified = events_->Wait(pool != nullptr && pool->idle() ? milliseconds(1) : kTick);
  const auto now = steady_clock::now();
  if (pause_requested_ && Working()) {
    checkpoints::MoveRun(*session_, run_id_, "paused", "paused by an interrupt", "pause");
    run_ = checkpoints::LoadRun(*session_, run_id_);
    return false;
  }
  if (notified || now - looked_at_ > std::chrono::seconds(1)) {
    looked_at_ = now;
    const std::string state = run_.state;
    run_ = checkpoints::LoadRun(*session_, run_id_);
    Steer(pool);
    if (run_.state != state) return false;
  }
  if (now - beat_at_ > std::chrono::seconds(2)) {
    beat_at_ = now;
    checkpoints::Heartbeat(*session_, worker_, pool != nullptr ? pool->size() : 0,
                           progress_.batch_rows);
    checkpoints::RenewLeases(*session_, leases_.All());
    others_ = checkpoints::LiveWorkers(*session_, run_id_, worker_);
  }
  Tell();
  return true;
}

void RunProcess::Steer(WorkerPool* pool) {
  pace_.SetRowsPerSecond(static_cast<double>(run_.pace) / static_cast<double>(others_ + 1));
  // A number given to this process holds until `pawl set` says otherwise.
  if (!settings_.workers || run_.workers != *settings_.workers) {
    if (run_.workers != workers_set_ && (!settings_.workers || coordinator_)) workers_set_ = run_.workers;
  }
  if (pool != nullptr && pool->size() != workers_set_) pool->Resize(workers_set_);
}

void RunProcess::Absorb(WorkerPool& pool) {
  progress_.workers = pool.size();
  for (const BatchReport& report : pool.Drain()) {
    progress_.rows_done += report.rows;
    progress_.batch_rows = report.rows_target;
    if (report.hot_share >= 0) progress_.hot_share = report.hot_share;
    db::Log(db::LogLevel::kDebug, "batch",
            {{"batch", std::to_string(report.batch)},
             {"rows", std::to_string(report.rows)},
             {"microseconds", std::to_string(report.duration.count())}});
  }
}

// Counts what all processes have done, from the tables.
void RunProcess::CountRows() {
  counted_at_ = steady_clock::now();
  const std::string run = std::to_string(run_id_);
  const bool back = !run_.revert_options.empty();
  progress_.rows_done = db::ToInt(
      session_->Query("SELECT coalesce(sum(rows), 0)::bigint FROM pawl.ledger WHERE run_id = $1::bigint AND "
                      "kind = $2",
                      {run, back ? "revert" : "change"})
          .rows[0][0]);
  const auto spans = session_->Query(
      R"sql(SELECT coalesce(sum(least(rows_scanned, rows_estimated)), 0)::bigint,
                   coalesce(sum(CASE WHEN done THEN rows_estimated END), 0)::bigint,
                   greatest(coalesce(sum(rows_estimated), 0), 1)::bigint
              FROM pawl.span WHERE run_id = $1::bigint AND (round > 0) = $2::boolean AND abs(round) = 1)sql",
      {run, back ? "false" : "true"});
  std::int64_t all_rows = 0;
  std::int64_t done_rows = 0;
  for (const schema::Step& step : plan_.steps) {
    if (!step.backfill) continue;
    all_rows += std::max<std::int64_t>(1, step.backfill->rows_in_table);
    if (!back && StepState(step.number) == "done") done_rows += step.backfill->rows_in_table;
  }
  const double visited = static_cast<double>(
      std::max(done_rows, std::max(db::ToInt(spans.rows[0][0]), db::ToInt(spans.rows[0][1]))));
  progress_.fraction = std::min(1.0, visited / static_cast<double>(std::max<std::int64_t>(1, all_rows)));
}

void RunProcess::Tell() {
  const auto now = steady_clock::now();
  if (now - counted_at_ > std::chrono::seconds(1)) CountRows();
  meter_.Note(now, progress_.rows_done, progress_.fraction);
  meter_.Describe(progress_);
  progress_.state = run_.state;
  progress_.working_seconds = std::chrono::duration<double>(now - time_from_).count();
  if (on_progress_) on_progress_(progress_);
}

RunProcess::Verdict RunProcess::VerifyAll() {
  progress_.step_title = "verification";
  progress_.note.clear();
  AddTime();
  // Looks for a pause every so often: commands must work here too.
  std::atomic<bool> stop{false};
  std::optional<db::Error> failure;
  std::atomic<bool> finished{false};
  std::jthread check([&] {
    try {
      db::Session session(where_, "verify", Settings());
      verification_ = VerifyRun(session, where_, Settings(), plan_, run_id_, true,
                                [&] { return stop.load(); });
    } catch (const db::Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure = db::Error(db::Action::kStop, error.what());
    }
    finished = true;
  });
  bool interrupted = false;
  try {
    while (!finished) {
      if (!interrupted && !Tick(nullptr)) interrupted = true;
      if (interrupted) {
        stop = true;
        std::this_thread::sleep_for(milliseconds(5));
      }
    }
  } catch (...) {
    stop = true;
    throw;
  }
  check.join();
  time_from_ = steady_clock::now();
  if (interrupted) return Verdict::kInterrupted;
  if (failure && failure->sqlstate() == "53300") throw NoConnection(*failure);  // Else it would ask for ever.
  if (failure) throw *failure;
  return Verdict::kDone;
}

void RunProcess::GoBack() {
  const RevertSettings settings = RevertSettingsFrom(run_.revert_options);
  // The sync triggers go first: they would fill again what is being emptied.
  for (const schema::Step& step : plan_.steps) {
    if (step.kind != schema::StepKind::kSyncOn || !settings.batches.empty()) continue;
    if (StepState(step.number) != "done") continue;
    if (RunSimpleStep(step, step.inverse, "reverted") == Verdict::kInterrupted) return;
  }
  for (auto step = plan_.steps.rbegin(); step != plan_.steps.rend(); ++step) {
    const std::string state = StepState(step->number);
    if (state == "reverted" || state == "pending" || step->kind == schema::StepKind::kSyncOff ||
        step->kind == schema::StepKind::kSyncOn) {
      continue;
    }
    if (RevertStep(*step, settings) == Verdict::kInterrupted) return;
  }
  AddTime();
  checkpoints::MoveRun(*session_, run_id_, settings.batches.empty() ? "reverted" : "completed",
                       settings.batches.empty() ? "" : "some batches were taken back");
}

RunProcess::Verdict RunProcess::RevertStep(const schema::Step& step, const RevertSettings& settings) {
  progress_.step = step.number;
  progress_.step_title = "take back: " + step.title;
  if (!step.backfill) {
    // An object that still holds what somebody else wrote is kept.
    if (!settings.batches.empty() || step.inverse.empty() || ConflictsLeft() > 0) return Verdict::kDone;
    return RunSimpleStep(step, step.inverse, "reverted");
  }
  const Verdict verdict = step.backfill->undo == schema::UndoKind::kImplicit
                              ? RevertByWalking(step, settings)
                              : RevertByLedger(step, settings);
  if (verdict == Verdict::kDone && settings.batches.empty()) SetStepState(step.number, "reverted");
  return verdict;
}

RunProcess::Verdict RunProcess::RevertByLedger(const schema::Step& step, const RevertSettings& settings) {
  if (step.backfill->undo == schema::UndoKind::kNone) {
    throw db::Error(db::Action::kStop,
                    fmt::format("Step {} ({}) was run with undo=none; it cannot be taken back.",
                                step.number, step.title));
  }
  const auto last = session_->Query(
      "SELECT coalesce(max(round), 0), coalesce(min(round), 0) FROM pawl.span WHERE run_id = $1::bigint AND "
      "step = $2::integer",
      {std::to_string(run_id_), std::to_string(step.number)});
  RevertSource tasks(*step.backfill, {run_id_, step.number, -1},
                     static_cast<schema::OnConflict>(settings.on_conflict));
  if (!settings.batches.empty()) {
    // An unfinished revert of chosen batches is carried on; otherwise a new round is cut.
    checkpoints::Round at{run_id_, step.number, static_cast<int>(db::ToInt(last.rows[0][1]))};
    if (at.round > -1000 || checkpoints::UnfinishedSpans(*session_, at) == 0) {
      at.round = std::min(at.round, -999) - 1;
      checkpoints::CreateSpans(*session_, at,
                               CutRevertSpans(*session_, {run_id_, step.number, 0}, settings.batches));
    }
    return WorkOn(step, at, tasks, *step.backfill);
  }
  // Later rounds first: a sweep may have touched a row that round 1 had touched before.
  for (int round = static_cast<int>(db::ToInt(last.rows[0][0])); round >= 1; --round) {
    const checkpoints::Round at{run_id_, step.number, -round};
    checkpoints::CreateSpans(*session_, at,
                             CutRevertSpans(*session_, {run_id_, step.number, round}, {}));
    if (WorkOn(step, at, tasks, *step.backfill) == Verdict::kInterrupted) return Verdict::kInterrupted;
  }
  return Verdict::kDone;
}

// Implicit undo: the columns were empty before. Walks the table as forward and empties what still holds what
// the expression gives.
RunProcess::Verdict RunProcess::RevertByWalking(const schema::Step& step, const RevertSettings& settings) {
  if (!settings.batches.empty()) {
    throw db::Error(db::Action::kBadInput,
                    fmt::format("Step {} keeps no record of each row: its column was created empty by this "
                                "migration. It can be taken back whole, without --batch.",
                                step.number));
  }
  const schema::Backfill back =
      schema::ImplicitRevert(*step.backfill, settings.on_conflict == OnConflict::kForce);
  const int rounds = IsBlockOrder(back) ? 1 + kSweepsMax : 1;
  for (int round = 1; round <= rounds; ++round) {
    const checkpoints::Round at{run_id_, step.number, -round};
    checkpoints::CreateSpans(*session_, at, CutSpans(*session_, back));
    ChangeSource tasks(back, {at, session_->server_version(), true});
    if (WorkOn(step, at, tasks, back) == Verdict::kInterrupted) return Verdict::kInterrupted;
    if (round > 1 && RowsChanged(step.number, -round) == 0) break;
  }
  ListImplicitConflicts(step);
  return Verdict::kDone;
}

// Whatever is not empty now was written by the application, before or after our batch.
void RunProcess::ListImplicitConflicts(const schema::Step& step) {
  const schema::Backfill& backfill = *step.backfill;
  std::string key = "ARRAY['?']";
  if (!backfill.key.empty()) {
    key.clear();
    for (const schema::Column& column : backfill.key) {
      key += (key.empty() ? "ARRAY[" : ", ") + db::QuoteName(column.name) + "::text";
    }
    key += "]";
  }
  std::string held;
  for (const schema::ChangedColumn& changed : backfill.changed) {
    held += (held.empty() ? "" : " OR ") + db::QuoteName(changed.column.name) + " IS NOT NULL";
  }
  session_->Query(
      fmt::format("INSERT INTO pawl.conflict (run_id, step, batch_id, key, reason) SELECT $1::bigint, "
                  "$2::integer, 0, array_to_json({})::text, 'the row holds another value than the "
                  "migration wrote' FROM ONLY {} WHERE ({}) AND NOT EXISTS (SELECT FROM pawl.conflict AS c "
                  "WHERE c.run_id = $1::bigint AND c.step = $2::integer)",
                  key, db::QuoteName(backfill.walked.schema, backfill.walked.name), held),
      {std::to_string(run_id_), std::to_string(step.number)});
}

std::int64_t RunProcess::ConflictsLeft() {
  return db::ToInt(session_
                       ->Query("SELECT count(*) FROM pawl.conflict WHERE run_id = $1::bigint AND NOT forced",
                               {std::to_string(run_id_)})
                       .rows[0][0]);
}

std::string RunProcess::StepState(int step) {
  return db::ToText(
      session_
          ->Query("SELECT state FROM pawl.step WHERE run_id = $1::bigint AND step = $2::integer",
                  {std::to_string(run_id_), std::to_string(step)})
          .rows.at(0)[0]);
}

void RunProcess::SetStepState(int step, const std::string& state) {
  session_->Query(
      "UPDATE pawl.step SET state = $3, started_at = coalesce(started_at, now()), finished_at = "
      "clock_timestamp() WHERE run_id = $1::bigint AND step = $2::integer",
      {std::to_string(run_id_), std::to_string(step), state});
}

std::int64_t RunProcess::RowsChanged(int step, int round) {
  return db::ToInt(session_
                       ->Query("SELECT coalesce(sum(rows), 0)::bigint FROM pawl.ledger WHERE run_id = "
                               "$1::bigint AND step = $2::integer AND round = $3::integer",
                               {std::to_string(run_id_), std::to_string(step), std::to_string(round)})
                       .rows[0][0]);
}

// Books the time and WAL since the last booking. The coordinator alone does: times of several processes
// overlap.
void RunProcess::AddTime() {
  const auto now = steady_clock::now();
  const auto wal = session_->Query(
      "SELECT pg_current_wal_insert_lsn(), (pg_current_wal_insert_lsn() - $1::pg_lsn)::bigint", {wal_from_});
  const std::int64_t spent = std::chrono::duration_cast<milliseconds>(now - time_from_).count();
  spent_ms_ += spent;
  spent_wal_bytes_ += db::ToInt(wal.rows[0][1]);
  if (coordinator_) {
    checkpoints::AddWorkingTime(*session_, run_id_, spent, db::ToInt(wal.rows[0][1]));
  }
  time_from_ = now;
  wal_from_ = db::ToText(wal.rows[0][0]);
}

RunResult RunProcess::Result() {
  run_ = checkpoints::LoadRun(*session_, run_id_);
  CountRows();
  RunResult result;
  result.run = run_id_;
  result.migration = run_.migration;
  result.state = run_.state;
  result.reason = run_.reason;
  result.rows_done = progress_.rows_done;
  result.rows_estimated = progress_.rows_estimated;
  result.rows_quarantined = db::ToInt(
      session_
          ->Query("SELECT count(*) FROM pawl.quarantine WHERE run_id = $1::bigint",
                  {std::to_string(run_id_)})
          .rows[0][0]);
  result.conflicts = std::max<std::int64_t>(ConflictsLeft(), stopped_by_conflict_ ? 1 : 0);
  // Forward: of the whole run, over all its processes. Back: of this process, which is the one asked.
  const bool back = !run_.revert_options.empty();
  result.seconds = static_cast<double>(back ? spent_ms_ : run_.working_ms) / 1000;
  result.wal_bytes = back ? spent_wal_bytes_ : run_.wal_bytes;
  result.undo_bytes = UndoBytes(*session_, run_id_);
  result.verification = verification_;
  return result;
}

}  // namespace pawl::engine
