// The names that PostgreSQL chooses for what a statement leaves without one: table_column_key. A form
// that makes the thing by another statement gives it the same.
//
// Thread safety: none. Functions use the session given to them.
#pragma once

#include <set>
#include <string>

#include "db/session.h"
#include "schema/statement.h"

namespace pawl::schema {

// "t", "c" and "key" as t_c_key; the longer of the first two is cut where that is too long, never in
// the middle of a character. `column` may be empty. After makeObjectName (commands/indexcmds.c).
std::string ObjectName(std::string table, std::string column, const std::string& label);

// Return the first of t_c_label, t_c_label1, … that nothing in the table's schema has yet and that is
// not in `taken`, to which it is added. A relation may have the name of a constraint, unless it is the
// index of one.
std::string ChosenConstraintName(db::Session& session, const TableName& table,
                                 const std::string& column, const std::string& label,
                                 std::set<std::string>& taken);
std::string ChosenIndexName(db::Session& session, const TableName& table, const std::string& column,
                            const std::string& label, std::set<std::string>& taken);
std::string ChosenSequenceName(db::Session& session, const TableName& table,
                               const std::string& column);

}  // namespace pawl::schema
