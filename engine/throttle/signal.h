// One measured quantity with a limit: what the throttle listens to. Each has a file of its own.
//
// A signal reads over the throttle's session, which ends every statement after a second. What it
// cannot read it says by throwing: the throttle then holds, because unknown is never zero.
//
// Thread safety: none. All calls come from the throttle's thread, after Obstacle from the planner's.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "db/connection_string.h"
#include "db/session.h"
#include "engine/throttle/sample.h"
#include "schema/throttle_options.h"

namespace pawl::throttle {

// A table that the run changes.
struct WatchedTable {
  std::int64_t oid = 0;
  std::string schema;
  std::string name;
  std::vector<std::string> key;  // Columns; empty: none is known.
  // Bytes of the heap when the run began, against which growth counts; 0: as it is now.
  std::int64_t bytes_at_start = 0;
  bool gains_rows = false;  // INSERT … SELECT: then growth is what was asked for.

  std::string Display() const { return schema + "." + name; }
};

// What signals are made from.
struct Scene {
  db::ConnectionString where;
  std::vector<WatchedTable> tables;
  schema::ThrottleValues values;
  std::int64_t run = 0;
};

struct Reading {
  double value = 0;
  double limit = 0;
  double pressure = 0;
  std::string sentence;  // With value and limit, without a full stop.
  bool continuous = false;
};

class Signal {
 public:
  virtual ~Signal() = default;

  // As the option that limits it, without "limit.".
  virtual std::string name() const = 0;
  virtual Kind kind() const { return Kind::kBudget; }
  virtual bool counts_alone() const { return false; }
  // How often Read is called.
  virtual std::chrono::milliseconds interval() const { return std::chrono::milliseconds(500); }

  // Why it cannot be read here, as a sentence that ends with the remedy; nullopt where it can.
  // Throws db::Error where the user's own words for it are off (kBadInput). An empty sentence: it
  // cannot, and nobody needs to know.
  virtual std::optional<std::string> Obstacle(db::Session&) { return std::nullopt; }

  // Throws db::Error where it cannot be read now. nullopt: nothing can be said yet, and nothing is
  // wrong.
  virtual std::optional<Reading> Read(db::Session& session) = 0;

  // For those whose limit is relative to how the application does without us.
  virtual bool wants_baseline() const { return false; }
  virtual bool has_baseline() const { return true; }
  virtual void DrainBegan() {}
  virtual void DrainEnded() {}
  // Whether anybody else is at work: probes for nobody cost, and tell nothing.
  virtual void ApplicationPresent(bool) {}
};

using MakeSignal = std::function<std::unique_ptr<Signal>(const Scene&)>;

// The signals that are switched on for `scene`, in the order of schema::ThrottleOptions().
std::vector<std::unique_ptr<Signal>> MakeSignals(const Scene& scene);

// A signal of the standard settings that cannot be read here is left out, and a note says so; one
// that the user asked for is an error (kBadInput). Returns the notes.
std::vector<std::string> LeaveOutUnreadable(db::Session& session, const Scene& scene,
                                            std::vector<std::unique_ptr<Signal>>& signals);

// Whether `values` name the signal, by its limit or by its source.
bool IsAskedFor(const schema::ThrottleValues& values, const std::string& name);

// Whether the role sees what other roles' sessions do.
bool SeesActivity(db::Session& session);
// The sentence of an Obstacle where it does not.
std::string NeedsMonitor(db::Session& session, const std::string& what);

// Whether the server runs on this machine, as far as can be known.
bool IsLocalServer(db::Session& session);

// "9.1 s", "350 ms"; "2.5 GB"; "35 %".
std::string TimeText(double seconds);
std::string SizeText(double bytes);
std::string ShareText(double share);

// Of one session of Pawl's own, whatever run it belongs to.
inline constexpr const char* kOursLike = "application_name LIKE 'pawl/%'";

}  // namespace pawl::throttle
