// WAL that the server keeps for the slot that is furthest behind. A slot that nobody reads fills
// the disk, and every batch makes it do so faster.
#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class SlotWal : public Signal {
 public:
  explicit SlotWal(double limit) : limit_(limit) {}

  std::string name() const override { return "slot_wal"; }

  std::optional<Reading> Read(db::Session& session) override {
    const auto found = session.Query(
        R"sql(SELECT slot_name, (pg_catalog.pg_current_wal_lsn() - restart_lsn)::bigint, active
  FROM pg_catalog.pg_replication_slots
 WHERE restart_lsn IS NOT NULL
 ORDER BY restart_lsn
 LIMIT 1)sql");
    if (found.rows.empty()) return Reading{0, limit_, 0, "there is no replication slot", false};
    const auto bytes = static_cast<double>(db::ToInt(found.rows[0][1]));
    return Reading{bytes, limit_, std::max(0.0, bytes / limit_),
                   fmt::format("slot {}{} keeps {} of WAL (limit {})", db::ToText(found.rows[0][0]),
                               db::ToBool(found.rows[0][2]) ? "" : ", which nobody reads,",
                               SizeText(bytes), SizeText(limit_)),
                   false};
  }

 private:
  double limit_;
};

}  // namespace

std::unique_ptr<Signal> MakeSlotWal(const Scene& scene) {
  const auto limit = schema::ThrottleNumber(scene.values, "limit.slot_wal");
  return limit ? std::make_unique<SlotWal>(*limit) : nullptr;
}

}  // namespace pawl::throttle
