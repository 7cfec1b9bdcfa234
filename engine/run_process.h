// One process at work on one run. Every process runs the same loop; whoever holds the run's
// advisory lock is the coordinator and alone moves it from step to step. The others lend their
// workers to the step under way, and one of them becomes coordinator when the lock falls free.
//
//   coordinator:   for each step  ddl -> done
//                                 backfill: cut spans, work, sweep -> done
//                  then           verify -> sync off, cut over -> completed
//   every process: work on the spans of the running backfill
//
// Chapters: run_process.cc (the loop, workers, progress), run_forward.cc, run_back.cc,
// run_alone.cc (statements outside of a transaction), run_throttled.cc (how fast).
//
// Thread safety: none. Owned and called by one thread; workers are threads of its pool.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "checkpoints/run_store.h"
#include "checkpoints/span_store.h"
#include "db/session.h"
#include "engine/ddl.h"
#include "engine/engine.h"
#include "engine/event_loop.h"
#include "engine/pace.h"
#include "engine/progress_meter.h"
#include "engine/throttle/throttle.h"
#include "engine/worker_pool.h"

namespace pawl::engine {

// What a revert was asked to do, as stored with the run.
std::string ToText(const RevertSettings& settings);
RevertSettings RevertSettingsFrom(const std::string& text);

class RunProcess {
 public:
  // `pause_requested` outlives the process.
  RunProcess(const db::ConnectionString& where, std::int64_t run, const RunSettings& settings,
             OnProgress on_progress, std::atomic<bool>& pause_requested);
  ~RunProcess();

  // Works until the run is finished, failed, paused by this process, or aborted.
  RunResult Execute();

 private:
  enum class Verdict { kDone, kInterrupted };

  void Connect();
  void Attempt();
  bool BecomeCoordinator();
  void AssistOnce();

  void GoForward();
  Verdict RunStep(const schema::Step& step);
  Verdict RunSimpleStep(const schema::Step& step, const std::string& sql,
                        const std::string& new_state);
  bool RunShort(const schema::Step& step, const std::string& sql,
                const std::function<void()>& bookkeeping);
  Verdict AskQuestion(const schema::Step& step);
  Verdict RunAloneStep(const schema::Step& step, const std::string& sql,
                       const std::string& new_state);
  Verdict RunAlone(const schema::Step& step, const std::string& sql);
  // How often commands are heard.
  static constexpr std::chrono::milliseconds kTick{100};

  Verdict Meanwhile(const std::function<void()>& work, const std::function<void()>& cancel);
  std::optional<std::int64_t> CountMeanwhile(const std::string& question);
  void Cancel(int backend, const std::string& name);
  bool Says(const std::string& question);
  Verdict RunBackfill(const schema::Step& step);
  Verdict RunRound(const schema::Step& step, int round);
  std::optional<bool> IsLastRound(const schema::Step& step, int round);
  static bool IsClosing(const schema::Backfill& backfill, int round);
  Verdict VerifyAll();

  void GoBack();
  bool IsToTakeBack(const schema::Step& step);
  bool HasCutOver(const schema::Step& step);
  const schema::Step* CutOverBehind(const schema::Step& step) const;
  bool IsToAskAgain(const schema::Step& step);
  bool WasNext(const schema::Step& step);
  Verdict PrepareWayBack(const schema::Step& step);
  Verdict RevertStep(const schema::Step& step, const RevertSettings& settings);
  bool HoldsForeignRows(const schema::Step& step);
  bool IsFilledByDefault(const schema::Step& step) const;
  Verdict RevertByLedger(const schema::Step& step, const RevertSettings& settings);
  Verdict RevertByWalking(const schema::Step& step, const RevertSettings& settings);
  void ListImplicitConflicts(const schema::Step& step);

  Verdict WorkOn(const schema::Step& step, const checkpoints::Round& round);
  std::unique_ptr<TaskSource> TasksFor(const schema::Step& step,
                                       const checkpoints::Round& round) const;
  WorkOrder OrderFor(const schema::Backfill& backfill, const checkpoints::Round& round,
                     TaskSource& tasks);
  bool Tick(WorkerPool* pool);
  bool Attend(WorkerPool* pool, std::chrono::milliseconds wait);
  void Steer(WorkerPool* pool);
  void StartThrottle();
  void Decide();
  void ObeyThrottle(const WorkerPool* pool);
  void Absorb(WorkerPool& pool);
  void Tell();
  void CountRows();
  bool Working() const;
  db::SessionSettings Settings() const;
  std::string StepState(const schema::Step& step);
  void SetStepState(const schema::Step& step, const std::string& state);
  void AddTime();
  RunResult Result();

  db::ConnectionString where_;
  std::int64_t run_id_;
  RunSettings settings_;
  OnProgress on_progress_;
  std::atomic<bool>& pause_requested_;

  std::unique_ptr<db::Session> session_;
  std::unique_ptr<EventLoop> events_;
  std::int64_t worker_ = 0;
  bool coordinator_ = false;

  checkpoints::RunRow run_;
  schema::Plan plan_;
  Pace pace_;
  std::atomic<int> processes_{1};                 // That work on the run, this one included.
  std::unique_ptr<throttle::Throttle> throttle_;  // Of the coordinator; uses the two above.
  std::string throttled_;                         // Why it is held or slowed.
  bool held_ = false;
  double held_seconds_ = 0;
  std::chrono::steady_clock::time_point obeyed_at_{};
  LeaseBook leases_;
  TimelineWatch timeline_;
  ProgressMeter meter_;
  Progress progress_;
  LockTerms lock_terms_{run_id_, {}};
  std::optional<VerifyReport> verification_;
  std::chrono::steady_clock::time_point looked_at_{};
  std::chrono::steady_clock::time_point beat_at_{};
  std::chrono::steady_clock::time_point count_again_at_{};
  std::chrono::steady_clock::time_point time_from_{};
  std::string wal_from_;
  std::int64_t counted_to_ = 0;  // The batch up to which progress_ was counted from the ledger.
  std::int64_t others_ = 0;
  std::int64_t spent_ms_ = 0;
  std::int64_t spent_wal_bytes_ = 0;
  bool stopped_at_conflict_ = false;
  int workers_set_ = 0;
};

// Whether it comes after the proof, if at all: a sync trigger watches until then, and the old shape
// is the real one until then.
bool IsAfterProof(const schema::Step& step);

// Whether it does nothing but to put its question.
bool AsksOnly(const schema::Step& step);

// The steps of phase contract.
std::int64_t StepsToContract(const schema::Plan& plan);

// Proves every backfill of a run and stores the report. Also used by `pawl verify`.
VerifyReport VerifyRun(db::Session& session, const db::ConnectionString& where,
                       const db::SessionSettings& settings, const schema::Plan& plan,
                       std::int64_t run, bool accept_changed, const std::function<bool()>& stopped);

db::SessionSettings SettingsOf(const schema::Plan& plan);

}  // namespace pawl::engine
