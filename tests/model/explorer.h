// Visits every state that a model can reach, breadth first, so that the first violation found has
// the shortest trace. Then asks of every state whether it can still come to a good end.
//
// A Model has
//   State Initial() const;
//   void ForEachStep(const State&, const std::function<void(const Label&, const State&)>&) const;
//   std::string Violation(const State&) const;   what is wrong with it; empty: nothing
//   bool IsEnd(const State&) const;              as good as done
// A State is plain bytes without padding; a Label has `text()` and `is_fair`, which is false of
// what need not happen for the run to come to its end: faults and commands.
//
// Thread safety: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace pawl::model {

struct Exploration {
  std::size_t states = 0;
  std::size_t steps = 0;
  std::string violation;           // A sentence; empty where there is none.
  std::vector<std::string> trace;  // How it came to that, the shortest.
};

template <typename Model>
class Explorer {
 public:
  using State = typename Model::State;
  using Label = typename Model::Label;
  static_assert(std::has_unique_object_representations_v<State>, "States are compared as bytes.");

  explicit Explorer(const Model& model) : model_(model) {}

  // Stops at the first violation, or after `states_max`, which is a violation as well: what was not
  // looked at is not proved.
  Exploration Run(std::size_t states_max) {
    Add(model_.Initial(), kNone, {});
    for (std::size_t at = 0; at < states_.size(); ++at) {
      if (const std::string wrong = model_.Violation(states_[at]); !wrong.empty()) {
        return Found(at, wrong);
      }
      if (states_.size() > states_max) return Found(at, "There are more states than allowed.");
      const State from = states_[at];  // Add moves the states.
      model_.ForEachStep(from, [&](const Label& label, const State& to) {
        ++steps_;
        const std::size_t next = Add(to, at, label);
        if (label.is_fair) before_[next].push_back(static_cast<std::uint32_t>(at));
      });
    }
    return Stuck();
  }

 private:
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  struct BytesHash {
    std::size_t operator()(const State& state) const {
      return std::hash<std::string_view>()({reinterpret_cast<const char*>(&state), sizeof(State)});
    }
  };
  struct BytesEqual {
    bool operator()(const State& left, const State& right) const {
      return std::memcmp(&left, &right, sizeof(State)) == 0;
    }
  };

  std::size_t Add(const State& state, std::size_t parent, const Label& label) {
    const auto [place, is_new] = known_.try_emplace(state, states_.size());
    if (is_new) {
      states_.push_back(state);
      origins_.push_back({parent, label});
      before_.emplace_back();
    }
    return place->second;
  }

  // Backwards from the ends over fair steps: what is not met can never finish.
  Exploration Stuck() const {
    std::vector<bool> finishes(states_.size());
    std::deque<std::size_t> queue;
    for (std::size_t at = 0; at < states_.size(); ++at) {
      if (!model_.IsEnd(states_[at])) continue;
      finishes[at] = true;
      queue.push_back(at);
    }
    while (!queue.empty()) {
      const std::size_t at = queue.front();
      queue.pop_front();
      for (const std::uint32_t earlier : before_[at]) {
        if (finishes[earlier]) continue;
        finishes[earlier] = true;
        queue.push_back(earlier);
      }
    }
    const auto stuck = std::find(finishes.begin(), finishes.end(), false);
    if (stuck == finishes.end()) return {states_.size(), steps_, "", {}};
    return Found(static_cast<std::size_t>(stuck - finishes.begin()),
                 "From here the run can never come to its end.");
  }

  Exploration Found(std::size_t at, const std::string& wrong) const {
    Exploration found{states_.size(), steps_, wrong, {}};
    for (; origins_[at].first != kNone; at = origins_[at].first) {
      found.trace.push_back(origins_[at].second.text());
    }
    std::reverse(found.trace.begin(), found.trace.end());
    return found;
  }

  const Model& model_;
  std::vector<State> states_;
  std::vector<std::pair<std::size_t, Label>> origins_;  // The state and step that first led here.
  std::vector<std::vector<std::uint32_t>> before_;      // From where a fair step leads here.
  std::unordered_map<State, std::size_t, BytesHash, BytesEqual> known_;
  std::size_t steps_ = 0;
};

}  // namespace pawl::model
