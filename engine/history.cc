// What was applied, by whom, from which file: `pawl history`.
#include <algorithm>

#include "checkpoints/control_schema.h"
#include "checkpoints/run_store.h"
#include "engine/engine.h"
#include "engine/preconditions.h"

namespace pawl::engine {

std::vector<AppliedMigration> Engine::History() {
  const auto session = OpenFirst(where_, "history");
  std::vector<AppliedMigration> applied;
  if (checkpoints::ControlSchemaVersion(*session) == 0) return applied;
  for (const checkpoints::RunRow& run : checkpoints::LoadRuns(*session)) {
    applied.push_back({.run = run.run,
                       .migration = run.migration,
                       .migration_hash = run.migration_hash,
                       .state = run.state,
                       .started_at = run.started_at,
                       .finished_at = run.finished_at,
                       .started_by = run.started_by});
  }
  std::reverse(applied.begin(), applied.end());
  return applied;
}

}  // namespace pawl::engine
