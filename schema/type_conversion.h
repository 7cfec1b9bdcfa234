// What is known of two types: whether PostgreSQL keeps the rows as they are, whether every value fits,
// and how to get back.
//
// Types are named as format_type() names them. Thread safety: all functions.
#pragma once

#include <string>
#include <vector>

namespace pawl::schema {

// A type as format_type() gives it: "numeric(10,2)" is numeric with 10 and 2.
struct TypeShape {
  std::string name;
  std::vector<int> modifiers;

  explicit TypeShape(const std::string& type);

  // A number, or `otherwise` where the type has no such modifier.
  int modifier(std::size_t index, int otherwise) const;
};

// smallint 1, integer 2, bigint 3; 0 for all else.
int WholeWidth(const std::string& type);

// True where PostgreSQL changes the catalogue only: every old value is a new one, byte by byte.
bool IsSameBytes(const std::string& from, const std::string& to);

// True where every old value has a new one for certain.
bool FitsAlways(const std::string& from, const std::string& to);

// "c", "c::text::integer", "c AT TIME ZONE 'UTC'": the old value follows from the new one.
struct Conversion {
  bool is_understood = false;
  std::string inverse;  // Over the column.
  int casts = 0;
};

Conversion ConversionOf(const std::string& expression, const std::string& alias,
                        const std::string& column);

}  // namespace pawl::schema
