// The triggers that keep two columns of a row in step while one takes over from the other: whichever
// of the two a statement writes, the other one follows.
//
//     INSERT                        other not given: other follows read
//                                   read not given: read follows other
//                                   both given: read wins, unless read follows from other as well,
//                                   as in a copy of whole rows; then both stay
//     UPDATE that changes read      other follows read
//     UPDATE that changes other     read follows other, unless other is now what read gives: that is
//                                   the backfill
//
// Where the two are names of one column (`is_same`), an application may know either alone. Both have
// its default, so the one that is not what the default gives is the one that was given. Two values
// that are neither the default nor alike are refused: whichever were taken, the other would be lost.
// A default that is drawn for each row (a sequence, a random number) says nothing of the kind: it
// stays with the one column, and the other one wins wherever it is given.
//
// Who writes a row holds its lock, and the trigger sees the row as it is then: of two writers of one
// row, the second computes from what the first has committed (READ COMMITTED looks again at a row
// that it waited for). So each row is in step after every commit, but for the rows that nobody has
// written since the triggers came: those are the backfill's.
//
// Rendering only. Thread safety: all functions.
#pragma once

#include <string>

#include "schema/statement.h"

namespace pawl::schema {

struct ShapeTrigger {
  std::string suffix;  // Makes the names unique.
  TableName table;
  std::string read;   // The column that the application is meant to use.
  std::string other;  // The one that is kept in step.
  // Expressions of PL/pgSQL: `other` from NEW.read, `read` from NEW.other.
  std::string forth;
  std::string back;
  // SQL of `forth` as the batches write it. An UPDATE that gives `other` just that, as they do, calls no
  // function. After the cut-over it is an UPDATE of the column that is read then, after which either
  // follows from the other as well. Empty: each UPDATE of `other` calls it.
  std::string filled;
  // What does not fit `other` makes it NULL; else it is an error of the statement that writes it.
  bool lenient = false;
  // Both are names of one column, whose default is this expression of PL/pgSQL.
  bool is_same = false;
  std::string default_value = "NULL";
  bool is_drawn = false;  // One of them has a default of which this cannot be said.
  // As in SyncTrigger, the two.
  std::string search_path;
  std::string time_zone;
};

// The name under which all such triggers are found. It sorts after that of a sync trigger
// ("zz_pawl_sync_"): what that one assigns, now or in a later run, must be seen by this one, or the
// two columns would part.
inline constexpr const char* kShapeTriggerPrefix = "zz_pawl_twin_";

// CREATE OR REPLACE FUNCTION: whoever writes next has the new one.
std::string RenderShapeFunction(const ShapeTrigger& trigger);

// The function and its triggers. They fire whoever writes, a replication's apply worker too, and
// sort late by name, so that they see what the application's own triggers have made of the row.
std::string RenderShapeOn(const ShapeTrigger& trigger);
std::string RenderShapeOff(const ShapeTrigger& trigger);

// The name of its function, quoted.
std::string ShapeFunctionName(const ShapeTrigger& trigger);

// A statement that fails, with a sentence, where one of the triggers is missing or may be silent, or the
// table has got a parent or a child, for whose rows they do not fire.
std::string RenderShapeGuard(const ShapeTrigger& trigger);

// The SET clauses of a function that computes as the batches do; empty where nothing depends on it.
std::string FunctionSettings(const std::string& search_path, const std::string& time_zone);

// `body` between dollar quotes that it does not hold.
std::string DollarQuoted(const std::string& body);

}  // namespace pawl::schema
