#include "engine/throttle/vacuum_rounds.h"

#include <fmt/format.h>

#include "db/log.h"
#include "db/quote.h"

namespace pawl::throttle {
namespace {

// Pages are read and written in bursts of a few megabytes with pauses of two milliseconds: some
// hundred megabytes a second at most.
constexpr const char* kGently =
    "SET vacuum_cost_delay = '2ms'; SET vacuum_cost_limit = 2000; SET statement_timeout = 0";

}  // namespace

VacuumRounds::~VacuumRounds() {
  // A vacuum of a large table takes long, and whoever pauses a run does not want to wait for it.
  if (!running_ || backend_pid_ == 0) return;
  try {
    db::Session session(where_, "throttle");
    session.Query("SELECT pg_catalog.pg_cancel_backend($1::integer)",
                  {std::to_string(backend_pid_)});
  } catch (const db::Error&) {
    // Then it ends by itself.
  }
}

bool VacuumRounds::IsAllowed(db::Session& session, const WatchedTable& table) {
  const std::string maintain = session.server_version() >= 170'000
                                   ? " OR pg_catalog.has_table_privilege(c.oid, 'MAINTAIN')"
                                   : "";
  const auto found =
      session.Query("SELECT pg_catalog.pg_has_role(current_user, c.relowner, 'USAGE')" + maintain +
                        " FROM pg_catalog.pg_class AS c WHERE c.oid = $1::oid",
                    {std::to_string(table.oid)});
  return !found.rows.empty() && db::ToBool(found.rows[0][0]);
}

std::string VacuumRounds::failure() {
  const std::lock_guard lock(mutex_);
  return failure_;
}

void VacuumRounds::Begin(const WatchedTable& table) {
  if (running_) return;
  if (thread_.joinable()) thread_.join();
  running_ = true;
  thread_ = std::jthread([this, table] {
    std::string failure;
    try {
      Run(table);
      ++done_;
    } catch (const std::exception& error) {
      failure = error.what();
    }
    const std::lock_guard lock(mutex_);
    failure_ = failure;
    backend_pid_ = 0;
    running_ = false;
  });
}

void VacuumRounds::Run(const WatchedTable& table) {
  db::Session session(where_, "vacuum");
  session.Execute(kGently);
  backend_pid_ = session.backend_pid();
  db::Log(db::LogLevel::kInfo, "vacuum", {{"table", table.Display()}});
  session.Execute(
      fmt::format("VACUUM (TRUNCATE FALSE) {}", db::QuoteName(table.schema, table.name)));
}

}  // namespace pawl::throttle
