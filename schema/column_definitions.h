// Definitions of indexes and constraints, as PostgreSQL prints them, over another column.
//
// Columns are found where the parser and the lexer see them, never by searching the text: a string,
// a function or a type of the same name stays. Each function returns nullopt where the text is not
// what it knows.
//
// Thread safety: all functions.
#pragma once

#include <optional>
#include <string>

namespace pawl::schema {

// PostgreSQL's NAMEDATALEN less one.
inline constexpr std::size_t kNameBytesMax = 63;

// `column` becomes `other`; `column` empty: nothing does.
struct ColumnChange {
  std::string column;
  std::string other;
};

// "CREATE INDEX i ON t USING btree (c)" -> "CREATE INDEX CONCURRENTLY name ON t USING btree (other)".
// `tablespace` empty: the default one.
std::optional<std::string> IndexOver(const std::string& definition, const ColumnChange& change,
                                     const std::string& name, const std::string& tablespace);

// "CREATE STATISTICS s (ndistinct) ON c, b FROM t" -> "CREATE STATISTICS name (ndistinct) ON other, b
// FROM t"; `name` is quoted, with its schema.
std::optional<std::string> StatisticsOver(const std::string& definition, const ColumnChange& change,
                                          const std::string& name);

// "CHECK ((c > 0)) NOT VALID" -> "CHECK ((other > 0))".
std::optional<std::string> CheckOver(const std::string& definition, const ColumnChange& change);

// "FOREIGN KEY (c) REFERENCES r(x) ON DELETE CASCADE", with columns of either side replaced.
std::optional<std::string> ForeignKeyOver(const std::string& definition,
                                          const ColumnChange& referring,
                                          const ColumnChange& referenced);

// An expression over columns of `alias`, of which it may read none but `column`, with `replacement`
// in its place: "c::text" -> "NEW.\"c\"::text".
std::optional<std::string> ExpressionOver(const std::string& expression, const std::string& alias,
                                          const std::string& column,
                                          const std::string& replacement);

// `base` and `suffix` as a name; where that is too long, `base` is cut and a hash of it put in.
std::string SuffixedName(const std::string& base, const std::string& suffix);

}  // namespace pawl::schema
