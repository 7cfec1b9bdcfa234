// One UPDATE, DELETE or INSERT … SELECT compiled into steps: a backfill for each table that holds
// rows of it, and the sync trigger around it where the order needs one.
//
//   target_check, assigned_columns, statement_check   may it be run at all?
//   statement_facts, self_excluding                   what do its text and its table promise?
//   order_choice                                      which rows next?
//   inverse_check                                     does the user's inverse take rows back?
//   step_notes, backfill_steps                        what its reader should know; the steps
#pragma once

#include "schema/planning.h"

namespace pawl::schema {

// Appends the steps. Throws db::Error (kBadInput) where the statement cannot run in batches on this
// database, with what to do.
void PlanBackfill(Planning& planning, const Statement& statement);

// Whether the session's role may do what quiet_triggers needs. Throws db::Error.
bool MayBeQuiet(db::Session& session);

}  // namespace pawl::schema
