#include "engine/run_process.h"

#include <thread>

#include <fmt/format.h>

#include "checkpoints/step_store.h"
#include "db/log.h"
#include "engine/change_task.h"
#include "engine/failure_advice.h"
#include "engine/preconditions.h"
#include "engine/revert_task.h"
#include "schema/render.h"

namespace pawl::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::minutes kReconnectFor{5};
// Advisory lock class of coordinators.
constexpr int kCoordinatorLock = 7'240'616;
// More than a table can hold, and small enough to be multiplied.
constexpr std::int64_t kAllRows = 1'000'000'000'000'000;

}  // namespace

db::SessionSettings SettingsOf(const schema::Plan& plan) {
  db::SessionSettings settings;
  settings.search_path = plan.search_path;
  settings.time_zone = plan.time_zone;
  return settings;
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
      // The server is gone or restarting: everything committed is kept, and the spans' cursors say
      // where to go on.
      if (steady_clock::now() > until || pause_requested_) throw;
      if (error.sqlstate() == "53300" && worker_ == 0)
        throw NoConnection(error);  // It never had one.
      progress_.note = fmt::format("connection lost, trying again: {}", error.what());
      if (on_progress_) on_progress_(progress_);
      coordinator_ = false;
      std::this_thread::sleep_for(milliseconds(300));
    }
  }
}

void RunProcess::Connect() {
  throttle_.reset();
  events_.reset();
  session_ = std::make_unique<db::Session>(where_, "run");
  run_ = checkpoints::LoadRun(*session_, run_id_);
  plan_ = checkpoints::LoadPlan(*session_, run_.plan_hash);
  RequireSameServer(where_, *session_,
                    plan_);  // Also after a reconnect: the address may lead elsewhere now.
  timeline_.Note(db::ToInt(session_->Query(TimelineWatch::kSql).rows[0][0]), where_.Display());
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
      // Paused or aborted from elsewhere at this very moment: that command stands, and nothing has
      // failed.
      run_ = checkpoints::LoadRun(*session_, run_id_);
      if (!Working()) continue;
      stopped_at_conflict_ = error.sqlstate() == kConflictState;
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

// Lends workers to the round under way, forward or back, if there is one.
void RunProcess::AssistOnce() {
  const auto round = checkpoints::RoundAtWork(*session_, run_id_, run_.state == "reverting");
  for (const schema::Step& step : plan_.steps) {
    if (!round || step.number != round->step || run_.state == "verifying") continue;
    WorkOn(step, *round);
    return;
  }
  Tick(nullptr);
}

// What the workers of a round do, the same in every process.
std::unique_ptr<TaskSource> RunProcess::TasksFor(const schema::Step& step,
                                                 const checkpoints::Round& round) const {
  const ChangeFacts facts{round, session_->server_version()};
  if (round.round > 0) return std::make_unique<ChangeSource>(*step.backfill, facts);
  const OnConflict policy = RevertSettingsFrom(run_.revert_options).on_conflict;
  if (step.backfill->undo == schema::UndoKind::kImplicit) {
    return std::make_unique<ChangeSource>(schema::ImplicitRevert(*step.backfill, policy), facts);
  }
  return std::make_unique<RevertSource>(*step.backfill, round, policy);
}

WorkOrder RunProcess::OrderFor(const schema::Backfill& backfill, const checkpoints::Round& round,
                               TaskSource& tasks) {
  WorkOrder order{.where = where_,
                  .settings = Settings(),
                  .round = round,
                  .worker = worker_,
                  .limits = {},
                  .row_bytes = backfill.row_bytes,
                  .quarantine_max = round.round > 0 ? backfill.quarantine_max : 0,
                  .on_failing = {},
                  .nested_loops_only = backfill.stands_alone,
                  .table = backfill.walked.schema + "." + backfill.walked.name,
                  .key_index = backfill.key_index,
                  .system_identifier = plan_.system_identifier,
                  .tasks = &tasks,
                  .pace = &pace_,
                  .leases = &leases_,
                  .timeline = &timeline_};
  order.settings.statement_timeout = std::chrono::seconds(checkpoints::kBatchTimeoutSeconds);
  order.settings.lock_timeout = std::chrono::seconds(2);
  order.settings.quiet_triggers = backfill.quiet_triggers;
  if (round.round < 0 && backfill.undo == schema::UndoKind::kImplicit) {
    const OnConflict policy = RevertSettingsFrom(run_.revert_options).on_conflict;
    if (policy != OnConflict::kForce) order.on_failing = policy;
  }
  if (IsClosing(backfill, round.round)) {
    // However large the table: few rows are changed.
    order.settings.statement_timeout = std::chrono::seconds(0);
    order.limits.rows_initial = order.limits.rows_max = kAllRows;
    order.limits.bytes_max = kAllRows;
    order.row_bytes = 1;
    return order;
  }
  if (backfill.batch_time_ms > 0) {
    order.limits.duration_target = milliseconds(backfill.batch_time_ms);
  }
  if (backfill.batch_rows > 0) {
    order.limits.rows_initial = backfill.batch_rows;
    order.limits.rows_max = backfill.batch_rows;
  }
  return order;
}

// Runs workers over the spans of a round until none is left.
RunProcess::Verdict RunProcess::WorkOn(const schema::Step& step, const checkpoints::Round& round) {
  if (checkpoints::UnfinishedSpans(*session_, round) == 0) return Verdict::kDone;
  progress_.step = step.number;
  progress_.step_title = (round.round < 0 ? "take back: " : "") + step.title;
  const std::unique_ptr<TaskSource> tasks = TasksFor(step, round);
  const WorkOrder order = OrderFor(*step.backfill, round, *tasks);
  StartThrottle();
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
  if (!coordinator_) throttle_.reset();
  if (const auto failure = pool.failure()) throw *failure;
  if (interrupted || checkpoints::UnfinishedSpans(*session_, round) > 0) {
    return Verdict::kInterrupted;
  }
  return Verdict::kDone;
}

bool RunProcess::Tick(WorkerPool* pool) {
  return Attend(pool, pool != nullptr && pool->idle() ? milliseconds(1) : kTick);
}

// Hears commands for so long, renews leases, tells progress. Returns false when work must stop: the
// run is no longer in a working state, or this process was asked to pause it.
bool RunProcess::Attend(WorkerPool* pool, milliseconds wait) {
  const bool notified = events_->Wait(wait);
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
  ObeyThrottle(pool);
  Tell();
  return true;
}

void RunProcess::Absorb(WorkerPool& pool) {
  progress_.workers = pool.size();
  for (const BatchReport& report : pool.Drain()) {
    // Others were in the last count already.
    if (report.batch > counted_to_) progress_.rows_done += report.rows;
    progress_.batch_rows = report.rows_visited;
    if (report.hot_share >= 0) progress_.hot_share = report.hot_share;
    db::Log(db::LogLevel::kDebug, "batch",
            {{"batch", std::to_string(report.batch)},
             {"rows", std::to_string(report.rows)},
             {"microseconds", std::to_string(report.duration.count())}});
  }
}

// Counts what all processes have done, from the tables.
void RunProcess::CountRows() {
  const auto began = steady_clock::now();
  const std::string run = std::to_string(run_id_);
  const bool back = !run_.revert_options.empty();
  const auto ledger = session_->Query(
      "SELECT coalesce(sum(rows), 0)::bigint, coalesce(max(batch_id), 0) FROM pawl.ledger WHERE "
      "run_id = $1::bigint AND kind = $2",
      {run, back ? "revert" : "change"});
  progress_.rows_done = db::ToInt(ledger.rows[0][0]);
  counted_to_ = db::ToInt(ledger.rows[0][1]);
  const auto spans = session_->Query(
      R"sql(SELECT coalesce(sum(CASE WHEN done THEN rows_estimated ELSE least(rows_scanned, rows_estimated)
                           END), 0)::bigint
              FROM pawl.span WHERE run_id = $1::bigint AND (round > 0) = $2::boolean AND abs(round) = 1)sql",
      {run, back ? "false" : "true"});
  std::int64_t all_rows = 0;
  for (const schema::Step& step : plan_.steps) {
    if (step.backfill) all_rows += std::max<std::int64_t>(1, step.backfill->rows_in_table);
  }
  const auto visited = static_cast<double>(db::ToInt(spans.rows[0][0]));
  progress_.fraction =
      std::min(1.0, visited / static_cast<double>(std::max<std::int64_t>(1, all_rows)));
  // A long run has a long ledger: at most a fiftieth of the time goes into adding it up.
  const auto counted = steady_clock::now();
  count_again_at_ =
      counted + std::max<steady_clock::duration>(std::chrono::seconds(1), 50 * (counted - began));
}

void RunProcess::Tell() {
  const auto now = steady_clock::now();
  if (now > count_again_at_) CountRows();
  meter_.Note(now, progress_.rows_done, progress_.fraction);
  meter_.Describe(progress_);
  progress_.state = run_.state;
  const double seconds = std::chrono::duration<double>(now - time_from_).count();
  progress_.waiting_seconds = held_seconds_;
  progress_.working_seconds = std::max(0.0, seconds - held_seconds_);
  if (on_progress_) on_progress_(progress_);
}

std::string RunProcess::StepState(const schema::Step& step) {
  return checkpoints::StepState(*session_, run_id_, step.number);
}

void RunProcess::SetStepState(const schema::Step& step, const std::string& state) {
  checkpoints::SetStepState(*session_, run_id_, step.number, state);
}

// Books the time and WAL since the last booking. The coordinator alone does: times of several
// processes overlap.
void RunProcess::AddTime() {
  const auto now = steady_clock::now();
  const auto wal = session_->Query(
      "SELECT pg_current_wal_insert_lsn(), (pg_current_wal_insert_lsn() - $1::pg_lsn)::bigint",
      {wal_from_});
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
  result.rows_quarantined = checkpoints::RowsQuarantined(*session_, run_id_);
  // Forward: of the whole run, over all its processes. Back: of this process, which is the one
  // asked.
  const bool back = !run_.revert_options.empty();
  result.reverts = back;
  result.stopped_at_conflict = stopped_at_conflict_ && run_.state == "failed";
  result.conflicts = std::max<std::int64_t>(checkpoints::Conflicts(*session_, run_id_),
                                            result.stopped_at_conflict ? 1 : 0);
  result.seconds = static_cast<double>(back ? spent_ms_ : run_.working_ms) / 1000;
  result.wal_bytes = back ? spent_wal_bytes_ : run_.wal_bytes;
  result.undo_bytes = checkpoints::UndoBytes(*session_, run_id_);
  result.verification = verification_;
  result.keeps_old_shape = run_.state == "completed" && StepsToContract(plan_) > 0;
  return result;
}

}  // namespace pawl::engine
