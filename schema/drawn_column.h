// A new column whose default gives each row a value of its own: gen_random_uuid(), clock_timestamp(),
// a sequence. PostgreSQL would write all rows anew under a lock that stops everybody. Instead:
//
//   add        the column, empty, and in the same transaction its default: a row is either there by
//              then, and empty, or gets a value as it is inserted. There is no moment in between
//   backfill   UPDATE … SET c = default WHERE c IS NULL, in batches
//   not null   where it is asked for: a check that is not yet validated, the question which rows are
//              empty all the same, the validation, SET NOT NULL, which trusts the check
//   identity   GENERATED … AS IDENTITY takes the place of the default in that same transaction. Its
//              sequence is new (PostgreSQL has no way to hand one over) and carries on where the one
//              that filled the rows has stopped: who inserts holds a lock on the table from before it
//              draws until it commits, so under ours nobody is in between
//
// Who writes what, at READ COMMITTED:
//
//   a batch meets a row that somebody updates   it waits for him, then looks at c again: where he gave
//                                               it a value, the row is not the batch's any more
//   somebody updates a row of a batch           he waits for the batch, and keeps the value of c, which
//                                               his statement does not mention
//   somebody writes c himself                   his value stays: only NULL is filled
//   somebody writes NULL into c                 before the batch it is like a row that was there, and is
//                                               filled; after it, NULL stays. A program that writes back
//                                               whole rows, as it read them before, does so unawares.
//                                               Where c is to be NOT NULL, the question names such rows,
//                                               the check goes again, and the run fails until they have
//                                               values
//   a run is killed and carried on              a batch is there whole or not at all, and rows that have
//                                               a value are passed over. Numbers of a batch that was
//                                               rolled back are lost, as with any sequence
//
// The check may not come before the backfill: it holds for an UPDATE of an old row as well, which the
// application would see refused.
//
// Thread safety: none. Belongs to one planning.
#pragma once

#include "schema/new_column.h"
#include "schema/planning.h"

namespace pawl::schema {

// Adds the steps, without those of further constraints. `table` is there already, and the column has
// been written down in the planning's schema. Throws db::Error (kBadInput) where the rows cannot be
// filled in batches.
void AddDrawnColumn(Planning& planning, const Statement& statement, const TableShape& table,
                    const NewColumn& column);

}  // namespace pawl::schema
