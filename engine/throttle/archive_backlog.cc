// WAL that is written and not yet archived. While archiving lags or fails, all of it stays on the
// server's disk.
#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

// The segment's number from the name of its file, TTTTTTTTLLLLLLLLSSSSSSSS; nullopt for a history
// file or none.
std::optional<std::int64_t> SegmentOf(const std::string& file, std::int64_t segment_bytes) {
  if (file.size() < 24) return std::nullopt;
  std::uint64_t log = 0;
  std::uint64_t segment = 0;
  const char* text = file.data();
  if (std::from_chars(text + 8, text + 16, log, 16).ptr != text + 16 ||
      std::from_chars(text + 16, text + 24, segment, 16).ptr != text + 24) {
    return std::nullopt;
  }
  const auto per_log = static_cast<std::uint64_t>(0x100000000LL / segment_bytes);
  return static_cast<std::int64_t>(log * per_log + segment);
}

class ArchiveBacklog : public Signal {
 public:
  explicit ArchiveBacklog(double limit) : limit_(limit) {}

  std::string name() const override { return "archive_backlog"; }

  std::optional<Reading> Read(db::Session& session) override {
    const auto found = session.Query(
        R"sql(SELECT pg_catalog.current_setting('archive_mode') <> 'off',
       pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size')),
       (pg_catalog.pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint,
       coalesce(last_archived_wal, ''),
       coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false)
  FROM pg_catalog.pg_stat_archiver)sql");
    const db::Row& row = found.rows.at(0);
    if (!db::ToBool(row[0])) return Reading{0, limit_, 0, "nothing is archived here", false};
    const std::int64_t segment_bytes = db::ToInt(row[1]);
    const std::int64_t writing = db::ToInt(row[2]) / segment_bytes;
    if (!first_) first_ = writing;
    // Where nothing was archived yet, what was written since the run began counts.
    const std::int64_t archived =
        SegmentOf(db::ToText(row[3]), segment_bytes).value_or(*first_ - 1);
    const double bytes =
        static_cast<double>(std::max<std::int64_t>(0, writing - archived - 1) * segment_bytes);
    return Reading{bytes, limit_, bytes / limit_,
                   fmt::format("{} of WAL wait to be archived (limit {}){}", SizeText(bytes),
                               SizeText(limit_), db::ToBool(row[4]) ? ", and archiving fails" : ""),
                   false};
  }

 private:
  double limit_;
  std::optional<std::int64_t> first_;  // The segment that was being written at the first look.
};

}  // namespace

std::unique_ptr<Signal> MakeArchiveBacklog(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.archive_backlog");
  return limit ? std::make_unique<ArchiveBacklog>(*limit) : nullptr;
}

}  // namespace pawl::throttle
