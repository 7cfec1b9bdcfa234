#include "schema/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "db/error.h"
#include "schema/picture_sql.h"

namespace pawl::schema {
namespace {

namespace json = boost::json;

using Address = std::tuple<std::string, std::string, std::string>;  // Class, object, column.

std::string PictureQuery(int version) {
  std::string objects;
  for (const std::string& part :
       {PictureOfDatabase(version), PictureOfTypes(), PictureOfRoutines(), PictureOfOperators(),
        PictureOfTables(), PictureOfColumns(version), PictureOfTableParts()}) {
    if (!objects.empty()) objects += " UNION ALL ";
    objects += part;
  }
  return fmt::format(R"sql(
WITH {},
object (kind, name, class, object, sub, facts) AS MATERIALIZED (
  SELECT all_objects.* FROM ({}) AS all_objects (kind, name, class, object, sub, facts)
   -- Nor what comes with a type: its constructors and the cast between its two ranges.
   WHERE NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = class AND d.objid = object
                        AND (d.deptype = 'e' OR d.deptype = 'i' AND class IN ('pg_proc'::regclass, 'pg_cast'::regclass))))
SELECT kind || ' ' || name, class, object, sub, facts FROM object
UNION ALL
SELECT kind || ' ' || name, class, object, sub, facts
  FROM ({}) AS facet (kind, name, class, object, sub, facts))sql",
                     PictureRelations(version), objects, PictureOfFacets());
}

// Addresses that stand for another object: what a view's rule needs, the view needs.
constexpr const char* kAliases = R"sql(
SELECT 'pg_rewrite'::regclass::oid, oid, 0, 'pg_class'::regclass::oid, ev_class, 0 FROM pg_rewrite WHERE rulename = '_RETURN'
UNION ALL
SELECT 'pg_attrdef'::regclass, d.oid, 0, 'pg_class'::regclass, d.adrelid, d.adnum
  FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attgenerated <> ''
UNION ALL
SELECT 'pg_type'::regclass, oid, 0, 'pg_class'::regclass, typrelid, 0 FROM pg_type WHERE typrelid <> 0
UNION ALL
SELECT 'pg_type'::regclass, typarray, 0, 'pg_type'::regclass, oid, 0 FROM pg_type WHERE typarray <> 0
UNION ALL
SELECT 'pg_type'::regclass, multirange, 0, 'pg_type'::regclass, rngtypid, 0
  FROM (SELECT rngtypid, (to_jsonb(r) ->> 'rngmultitypid')::oid AS multirange FROM pg_range AS r) AS r WHERE multirange <> 0
UNION ALL
SELECT 'pg_class'::regclass, conindid, 0, 'pg_constraint'::regclass, oid, 0 FROM pg_constraint WHERE contype IN ('p', 'u', 'x')
UNION ALL
SELECT 'pg_amop'::regclass, objid, 0, refclassid, refobjid, 0 FROM pg_depend
 WHERE classid = 'pg_amop'::regclass AND refclassid = 'pg_opclass'::regclass
UNION ALL
SELECT 'pg_amproc'::regclass, objid, 0, refclassid, refobjid, 0 FROM pg_depend
 WHERE classid = 'pg_amproc'::regclass AND refclassid = 'pg_opclass'::regclass)sql";

constexpr const char* kDependencies = R"sql(
SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype FROM pg_depend
 WHERE deptype IN ('n', 'a', 'i', 'P', 'S') AND objid >= 16384)sql";

Address AddressIn(const db::Row& row, std::size_t at) {
  return {db::ToText(row[at]), db::ToText(row[at + 1]), db::ToText(row[at + 2])};
}

std::vector<std::string> Texts(const json::object& facts, const char* member) {
  std::vector<std::string> texts;
  if (const json::value* found = facts.if_contains(member); found && found->is_array()) {
    for (const json::value& text : found->as_array()) texts.emplace_back(text.as_string());
  }
  return texts;
}

std::string Text(const json::object& facts, const char* member) {
  const json::value* found = facts.if_contains(member);
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : "";
}

bool Holds(const json::object& facts, const char* member) {
  const json::value* found = facts.if_contains(member);
  return found != nullptr && found->is_bool() && found->as_bool();
}

PictureObject ObjectFrom(const json::object& facts) {
  PictureObject object;
  object.create = Text(facts, "create");
  object.definition = facts.contains("definition") ? Text(facts, "definition") : object.create;
  object.change = Text(facts, "change");
  object.shape = Text(facts, "shape");
  object.drop = Text(facts, "drop");
  object.loses_data = Holds(facts, "loses_data");
  object.comes_along = Holds(facts, "comes_along");
  object.is_inherited = Holds(facts, "is_inherited");
  object.belongs_to = Texts(facts, "belongs_to");
  object.needs = Texts(facts, "needs");
  object.after = Texts(facts, "after");
  return object;
}

void Add(std::vector<std::string>& keys, const std::string& key) {
  if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
}

// Reads objects, then finds by their addresses what they hang on.
class PictureReader {
 public:
  explicit PictureReader(db::Session& session) : session_(session) {}

  Picture Read() {
    for (const db::Row& row : session_.Query(kAliases).rows) {
      aliases_[AddressIn(row, 0)] = AddressIn(row, 3);
    }
    ReadObjects();
    for (const db::Row& row : session_.Query(kDependencies).rows) {
      const std::string& kind = db::ToText(row[6]);
      Tie(KeyAt(AddressIn(row, 0)), KeyAt(AddressIn(row, 3)), kind == "n");
    }
    RemoveOrphans();
    return std::move(picture_);
  }

 private:
  void ReadObjects() {
    std::vector<std::pair<std::string, std::string>> on_index;  // Key, object id.
    for (const db::Row& row : session_.Query(PictureQuery(session_.server_version())).rows) {
      const std::string& key = db::ToText(row[0]);
      const json::object facts = json::parse(db::ToText(row[4])).as_object();
      if (db::ToText(row[2]) != "0") keys_[AddressIn(row, 1)] = key;
      for (const char* member : {"with_index", "with_parent_index"}) {
        if (const json::value* index = facts.if_contains(member); index && !index->is_null()) {
          on_index.emplace_back(
              key, index->is_string() ? std::string(index->as_string()) : json::serialize(*index));
        }
      }
      picture_[key] = ObjectFrom(facts);
    }
    const std::string relations =
        db::ToText(session_.Query("SELECT 'pg_class'::regclass::oid").rows.at(0)[0]);
    for (const auto& [key, index] : on_index) {
      const std::string owner = KeyAt({relations, index, "0"});
      // An index that is left out has no name here, and what belongs to it goes as an orphan.
      picture_[key].belongs_to.push_back(owner);
    }
  }

  // Empty where the address is of nothing that the picture holds.
  std::string KeyAt(Address address) const {
    // An array of a row of a view: no chain is longer.
    for (int hop = 0; hop < 5; ++hop) {
      if (const auto found = keys_.find(address); found != keys_.end()) return found->second;
      if (const auto alias = aliases_.find(address); alias != aliases_.end()) {
        address = alias->second;
      } else if (std::get<2>(address) != "0") {
        std::get<2>(address).assign(1, '0');  // Of the whole relation then.
      } else {
        break;
      }
    }
    return {};
  }

  void Tie(const std::string& key, const std::string& to, bool must_go_first) {
    if (key.empty() || to.empty() || key == to) return;
    PictureObject& object = picture_[key];
    // That a table has a parent is an object of its own.
    const auto is_table = [](const std::string& name) {
      return name.starts_with("table ") || name.starts_with("foreign table ");
    };
    if (is_table(key) && is_table(to)) return;
    const auto& owners = object.belongs_to;
    if (std::find(owners.begin(), owners.end(), to) != owners.end()) return;
    Add(must_go_first ? object.needs : object.belongs_to, to);
  }

  // What stands on something that is left out, such as a table of an extension.
  void RemoveOrphans() {
    while (std::erase_if(picture_, [&](const auto& entry) {
             const auto& owners = entry.second.belongs_to;
             return std::any_of(owners.begin(), owners.end(),
                                [&](const std::string& key) { return !picture_.contains(key); });
           }) > 0) {
    }
  }

  db::Session& session_;
  Picture picture_;
  std::map<Address, std::string> keys_;
  std::map<Address, Address> aliases_;
};

json::array Array(const std::vector<std::string>& texts) {
  json::array array;
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

json::object FactsOf(const PictureObject& object) {
  return {{"definition", object.definition},
          {"create", object.create},
          {"change", object.change},
          {"shape", object.shape},
          {"drop", object.drop},
          {"loses_data", object.loses_data},
          {"comes_along", object.comes_along},
          {"is_inherited", object.is_inherited},
          {"belongs_to", Array(object.belongs_to)},
          {"needs", Array(object.needs)},
          {"after", Array(object.after)}};
}

}  // namespace

Picture ReadPicture(db::Session& session) {
  db::Transaction transaction(session, true, true);
  // So that every name is written with its schema.
  session.Execute(
      "SET LOCAL search_path = ''; SET LOCAL quote_all_identifiers = off; "
      "SET LOCAL lock_timeout = '1s'; SET LOCAL statement_timeout = '60s'; SET LOCAL jit = off");
  Picture picture = PictureReader(session).Read();
  transaction.Commit();
  return picture;
}

std::string ToText(const Picture& picture) {
  json::array objects;
  for (const auto& [key, object] : picture) {
    objects.push_back(json::array{json::value(key), json::value(FactsOf(object))});
  }
  return json::serialize(objects);
}

PictureObject PictureObjectFrom(const std::string& text) {
  try {
    return ObjectFrom(json::parse(text).as_object());
  } catch (const std::exception&) {
    db::FailInput(
        "The recorded picture of the schema cannot be read: pawl.picture was changed by hand, or "
        "written by a newer pawl. Record it anew with `pawl drift --record`.");
  }
}

}  // namespace pawl::schema
