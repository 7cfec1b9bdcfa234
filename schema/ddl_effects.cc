#include "schema/ddl_effects.h"

#include <array>
#include <map>
#include <set>
#include <string>

#include "schema/ast_queries.h"
#include "schema/ddl_effect_table.h"
#include "schema/ddl_effect_takers.h"

namespace pawl::schema {
namespace {

using Taker = void (*)(const AstObject&, EffectList&);

const std::map<std::string_view, Taker>& Takers() {
  static const std::map<std::string_view, Taker> kTakers = {
      {"AlterTableStmt", TakeAlterTable},
      {"RenameStmt", TakeRename},
      {"AlterObjectSchemaStmt", TakeSetSchema},
      {"IndexStmt", TakeIndex},
      {"ReindexStmt", TakeReindex},
      {"DropStmt", TakeDrop},
      {"TruncateStmt", TakeTruncate},
      {"ClusterStmt", TakeCluster},
      {"VacuumStmt", TakeVacuum},
      {"CreateTrigStmt", TakeTrigger},
      {"RuleStmt", TakeRule},
      {"CreatePolicyStmt", TakePolicy},
      {"AlterPolicyStmt", TakePolicy},
      {"CreateStatsStmt", TakeStatistics},
      {"CommentStmt", TakeComment},
      {"CreatePublicationStmt", TakePublication},
      {"AlterPublicationStmt", TakePublication},
      {"LockStmt", TakeLock},
      {"CreateStmt", TakeCreateTable},
      {"CreateTableAsStmt", TakeCreateTableAs},
      {"ViewStmt", TakeView},
      {"RefreshMatViewStmt", TakeRefresh},
      {"AlterSeqStmt", TakeAlterSequence},
      {"CreateSeqStmt", TakeCreateSequence},
      {"AlterEnumStmt", TakeEnum},
      {"AlterDomainStmt", TakeDomain},
      {"AlterTableMoveAllStmt", TakeMoveAll},
      {"AlterObjectDependsStmt", TakeDependsOnExtension},
      {"AlterExtensionContentsStmt", TakeExtensionMember},
      {"CreateSubscriptionStmt", TakeSubscription},
  };
  return kTakers;
}

// Statements of which every one does what one row says.
const std::map<std::string_view, std::string_view>& PlainRows() {
  static const std::map<std::string_view, std::string_view> kPlainRows = {
      {"AlterTypeStmt", "type_other"},
      {"AlterSystemStmt", "alter_system"},
      {"CreatedbStmt", "create_database"},
      {"DropdbStmt", "drop_database"},
      {"CreateTableSpaceStmt", "create_tablespace"},
      {"DropTableSpaceStmt", "drop_tablespace"},
      {"ReassignOwnedStmt", "reassign_owned"},
      {"DropOwnedStmt", "drop_owned"},
  };
  return kPlainRows;
}

// What makes something new, or changes something that no statement waits for.
const std::set<std::string_view>& Harmless() {
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
                                                       "AlterOwnerStmt",
                                                       "AlterEventTrigStmt",
                                                       "AlterFdwStmt",
                                                       "AlterForeignServerStmt",
                                                       "AlterUserMappingStmt",
                                                       "DropUserMappingStmt",
                                                       "CreateForeignTableStmt",
                                                       "ImportForeignSchemaStmt",
                                                       "AlterCollationStmt",
                                                       "AlterDatabaseRefreshCollStmt",
                                                       "AlterOperatorStmt",
                                                       "AlterOpFamilyStmt",
                                                       "AlterTSConfigurationStmt",
                                                       "AlterTSDictionaryStmt",
                                                       "AlterTableSpaceOptionsStmt",
                                                       "DropRoleStmt",
                                                       "LoadStmt",
                                                       "DeclareCursorStmt",
                                                       "FetchStmt",
                                                       "ClosePortalStmt"};
  return kHarmless;
}

constexpr std::array<std::string_view, 9> kNames = {
    "no lock", "ACCESS SHARE",        "ROW SHARE", "ROW EXCLUSIVE",   "SHARE UPDATE EXCLUSIVE",
    "SHARE",   "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE"};

}  // namespace

TableName TableIn(const AstObject& body, std::string_view member) {
  const AstObject* relation = ObjectMember(body, member);
  return relation == nullptr ? TableName{} : RelationOf(*relation);
}

TableName TableInList(const AstArray& names, std::size_t without) {
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

DdlEffect& EffectList::Add(DdlEffect effect) {
  effects_.changes.push_back(std::move(effect));
  return effects_.changes.back();
}

DdlEffect& EffectList::Add(std::string_view key, const TableName& table, std::string_view before) {
  DdlEffect effect = EffectOf(*RowOf(key), table);
  effect.words = std::string(before) + effect.words;
  return Add(std::move(effect));
}

std::string_view NameOf(LockLevel level) { return kNames[static_cast<std::size_t>(level)]; }

std::string_view BlockedBy(LockLevel level) {
  if (level == LockLevel::kAccessExclusive) return "reads and writes";
  return level >= LockLevel::kShare ? "writes" : "";
}

DdlEffects EffectsOf(const AstValue& statement) {
  EffectList effects;
  const std::string_view type = NodeType(statement);
  if (const auto taker = Takers().find(type); taker != Takers().end()) {
    taker->second(*NodeOf(statement, type), effects);
  } else if (const auto row = PlainRows().find(type); row != PlainRows().end()) {
    DdlEffect& effect = effects.Add(row->second, {});
    if (type.ends_with("OwnedStmt")) {
      effect.also_locks = "every table of the role, so that every statement on them waits";
    }
  } else if (!Harmless().contains(type)) {
    effects.AddUnknown();
  }
  return std::move(effects).Take();
}

}  // namespace pawl::schema
