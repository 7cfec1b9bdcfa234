// The parts of EffectsOf (ddl_effects.h): one function for each kind of statement, which adds the
// changes that the statement makes to a list. For schema/ddl_effects*.cc only.
//
// Thread safety: all functions.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "schema/ast.h"
#include "schema/ddl_effects.h"

namespace pawl::schema {

// Thread safety: none. Owned by EffectsOf.
class EffectList {
 public:
  // Adds row `key` of ddl_effect_table.h, on `table`, its words behind `before`. The reference holds
  // until the next Add.
  DdlEffect& Add(std::string_view key, const TableName& table, std::string_view before = {});
  DdlEffect& Add(DdlEffect effect);
  // The table does not say what the statement does.
  void AddUnknown() { effects_.known = false; }

  DdlEffects Take() && { return std::move(effects_); }

 private:
  DdlEffects effects_;
};

// The relation that is member `member` of `body`; without a name where there is none.
TableName TableIn(const AstObject& body, std::string_view member);

// A name given as a list of strings, of which the last `without` belong to something else: a
// trigger's name follows its table's.
TableName TableInList(const AstArray& names, std::size_t without = 0);

// The items of a List node; none where it is another node.
const AstArray& ItemsOf(const AstValue& node);

// ddl_effects_alter.cc
void TakeAlterTable(const AstObject& body, EffectList& effects);
void TakeMoveAll(const AstObject& body, EffectList& effects);

// ddl_effects_tables.cc
void TakeIndex(const AstObject& body, EffectList& effects);
void TakeReindex(const AstObject& body, EffectList& effects);
void TakeTruncate(const AstObject& body, EffectList& effects);
void TakeCluster(const AstObject& body, EffectList& effects);
void TakeVacuum(const AstObject& body, EffectList& effects);
void TakeLock(const AstObject& body, EffectList& effects);
void TakeCreateTable(const AstObject& body, EffectList& effects);
void TakeCreateTableAs(const AstObject& body, EffectList& effects);
void TakeView(const AstObject& body, EffectList& effects);
void TakeRefresh(const AstObject& body, EffectList& effects);

// ddl_effects_objects.cc
void TakeRename(const AstObject& body, EffectList& effects);
void TakeSetSchema(const AstObject& body, EffectList& effects);
void TakeDrop(const AstObject& body, EffectList& effects);
void TakeTrigger(const AstObject& body, EffectList& effects);
void TakeRule(const AstObject& body, EffectList& effects);
void TakePolicy(const AstObject& body, EffectList& effects);
void TakeStatistics(const AstObject& body, EffectList& effects);
void TakeComment(const AstObject& body, EffectList& effects);
void TakePublication(const AstObject& body, EffectList& effects);
void TakeAlterSequence(const AstObject& body, EffectList& effects);
void TakeCreateSequence(const AstObject& body, EffectList& effects);
void TakeEnum(const AstObject& body, EffectList& effects);
void TakeDomain(const AstObject& body, EffectList& effects);
void TakeDependsOnExtension(const AstObject& body, EffectList& effects);
void TakeExtensionMember(const AstObject& body, EffectList& effects);
void TakeSubscription(const AstObject& body, EffectList& effects);

}  // namespace pawl::schema
