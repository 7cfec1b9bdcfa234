// One UPDATE, DELETE or INSERT … SELECT compiled into steps: a backfill for each table that holds
// rows of it, and the sync trigger around it where the order needs one.
#pragma once

#include <string>
#include <vector>

#include "schema/place.h"
#include "schema/plan.h"
#include "schema/read_transaction.h"
#include "schema/schema_view.h"
#include "schema/statement.h"

namespace pawl::schema {

// What all statements of one planning share.
struct Planning {
  ReadTransaction& reading;
  const MigrationFile& migration;
  SchemaView& schema;
  std::string search_path;
  std::string time_zone;
  std::vector<Step> steps;  // Numbered from 1, in order.

  Place PlaceOf(const Statement& statement) const {
    return {migration.name + ".sql", statement.line};
  }
};

// Appends the steps. Throws db::Error (kBadInput) where the statement cannot run in batches on this
// database, with what to do.
void PlanBackfill(Planning& planning, const Statement& statement);

// True where the option `allow` names it.
bool IsAllowed(const Statement& statement, const std::string& name);

// Throws where `allow` names something that does not exist, or a refusal is not allowed.
void CheckRefusals(const Place& place, const Statement& statement);

}  // namespace pawl::schema
