// What is defined over a column in words of its own, and must say the same of the column that takes
// over from it: views and the views over them, policies, triggers that name the column.
//
//     change of type     all are dropped and made again in the swap, the views in the order in which
//                        they read one another; with owner, grants, comments, defaults, triggers, rules
//     change of name     a view is replaced where it stands, in the words that PostgreSQL itself finds
//                        for it after a rename; policies and triggers are dropped and made again
//
// Whoever reads or writes sees the one or the other: it all happens under the swap's lock.
//
// Thread safety: none. Functions use the session given to them; the renderers, all functions.
#pragma once

#include <string>
#include <vector>

#include "db/session.h"
#include "schema/statement.h"

namespace pawl::schema {

enum class ColumnFate { kNewType, kNewName, kDropped };

enum class DependentKind { kView, kPolicy, kTrigger };

struct Dependent {
  DependentKind kind = DependentKind::kView;
  // A view's own schema and name; of the others, the name alone.
  TableName name;
  std::string making;  // The statement that makes it.
  std::string asking;  // A query of the same expressions, to be tried with another type.
};

// In the order in which they can be made. A column that is dropped takes nothing along.
std::vector<Dependent> ReadDependents(db::Session& session, const TableName& table,
                                      const std::string& column, ColumnFate fate);

// The query behind it: place, kind, schema, name, making, asking, oid; one row for each.
std::string DependentsSql(const TableName& table, const std::string& column, ColumnFate fate);

// Why one of them cannot be made again, as the beginning of a sentence, or nothing.
std::string DependentsObstacle(db::Session& session, const TableName& table,
                               const std::string& column, ColumnFate fate,
                               const std::vector<Dependent>& dependents);

// "view public.v", for sentences.
std::string Readable(const Dependent& dependent);

}  // namespace pawl::schema
