// Whether what hangs on a column is still what it was when somebody looked last.
//
// Rendering only. Thread safety: all functions.
#pragma once

#include <string>

#include "schema/dependents.h"
#include "schema/statement.h"

namespace pawl::schema {

// A query of one text: what hangs on the column and how it is defined, in order, without what is
// Pawl's.
std::string StandingSql(const TableName& table, const std::string& column, ColumnFate fate);

// A query of one text: a view, rule, policy or trigger that reads the column and is not Pawl's, in
// words, or NULL.
std::string ReaderSql(const TableName& table, const std::string& column);

// A statement that fails, with a sentence, where something reads a column that is not in use yet. After
// the cut-over nobody could tell whether it is to go along on the way back.
std::string RenderUnreadGuard(const TableName& table, const std::string& column);

// A statement that fails, with a sentence, where other things hang on the column than `standing`
// says. A column takes over hours after it was planned: an index, a constraint or a NOT NULL that
// somebody has made since would stay behind on the old column, unseen, and go with the contract.
std::string RenderStandingGuard(const TableName& table, const std::string& column, ColumnFate fate,
                                const std::string& standing);

// The same for the way back. What hangs on the new column is defined in other words than on the old
// one: those that PostgreSQL finds for it at the cut-over. A statement that notes them then, as the
// comment of Pawl's own `function` (quoted, without parentheses), and the guard that compares.
std::string RenderStandingNote(const TableName& table, const std::string& column, ColumnFate fate,
                               const std::string& function);
std::string RenderNotedGuard(const TableName& table, const std::string& column, ColumnFate fate,
                             const std::string& function);

}  // namespace pawl::schema
