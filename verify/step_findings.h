// What the check of one step has found so far.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

namespace pawl::verify {

struct Finding {
  std::string key;   // "17" or "(a, 2021-01-01)"; "batch 12", "span 3" where it is no row.
  std::string what;  // A sentence.

  friend bool operator==(const Finding&, const Finding&) = default;
};

struct StepCheck {
  std::int64_t rows_verified = 0;
  std::int64_t rows_counted = 0;  // By the ledger, batches taken back aside.
  std::int64_t rows_changed_since = 0;
  std::int64_t differences_count = 0;
  std::vector<Finding> differences;  // At most differences_max, in the order of their keys.
  std::vector<std::string> notes;    // What could not be checked, and why; rows set aside.

  bool passed() const { return differences_count == 0; }
};

// Thread safety: all methods.
class StepFindings {
 public:
  explicit StepFindings(std::int64_t differences_max) : differences_max_(differences_max) {}

  void AddVerified(std::int64_t rows);
  void AddChangedSince(std::int64_t rows);

  // Adds `count` differences, some of which are named by AddFinding.
  void AddDifferences(std::int64_t count);
  void AddFinding(const std::string& key, const std::string& what);

  // How many more findings are kept.
  std::int64_t room() const;

  void AddNote(const std::string& note);  // Once each.

  // Adds to a count that becomes the note "<count> rows <what>".
  void AddNoted(std::int64_t rows, const std::string& what);

  StepCheck Take();

 private:
  mutable std::mutex mutex_;
  std::int64_t differences_max_;
  StepCheck check_;                                          // Guarded by mutex_, as what follows.
  std::vector<std::pair<std::string, std::int64_t>> noted_;  // Sentences' ends and their counts.
};

}  // namespace pawl::verify
