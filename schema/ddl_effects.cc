#include "schema/ddl_effects.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "schema/ast_queries.h"
#include "schema/ddl_effect_table.h"
#include "schema/type_text.h"

namespace pawl::schema {
namespace {

constexpr std::string_view kAlter = "ALTER TABLE … ";

TableName TableIn(const AstObject& body, std::string_view member) {
  const AstObject* relation = ObjectMember(body, member);
  return relation == nullptr ? TableName{} : RelationOf(*relation);
}

// A name given as a list of strings, of which the last `without` belong to something else: a
// trigger's name follows its table's.
TableName TableInList(const AstArray& names, std::size_t without = 0) {
  TableName table;
  if (names.size() <= without) return table;
  const std::size_t last = names.size() - without;
  table.name = StringOf(names[last - 1]);
  if (last > 1) table.schema = StringOf(names[last - 2]);
  return table;
}

const AstArray& ItemsOf(const AstValue& node) {
  static const AstArray kNone;
  const AstObject* list = NodeOf(node, "List");
  return list == nullptr ? kNone : ArrayMember(*list, "items");
}

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

// What a new column's constraints and default make of ADD COLUMN.
class NewColumn {
 public:
  NewColumn(const AstObject& column, const TableName& table) : table_(table) {
    for (const AstValue& node : ArrayMember(column, "constraints")) {
      if (const AstObject* constraint = NodeOf(node, "Constraint")) Take(*constraint);
    }
    const AstObject* type = ObjectMember(column, "typeName");
    if (type != nullptr && IsSerial(*type)) has_sequence_ = true;
  }

  DdlEffect Effect() const {
    DdlEffect effect = EffectOf(*RowOf("AT_AddColumn"), table_);
    if (!referenced_.name.empty()) {
      effect.locks.push_back({referenced_, LockLevel::kShareRowExclusive});
    }
    if (has_sequence_ || is_identity_ || is_generated_) {
      effect.rewrites = effect.scans = Certainty::kYes;
      effect.rule = is_generated_  ? "add_generated_column"
                    : is_identity_ ? "add_identity_column"
                                   : "add_serial_column";
      effect.online_form =
          "Add the plain column, keep it in step by a trigger, fill it in batches, then give it "
          "its default or constraint.";
    } else if (default_ != nullptr && !IsPlain(*default_)) {
      // Volatile or not is for the catalogue to say.
      effect.rewrites = effect.scans = Certainty::kDepends;
      effect.rule = "add_column_default";
      effect.online_form =
          "Add the column without the default, then ALTER COLUMN … SET DEFAULT, then fill the old "
          "rows in batches.";
    }
    if (builds_index_ || checks_) {
      effect.scans = Certainty::kYes;
      effect.rule = builds_index_ ? "add_unique_column" : "add_checked_column";
      effect.online_form =
          "Add the plain column first; then the constraint by its own online form.";
    }
    if (is_not_null_ && default_ == nullptr && !has_sequence_ && !is_identity_ && !is_generated_) {
      effect.rule = "add_not_null_column";
      effect.scans = Certainty::kYes;
      effect.online_form =
          "It fails as soon as the table has a row. Give it a constant DEFAULT, or add it without "
          "NOT NULL, fill it in batches, and make it NOT NULL by a validated check.";
    }
    return effect;
  }

 private:
  void Take(const AstObject& constraint) {
    const std::string type = TextMember(constraint, "contype");
    if (type == "CONSTR_NOTNULL") is_not_null_ = true;
    if (type == "CONSTR_DEFAULT") default_ = Member(constraint, "raw_expr");
    if (type == "CONSTR_IDENTITY") is_identity_ = true;
    if (type == "CONSTR_GENERATED") is_generated_ = true;
    if (type == "CONSTR_CHECK") checks_ = true;
    if (type == "CONSTR_PRIMARY" || type == "CONSTR_UNIQUE") builds_index_ = true;
    if (type == "CONSTR_FOREIGN") {
      referenced_ = TableIn(constraint, "pktable");
      // With a default, the new values are looked up row by row; NULLs need no look.
      references_ = true;
    }
  }

  // The same for every row for certain: no function, no column.
  static bool IsPlain(const AstValue& expression) {
    return !Contains(expression, "FuncCall") && !Contains(expression, "SQLValueFunction");
  }

  TableName table_;
  TableName referenced_;
  const AstValue* default_ = nullptr;
  bool is_not_null_ = false;
  bool has_sequence_ = false;
  bool is_identity_ = false;
  bool is_generated_ = false;
  bool checks_ = false;
  bool builds_index_ = false;
  bool references_ = false;
};

// The row for ADD CONSTRAINT; empty if the table has none.
std::string_view KeyOfConstraint(const AstObject& constraint) {
  const std::string type = TextMember(constraint, "contype");
  const bool not_valid = FlagMember(constraint, "skip_validation");
  const bool using_index = !TextMember(constraint, "indexname").empty();
  if (type == "CONSTR_CHECK") return not_valid ? "check_not_valid" : "check";
  if (type == "CONSTR_FOREIGN") return not_valid ? "foreign_key_not_valid" : "foreign_key";
  if (type == "CONSTR_UNIQUE") return using_index ? "unique_using_index" : "unique";
  if (type == "CONSTR_PRIMARY") return using_index ? "primary_key_using_index" : "primary_key";
  if (type == "CONSTR_EXCLUSION") return "exclusion";
  return {};
}

// Storage parameters that change what running statements rely on lock everybody out; all others
// are for the next VACUUM or INSERT.
bool LocksOut(const AstArray& options) {
  static const std::set<std::string, std::less<>> kHeavy = {
      "user_catalog_table", "security_barrier", "check_option",          "security_invoker",
      "fastupdate",         "buffering",        "gin_pending_list_limit"};
  return std::any_of(options.begin(), options.end(), [](const AstValue& node) {
    const AstObject* option = NodeOf(node, "DefElem");
    return option != nullptr && kHeavy.contains(TextMember(*option, "defname"));
  });
}

class Effects {
 public:
  DdlEffects Take(const AstValue& statement) {
    const std::string_view type = NodeType(statement);
    const auto& takers = Takers();
    const auto taker = takers.find(type);
    if (taker != takers.end()) {
      (this->*taker->second)(*NodeOf(statement, type));
    } else {
      effects_.known = Harmless().contains(type);
    }
    return std::move(effects_);
  }

 private:
  using Taker = void (Effects::*)(const AstObject&);

  static const std::map<std::string_view, Taker>& Takers() {
    static const std::map<std::string_view, Taker> kTakers = {
        {"AlterTableStmt", &Effects::TakeAlterTable},
        {"RenameStmt", &Effects::TakeRename},
        {"AlterObjectSchemaStmt", &Effects::TakeSetSchema},
        {"IndexStmt", &Effects::TakeIndex},
        {"ReindexStmt", &Effects::TakeReindex},
        {"DropStmt", &Effects::TakeDrop},
        {"TruncateStmt", &Effects::TakeTruncate},
        {"ClusterStmt", &Effects::TakeCluster},
        {"VacuumStmt", &Effects::TakeVacuum},
        {"CreateTrigStmt", &Effects::TakeTrigger},
        {"RuleStmt", &Effects::TakeRule},
        {"CreatePolicyStmt", &Effects::TakePolicy},
        {"AlterPolicyStmt", &Effects::TakePolicy},
        {"CreateStatsStmt", &Effects::TakeStatistics},
        {"CommentStmt", &Effects::TakeComment},
        {"CreatePublicationStmt", &Effects::TakePublication},
        {"AlterPublicationStmt", &Effects::TakePublication},
        {"LockStmt", &Effects::TakeLock},
        {"CreateStmt", &Effects::TakeCreateTable},
        {"CreateTableAsStmt", &Effects::TakeCreateTableAs},
        {"ViewStmt", &Effects::TakeView},
        {"RefreshMatViewStmt", &Effects::TakeRefresh},
        {"AlterSeqStmt", &Effects::TakeAlterSequence},
        {"CreateSeqStmt", &Effects::TakeCreateSequence},
        {"AlterEnumStmt", &Effects::TakeEnum},
        {"AlterDomainStmt", &Effects::TakeDomain},
        {"AlterTableMoveAllStmt", &Effects::TakeMoveAll},
    };
    return kTakers;
  }

  // What makes something new, or changes something that no statement waits for.
  static const std::set<std::string_view>& Harmless() {
    static const std::set<std::string_view> kHarmless = {"SelectStmt",
                                                         "InsertStmt",
                                                         "UpdateStmt",
                                                         "DeleteStmt",
                                                         "MergeStmt",
                                                         "TransactionStmt",
                                                         "VariableSetStmt",
                                                         "VariableShowStmt",
                                                         "ExplainStmt",
                                                         "PrepareStmt",
                                                         "ExecuteStmt",
                                                         "DeallocateStmt",
                                                         "NotifyStmt",
                                                         "ListenStmt",
                                                         "UnlistenStmt",
                                                         "CheckPointStmt",
                                                         "CreateSchemaStmt",
                                                         "CreateEnumStmt",
                                                         "CreateRangeStmt",
                                                         "CompositeTypeStmt",
                                                         "CreateDomainStmt",
                                                         "CreateFunctionStmt",
                                                         "AlterFunctionStmt",
                                                         "DefineStmt",
                                                         "CreateCastStmt",
                                                         "CreateConversionStmt",
                                                         "CreateOpClassStmt",
                                                         "CreateOpFamilyStmt",
                                                         "CreateRoleStmt",
                                                         "AlterRoleStmt",
                                                         "AlterRoleSetStmt",
                                                         "GrantStmt",
                                                         "GrantRoleStmt",
                                                         "AlterDefaultPrivilegesStmt",
                                                         "AlterDatabaseSetStmt",
                                                         "CreateExtensionStmt",
                                                         "CreateForeignServerStmt",
                                                         "CreateFdwStmt",
                                                         "CreateUserMappingStmt",
                                                         "CreateEventTrigStmt",
                                                         "CreatePLangStmt",
                                                         "CreateTransformStmt",
                                                         "CreateAmStmt",
                                                         "CopyStmt",
                                                         "DoStmt",
                                                         "CallStmt",
                                                         "ConstraintsSetStmt",
                                                         "DiscardStmt",
                                                         "AlterStatsStmt",
                                                         "SecLabelStmt",
                                                         "CreateSubscriptionStmt",
                                                         "AlterSystemStmt"};
    return kHarmless;
  }

  DdlEffect& Add(std::string_view key, const TableName& table, std::string_view before = {}) {
    DdlEffect effect = EffectOf(*RowOf(key), table);
    effect.words = std::string(before) + effect.words;
    effects_.changes.push_back(std::move(effect));
    return effects_.changes.back();
  }

  void AddUnknown() { effects_.known = false; }

  // ALTER TABLE, and ALTER INDEX, VIEW, … in the same clothes.
  void TakeAlterTable(const AstObject& body) {
    const std::string object = TextMember(body, "objtype");
    const TableName table = TableIn(body, "relation");
    for (const AstValue& node : ArrayMember(body, "cmds")) {
      const AstObject* command = NodeOf(node, "AlterTableCmd");
      if (command == nullptr) continue;
      if (object == "OBJECT_INDEX") {
        TakeAlterIndex(*command);
      } else if (object == "OBJECT_TYPE") {
        AddUnknown();  // Composite types may be columns' and tables' types: what then, is not here.
      } else {
        TakeAlter(*command, table);
      }
    }
  }

  void TakeAlter(const AstObject& command, const TableName& table) {
    const std::string subtype = TextMember(command, "subtype");
    const AstObject* definition = ObjectMember(command, "def");
    if (subtype == "AT_AddColumn" && definition != nullptr) {
      if (const AstObject* column = ObjectMember(*definition, "ColumnDef")) {
        DdlEffect effect = NewColumn(*column, table).Effect();
        effect.words = std::string(kAlter) + effect.words;
        effects_.changes.push_back(std::move(effect));
        return;
      }
    }
    if (subtype == "AT_AddConstraint" && definition != nullptr) {
      if (const AstObject* constraint = ObjectMember(*definition, "Constraint")) {
        return TakeConstraint(*constraint, table);
      }
    }
    if (subtype == "AT_AttachPartition" || subtype == "AT_DetachPartition") {
      return TakePartition(subtype, *definition, table);
    }
    if (RowOf(subtype) == nullptr) return AddUnknown();
    DdlEffect& effect = Add(subtype, table, kAlter);
    if (subtype == "AT_AddInherit" || subtype == "AT_DropInherit") {
      const AstObject* parent =
          definition == nullptr ? nullptr : ObjectMember(*definition, "RangeVar");
      if (parent != nullptr) {
        effect.locks.push_back({RelationOf(*parent), subtype == "AT_AddInherit"
                                                         ? LockLevel::kShareUpdateExclusive
                                                         : LockLevel::kAccessShare});
      }
    }
    if ((subtype == "AT_SetRelOptions" || subtype == "AT_ResetRelOptions") &&
        definition != nullptr && LocksOut(ItemsOf(*Member(command, "def")))) {
      effect.locks.front().level = LockLevel::kAccessExclusive;
    }
    if (subtype == "AT_SetIdentity" || subtype == "AT_DropIdentity" || subtype == "AT_SetLogged" ||
        subtype == "AT_SetUnLogged") {
      effect.also_locks = "the sequences of its columns";
    }
    if (subtype == "AT_DropConstraint") {
      effect.also_locks = "the other table, where it is a foreign key";
    }
  }

  void TakeConstraint(const AstObject& constraint, const TableName& table) {
    const std::string_view key = KeyOfConstraint(constraint);
    if (key.empty()) return AddUnknown();
    DdlEffect& effect = Add(key, table, kAlter);
    if (key.starts_with("primary_key")) effect.also_locks = "tables that inherit from it";
    const TableName referenced = TableIn(constraint, "pktable");
    if (!referenced.name.empty() && referenced != table) {
      effect.locks.push_back({referenced, LockLevel::kShareRowExclusive});
    }
  }

  void TakePartition(const std::string& subtype, const AstObject& definition,
                     const TableName& table) {
    const AstObject* command = ObjectMember(definition, "PartitionCmd");
    if (command == nullptr) return AddUnknown();
    const TableName partition = TableIn(*command, "name");
    if (subtype == "AT_DetachPartition") {
      const bool concurrently = FlagMember(*command, "concurrent");
      DdlEffect& effect = Add(concurrently ? "detach_concurrently" : subtype, table, kAlter);
      effect.locks.push_back(
          {partition, concurrently ? LockLevel::kAccessExclusive : LockLevel::kAccessExclusive});
      return;
    }
    DdlEffect& effect = Add(subtype, table, kAlter);
    effect.locks.push_back({partition, LockLevel::kAccessExclusive});
    effect.scans = Certainty::kDepends;
    effect.also_locks = "the default partition, where there is one";
  }

  void TakeAlterIndex(const AstObject& command) {
    const std::string subtype = TextMember(command, "subtype");
    DdlEffect& effect = Add("alter_index", {});
    effect.words =
        "ALTER INDEX … " + std::string(RowOf(subtype) == nullptr ? "…" : RowOf(subtype)->words);
    if (subtype == "AT_SetTableSpace") {
      effect.rewrites = Certainty::kYes;
      effect.also_locks = "the index, so that every statement on its table waits";
      effect.online_form = "Build it anew there, CONCURRENTLY, and drop the old one.";
    }
  }

  void TakeRename(const AstObject& body) {
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
      Add("alter_index", {}).words = "ALTER INDEX … RENAME";
    } else if (key == kKeys.end()) {
      Add("rename_other", {}, "ALTER … ");
    } else {
      const bool has_words = RowOf(key->second)->words.starts_with("ALTER");
      Add(key->second, TableIn(body, "relation"), has_words ? "" : kAlter);
    }
  }

  void TakeSetSchema(const AstObject& body) {
    const std::string type = TextMember(body, "objectType");
    const bool is_relation = type == "OBJECT_TABLE" || type == "OBJECT_VIEW" ||
                             type == "OBJECT_MATVIEW" || type == "OBJECT_SEQUENCE" ||
                             type == "OBJECT_FOREIGN_TABLE";
    Add("set_schema", is_relation ? TableIn(body, "relation") : TableName{}, "ALTER … ");
  }

  void TakeIndex(const AstObject& body) {
    const bool concurrently = FlagMember(body, "concurrent");
    DdlEffect& effect =
        Add(concurrently ? "create_index_concurrently" : "create_index", TableIn(body, "relation"));
    if (FlagMember(body, "unique")) effect.words.insert(std::string("CREATE ").size(), "UNIQUE ");
  }

  void TakeReindex(const AstObject& body) {
    const std::string kind = TextMember(body, "kind");
    const bool one = kind == "REINDEX_OBJECT_TABLE" || kind == "REINDEX_OBJECT_INDEX";
    const TableName table =
        kind == "REINDEX_OBJECT_TABLE" ? TableIn(body, "relation") : TableName{};
    if (IsOn(ArrayMember(body, "params"), "concurrently")) {
      Add("reindex_concurrently", table);
      return;
    }
    DdlEffect& effect = Add(one ? "reindex" : "reindex_whole", table);
    effect.also_locks = "the index while it is built anew, so that readers wait too";
    if (kind == "REINDEX_OBJECT_INDEX") effect.also_locks += ", and its table against writes";
  }

  void TakeDrop(const AstObject& body) {
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
          Add(FlagMember(body, "concurrent") ? "drop_index_concurrently" : "drop_index", {});
      if (!FlagMember(body, "concurrent")) {
        effect.also_locks = "the index and its table, so that every statement on it waits";
      }
      return;
    }
    if (type == "OBJECT_SCHEMA") {
      const bool cascades = TextMember(body, "behavior") == "DROP_CASCADE";
      Add(cascades ? "drop_schema_cascade" : "drop_schema", {});
      return;
    }
    for (const AstValue& object : ArrayMember(body, "objects")) {
      if (const auto key = kRelations.find(type); key != kRelations.end()) {
        DdlEffect& effect = Add(key->second, TableInList(ItemsOf(object)));
        if (type == "OBJECT_TABLE") {
          effect.also_locks = "the tables that its foreign keys point at";
        }
      } else if (const auto on = kOnTables.find(type); on != kOnTables.end()) {
        DdlEffect& effect = Add(on->second, TableInList(ItemsOf(object), 1));
        if (type == "OBJECT_POLICY") effect.words = "DROP POLICY";
      } else {
        Add("drop_other", {});
      }
    }
  }

  void TakeTruncate(const AstObject& body) {
    for (const AstValue& node : ArrayMember(body, "relations")) {
      const AstObject* relation = NodeOf(node, "RangeVar");
      if (relation == nullptr) continue;
      DdlEffect& effect = Add("truncate", RelationOf(*relation));
      effect.also_locks = TextMember(body, "behavior") == "DROP_CASCADE"
                              ? "every table that points at it or inherits from it, which loses "
                                "its rows too"
                              : "every table that inherits from it, which loses its rows too";
    }
  }

  void TakeCluster(const AstObject& body) {
    const TableName table = TableIn(body, "relation");
    Add(table.name.empty() ? "cluster_all" : "cluster", table);
  }

  void TakeVacuum(const AstObject& body) {
    const AstArray& options = ArrayMember(body, "options");
    std::string_view key = "analyze";
    if (FlagMember(body, "is_vacuumcmd")) key = IsOn(options, "full") ? "vacuum_full" : "vacuum";
    const AstArray& relations = ArrayMember(body, "rels");
    if (relations.empty()) Add(key, {});
    for (const AstValue& node : relations) {
      if (const AstObject* relation = NodeOf(node, "VacuumRelation")) {
        Add(key, TableIn(*relation, "relation"));
      }
    }
  }

  void TakeTrigger(const AstObject& body) {
    DdlEffect& effect = Add("create_trigger", TableIn(body, "relation"));
    const TableName other = TableIn(body, "constrrel");
    if (!other.name.empty()) effect.locks.push_back({other, LockLevel::kAccessShare});
  }

  void TakeRule(const AstObject& body) { Add("create_rule", TableIn(body, "relation")); }

  void TakePolicy(const AstObject& body) {
    const bool is_new = Member(body, "cmd_name") != nullptr;
    Add("policy", TableIn(body, "table"), is_new ? "CREATE " : "ALTER ");
  }

  void TakeStatistics(const AstObject& body) {
    for (const AstValue& node : ArrayMember(body, "relations")) {
      if (const AstObject* relation = NodeOf(node, "RangeVar")) {
        Add("create_statistics", RelationOf(*relation));
      }
    }
  }

  void TakeComment(const AstObject& body) {
    const std::string type = TextMember(body, "objtype");
    const AstValue* object = Member(body, "object");
    std::size_t without = 0;
    if (type == "OBJECT_COLUMN" || type == "OBJECT_TABCONSTRAINT" || type == "OBJECT_TRIGGER" ||
        type == "OBJECT_RULE" || type == "OBJECT_POLICY") {
      without = 1;
    } else if (type != "OBJECT_TABLE" && type != "OBJECT_VIEW" && type != "OBJECT_MATVIEW" &&
               type != "OBJECT_SEQUENCE" && type != "OBJECT_FOREIGN_TABLE") {
      return;
    }
    if (object == nullptr) return AddUnknown();
    DdlEffect& effect = Add("comment", TableInList(ItemsOf(*object), without));
    // The table is held only so that it stays; its rows are nobody's business here.
    if (type == "OBJECT_TABCONSTRAINT" || type == "OBJECT_TRIGGER" || type == "OBJECT_RULE" ||
        type == "OBJECT_POLICY") {
      effect.locks.front().level = LockLevel::kAccessShare;
    }
  }

  void TakePublication(const AstObject& body) {
    for (const AstValue& node : ArrayMember(body, "pubobjects")) {
      const AstObject* object = NodeOf(node, "PublicationObjSpec");
      const AstObject* table = object == nullptr ? nullptr : ObjectMember(*object, "pubtable");
      if (table != nullptr) Add("publication", TableIn(*table, "relation"));
    }
  }

  void TakeLock(const AstObject& body) {
    const AstValue* mode = Member(body, "mode");
    const auto level = mode == nullptr ? 8 : mode->to_number<int>();
    for (const AstValue& node : ArrayMember(body, "relations")) {
      const AstObject* relation = NodeOf(node, "RangeVar");
      if (relation == nullptr) continue;
      // PostgreSQL numbers its lock modes as LockLevel does.
      Add("lock", RelationOf(*relation)).locks.front().level = static_cast<LockLevel>(level);
    }
  }

  void TakeCreateTable(const AstObject& body) {
    const bool is_partition = Member(body, "partbound") != nullptr;
    for (const AstValue& node : ArrayMember(body, "inhRelations")) {
      const AstObject* parent = NodeOf(node, "RangeVar");
      if (parent == nullptr) continue;
      DdlEffect& effect = Add(is_partition ? "partition_of" : "inherits", RelationOf(*parent));
      if (is_partition) {
        effect.also_locks = "the default partition, where there is one, which is also read";
        effect.scans = Certainty::kDepends;
      }
    }
    const TableName own = TableIn(body, "relation");
    Walk(AstValue(body), [&](std::string_view name, const AstObject& inner) {
      if (name == "Constraint" && TextMember(inner, "contype") == "CONSTR_FOREIGN") {
        const TableName referenced = TableIn(inner, "pktable");
        if (referenced != own) Add("references", referenced);
      }
      return true;
    });
  }

  void TakeCreateTableAs(const AstObject& body) {
    const bool is_view = TextMember(body, "objtype") == "OBJECT_MATVIEW";
    const AstValue* query = Member(body, "query");
    DdlEffect& effect = Add(is_view ? "create_materialized_view" : "create_table_as", {});
    if (query == nullptr) return;
    for (const TableName& table : RelationsIn(*query)) {
      effect.locks.push_back({table, LockLevel::kAccessShare});
    }
    const AstObject* into = ObjectMember(body, "into");
    if (into != nullptr && FlagMember(*into, "skipData")) effect.scans = Certainty::kNo;
  }

  void TakeView(const AstObject& body) {
    const AstValue* query = Member(body, "query");
    DdlEffect& effect = FlagMember(body, "replace") ? Add("replace_view", TableIn(body, "view"))
                                                    : Add("create_view", {});
    if (query == nullptr) return;
    for (const TableName& table : RelationsIn(*query)) {
      effect.locks.push_back({table, LockLevel::kAccessShare});
    }
  }

  void TakeRefresh(const AstObject& body) {
    Add(FlagMember(body, "concurrent") ? "refresh_concurrently" : "refresh",
        TableIn(body, "relation"));
  }

  void TakeAlterSequence(const AstObject& body) {
    Add("alter_sequence", TableIn(body, "sequence"));
    AddOwner(ArrayMember(body, "options"));
  }

  void TakeCreateSequence(const AstObject& body) { AddOwner(ArrayMember(body, "options")); }

  void AddOwner(const AstArray& options) {
    for (const AstValue& node : options) {
      const AstObject* option = NodeOf(node, "DefElem");
      if (option == nullptr || TextMember(*option, "defname") != "owned_by") continue;
      const AstValue* argument = Member(*option, "arg");
      if (argument == nullptr || ItemsOf(*argument).size() < 2) continue;  // OWNED BY NONE
      Add("owned_by", TableInList(ItemsOf(*argument), 1));
    }
  }

  void TakeEnum(const AstObject& body) {
    Add(TextMember(body, "oldVal").empty() ? "enum_value" : "enum_rename", {});
  }

  void TakeDomain(const AstObject& body) {
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
    DdlEffect& effect = Add(key, {});
    if (effect.scans == Certainty::kYes) {
      effect.also_locks = "every table with a column of the domain, against writes";
    }
  }

  void TakeMoveAll(const AstObject&) { AddUnknown(); }

  DdlEffects effects_;
};

constexpr std::array<std::string_view, 9> kNames = {
    "no lock", "ACCESS SHARE",        "ROW SHARE", "ROW EXCLUSIVE",   "SHARE UPDATE EXCLUSIVE",
    "SHARE",   "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"};

}  // namespace

std::string_view NameOf(LockLevel level) { return kNames[static_cast<std::size_t>(level)]; }

std::string_view BlockedBy(LockLevel level) {
  if (level == LockLevel::kAccessExclusive) return "reads and writes";
  return level >= LockLevel::kShare ? "writes" : "";
}

DdlEffects EffectsOf(const AstValue& statement) { return Effects().Take(statement); }

}  // namespace pawl::schema
