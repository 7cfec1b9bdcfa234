#include "engine/throttle/throttle.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "db/log.h"
#include "engine/throttle/fair_share.h"
#include "engine/throttle/presence.h"
#include "engine/throttle/record.h"

namespace pawl::throttle {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kStepEvery{125};
constexpr milliseconds kShareEvery{1'000};
constexpr milliseconds kConnectEvery{500};
constexpr milliseconds kTryAgainEvery{1'000};
constexpr milliseconds kRestMax{20};  // So long a stop may take.
// No signal may keep the others from being read.
constexpr milliseconds kReadWithin{1'000};
constexpr double kDecisionStaleSeconds = 5;

db::SessionSettings SettingsOfThrottle() {
  db::SessionSettings settings;
  settings.statement_timeout = kReadWithin;
  settings.lock_timeout = milliseconds(500);
  return settings;
}

// A query that hangs must not hang the plan: it is asked as the throttle will ask it.
class TimeoutOf {
 public:
  explicit TimeoutOf(db::Session& session) : session_(session) {
    session_.Execute(fmt::format("SET statement_timeout = {}", kReadWithin.count()));
  }
  ~TimeoutOf() {
    try {
      session_.Execute("SET statement_timeout = 0");  // As it was.
    } catch (const std::exception&) {
      // The next statement will say what happened to the connection.
    }
  }
  TimeoutOf(const TimeoutOf&) = delete;
  TimeoutOf& operator=(const TimeoutOf&) = delete;

 private:
  db::Session& session_;
};

// More than any one question takes: each ends after a second, but for a commit that waits for a
// standby.
constexpr milliseconds kSilent{2'000};

struct Watched {
  std::unique_ptr<Signal> signal;
  Clock::time_point due{};
  std::optional<Sample> sample;
};

}  // namespace

// What the thread does. Everything here belongs to it.
class Throttle::Loop {
 public:
  Loop(Throttle& throttle, const db::ConnectionString& where, std::int64_t run,
       const schema::Plan& plan)
      : throttle_(throttle), where_(where), run_(run), plan_(plan) {}

  void Run() {
    while (!throttle_.stopping_) {
      try {
        if (!session_) Connect();
        Turn();
      } catch (const std::exception& error) {
        // Without a connection nothing is known, so nothing may begin.
        throttle_.backend_pid_ = 0;
        session_.reset();
        watched_.clear();
        Publish(Held(fmt::format("held: the throttle cannot work: {}", error.what())));
        Rest(kConnectEvery);
      }
    }
  }

 private:
  // Which signal is being asked, for whoever wonders about the silence.
  class Asking {
   public:
    Asking(Throttle& throttle, const std::string& name) : throttle_(throttle) { Set(name); }
    ~Asking() { Set(""); }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;

   private:
    void Set(const std::string& name) {
      const std::lock_guard lock(throttle_.mutex_);
      throttle_.asking_ = name;
    }

    Throttle& throttle_;
  };

  static Decision Held(const std::string& sentence) {
    Decision decision;
    decision.held = true;
    decision.sentence = sentence;
    return decision;
  }

  void Rest(milliseconds about) {
    const auto until = Clock::now() + about;
    while (!throttle_.stopping_ && Clock::now() < until) {
      std::this_thread::sleep_for(std::min(about, kRestMax));
    }
  }

  void Connect() {
    session_ = std::make_unique<db::Session>(where_, "throttle", SettingsOfThrottle());
    throttle_.backend_pid_ = session_->backend_pid();
    // Its records may be lost; who waits for them waits for nothing.
    session_->Execute("SET synchronous_commit = off");
    presence_ = Presence(*session_);
    if (scene_.tables.empty()) scene_.tables = TablesOf(*session_, plan_);
    scene_.where = where_;
    scene_.run = run_;
    record_.Load(*session_, run_, scene_.tables);
    wishes_.reset();
  }

  void Turn() {
    TakeWishes();
    const auto now = Clock::now();
    if (presence_.Look(*session_, now)) TellPresence();
    // Decided between the questions as well: one that gets no answer must not keep back the others'.
    for (Watched& watched : watched_) {
      if (now < watched.due) continue;
      Ask(watched);
      StepWhenDue();
    }
    if (now >= share_at_) {
      share_at_ = now + kShareEvery;
      share_ = ShareOf(*session_, run_, schema::ThrottleNumber(scene_.values, "weight").value_or(1),
                       wishes_->workers);
    }
    StepWhenDue();
    Rest(UntilDue());
  }

  // Not before every signal was asked once.
  void StepWhenDue() {
    const auto now = Clock::now();
    const auto is_new = [](const Watched& watched) { return watched.due == Clock::time_point{}; };
    if (now < step_at_ || std::any_of(watched_.begin(), watched_.end(), is_new)) return;
    step_at_ = now + kStepEvery;
    Step();
  }

  milliseconds UntilDue() const {
    auto due = step_at_;
    for (const Watched& watched : watched_) due = std::min(due, watched.due);
    return std::clamp(std::chrono::duration_cast<milliseconds>(due - Clock::now()), milliseconds(1),
                      kStepEvery);
  }

  void TakeWishes() {
    Wishes wishes;
    {
      const std::lock_guard lock(throttle_.mutex_);
      wishes = throttle_.wishes_;
    }
    const bool again = !trouble_.empty() && Clock::now() >= try_again_at_;
    if (wishes_ && wishes == *wishes_ && !again) return;
    const bool others = !wishes_ || again || wishes.values != wishes_->values;
    wishes_ = wishes;
    share_at_ = {};
    if (!others) return;
    scene_.values = wishes.values;
    watched_.clear();
    trouble_.clear();
    try {
      auto signals = MakeSignals(scene_);
      record_.SetNotes(*session_, run_, LeaveOutUnreadable(*session_, scene_, signals));
      for (auto& signal : signals) watched_.push_back({std::move(signal), {}, {}});
    } catch (const db::Error& error) {
      if (error.action() == db::Action::kReconnect) throw;
      // At plan time this would have been refused; now the run holds, says why, and asks again.
      trouble_ = error.what();
      try_again_at_ = Clock::now() + kTryAgainEvery;
    }
    TellPresence();
  }

  void TellPresence() {
    for (Watched& watched : watched_) watched.signal->ApplicationPresent(presence_.present());
  }

  void Ask(Watched& watched) {
    Signal& signal = *watched.signal;
    Sample sample;
    sample.name = signal.name();
    sample.kind = signal.kind();
    sample.counts_alone = signal.counts_alone();
    const Asking asking(throttle_, sample.name);
    try {
      const std::optional<Reading> reading = signal.Read(*session_);
      if (!reading) {
        watched.sample.reset();
        watched.due = Clock::now() + signal.interval();
        return;
      }
      sample.value = reading->value;
      sample.limit = reading->limit;
      sample.pressure = reading->pressure;
      sample.continuous = reading->continuous;
      sample.sentence = reading->sentence;
    } catch (const db::Error& error) {
      if (error.action() == db::Action::kReconnect) throw;
      sample.readable = false;
      sample.sentence = fmt::format("{} cannot be read: {}", sample.name, error.what());
    }
    sample.read_at = Clock::now();
    watched.due = sample.read_at + signal.interval();
    watched.sample = std::move(sample);
  }

  void Step() {
    const Situation situation = Look();
    Decision decision;
    if (!trouble_.empty()) {
      decision = Held("held: " + trouble_);
    } else if (schema::ThrottleValue(scene_.values, "throttle") == "off") {
      decision.level = share_.level_max;
    } else {
      decision = controller_.Step(situation);
    }
    TellDrain(decision.draining);
    if (decision.sentence.empty()) decision.sentence = share_.sentence;
    Publish(decision);
    record_.Note(*session_, run_, decision, situation, share_);
  }

  Situation Look() const {
    Situation situation;
    situation.now = Clock::now();
    situation.application_present = presence_.present();
    situation.server_seconds = presence_.server_seconds(situation.now);
    situation.level_max = share_.level_max;
    situation.fair_share = share_.share;
    situation.has_baseline = true;
    for (const Watched& watched : watched_) {
      if (watched.sample) situation.samples.push_back(*watched.sample);
      if (!watched.signal->wants_baseline()) continue;
      situation.wants_baseline = true;
      situation.has_baseline = situation.has_baseline && watched.signal->has_baseline();
    }
    return situation;
  }

  void TellDrain(bool draining) {
    if (draining == draining_) return;
    draining_ = draining;
    for (Watched& watched : watched_) {
      if (!watched.signal->wants_baseline()) continue;
      if (draining) {
        watched.signal->DrainBegan();
        watched.due = Clock::now();
      } else {
        watched.signal->DrainEnded();
      }
    }
  }

  void Publish(const Decision& decision) {
    {
      const std::lock_guard lock(throttle_.mutex_);
      throttle_.decision_ = decision;
      throttle_.decided_at_ = Clock::now();
    }
    throttle_.on_decision_(decision);
  }

  Throttle& throttle_;
  db::ConnectionString where_;
  std::int64_t run_;
  const schema::Plan plan_;
  std::unique_ptr<db::Session> session_;
  Scene scene_{where_, {}, {}, 0};
  std::optional<Wishes> wishes_;  // As taken last; nullopt on a new connection.
  std::vector<Watched> watched_;
  std::string trouble_;  // Why there are no signals to ask; empty: there are.
  Clock::time_point try_again_at_{};
  bool draining_ = false;
  Presence presence_;
  Share share_;
  Record record_;
  Controller controller_;
  Clock::time_point share_at_{};
  Clock::time_point step_at_{};
};

Throttle::Throttle(const db::ConnectionString& where, std::int64_t run, const schema::Plan& plan,
                   Wishes wishes, OnDecision on_decision)
    : wishes_(std::move(wishes)), where_(where), on_decision_(std::move(on_decision)) {
  decision_.held = true;
  decision_.sentence = "held: asks its signals for the first time";
  thread_ = std::jthread([this, where, run, plan] {
    Loop(*this, where, run, plan).Run();
    ended_ = true;
  });
}

Throttle::~Throttle() {
  stopping_ = true;
  // Most of the time it ends within a moment. In a commit that waits for a standby it never would.
  while (true) {
    const auto until = Clock::now() + 2 * kReadWithin;
    while (!ended_ && Clock::now() < until) std::this_thread::sleep_for(milliseconds(2));
    if (ended_) return;
    try {
      db::Session session(where_, "throttle");
      session.Query("SELECT pg_catalog.pg_cancel_backend($1::integer)",
                    {std::to_string(backend_pid_.load())});
    } catch (const db::Error&) {
      // Without a server its connection breaks as well.
    }
  }
}

bool Throttle::IsSilent() const {
  const std::lock_guard lock(mutex_);
  return Clock::now() - decided_at_ > kSilent;
}

int Throttle::silent_backend() const { return IsSilent() ? backend_pid_.load() : 0; }

void Throttle::SetWishes(const Wishes& wishes) {
  const std::lock_guard lock(mutex_);
  wishes_ = wishes;
}

Decision Throttle::decision() const {
  const bool is_silent = IsSilent();
  const std::lock_guard lock(mutex_);
  if (!is_silent) return decision_;
  Decision silent;
  silent.held = true;
  silent.sentence = asking_.empty() ? "held: the throttle's own session waits for the server"
                                    : fmt::format("held: {} gives no answer", asking_);
  return silent;
}

std::vector<WatchedTable> TablesOf(db::Session& session, const schema::Plan& plan) {
  std::vector<WatchedTable> tables;
  for (const schema::Step& step : plan.steps) {
    if (!step.backfill) continue;
    const schema::Backfill& backfill = *step.backfill;
    // What this plan creates has no number yet when the plan is made.
    const auto found = session.Query(
        "SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = "
        "c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
        {backfill.target.schema, backfill.target.name});
    if (found.rows.empty()) continue;
    WatchedTable table{
        db::ToInt(found.rows[0][0]), backfill.target.schema, backfill.target.name, {}, 0};
    table.gains_rows = backfill.kind == schema::StatementKind::kInsertSelect;
    for (const schema::Column& column : backfill.target_key) table.key.push_back(column.name);
    const auto same = [&](const WatchedTable& other) { return other.oid == table.oid; };
    if (std::none_of(tables.begin(), tables.end(), same)) tables.push_back(std::move(table));
  }
  return tables;
}

std::vector<std::string> CheckSignals(const db::ConnectionString& where, db::Session& session,
                                      const schema::Plan& plan,
                                      const schema::ThrottleValues& values) {
  const Scene scene{where, TablesOf(session, plan), values, 0};
  auto signals = MakeSignals(scene);
  const TimeoutOf timeout(session);
  return LeaveOutUnreadable(session, scene, signals);
}

void CheckGivenSignals(const db::ConnectionString& where, db::Session& session,
                       const schema::Plan& plan, const schema::ThrottleValues& values,
                       const schema::ThrottleValues& given) {
  const Scene scene{where, TablesOf(session, plan), values, 0};
  auto signals = MakeSignals(scene);
  std::erase_if(signals, [&](const auto& signal) { return !IsAskedFor(given, signal->name()); });
  const TimeoutOf timeout(session);
  LeaveOutUnreadable(session, scene, signals);
}

Stored LastDecision(db::Session& session, std::int64_t run) {
  const auto found = session.Query(
      "SELECT level, held, sentence, extract(epoch FROM clock_timestamp() - decided_at) FROM "
      "pawl.throttle WHERE run_id = $1::bigint",
      {std::to_string(run)});
  Stored stored;
  if (found.rows.empty()) {
    stored.held = true;
    stored.sentence = "held: waits for the run's coordinator to ask its signals";
    return stored;
  }
  const db::Row& row = found.rows[0];
  stored.decided = true;
  stored.level = db::ToDouble(row[0]);
  stored.held = db::ToBool(row[1]);
  stored.sentence = db::ToText(row[2]);
  stored.age_seconds = db::ToDouble(row[3]);
  if (stored.age_seconds > kDecisionStaleSeconds) {
    stored.stale = true;
    stored.level = 0;
    stored.held = true;
    stored.sentence = fmt::format("held: the run's coordinator has decided nothing for {:.0f} s",
                                  stored.age_seconds);
  }
  return stored;
}

}  // namespace pawl::throttle
