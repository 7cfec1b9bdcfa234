// What the options of one statement ask for.
//
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "schema/place.h"
#include "schema/plan.h"
#include "schema/statement.h"

namespace pawl::schema {

// Returns the value as written, or nullptr where the option is not given.
const std::string* OptionOf(const Statement& statement, const std::string& name);

// Return 0 where the option is not given.
std::int64_t CountOf(const Statement& statement, const std::string& name);
std::int64_t MillisecondsOf(const Statement& statement, const std::string& name);
std::int64_t SecondsOf(const Statement& statement, const std::string& name);  // Of "12h" or "30d".

// Returns nullopt where the choice is left to Pawl.
std::optional<Order> WantedOrder(const Statement& statement);

// "auto", "image", "none" or "inverse"; an inverse that is given is wanted.
std::string WantedUndo(const Statement& statement);

bool IsQuiet(const Statement& statement);       // quiet_triggers
bool IsSyncWanted(const Statement& statement);  // keep_in_sync
bool SyncStays(const Statement& statement);     // keep_in_sync=contract

// True where the option `allow` names it.
bool IsAllowed(const Statement& statement, const std::string& name);

// Throws where `allow` names something that does not exist, or a refusal is not allowed.
void CheckRefusals(const Place& place, const Statement& statement);

}  // namespace pawl::schema
