#include "verify/compare_copies.h"

#include <algorithm>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>
#include <utility>

#include "db/copy_stream.h"
#include "db/error.h"

namespace pawl::verify {
namespace {

// Both sides' digests of all buckets are 2 x 65,536 x 24 bytes = 3 MB. A bucket of a table of 10^9
// rows holds 15,000 of them, so that one more reading can look into 30 differing buckets.
constexpr int kBucketBits = 16;
constexpr std::size_t kBucketCount = std::size_t{1} << kBucketBits;

// More than anybody reads; keeps sums of limits far from overflow.
constexpr std::int64_t kDifferencesMax = 1'000'000;

// A division of rows into kBucketCount buckets. A row and the changed row of its key share a
// bucket. Where one bucket holds too many rows, because they share their key, its rows alone are
// divided once more, by all of their values.
class Division {
 public:
  static Division ByKey() { return Division{std::nullopt}; }
  static Division ByValues(std::size_t key_bucket) { return Division{key_bucket}; }

  bool by_key() const { return !key_bucket_; }

  // Returns nullopt for a row that is not among those divided.
  std::optional<std::size_t> BucketOf(const HashedRow& row) const {
    const std::size_t key_bucket = row.key_hash >> (64 - kBucketBits);
    if (!key_bucket_) return key_bucket;
    if (*key_bucket_ != key_bucket) return std::nullopt;
    return row.digest.high >> (64 - kBucketBits);
  }

 private:
  explicit Division(std::optional<std::size_t> key_bucket) : key_bucket_(key_bucket) {}

  std::optional<std::size_t> key_bucket_;
};

// What one reading of both sides found in each bucket.
struct Survey {
  explicit Survey(const Division& surveyed) : division(surveyed) {}

  std::int64_t RowCount(std::size_t bucket) const {
    return source[bucket].row_count() + target[bucket].row_count();
  }

  std::vector<std::size_t> DifferingBuckets() const {
    std::vector<std::size_t> differing;
    for (std::size_t bucket = 0; bucket < kBucketCount; ++bucket) {
      if (source[bucket] != target[bucket]) differing.push_back(bucket);
    }
    return differing;
  }

  Division division;
  std::vector<RangeDigest> source = std::vector<RangeDigest>(kBucketCount);
  std::vector<RangeDigest> target = std::vector<RangeDigest>(kBucketCount);
};

enum class Side { kSource, kTarget };

using Combine = std::function<void(Side, const HashedBlock&)>;

// Hashes all rows of a block and picks out those that `is_wanted` accepts.
template <typename IsWanted>
void HashWithKeys(HashedBlock& hashed, const IsWanted& is_wanted) {
  for (std::size_t index = 0; index < hashed.block.row_count(); ++index) {
    const std::string_view bytes = hashed.block.row(index);
    const std::optional<std::string_view> key = db::FirstField(bytes);
    // Rows whose key is NULL share a bucket with those whose key is ''; digests tell them apart.
    const HashedRow row{
        .index = index, .key_hash = DigestRow(key.value_or("")).high, .digest = DigestRow(bytes)};
    hashed.digest.Add(row.digest);
    if (is_wanted(row)) hashed.rows.push_back(row);
  }
}

// One comparison, from its first reading to its last.
//
// Thread safety: none. Owned by CompareCopies; its readings use two threads.
class Comparer {
 public:
  struct Reading {
    pg_conn* connection;
    const std::string& copy_sql;
  };

  Comparer(const Reading& source, const Reading& target, const CompareLimits& limits)
      : source_(source),
        target_(target),
        limits_(limits),
        // What earlier readings left unmatched is less than enough, or there would be no later one.
        matcher_(limits.rows_held_max + 2 * (limits.differences_max + 1)) {}

  Comparison Compare() &&;

 private:
  Survey Look(const Division& division);
  void NameRows(const Survey& survey);
  void MatchRows(const Division& division, std::span<const std::size_t> buckets);
  std::size_t BucketsAtOnce(const Survey& survey, std::span<const std::size_t> differing) const;
  std::int64_t DifferencesWanted() const;

  void ReadBoth(const std::function<void(HashedBlock&)>& hash, const Combine& combine);
  void CountReading(const StreamDigest& source, const StreamDigest& target);

  Reading source_;
  Reading target_;
  CompareLimits limits_;
  bool is_first_reading_ = true;
  RowMatcher matcher_;
  std::mutex matcher_mutex_;  // Guards matcher_ while both sides are read.
  Comparison comparison_;
};

Comparison Comparer::Compare() && {
  const Survey survey = Look(Division::ByKey());
  if (comparison_.equal()) return std::move(comparison_);
  if (limits_.differences_max > 0) NameRows(survey);
  comparison_.complete = limits_.differences_max > 0 && DifferencesWanted() > 0;
  comparison_.differences = matcher_.Differences(limits_.differences_max);
  return std::move(comparison_);
}

Survey Comparer::Look(const Division& division) {
  Survey survey(division);
  const auto hash = [&division](HashedBlock& hashed) {
    HashWithKeys(hashed, [&](const HashedRow& row) { return division.BucketOf(row).has_value(); });
  };
  ReadBoth(hash, [&](Side side, const HashedBlock& hashed) {
    std::vector<RangeDigest>& buckets = side == Side::kSource ? survey.source : survey.target;
    for (const HashedRow& row : hashed.rows) buckets[*division.BucketOf(row)].Add(row.digest);
  });
  return survey;
}

// Looks into differing buckets, as many per reading as fit, until there are differences enough.
void Comparer::NameRows(const Survey& survey) {
  const std::vector<std::size_t> differing = survey.DifferingBuckets();
  std::span<const std::size_t> left(differing);
  while (!left.empty() && DifferencesWanted() > 0) {
    const std::size_t taken = BucketsAtOnce(survey, left);
    const bool fits = survey.RowCount(left.front()) <= limits_.rows_held_max;
    if (!fits && survey.division.by_key()) {
      NameRows(Look(Division::ByValues(left.front())));
    } else {
      MatchRows(survey.division, left.first(taken));
    }
    left = left.subspan(taken);
  }
}

// Returns how many of the buckets at the front one reading looks into: at least one, no more than
// are needed (each holds a difference, a changed row can take two), and no more rows than may be
// held.
std::size_t Comparer::BucketsAtOnce(const Survey& survey,
                                    std::span<const std::size_t> differing) const {
  const auto needed = static_cast<std::size_t>(2 * DifferencesWanted());
  std::size_t taken = 1;
  std::int64_t row_count = survey.RowCount(differing.front());
  for (; taken < std::min(needed, differing.size()); ++taken) {
    row_count += survey.RowCount(differing[taken]);
    if (row_count > limits_.rows_held_max) break;
  }
  return taken;
}

// Returns how many differences are still to be found: one more than the caller takes, because only
// that one tells that there are others.
std::int64_t Comparer::DifferencesWanted() const {
  const std::int64_t enough = limits_.differences_max + 1;
  return enough - static_cast<std::int64_t>(matcher_.Differences(enough).size());
}

void Comparer::MatchRows(const Division& division, std::span<const std::size_t> buckets) {
  std::vector<bool> is_wanted(kBucketCount);
  for (const std::size_t bucket : buckets) is_wanted[bucket] = true;

  const auto hash = [&](HashedBlock& hashed) {
    HashWithKeys(hashed, [&](const HashedRow& row) {
      const std::optional<std::size_t> bucket = division.BucketOf(row);
      return bucket && is_wanted[*bucket];
    });
  };
  ReadBoth(hash, [&](Side side, const HashedBlock& hashed) {
    if (hashed.rows.empty()) return;
    const std::scoped_lock lock(matcher_mutex_);
    for (const HashedRow& row : hashed.rows) {
      const std::optional<std::string_view> key = db::FirstField(hashed.block.row(row.index));
      if (side == Side::kSource) matcher_.AddSource(row.digest, key);
      if (side == Side::kTarget) matcher_.AddTarget(row.digest, key);
    }
  });
}

// Reads both sides at the same time. If one fails, the other is stopped and the failure is thrown.
void Comparer::ReadBoth(const std::function<void(HashedBlock&)>& hash, const Combine& combine) {
  std::stop_source stop;
  const auto read = [&](const Reading& reading, Side side) {
    try {
      return StreamRows(reading.connection, reading.copy_sql, limits_.threads_per_connection,
                        stop.get_token(), hash,
                        [&](const HashedBlock& hashed) { combine(side, hashed); });
    } catch (...) {
      stop.request_stop();
      throw;
    }
  };
  std::future<StreamDigest> target_read =
      std::async(std::launch::async, [&] { return read(target_, Side::kTarget); });
  // If this throws, the future's destructor waits for the other side.
  const StreamDigest source = read(source_, Side::kSource);
  const StreamDigest target = target_read.get();
  CountReading(source, target);
}

void Comparer::CountReading(const StreamDigest& source, const StreamDigest& target) {
  comparison_.byte_count += source.byte_count + target.byte_count;
  if (std::exchange(is_first_reading_, false)) {
    comparison_.source = source.digest;
    comparison_.target = target.digest;
  }
  if (comparison_.source == source.digest && comparison_.target == target.digest) return;
  throw db::Error(db::Action::kStop,
                  "Cannot name the rows that differ, because they changed between two readings. "
                  "Compare inside REPEATABLE READ transactions.");
}

}  // namespace

Comparison CompareCopies(pg_conn* source, const std::string& source_copy, pg_conn* target,
                         const std::string& target_copy, const CompareLimits& limits) {
  PAWL_CHECK(source != target);
  PAWL_CHECK(limits.differences_max >= 0 && limits.differences_max <= kDifferencesMax);
  PAWL_CHECK(limits.rows_held_max > 0);
  return Comparer({source, source_copy}, {target, target_copy}, limits).Compare();
}

}  // namespace pawl::verify
