// What a partition's bound says about its rows, as a condition that PostgreSQL recognizes as its own:
// where a validated CHECK of a table holds it, ATTACH PARTITION reads no row.
//
//     FOR VALUES FROM ('a', 5) TO ('c', MAXVALUE)
//       ->  a IS NOT NULL AND b IS NOT NULL AND (a > 'a' OR a = 'a' AND b >= 5) AND a <= 'c'
//
// The shapes are those of partitioning/partbounds.c (get_qual_for_list, _range, _hash); its proof
// (predicate_implied_by) needs them nearly word for word. Never NULL, so NOT of one is its opposite.
//
// Thread safety: none. Functions use the planning given to them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schema/planning.h"

namespace pawl::schema {

// One column or expression by which a table is partitioned.
struct PartitionKeyPart {
  std::string sql;
  // The same in comparisons: with COLLATE where that is not the column's own.
  std::string compared;
  std::string type;                    // Fit for a cast; of an expression, without modifiers.
  std::vector<std::string> operators;  // <, <=, =, >=, > of its operator class, in this order.
  bool is_array = false;
  bool is_collatable = false;
};

struct PartitionKey {
  std::int64_t table_oid = 0;
  char strategy = 'r';  // l: list, r: range, h: hash.
  std::vector<PartitionKeyPart> parts;
};

// Requires a partitioned table.
PartitionKey ReadPartitionKey(Planning& planning, const TableShape& parent);

struct BoundValue {
  enum class Kind { kValue, kNull, kMin, kMax };
  Kind kind = Kind::kValue;
  std::string literal;  // kValue: with its type.
};

struct PartitionBound {
  bool is_default = false;
  std::vector<BoundValue> list;
  std::vector<BoundValue> lower;  // Included.
  std::vector<BoundValue> upper;  // Left out.
  std::size_t equal = 0;          // So many parts from the first on are the same in both.
  std::int64_t modulus = 0;
  std::int64_t remainder = 0;
};

// Reads "FOR VALUES …" or "DEFAULT", as in a statement or from pg_get_expr(relpartbound). Values are
// computed now, in the key's types. Throws db::Error (kBadInput) where they cannot be.
PartitionBound ParseBound(Planning& planning, const Place& place, const PartitionKey& key,
                          const std::string& text);

// "FOR VALUES …" again, with the values as they were computed.
std::string BoundText(const PartitionBound& bound);

// What holds for the rows of such a partition. Not for a bound that is DEFAULT.
std::string BoundCondition(const PartitionKey& key, const PartitionBound& bound);

// What holds for the rows of a DEFAULT partition beside partitions of `others`; empty where every row
// may go there.
std::string DefaultCondition(const PartitionKey& key, const std::vector<PartitionBound>& others);

// A query that says whether two bounds that are not DEFAULT have values in common; empty where only
// PostgreSQL can say (hashes, and types with a collation).
std::string OverlapQuestion(const PartitionKey& key, const PartitionBound& one,
                            const PartitionBound& other);

}  // namespace pawl::schema
