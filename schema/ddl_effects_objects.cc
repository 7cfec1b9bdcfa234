// What statements do that rename, move or drop an object, and those about what belongs to a table:
// triggers, rules, policies, comments, sequences, and about types.
#include "schema/ddl_effect_takers.h"

#include <map>
#include <string>

#include "schema/ast_queries.h"
#include "schema/ddl_effect_table.h"

namespace pawl::schema {
namespace {

// Whether objects of that kind are relations, which have locks.
bool IsRelation(const std::string& type) {
  return type == "OBJECT_TABLE" || type == "OBJECT_VIEW" || type == "OBJECT_MATVIEW" ||
         type == "OBJECT_SEQUENCE" || type == "OBJECT_FOREIGN_TABLE";
}

void AddOwner(const AstArray& options, EffectList& effects) {
  for (const AstValue& node : options) {
    const AstObject* option = NodeOf(node, "DefElem");
    if (option == nullptr || TextMember(*option, "defname") != "owned_by") continue;
    const AstValue* argument = Member(*option, "arg");
    if (argument == nullptr || ItemsOf(*argument).size() < 2) continue;  // OWNED BY NONE
    effects.Add("owned_by", TableInList(ItemsOf(*argument), 1));
  }
}

}  // namespace

void TakeRename(const AstObject& body, EffectList& effects) {
  static const std::map<std::string, std::string_view> kKeys = {
      {"OBJECT_TABLE", "rename_table"},
      {"OBJECT_VIEW", "rename_table"},
      {"OBJECT_MATVIEW", "rename_table"},
      {"OBJECT_FOREIGN_TABLE", "rename_table"},
      {"OBJECT_SEQUENCE", "rename_table"},
      {"OBJECT_COLUMN", "rename_column"},
      {"OBJECT_TABCONSTRAINT", "rename_constraint"},
      {"OBJECT_TRIGGER", "rename_trigger"},
      {"OBJECT_POLICY", "rename_policy"},
      {"OBJECT_RULE", "rename_rule"},
  };
  const std::string type = TextMember(body, "renameType");
  const auto key = kKeys.find(type);
  if (type == "OBJECT_INDEX") {
    effects.Add("alter_index", {}).words = "ALTER INDEX … RENAME";
  } else if (type == "OBJECT_ATTRIBUTE" && TextMember(body, "behavior") == "DROP_CASCADE") {
    effects.Add("rename_other", {}, "ALTER TYPE … ").also_locks =
        "the tables OF the type, so that every statement on them waits";
  } else if (key == kKeys.end()) {
    effects.Add("rename_other", {}, "ALTER … ");
  } else {
    const bool has_words = RowOf(key->second)->words.starts_with("ALTER");
    effects.Add(key->second, TableIn(body, "relation"), has_words ? "" : "ALTER TABLE … ");
  }
}

void TakeSetSchema(const AstObject& body, EffectList& effects) {
  const std::string type = TextMember(body, "objectType");
  effects.Add("set_schema", IsRelation(type) ? TableIn(body, "relation") : TableName{}, "ALTER … ");
}

void TakeDrop(const AstObject& body, EffectList& effects) {
  static const std::map<std::string, std::string_view> kRelations = {
      {"OBJECT_TABLE", "drop_table"},
      {"OBJECT_FOREIGN_TABLE", "drop_view"},
      {"OBJECT_VIEW", "drop_view"},
      {"OBJECT_MATVIEW", "drop_materialized_view"},
      {"OBJECT_SEQUENCE", "drop_sequence"}};
  static const std::map<std::string, std::string_view> kOnTables = {
      {"OBJECT_TRIGGER", "drop_trigger"},
      {"OBJECT_RULE", "drop_rule"},
      {"OBJECT_POLICY", "policy"}};
  const std::string type = TextMember(body, "removeType");
  if (type == "OBJECT_INDEX") {
    DdlEffect& effect =
        effects.Add(FlagMember(body, "concurrent") ? "drop_index_concurrently" : "drop_index", {});
    if (!FlagMember(body, "concurrent")) {
      effect.also_locks = "the index and its table, so that every statement on it waits";
    }
    return;
  }
  if (type == "OBJECT_SCHEMA") {
    const bool cascades = TextMember(body, "behavior") == "DROP_CASCADE";
    effects.Add(cascades ? "drop_schema_cascade" : "drop_schema", {});
    return;
  }
  const bool cascades = TextMember(body, "behavior") == "DROP_CASCADE";
  for (const AstValue& object : ArrayMember(body, "objects")) {
    if (const auto key = kRelations.find(type); key != kRelations.end()) {
      DdlEffect& effect = effects.Add(key->second, TableInList(ItemsOf(object)));
      if (type == "OBJECT_TABLE") {
        effect.also_locks = "the tables that its foreign keys point at, and its partitions";
      }
      if (cascades) effect.also_locks += " and what is made of it, which goes too";
    } else if (const auto on = kOnTables.find(type); on != kOnTables.end()) {
      DdlEffect& effect = effects.Add(on->second, TableInList(ItemsOf(object), 1));
      if (type == "OBJECT_POLICY") effect.words = "DROP POLICY";
    } else if (cascades) {
      // A type takes its columns along, a function its triggers, a server its tables.
      effects.Add("drop_other_cascade", {}).also_locks =
          "every table that uses it, so that every statement on it waits";
    } else {
      DdlEffect& effect = effects.Add("drop_other", {});
      if (type == "OBJECT_STATISTIC_EXT") effect.also_locks = "its table, against its like";
    }
  }
}

void TakeTrigger(const AstObject& body, EffectList& effects) {
  DdlEffect& effect = effects.Add("create_trigger", TableIn(body, "relation"));
  const TableName other = TableIn(body, "constrrel");
  if (!other.name.empty()) effect.locks.push_back({other, LockLevel::kAccessShare});
  effect.also_locks = "its partitions";
}

void TakeRule(const AstObject& body, EffectList& effects) {
  effects.Add("create_rule", TableIn(body, "relation"));
}

void TakePolicy(const AstObject& body, EffectList& effects) {
  const bool is_new = Member(body, "cmd_name") != nullptr;
  effects.Add("policy", TableIn(body, "table"), is_new ? "CREATE " : "ALTER ");
}

void TakeStatistics(const AstObject& body, EffectList& effects) {
  for (const AstValue& node : ArrayMember(body, "relations")) {
    if (const AstObject* relation = NodeOf(node, "RangeVar")) {
      effects.Add("create_statistics", RelationOf(*relation));
    }
  }
}

void TakeComment(const AstObject& body, EffectList& effects) {
  const std::string type = TextMember(body, "objtype");
  const AstValue* object = Member(body, "object");
  std::size_t without = 0;
  if (type == "OBJECT_COLUMN" || type == "OBJECT_TABCONSTRAINT" || type == "OBJECT_TRIGGER" ||
      type == "OBJECT_RULE" || type == "OBJECT_POLICY") {
    without = 1;
  } else if (!IsRelation(type)) {
    return;
  }
  if (object == nullptr) return effects.AddUnknown();
  DdlEffect& effect = effects.Add("comment", TableInList(ItemsOf(*object), without));
  // The table is held only so that it stays; its rows are nobody's business here.
  if (type == "OBJECT_TABCONSTRAINT" || type == "OBJECT_TRIGGER" || type == "OBJECT_RULE" ||
      type == "OBJECT_POLICY") {
    effect.locks.front().level = LockLevel::kAccessShare;
  }
}

void TakePublication(const AstObject& body, EffectList& effects) {
  for (const AstValue& node : ArrayMember(body, "pubobjects")) {
    const AstObject* object = NodeOf(node, "PublicationObjSpec");
    const AstObject* table = object == nullptr ? nullptr : ObjectMember(*object, "pubtable");
    if (table == nullptr) continue;
    DdlEffect& effect = effects.Add("publication", TableIn(*table, "relation"));
    if (TextMember(body, "action") == "AP_SetObjects") effect.also_locks = "the tables it had";
  }
}

void TakeAlterSequence(const AstObject& body, EffectList& effects) {
  effects.Add("alter_sequence", TableIn(body, "sequence"));
  AddOwner(ArrayMember(body, "options"), effects);
}

void TakeCreateSequence(const AstObject& body, EffectList& effects) {
  AddOwner(ArrayMember(body, "options"), effects);
}

void TakeEnum(const AstObject& body, EffectList& effects) {
  effects.Add(TextMember(body, "oldVal").empty() ? "enum_value" : "enum_rename", {});
}

void TakeDomain(const AstObject& body, EffectList& effects) {
  const std::string subtype = TextMember(body, "subtype");
  const AstObject* definition = ObjectMember(body, "def");
  const AstObject* constraint =
      definition == nullptr ? nullptr : ObjectMember(*definition, "Constraint");
  std::string_view key = "domain_other";
  if (subtype == "C") {
    const bool not_valid = constraint != nullptr && FlagMember(*constraint, "skip_validation");
    key = not_valid ? "domain_constraint_not_valid" : "domain_constraint";
  } else if (subtype == "O") {
    key = "domain_not_null";
  } else if (subtype == "V") {
    key = "domain_validate";
  }
  DdlEffect& effect = effects.Add(key, {});
  if (effect.scans == Certainty::kYes) {
    effect.also_locks = "every table with a column of the domain, against writes";
  }
}

void TakeDependsOnExtension(const AstObject& body, EffectList& effects) {
  const std::string type = TextMember(body, "objectType");
  const bool is_relation = IsRelation(type) || type == "OBJECT_TRIGGER";
  DdlEffect& effect = effects.Add("depends_on_extension", {}, "ALTER … ");
  if (is_relation) {
    // A trigger's table is held only so that it stays.
    effect.locks.push_back({TableIn(body, "relation"), type == "OBJECT_TRIGGER"
                                                           ? LockLevel::kAccessShare
                                                           : LockLevel::kAccessExclusive});
  } else if (type == "OBJECT_INDEX") {
    effect.also_locks = "the index, so that every statement on its table waits";
  }
}

void TakeExtensionMember(const AstObject& body, EffectList& effects) {
  const AstValue* object = Member(body, "object");
  const bool is_relation = IsRelation(TextMember(body, "objtype")) && object != nullptr;
  effects.Add("extension_member", is_relation ? TableInList(ItemsOf(*object)) : TableName{});
}

void TakeSubscription(const AstObject& body, EffectList& effects) {
  DdlEffect& effect = effects.Add("subscription", {});
  // Only a slot on the other side keeps it out of a transaction.
  for (const AstValue& node : ArrayMember(body, "options")) {
    const AstObject* option = NodeOf(node, "DefElem");
    if (option == nullptr) continue;
    const std::string name = TextMember(*option, "defname");
    const AstValue* value = Member(*option, "arg");
    if ((name == "connect" || name == "create_slot") && value != nullptr &&
        StringOf(*value) == "false") {
      effect.in_transaction = true;
    }
  }
}

}  // namespace pawl::schema
