#include "schema/drift.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>
#include <string_view>

#include "schema/picture_order.h"

namespace pawl::schema {
namespace {

using Keys = std::set<std::string>;

bool StartsWithAny(const std::string& key, const std::vector<std::string_view>& kinds) {
  return std::any_of(kinds.begin(), kinds.end(),
                     [&](std::string_view kind) { return key.starts_with(kind); });
}

// The values of an enum, from "'a', 'b'", in its order.
std::vector<std::string> ValuesOf(const std::string& list) {
  std::vector<std::string> values;
  bool quoted = false;
  for (const char c : list) {
    if (c == '\'') quoted = !quoted;
    if (values.empty() || (c == ',' && !quoted)) values.emplace_back();
    if (quoted || c == '\'') values.back() += c;
  }
  return values;
}

// Whether the enum becomes the other one by new values alone.
bool IsGrown(const PictureObject& from, const PictureObject& to) {
  const std::vector<std::string> values = ValuesOf(to.definition);
  auto at = values.begin();
  for (const std::string& value : ValuesOf(from.definition)) {
    at = std::find(at, values.end(), value);
    if (at == values.end()) return false;
    ++at;
  }
  return true;
}

class Comparison {
 public:
  Comparison(const Picture& from, const Picture& to) : from_(from), to_(to) {}

  std::vector<DriftStatement> Statements() {
    Sort();
    FindWhatMustGo();
    FindAttached();
    FindDestroyed();
    const std::vector<std::string> order = CreationOrder(from_);
    for (auto key = order.rbegin(); key != order.rend(); ++key) {
      if (gone_.contains(*key) && !late_.contains(*key)) Remove(*key);
    }
    MakeAndChange();
    for (auto key = order.rbegin(); key != order.rend(); ++key) {
      if (gone_.contains(*key) && late_.contains(*key)) Remove(*key);
    }
    return std::move(statements_);
  }

 private:
  // What is different, looked at one by one.
  void Sort() {
    for (const auto& [key, old] : from_) {
      const auto found = to_.find(key);
      if (found == to_.end()) {
        gone_.insert(key);
        continue;
      }
      const PictureObject& object = found->second;
      if (object.definition == old.definition && object.shape == old.shape) continue;
      if (key.starts_with("enum ") && IsGrown(old, object)) continue;
      const bool can_change = !object.change.empty() && object.shape == old.shape;
      (can_change ? changed_ : gone_).insert(key);
    }
  }

  // What hangs on something that goes goes as well, and comes again where it is wanted.
  void FindWhatMustGo() {
    bool grew = true;
    const auto add = [&](const std::string& key) { grew = gone_.insert(key).second || grew; };
    while (grew) {
      grew = false;
      for (const auto& [key, object] : from_) {
        if (gone_.contains(key)) {
          // It cannot be removed by itself.
          if (object.drop.empty() && !object.belongs_to.empty() && !GoesAlong(object)) {
            add(object.belongs_to.front());
          }
        } else if (GoesAlong(object) || IsInTheWay(key, object)) {
          add(key);
        } else {
          for (const std::string& needed : object.needs) {
            if (!gone_.contains(needed)) continue;
            // Once it has changed, it does not need that any more.
            if (changed_.contains(key) && !to_.contains(needed)) {
              late_.insert(needed);
            } else {
              add(key);
            }
          }
        }
      }
    }
    for (const std::string& key : gone_) changed_.erase(key);
  }

  bool GoesAlong(const PictureObject& object) const {
    return std::any_of(object.belongs_to.begin(), object.belongs_to.end(),
                       [&](const std::string& key) { return gone_.contains(key); });
  }

  // PostgreSQL changes no type of a column under a view; indexes and constraints it builds again itself.
  bool IsInTheWay(const std::string& key, const PictureObject& object) const {
    if (!StartsWithAny(key, {"view ", "materialized view ", "rule ", "policy ", "trigger ",
                             "default ", "column ", "publication table "})) {
      return false;
    }
    for (const auto* keys : {&object.needs, &object.belongs_to}) {
      for (const std::string& other : *keys) {
        if (other.starts_with("column ") && changed_.contains(other)) return true;
      }
    }
    return false;
  }

  // Tables whose parent's statements reach them, now and then.
  void FindAttached() {
    for (const auto& [key, object] : from_) {
      if (!key.starts_with("attach ") || gone_.contains(key) || !to_.contains(key)) continue;
      attached_.insert(object.belongs_to.front());
    }
  }

  bool IsDoneAtParent(const Picture& picture, const std::string& key) const {
    if (!picture.at(key).is_inherited) return false;
    std::string table = key;
    while (!table.starts_with("table ") && !table.starts_with("foreign table ")) {
      const auto found = picture.find(table);
      if (found == picture.end() || found->second.belongs_to.empty()) return false;
      table = found->second.belongs_to.front();
    }
    return attached_.contains(table);
  }

  // What is not removed, because that would lose data, keeps what it needs and has what belongs to it.
  void FindDestroyed() {
    for (const std::string& key : gone_) {
      if (from_.at(key).loses_data) destroyed_.insert(key);
    }
    for (std::size_t before = 0; before != destroyed_.size();) {
      before = destroyed_.size();
      for (const std::string& key : gone_) {
        const PictureObject& object = from_.at(key);
        for (const auto* keys : {&object.belongs_to, &object.needs}) {
          for (const std::string& other : *keys) {
            if (!gone_.contains(other)) continue;
            if (destroyed_.contains(key)) destroyed_.insert(other);
            if (keys == &object.belongs_to && destroyed_.contains(other)) destroyed_.insert(key);
          }
        }
      }
    }
  }

  void Remove(const std::string& key) {
    const PictureObject& object = from_.at(key);
    if (object.drop.empty() || GoesAlong(object) || IsDoneAtParent(from_, key)) return;
    statements_.push_back({object.drop, destroyed_.contains(key)});
  }

  void MakeAndChange() {
    std::vector<DriftStatement> made;
    bool makes_routine = false;
    for (const std::string& key : CreationOrder(to_)) {
      const PictureObject& object = to_.at(key);
      const bool is_new = IsNew(key);
      if (!is_new && !changed_.contains(key)) continue;
      if (IsDoneAtParent(to_, key)) continue;
      if (is_new && object.comes_along && IsNew(object.belongs_to.front())) continue;
      const std::string& sql = is_new ? object.create : object.change;
      if (sql.empty()) continue;
      makes_routine = makes_routine || StartsWithAny(key, {"function ", "procedure "});
      made.push_back({sql, is_new ? destroyed_.contains(key) : Narrows(key)});
    }
    // The text of a function may name what comes after it.
    if (makes_routine) statements_.push_back({"SET check_function_bodies = off", false});
    statements_.insert(statements_.end(), made.begin(), made.end());
  }

  bool IsNew(const std::string& key) const {
    return to_.contains(key) && (!from_.contains(key) || gone_.contains(key));
  }

  bool Narrows(const std::string& key) const {
    return key.starts_with("column ") &&
           LosesValues(from_.at(key).definition, to_.at(key).definition);
  }

  const Picture& from_;
  const Picture& to_;
  Keys gone_;     // Of `from_`: to be removed, to come again where `to_` has it.
  Keys changed_;  // In place.
  Keys late_;     // Of gone_: needed until the rest has changed.
  Keys attached_;
  Keys destroyed_;
  std::vector<DriftStatement> statements_;
};

// "numeric(10,2)" is {"numeric", 10, 2}, whatever its collation.
struct Type {
  std::string name;
  int size = 0;
  int scale = 0;
};

Type TypeFrom(const std::string& written) {
  const std::string text = written.substr(0, written.find(" COLLATE "));
  const std::size_t open = text.find('(');
  if (open == std::string::npos) return {text, 0, 0};
  Type type{text.substr(0, open), std::atoi(text.c_str() + open + 1), 0};
  if (const std::size_t comma = text.find(',', open); comma != std::string::npos) {
    type.scale = std::atoi(text.c_str() + comma + 1);
  }
  if (const std::size_t close = text.find(')'); close != std::string::npos)
    type.name += text.substr(close + 1);
  return type;
}

}  // namespace

bool LosesValues(const std::string& from, const std::string& to) {
  const Type old = TypeFrom(from);
  const Type type = TypeFrom(to);
  constexpr std::array<std::string_view, 4> kNumbers = {"smallint", "integer", "bigint", "numeric"};
  const auto rank = [&](const std::string& name) {
    return std::find(kNumbers.begin(), kNumbers.end(), name);
  };
  if (type.name == "text" && type.size == 0) return false;
  if (type.name == "character varying" && old.name == type.name) {
    return type.size != 0 && (old.size == 0 || type.size < old.size);
  }
  if (type.name == "numeric" && old.name == type.name) {
    return type.size != 0 && (old.size == 0 || type.scale < old.scale ||
                              type.size - type.scale < old.size - old.scale);
  }
  if (rank(type.name) != kNumbers.end() && rank(old.name) != kNumbers.end()) {
    return type.size != 0 || rank(type.name) < rank(old.name);
  }
  return true;
}

std::vector<DriftStatement> Difference(const Picture& from, const Picture& to) {
  return Comparison(from, to).Statements();
}

}  // namespace pawl::schema
