// Whether the batches of one span cover it: every row of the span in exactly one batch of a round.
// Knows no database and no order of keys: bounds are texts, equal or not.
//
//     span     (begin                                                   end]
//     windows  (w0              ](w1                        ](w2          ]
//     passes   [0,1) (b1  ](b2  ] [0,4) (b7                 ]     …            plain: one batch
//              [1,2) (b3        ]                                              a window
//              [2,4) (b4 ](b5](b6]
//
// A window's passes take residue classes [0, …) [ …, n), each pass its batches from the window's
// beginning to its end; then the next window begins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace pawl::verify {

// Half-open on the left: keys > lo and <= hi. `lo` nullopt is unbounded.
struct LedgerRange {
  std::int64_t batch_id = 0;
  std::int64_t seq = 0;
  std::optional<std::string> lo;
  std::string hi;
  std::int64_t residue_lo = 0;
  std::int64_t residue_hi = 1;
};

struct SpanBounds {
  std::int64_t span_id = 0;
  std::optional<std::string> begin;
  std::string end;
};

// Thread safety: none. Owned by whoever reads the ledger.
class LedgerPartition {
 public:
  // `stride` is the number of residue classes, 1 for plain orders.
  LedgerPartition(SpanBounds span, std::int64_t stride);

  // Takes the span's next batch in the order of seq. Returns what is wrong with it as a sentence,
  // and goes on from it as if it were right, so that one fault is told once.
  std::optional<std::string> Add(const LedgerRange& batch);

  // Call once after the last batch. Returns what is missing up to the span's end.
  std::optional<std::string> Finish() const;

  // Whether all passes of all windows so far are complete.
  bool window_done() const { return window_done_; }

 private:
  bool Continues(const LedgerRange& batch) const;
  bool BeginsPass(const LedgerRange& batch) const;
  bool BeginsWindow(const LedgerRange& batch) const;
  std::string Expectation() const;
  void Take(const LedgerRange& batch, bool begins_window);

  SpanBounds span_;
  std::int64_t stride_;
  std::int64_t seq_ = 0;
  std::optional<std::string> window_lo_;
  std::optional<std::string> window_hi_;  // Known once the window's first pass is complete.
  std::optional<std::string> position_;   // The end of the last batch.
  std::int64_t residue_lo_ = 0;
  std::int64_t residue_hi_ = 0;
  bool window_done_ = true;
};

struct SpanChain {
  std::vector<SpanBounds> spans;    // All of them, in order as far as they chain.
  std::vector<std::string> faults;  // Sentences; empty if they cover everything up to the last end.
};

// Puts the spans of one round in order: the first begins unbounded, each next one where the one
// before it ends.
SpanChain ChainSpans(std::vector<SpanBounds> spans);

}  // namespace pawl::verify
