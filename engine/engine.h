// The public interface of the engine: what the command line uses, and what another program may
// link.
//
//   Engine engine(where);
//   Plan plan = engine.Compile(name, text);          // writes nothing
//   RunResult r = engine.Run(name, text, settings);  // starts, carries on or joins
//
// Threads: Run, Resume, Work, Revert and Verify block; they start worker threads of their own and
// end them before they return. RequestPause may be called from any thread and from a signal
// handler. One Engine is used by one thread at a time otherwise.
//
// Errors: db::Error, typed by what to do next. kBadInput: nothing was changed.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "db/connection_string.h"
#include "schema/drift.h"
#include "schema/plan.h"
#include "schema/render.h"
#include "schema/throttle_options.h"

namespace pawl::engine {

struct RunSettings {
  std::optional<int> workers;        // In this process. Default: the plan's, else 2.
  std::optional<std::int64_t> pace;  // Rows a second over all processes; 0: unlimited.
  bool verify = true;
  schema::ThrottleValues throttle;  // Laid over what the file and earlier commands say.
};

// A moment of a run, for bars and JSON lines. Times are of this process's clock.
struct Progress {
  std::int64_t run = 0;
  std::string migration;
  std::string state;  // As in pawl.run.state.
  int step = 0;       // The step at work, from 1; 0: none.
  int steps = 0;
  std::string step_title;
  std::int64_t rows_done = 0;       // Changed, by all processes, whole run.
  std::int64_t rows_estimated = 0;  // Whole run.
  double fraction = 0;              // 0 to 1 of the rows to visit, whole run.
  double rows_per_second = 0;       // Over the last seconds.
  double eta_seconds_low = -1;      // -1: not known yet.
  double eta_seconds_high = -1;
  int workers = 0;
  std::int64_t batch_rows = 0;  // Rows of a batch now.
  double hot_share = -1;        // Of the last window; -1: not measured.
  std::string note;             // Why it waits, what it fell back to; a sentence or empty.
  double working_seconds = 0;
  double waiting_seconds = 0;
};

using OnProgress = std::function<void(const Progress&)>;

// What a verification found. `differences` holds at most 100.
struct VerifyReport {
  bool passed = false;
  std::int64_t rows_verified = 0;  // Rows that hold what the statement makes of them.
  std::int64_t rows_counted = 0;   // Rows that the ledger says were changed.
  std::int64_t rows_changed_since = 0;
  std::int64_t differences_count = 0;
  struct Difference {
    int step = 0;
    std::string table;
    std::string key;
    std::string what;  // "holds another value than the expression gives", …
  };
  std::vector<Difference> differences;
  std::vector<std::string> notes;  // Sentences.
  double seconds = 0;
};

struct RunResult {
  std::int64_t run = 0;
  std::string migration;
  std::string state;
  std::string reason;  // Of failed or paused; a sentence.
  std::int64_t rows_done = 0;
  std::int64_t rows_estimated = 0;
  std::int64_t rows_quarantined = 0;
  bool reverts = false;              // The run is being taken back, or was.
  std::int64_t conflicts = 0;        // Rows that the revert left alone, or met and stopped at.
  bool stopped_at_conflict = false;  // Why it failed.
  double seconds = 0;                // Of the steps, without verification.
  std::int64_t wal_bytes = 0;        // Written by the server during the run, others' included.
  std::int64_t undo_bytes = 0;
  bool already_done = false;     // Nothing was left to do.
  bool keeps_old_shape = false;  // Until Contract.
  std::optional<VerifyReport> verification;
};

struct RunStatus {
  Progress progress;  // rates and ETA are -1 or 0: status reads the tables only.
  std::string plan_hash;
  std::string reason;
  std::string started_at;
  std::string finished_at;
  std::string started_by;
  std::string phase;  // Of the step at work; empty where no old shape is kept.
  bool keeps_old_shape = false;
  std::int64_t rows_quarantined = 0;
  std::int64_t undo_bytes = 0;
  struct Worker {
    std::string host;
    std::int64_t pid = 0;
    int threads = 0;
    std::int64_t batch_rows = 0;
    bool alive = false;
  };
  std::vector<Worker> workers;
};

// What became of a migration file: one run of it.
struct AppliedMigration {
  std::int64_t run = 0;
  std::string migration;
  std::string migration_hash;
  std::string state;
  std::string started_at;
  std::string finished_at;  // Empty: not finished.
  std::string started_by;   // The role.
};

// How the schema differs from what it should be.
struct DriftReport {
  std::string against;              // "run 7", the role that recorded it, or the other database.
  std::string recorded_at;          // Empty where it is another database.
  std::optional<std::int64_t> run;  // The last one when it was recorded.
  std::string note;                 // What to keep in mind, or empty.
  std::vector<schema::DriftStatement> statements;  // In order; empty: no difference.
};

// The throttle of a run, as its coordinator has stored it within the last second.
struct ThrottleReport {
  std::int64_t run = 0;
  std::string migration;
  std::string state;
  int workers = 0;        // Of each process.
  std::int64_t pace = 0;  // Rows a second, 0: no limit.
  schema::ThrottleValues values;
  bool decided = false;  // False: no coordinator has ever decided anything, or it is off.
  double age_seconds = 0;
  double level = 0;      // Workers' worth of work in all processes.
  double level_max = 0;  // What it may rise to.
  bool held = false;
  std::string signal;
  std::string sentence;
  bool application_present = true;
  struct Signal {
    std::string name;
    std::string kind;  // "gauge" or "budget"
    double value = 0;
    double limit = 0;
    double pressure = 0;
    bool readable = true;
    double age_seconds = 0;
    std::string sentence;
  };
  std::vector<Signal> signals;
  std::vector<std::string> notes;  // Limits that are not kept here, and why.
  struct Moment {
    double seconds_ago = 0;
    double level = 0;
    bool held = false;
    std::string sentence;
  };
  std::vector<Moment> minute;  // Oldest first.
  struct Change {
    std::string at;
    std::string who;
    std::string from;
    std::string what;
  };
  std::vector<Change> changes;  // By hand, newest first, at most 20.
};

using schema::OnConflict;

struct RevertSettings {
  std::vector<std::int64_t> batches;  // Empty: all.
  OnConflict on_conflict = OnConflict::kStop;
  std::optional<int> workers;
};

struct RevertPreview {
  std::int64_t batches = 0;
  std::int64_t rows = 0;
  std::int64_t conflicts = 0;
  std::vector<std::string> keys;  // Of at most 100 conflicts: "public.orders (17): …".
};

class Engine {
 public:
  explicit Engine(const db::ConnectionString& where);

  // Compiles without writing anything. `throttle` as in RunSettings: what of it cannot be had here
  // is refused, or told in the plan's notes.
  schema::Plan Compile(const std::string& name, const std::string& text,
                       const schema::ThrottleValues& throttle = {});

  // Creates or upgrades the control schema.
  void Init();

  // Runs the migration to its end: starts it, carries on where it stopped, or joins it where
  // another process is at it. Does nothing where it is done already. Throws kBadInput where the
  // last run of that name was made from another text, unless it was aborted or taken back. Blocks.
  RunResult Run(const std::string& name, const std::string& text, const RunSettings& settings,
                const OnProgress& on_progress);

  // Carries on run `run`. Where a live process is at it, only sets its state to running and
  // returns.
  RunResult Resume(std::int64_t run, const RunSettings& settings, const OnProgress& on_progress);

  // Joins run `run` as a further process until it ends or pauses.
  RunResult Work(std::int64_t run, const RunSettings& settings, const OnProgress& on_progress);

  // Takes back a run, or some of its batches.
  RunResult Revert(std::int64_t run, const RevertSettings& settings, const OnProgress& on_progress);

  // Drops the old shape that the completed run `run` has kept in step: from then on there is no way
  // back. A way back that has stopped with the new shape still in place is given up, and what it has
  // built goes. Killed in the middle, it is carried on by the same call. Throws kBadInput where the
  // run is in another state, has kept none, or is to keep it longer and `now` is not set.
  RunResult Contract(std::int64_t run, const OnProgress& on_progress, bool now = false);

  // Counts what Revert would do; writes nothing.
  RevertPreview PreviewRevert(std::int64_t run, const RevertSettings& settings);

  // Proves the run again. `accept_changed`: rows that the application has changed since their batch
  // count as such and are not differences.
  VerifyReport Verify(std::int64_t run, bool accept_changed);

  // Commands; they act through the database, whichever process or host is at work.
  void Pause(std::int64_t run);
  void Abort(std::int64_t run);
  void Set(std::int64_t run, std::optional<int> workers, std::optional<std::int64_t> pace,
           const schema::ThrottleValues& throttle = {});

  // What holds or slows a run, and why. Throws kBadInput where there is no such run.
  ThrottleReport ReportThrottle(std::int64_t run);

  // The runs, newest first; of one run where given. Empty where there is no control schema.
  std::vector<RunStatus> Status(std::optional<std::int64_t> run);

  // All runs, oldest first. Empty where there is no control schema.
  std::vector<AppliedMigration> History();

  // Compares the schema with the picture recorded when the last run ended, or with that of database
  // `other`. Writes nothing. Throws kBadInput where there is no such picture.
  DriftReport Drift(const std::optional<db::ConnectionString>& other);

  // Records the schema as it is as what Drift compares with.
  void RecordPicture();

  // Asks the Run, Resume, Work or Revert at work in this process to pause the run and return.
  // Running batches finish. Signal-safe.
  void RequestPause() { pause_requested_.store(true); }

 private:
  db::ConnectionString where_;
  std::atomic<bool> pause_requested_{false};
};

}  // namespace pawl::engine
