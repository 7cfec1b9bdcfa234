// The steps by which one column takes over from another (docs/decisions/0012):
//
//   expand     a column of the new shape, and triggers that keep both in step, whichever is written
//   backfill   the rows that nobody writes
//   build      indexes, constraints, foreign keys of both sides, beside those that are there
//   (proof)
//   cut over   names, keys, default and sequence change over in one short transaction
//   contract   `pawl contract` drops the old column and the triggers
//
// From cut-over to contract the way back is the same walk in the other direction.
//
// Thread safety: none. Belongs to one planning.
#pragma once

#include <string>

#include "schema/column_uses.h"
#include "schema/planning.h"

namespace pawl::schema {

struct MoveRequest {
  TableShape table;
  ColumnUses uses;
  std::string column;    // As it is called now.
  std::string incoming;  // As the new one is called until the cut-over.
  std::string outgoing_after;
  std::string incoming_after;
  std::string type;               // As ADD COLUMN wants it, with COLLATE.
  std::string plain_type;         // As format_type() gives it.
  std::string expression;         // The new value, over `column`.
  std::string inverse;            // The old value, over `column`, which then is the new one.
  bool may_not_fit = false;       // Some old values have no new one.
  bool may_not_fit_back = false;  // The other way round.
  bool null_is_unfit = true;      // No value but NULL becomes NULL.
  bool is_same = false;           // Both columns hold the same.
  std::string what;               // "the type of id of public.t"
  std::vector<std::string> notes;
};

// Adds the steps. Throws db::Error (kBadInput) where something of the column cannot be moved.
void AddMoveSteps(Planning& planning, const Statement& statement, const MoveRequest& request);

}  // namespace pawl::schema
