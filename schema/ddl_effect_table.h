// The rows behind schema/ddl_effects.h that need no looking at the statement's parts. Private to
// it.
#pragma once

#include <span>
#include <string_view>

#include "schema/ddl_effects.h"

namespace pawl::schema {

struct EffectRow {
  std::string_view key;  // A sub-command as the parser names it, or a name of our own.
  std::string_view rule;
  std::string_view words;
  LockLevel lock = LockLevel::kNone;
  Certainty scans = Certainty::kNo;
  Certainty rewrites = Certainty::kNo;
  bool loses_data = false;
  bool breaks_readers = false;
  bool in_transaction = true;
  std::string_view online_form;
};

// Every row.
std::span<const EffectRow> EffectRows();

// Returns the row of `key`; nullptr if there is none.
const EffectRow* RowOf(std::string_view key);

// Returns the effect that `row` describes, with its lock on `table`.
DdlEffect EffectOf(const EffectRow& row, const TableName& table);

}  // namespace pawl::schema
