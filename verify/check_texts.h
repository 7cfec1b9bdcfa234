// What the statements of check_sql.h are put together from: names, keys, bounds, equality. For the
// files check_sql*.cc only.
//
// Thread safety: all functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schema/plan.h"

namespace pawl::verify {

using Texts = std::vector<std::string>;

// Names that no statement of a user has, because its unqualified names are looked up beside ours.
inline constexpr const char* kRecord = "\"pawl record\"";
inline constexpr const char* kRow = "\"pawl row\"";

std::string Joined(const Texts& texts, std::string_view separator = ", ");

// Text of a user's in parentheses. It may end in a comment.
std::string Group(const std::string& text);

std::string Table(const schema::TableName& table);
std::string In(const std::string& quoted_table, const schema::Column& column);
std::string Cast(const std::string& expression, const schema::Column& column);

// "17" or "(a, 2021-01-01)".
std::string KeyText(const std::string& quoted_table, const std::vector<schema::Column>& key);

bool IsBlockOrder(const schema::Backfill& backfill);

// The key, or the place in block order, and a bound of a range that it compares with.
std::string Place(const schema::Backfill& backfill, const std::string& quoted_table);
std::string Bound(const schema::Backfill& backfill, const std::string& text);

struct Pair {
  const schema::Column* column;
  std::string left;
  std::string right;
};

// Byte-exact equality in which NULL equals NULL; never NULL.
std::string Equal(const std::vector<Pair>& pairs);

// Arrays of an undo record, one per column: k1, k2, …
void AppendArrays(const char* prefix, std::size_t count, Texts& qualified, Texts& names);

// The condition that joins a record with its row, and the record's key as text.
std::string SameKey(const std::vector<schema::Column>& key);
std::string RecordKeyText(std::size_t count);

// ANY ('{7,8}'::bigint[])
std::string Batches(const std::string& batch_ids);

}  // namespace pawl::verify
