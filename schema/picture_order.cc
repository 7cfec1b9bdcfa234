#include "schema/picture_order.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

namespace pawl::schema {
namespace {

// Where no dependency says otherwise. A partition is attached with its columns, checks and indexes in
// place, and before its parent's, which then find them. Sequences are owned once owners are right.
// clang-format off
constexpr auto kKinds = std::to_array<std::string_view>({
    "schema", "extension", "foreign data wrapper", "server", "user mapping", "server option",
    "collation", "text search dictionary", "text search configuration", "text search mapping",
    "enum", "enum value", "domain", "domain default", "domain not null", "domain constraint",
    "composite", "column of composite", "range", "function", "procedure", "aggregate", "operator",
    "operator family", "operator class", "cast", "sequence", "table", "foreign table", "of type",
    "logged", "access method", "tablespace", "column", "default", "not null", "identity",
    "storage", "compression", "statistics target", "column option", "foreign option",
    "foreign column option", "option", "view", "column of view", "materialized view",
    "column of materialized view", "constraint", "index", "attach", "partitioned key",
    "partitioned index", "index attach", "index statistics target", "invalid index", "clustered",
    "replica identity", "foreign key", "valid", "statistics", "statistics size", "rule",
    "rule state", "trigger", "trigger state", "row security", "forced row security", "policy",
    "publication", "publication table", "publication schema", "event trigger",
    "event trigger state", "owner"});
// clang-format on
// clang-format off
constexpr auto kLastKinds = std::to_array<std::string_view>({
    "owned by", "comment", "default privilege", "revoke", "grant"});
// clang-format on

bool IsOf(std::string_view key, std::string_view kind) {
  return key.size() > kind.size() && key[kind.size()] == ' ' && key.starts_with(kind);
}

// The longest kind that the key begins with: "index attach x" is no "index".
std::size_t RankOf(std::string_view key) {
  std::size_t rank = 0;
  std::size_t length = 0;
  const auto look = [&](const auto& kinds, std::size_t first) {
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      if (kinds[i].size() < length || !IsOf(key, kinds[i])) continue;
      rank = first + i;
      length = kinds[i].size();
    }
  };
  look(kKinds, 0);
  look(kLastKinds, kKinds.size());
  return rank;
}

class Sorter {
 public:
  explicit Sorter(const Picture& picture) : picture_(picture) {
    for (const auto& [key, object] : picture) {
      if (object.comes_along && !object.belongs_to.empty()) {
        riders_[object.belongs_to.front()].push_back(key);
      }
    }
  }

  std::vector<std::string> Sort() {
    std::vector<std::pair<std::size_t, std::string>> keys;
    for (const auto& entry : picture_) keys.emplace_back(RankOf(entry.first), entry.first);
    std::sort(keys.begin(), keys.end());
    for (const auto& ranked : keys) Visit(ranked.second);
    return std::move(order_);
  }

 private:
  void Visit(const std::string& key) {
    const auto found = picture_.find(key);
    if (found == picture_.end() || !seen_.insert(key).second) return;
    VisitWhatItHangsOn(found->second);
    VisitForRiders(key);
    order_.push_back(key);
  }

  void VisitWhatItHangsOn(const PictureObject& object) {
    for (const auto* keys : {&object.belongs_to, &object.needs, &object.after}) {
      for (const std::string& key : *keys) Visit(key);
    }
  }

  // The statement that makes the object makes its columns, so what these need comes before.
  void VisitForRiders(const std::string& key) {
    const auto riders = riders_.find(key);
    if (riders == riders_.end() || key.starts_with("enum ")) return;
    for (const std::string& rider : riders->second) {
      VisitWhatItHangsOn(picture_.at(rider));
      VisitForRiders(rider);
    }
  }

  const Picture& picture_;
  std::map<std::string, std::vector<std::string>> riders_;
  std::set<std::string> seen_;
  std::vector<std::string> order_;
};

}  // namespace

std::vector<std::string> CreationOrder(const Picture& picture) { return Sorter(picture).Sort(); }

}  // namespace pawl::schema
