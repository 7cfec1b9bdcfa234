#include "verify/ledger_partition.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pawl::verify {
namespace {

std::string TextOf(const std::optional<std::string>& bound) {
  return bound.value_or("the beginning");
}

}  // namespace

LedgerPartition::LedgerPartition(SpanBounds span, std::int64_t stride)
    : span_(std::move(span)), stride_(stride), position_(span_.begin) {}

std::optional<std::string> LedgerPartition::Add(const LedgerRange& batch) {
  std::optional<std::string> fault;
  const bool begins_window = BeginsWindow(batch);
  if (batch.seq != seq_ + 1) {
    fault = fmt::format("Batch {} is number {} of span {}, where number {} is expected.",
                        batch.batch_id, batch.seq, span_.span_id, seq_ + 1);
  } else if (batch.lo == batch.hi || batch.residue_lo >= batch.residue_hi ||
             batch.residue_hi > stride_) {
    fault = fmt::format("Batch {} of span {} covers nothing: ({}, {}], residues {} to {} of {}.",
                        batch.batch_id, span_.span_id, TextOf(batch.lo), batch.hi, batch.residue_lo,
                        batch.residue_hi, stride_);
  } else if (!begins_window && !Continues(batch) && !BeginsPass(batch)) {
    fault = fmt::format(
        "Batch {} of span {} covers ({}, {}], residues {} to {}, where {}: there is a gap or an "
        "overlap.",
        batch.batch_id, span_.span_id, TextOf(batch.lo), batch.hi, batch.residue_lo,
        batch.residue_hi, Expectation());
  }
  Take(batch, begins_window || fault.has_value());
  return fault;
}

bool LedgerPartition::BeginsWindow(const LedgerRange& batch) const {
  return window_done_ && batch.lo == position_ && batch.residue_lo == 0;
}

bool LedgerPartition::Continues(const LedgerRange& batch) const {
  return !window_done_ && position_ != window_hi_ && batch.lo == position_ &&
         batch.residue_lo == residue_lo_ && batch.residue_hi == residue_hi_;
}

bool LedgerPartition::BeginsPass(const LedgerRange& batch) const {
  // The first pass ends where the second begins; the others must reach the same end.
  const bool pass_done = !window_hi_ || position_ == window_hi_;
  return !window_done_ && pass_done && batch.lo == window_lo_ && batch.residue_lo == residue_hi_;
}

std::string LedgerPartition::Expectation() const {
  if (window_done_) return fmt::format("a window begins at {} with residue 0", TextOf(position_));
  return fmt::format("the pass of residues {} to {} is at {} and the next one begins at {}",
                     residue_lo_, residue_hi_, TextOf(position_), TextOf(window_lo_));
}

void LedgerPartition::Take(const LedgerRange& batch, bool begins_window) {
  if (begins_window) {
    window_lo_ = batch.lo;
    window_hi_.reset();
  } else if (BeginsPass(batch) && !window_hi_) {
    window_hi_ = position_;
  }
  seq_ = batch.seq;
  position_ = batch.hi;
  residue_lo_ = batch.residue_lo;
  residue_hi_ = batch.residue_hi;
  window_done_ = residue_hi_ >= stride_ && (!window_hi_ || position_ == window_hi_);
}

std::optional<std::string> LedgerPartition::Finish() const {
  if (seq_ == 0) return fmt::format("Span {} has no batch.", span_.span_id);
  if (!window_done_) {
    return fmt::format(
        "Span {} ends within a window: its pass of residues {} to {} of {} is at {}.",
        span_.span_id, residue_lo_, residue_hi_, stride_, TextOf(position_));
  }
  if (position_ == span_.end) return std::nullopt;
  return fmt::format("The batches of span {} end at {}, but the span ends at {}.", span_.span_id,
                     TextOf(position_), span_.end);
}

SpanChain ChainSpans(std::vector<SpanBounds> spans) {
  SpanChain chain;
  std::optional<std::string> position;
  // Quadratic in the number of spans only where they do not come in order.
  for (auto left = spans.begin(); left != spans.end(); ++left) {
    const auto next = std::find_if(left, spans.end(),
                                   [&](const SpanBounds& span) { return span.begin == position; });
    if (next == spans.end()) {
      chain.faults.push_back(fmt::format(
          "No span begins at {}; the next one that was found, span {}, covers ({}, {}].",
          TextOf(position), left->span_id, TextOf(left->begin), left->end));
    } else {
      std::rotate(left, next, next + 1);
    }
    position = left->end;
    chain.spans.push_back(*left);
  }
  return chain;
}

}  // namespace pawl::verify
