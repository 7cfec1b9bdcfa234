#include "schema/statement_options.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "db/error.h"
#include "schema/comma_list.h"

namespace pawl::schema {

const std::string* OptionOf(const Statement& statement, const std::string& name) {
  const auto found = statement.options.find(name);
  return found == statement.options.end() ? nullptr : &found->second;
}

std::int64_t CountOf(const Statement& statement, const std::string& name) {
  const std::string* value = OptionOf(statement, name);
  return value == nullptr ? 0 : std::stoll(*value);
}

std::int64_t MillisecondsOf(const Statement& statement, const std::string& name) {
  const std::string* value = OptionOf(statement, name);
  if (value == nullptr) return 0;
  const std::int64_t count = std::stoll(*value);
  if (value->ends_with("ms")) return count;
  return count * (value->ends_with("min") ? 60'000 : 1'000);
}

std::int64_t SecondsOf(const Statement& statement, const std::string& name) {
  const std::string* value = OptionOf(statement, name);
  if (value == nullptr) return 0;
  return std::stoll(*value) * (value->ends_with("d") ? 86'400 : 3'600);
}

std::optional<Order> WantedOrder(const Statement& statement) {
  static const std::map<std::string, Order> kOrders = {{"key", Order::kKey},
                                                       {"block", Order::kBlock},
                                                       {"key_strides", Order::kKeyStrides},
                                                       {"block_strides", Order::kBlockStrides}};
  const std::string* order = OptionOf(statement, "order");
  const auto found = kOrders.find(order == nullptr ? "auto" : *order);
  return found == kOrders.end() ? std::nullopt : std::optional(found->second);
}

std::string WantedUndo(const Statement& statement) {
  if (const std::string* undo = OptionOf(statement, "undo")) return *undo;
  return OptionOf(statement, "inverse") != nullptr ? "inverse" : "auto";
}

bool IsQuiet(const Statement& statement) {
  const std::string* quiet = OptionOf(statement, "quiet_triggers");
  return quiet != nullptr && *quiet == "true";
}

bool IsSyncWanted(const Statement& statement) {
  const std::string* sync = OptionOf(statement, "keep_in_sync");
  return sync != nullptr && *sync != "false";
}

bool SyncStays(const Statement& statement) {
  const std::string* sync = OptionOf(statement, "keep_in_sync");
  return sync != nullptr && *sync == "contract";
}

bool IsAllowed(const Statement& statement, const std::string& name) {
  const std::string* allow = OptionOf(statement, "allow");
  if (allow == nullptr) return false;
  const std::vector<std::string> names = CommaList(*allow);
  return std::find(names.begin(), names.end(), name) != names.end();
}

void CheckRefusals(const Place& place, const Statement& statement) {
  std::set<std::string> known = {"cascade", "publication", "row_moves", "self_join", "volatile"};
  for (const Refusal& refusal : statement.refusals) {
    known.insert(refusal.name);
    if (!refusal.can_be_allowed || !IsAllowed(statement, refusal.name)) {
      db::FailInput(fmt::format("{}, line {}: {} Nothing was changed.", place.file, place.line,
                                refusal.reason));
    }
  }
  const std::string* allow = OptionOf(statement, "allow");
  for (const std::string& name :
       allow == nullptr ? std::vector<std::string>{} : CommaList(*allow)) {
    if (known.contains(name)) continue;
    FailAt(place, fmt::format("allow names \"{}\", which is no refusal that can be allowed", name),
           "Known are cascade, publication, row_moves, self_join and volatile.");
  }
}

}  // namespace pawl::schema
