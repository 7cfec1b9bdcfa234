// What statements do that make, build or empty tables, indexes and views, or lock or vacuum them.
#include "schema/ddl_effect_takers.h"

#include <string>

#include "schema/ast_queries.h"

namespace pawl::schema {
namespace {

// The value of an option in a list of DefElem nodes, "true" for a bare name; empty if it is not
// there.
std::string OptionIn(const AstArray& elements, std::string_view name) {
  for (const AstValue& element : elements) {
    const AstObject* option = NodeOf(element, "DefElem");
    if (option == nullptr || TextMember(*option, "defname") != name) continue;
    const AstValue* argument = Member(*option, "arg");
    if (argument == nullptr) return "true";
    const std::string text = StringOf(*argument);
    return text.empty() ? "true" : text;
  }
  return {};
}

bool IsOn(const AstArray& elements, std::string_view name) {
  const std::string value = OptionIn(elements, name);
  return !value.empty() && value != "false" && value != "off" && value != "0";
}

}  // namespace

void TakeIndex(const AstObject& body, EffectList& effects) {
  const bool concurrently = FlagMember(body, "concurrent");
  DdlEffect& effect = effects.Add(concurrently ? "create_index_concurrently" : "create_index",
                                  TableIn(body, "relation"));
  effect.also_locks = "its partitions";
  if (FlagMember(body, "unique")) effect.words.insert(std::string("CREATE ").size(), "UNIQUE ");
}

void TakeReindex(const AstObject& body, EffectList& effects) {
  const std::string kind = TextMember(body, "kind");
  const bool one = kind == "REINDEX_OBJECT_TABLE" || kind == "REINDEX_OBJECT_INDEX";
  const TableName table = kind == "REINDEX_OBJECT_TABLE" ? TableIn(body, "relation") : TableName{};
  if (IsOn(ArrayMember(body, "params"), "concurrently")) {
    effects.Add("reindex_concurrently", table);
    return;
  }
  DdlEffect& effect = effects.Add(one ? "reindex" : "reindex_whole", table);
  effect.also_locks = "the index while it is built anew, so that readers wait too";
  if (kind == "REINDEX_OBJECT_INDEX") effect.also_locks += ", and its table against writes";
}

void TakeTruncate(const AstObject& body, EffectList& effects) {
  for (const AstValue& node : ArrayMember(body, "relations")) {
    const AstObject* relation = NodeOf(node, "RangeVar");
    if (relation == nullptr) continue;
    DdlEffect& effect = effects.Add("truncate", RelationOf(*relation));
    effect.also_locks = TextMember(body, "behavior") == "DROP_CASCADE"
                            ? "every table that points at it or inherits from it, which loses "
                              "its rows too"
                            : "every table that inherits from it, which loses its rows too";
  }
}

void TakeCluster(const AstObject& body, EffectList& effects) {
  const TableName table = TableIn(body, "relation");
  effects.Add(table.name.empty() ? "cluster_all" : "cluster", table);
}

void TakeVacuum(const AstObject& body, EffectList& effects) {
  const AstArray& options = ArrayMember(body, "options");
  std::string_view key = "analyze";
  if (FlagMember(body, "is_vacuumcmd")) key = IsOn(options, "full") ? "vacuum_full" : "vacuum";
  const AstArray& relations = ArrayMember(body, "rels");
  if (relations.empty()) effects.Add(key, {}).also_locks = "every table";
  for (const AstValue& node : relations) {
    if (const AstObject* relation = NodeOf(node, "VacuumRelation")) {
      effects.Add(key, TableIn(*relation, "relation")).also_locks = "its partitions";
    }
  }
}

void TakeLock(const AstObject& body, EffectList& effects) {
  const AstValue* mode = Member(body, "mode");
  const auto level = mode == nullptr ? 8 : mode->to_number<int>();
  for (const AstValue& node : ArrayMember(body, "relations")) {
    const AstObject* relation = NodeOf(node, "RangeVar");
    if (relation == nullptr) continue;
    // PostgreSQL numbers its lock modes as LockLevel does.
    effects.Add("lock", RelationOf(*relation)).locks.front().level = static_cast<LockLevel>(level);
  }
}

void TakeCreateTable(const AstObject& body, EffectList& effects) {
  const bool is_partition = Member(body, "partbound") != nullptr;
  for (const AstValue& node : ArrayMember(body, "inhRelations")) {
    const AstObject* parent = NodeOf(node, "RangeVar");
    if (parent == nullptr) continue;
    DdlEffect& effect =
        effects.Add(is_partition ? "partition_of" : "inherits", RelationOf(*parent));
    if (is_partition) {
      effect.also_locks = "the default partition, where there is one, which is also read";
      effect.scans = Certainty::kDepends;
    }
  }
  const TableName own = TableIn(body, "relation");
  Walk(AstValue(body), [&](std::string_view name, const AstObject& inner) {
    if (name == "Constraint" && TextMember(inner, "contype") == "CONSTR_FOREIGN") {
      const TableName referenced = TableIn(inner, "pktable");
      if (referenced != own) effects.Add("references", referenced);
    }
    return true;
  });
}

void TakeCreateTableAs(const AstObject& body, EffectList& effects) {
  const bool is_view = TextMember(body, "objtype") == "OBJECT_MATVIEW";
  const AstValue* query = Member(body, "query");
  DdlEffect& effect = effects.Add(is_view ? "create_materialized_view" : "create_table_as", {});
  if (query == nullptr) return;
  for (const TableName& table : RelationsIn(*query)) {
    effect.locks.push_back({table, LockLevel::kAccessShare});
  }
  const AstObject* into = ObjectMember(body, "into");
  if (into != nullptr && FlagMember(*into, "skipData")) effect.scans = Certainty::kNo;
}

void TakeView(const AstObject& body, EffectList& effects) {
  const AstValue* query = Member(body, "query");
  DdlEffect& effect = FlagMember(body, "replace")
                          ? effects.Add("replace_view", TableIn(body, "view"))
                          : effects.Add("create_view", {});
  if (query == nullptr) return;
  for (const TableName& table : RelationsIn(*query)) {
    effect.locks.push_back({table, LockLevel::kAccessShare});
  }
}

void TakeRefresh(const AstObject& body, EffectList& effects) {
  DdlEffect& effect =
      effects.Add(FlagMember(body, "concurrent") ? "refresh_concurrently" : "refresh",
                  TableIn(body, "relation"));
  if (FlagMember(body, "skipData")) effect.scans = Certainty::kNo;
}

}  // namespace pawl::schema
