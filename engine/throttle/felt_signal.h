// What the signals have in common that tell how long something takes: a figure of the last moments
// against a limit (felt_time.h), only where there is an application that feels it, and learned anew
// in drains.
//
//   Signal <── FeltSignal <── Statements
//                         <── Probe <── Canary, CommitLatency
#pragma once

#include <algorithm>
#include <optional>
#include <string>

#include "engine/throttle/felt_time.h"
#include "engine/throttle/signal.h"

namespace pawl::throttle {

class FeltSignal : public Signal {
 public:
  Kind kind() const final { return Kind::kGauge; }

  std::optional<Reading> Read(db::Session& session) final {
    if (!present_) return std::nullopt;
    Measure(session);
    return felt_.Judge(Clock::now(), Words());
  }

  bool wants_baseline() const final { return felt_.relative(); }
  bool has_baseline() const final { return felt_.has_baseline(); }
  void ApplicationPresent(bool present) final { present_ = present; }

  void DrainBegan() final {
    draining_ = true;
    Forget();
    felt_.DrainBegan(Clock::now());
  }

  void DrainEnded() final {
    draining_ = false;
    Forget();
    felt_.DrainEnded();
  }

 protected:
  FeltSignal(const schema::LatencyLimit& limit, const FeltTime::Shape& shape)
      : felt_(limit, shape) {}

  // Adds what there is to `felt()`. Throws db::Error where it cannot be read now.
  virtual void Measure(db::Session& session) = 0;
  // Begins the sentence: "a commit takes".
  virtual std::string Words() const = 0;
  // What was half collected when a drain begins or ends: it belongs to neither.
  virtual void Forget() {}

  FeltTime& felt() { return felt_; }
  bool draining() const { return draining_; }

 private:
  FeltTime felt_;
  bool present_ = false;
  bool draining_ = false;
};

// One that asks something itself and takes the time.
class Probe : public FeltSignal {
 public:
  std::chrono::milliseconds interval() const final {
    const auto often = draining() ? often_.in_drain : often_.usually;
    return std::clamp(kTimesItself * took_, often, kSeldom);
  }

 protected:
  // A drain is short, and what it tells holds for long.
  struct Often {
    std::chrono::milliseconds usually;
    std::chrono::milliseconds in_drain;
  };

  Probe(const schema::LatencyLimit& limit, const FeltTime::Shape& shape, const Often& often)
      : FeltSignal(limit, shape), often_(often) {}

  // What Ask needs; its time does not count. Throws db::Error, and is then called again.
  virtual void Prepare(db::Session& session) = 0;
  // The time of this counts. Throws db::Error.
  virtual void Ask(db::Session& session) = 0;

 private:
  // Where it takes long it is asked less often: a probe is to be a part of the load that nobody
  // notices.
  static constexpr int kTimesItself = 20;
  static constexpr std::chrono::milliseconds kSeldom{1'000};  // Before what is known is stale.

  void Measure(db::Session& session) final {
    if (!prepared_) {
      Prepare(session);
      prepared_ = true;
    }
    const auto began = Clock::now();
    Ask(session);
    const auto ended = Clock::now();
    took_ = std::chrono::duration_cast<std::chrono::milliseconds>(ended - began);
    felt().Add(ended, std::chrono::duration<double>(ended - began).count());
  }

  Often often_;
  bool prepared_ = false;
  std::chrono::milliseconds took_{0};  // The last one.
};

}  // namespace pawl::throttle
