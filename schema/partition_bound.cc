#include "schema/partition_bound.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/quote.h"
#include "schema/sql_tokens.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;
using Kind = BoundValue::Kind;

// Places in PartitionKeyPart::operators.
enum Operator : std::size_t { kLess, kLessOrEqual, kEqual, kGreaterOrEqual, kGreater };

constexpr std::chrono::milliseconds kComputeFor{5'000};

std::string Joined(const std::vector<std::string>& pieces, const char* word) {
  std::string text;
  for (const std::string& piece : pieces) {
    text += fmt::format("{}({})", text.empty() ? "" : word, piece);
  }
  return text;
}

std::string Compare(const PartitionKeyPart& part, Operator which, const BoundValue& value) {
  return fmt::format("{} {} {}", part.compared, part.operators.at(which), value.literal);
}

std::vector<std::string> NotNull(const PartitionKey& key) {
  std::vector<std::string> conditions;
  for (const PartitionKeyPart& part : key.parts) conditions.push_back(part.sql + " IS NOT NULL");
  return conditions;
}

// --- conditions ---

std::string ListCondition(const PartitionKeyPart& part, const std::vector<BoundValue>& list) {
  std::vector<std::string> values;
  std::vector<std::string> equal;
  bool has_null = false;
  for (const BoundValue& value : list) {
    if (value.kind == Kind::kNull) {
      has_null = true;
      continue;
    }
    values.push_back(value.literal);
    equal.push_back(Compare(part, kEqual, value));
  }
  std::vector<std::string> conditions = {part.sql + (has_null ? " IS NULL" : " IS NOT NULL")};
  if (part.is_array && values.size() > 1) {
    conditions.push_back(Joined(equal, " OR "));
  } else if (values.size() > 1) {
    conditions.push_back(fmt::format("{} {} ANY (ARRAY[{}])", part.compared,
                                     part.operators.at(kEqual), fmt::join(values, ", ")));
  } else if (!values.empty()) {
    conditions.push_back(equal[0]);
  }
  return Joined(conditions, has_null ? " OR " : " AND ");
}

// One side of a range: a > 1 OR a = 1 AND b > 2 OR a = 1 AND b = 2 AND c >= 3, from part `first` on,
// as far as there are values. Where the next one is unbounded to this side, equal is inside as well.
std::string SideCondition(const PartitionKey& key, const std::vector<BoundValue>& side,
                          std::size_t first, bool is_lower) {
  const Kind open = is_lower ? Kind::kMin : Kind::kMax;
  std::vector<std::string> arms;
  for (std::size_t last = first; last < side.size() && side[last].kind == Kind::kValue; ++last) {
    std::vector<std::string> arm;
    for (std::size_t i = first; i < last; ++i)
      arm.push_back(Compare(key.parts[i], kEqual, side[i]));
    const bool is_last = last + 1 == side.size();
    const bool next_is_open = !is_last && side[last + 1].kind == open;
    Operator which = is_lower ? kGreater : kLess;
    if (next_is_open || (is_last && is_lower)) which = is_lower ? kGreaterOrEqual : kLessOrEqual;
    arm.push_back(Compare(key.parts[last], which, side[last]));
    arms.push_back(Joined(arm, " AND "));
  }
  return Joined(arms, " OR ");
}

std::vector<std::string> RangeConditions(const PartitionKey& key, const PartitionBound& bound) {
  std::vector<std::string> conditions;
  for (std::size_t i = 0; i < bound.equal; ++i) {
    conditions.push_back(Compare(key.parts[i], kEqual, bound.lower[i]));
  }
  for (const bool is_lower : {true, false}) {
    const std::string side =
        SideCondition(key, is_lower ? bound.lower : bound.upper, bound.equal, is_lower);
    if (!side.empty()) conditions.push_back(side);
  }
  return conditions;
}

std::string HashCondition(const PartitionKey& key, const PartitionBound& bound) {
  std::vector<std::string> parts;
  for (const PartitionKeyPart& part : key.parts) parts.push_back(part.sql);
  return fmt::format("pg_catalog.satisfies_hash_partition('{}'::pg_catalog.oid, {}, {}, {})",
                     key.table_oid, bound.modulus, bound.remainder, fmt::join(parts, ", "));
}

// --- two bounds ---

// Whether `one` is below `other`, both sides of ranges: unbounded in a column, it is in the rest.
std::string IsBelow(const PartitionKey& key, const std::vector<BoundValue>& one,
                    const std::vector<BoundValue>& other, std::size_t at) {
  if (at == one.size()) return "false";
  const auto rank = [](const BoundValue& value) {
    return value.kind == Kind::kMin ? -1 : value.kind == Kind::kMax ? 1 : 0;
  };
  const int left = rank(one[at]);
  const int right = rank(other[at]);
  if (left != 0 || right != 0) return left < right ? "true" : "false";
  const std::vector<std::string>& operators = key.parts.at(at).operators;
  return fmt::format("({0} {2} {1} OR {0} {3} {1} AND {4})", one[at].literal, other[at].literal,
                     operators.at(kLess), operators.at(kEqual), IsBelow(key, one, other, at + 1));
}

std::string HaveOneInCommon(const PartitionKey& key, const std::vector<BoundValue>& one,
                            const std::vector<BoundValue>& other) {
  std::string condition = "false";
  for (const BoundValue& left : one) {
    for (const BoundValue& right : other) {
      if (left.kind != right.kind) continue;
      if (left.kind == Kind::kNull) return "true";
      condition += fmt::format(" OR {} {} {}", left.literal, key.parts.at(0).operators.at(kEqual),
                               right.literal);
    }
  }
  return condition;
}

// --- reading a bound ---

// Thread safety: none. Lives for one bound.
class BoundReader {
 public:
  BoundReader(Planning& planning, const Place& place, const PartitionKey& key,
              const std::string& text)
      : planning_(planning), place_(place), key_(key), text_(text) {}

  PartitionBound Read() {
    PartitionBound bound;
    if (text_.Find("VALUES", 0) == text_.size()) {
      bound.is_default = true;
      return bound;
    }
    if (key_.strategy == 'h') {
      const std::string inside = Inside("WITH");
      bound.modulus = Number(inside, "MODULUS");
      bound.remainder = Number(inside, "REMAINDER");
    } else if (key_.strategy == 'l') {
      for (const std::string& value : SplitAtCommas(Inside("IN"))) {
        bound.list.push_back(Value(key_.parts.at(0), value));
      }
    } else {
      bound.lower = Side("FROM");
      bound.upper = Side("TO");
      bound.equal = Equal(bound);
    }
    return bound;
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong) const {
    FailAt(place_, what_was_wrong, "Mend the bounds.");
  }

  std::string Inside(std::string_view word) const {
    const std::size_t open = text_.Find(word, 0) + 1;
    const std::size_t close = open < text_.size() ? text_.Closing(open) : text_.size();
    if (close >= text_.size()) {
      Fail(fmt::format("the bounds do not fit a table that is partitioned by {}",
                       key_.strategy == 'l'   ? "list (FOR VALUES IN)"
                       : key_.strategy == 'h' ? "hash (FOR VALUES WITH)"
                                              : "range (FOR VALUES FROM … TO …)"));
    }
    return text_.Cut(open + 1, close);
  }

  std::int64_t Number(const std::string& inside, std::string_view word) const {
    const TokenizedText text(inside);
    const std::size_t at = text.Find(word, 0) + 1;
    if (at >= text.size()) Fail(fmt::format("the bounds have no {}", word));
    const std::string& number = text[at].word;
    if (number.size() > 9 || number.find_first_not_of("0123456789") != std::string::npos) {
      Fail(fmt::format("{} {} is no number", word, number));
    }
    return std::stoll(number);
  }

  std::vector<BoundValue> Side(std::string_view word) {
    const std::vector<std::string> values = SplitAtCommas(Inside(word));
    if (values.size() != key_.parts.size()) {
      Fail(fmt::format("{} gives {} values for a key of {} columns", word, values.size(),
                       key_.parts.size()));
    }
    std::vector<BoundValue> side;
    for (std::size_t i = 0; i < values.size(); ++i) side.push_back(Value(key_.parts[i], values[i]));
    return side;
  }

  BoundValue Value(const PartitionKeyPart& part, const std::string& sql) {
    const TokenizedText words(sql);
    if (words.size() == 1 && words[0].word == "MINVALUE") return {Kind::kMin, {}};
    if (words.size() == 1 && words[0].word == "MAXVALUE") return {Kind::kMax, {}};
    const db::Row row = Ask(fmt::format("SELECT ({})::{}::pg_catalog.text", sql, part.type));
    if (!row.at(0)) return {Kind::kNull, {}};
    return {Kind::kValue, fmt::format("{}::{}", QuoteLiteral(*row[0]), part.type)};
  }

  // As many as PostgreSQL's equality calls alike, whatever they look like: 1.0 and 1.00.
  std::size_t Equal(const PartitionBound& bound) {
    std::size_t equal = 0;
    for (; equal < key_.parts.size(); ++equal) {
      const BoundValue& lower = bound.lower[equal];
      const BoundValue& upper = bound.upper[equal];
      if (lower.kind != Kind::kValue || upper.kind != Kind::kValue) break;
      const std::string& same = key_.parts[equal].operators.at(kEqual);
      if (!db::ToBool(
              Ask(fmt::format("SELECT {} {} {}", lower.literal, same, upper.literal)).at(0))) {
        break;
      }
    }
    if (equal == key_.parts.size()) Fail("the lower and the upper bound are the same");
    return equal;
  }

  db::Row Ask(const std::string& query) {
    std::string error;
    const std::optional<db::Result> result = planning_.reading.Try(query, kComputeFor, error);
    if (!result) Fail(fmt::format("a value of the bounds cannot be computed ({})", error));
    return result->rows.at(0);
  }

  Planning& planning_;
  const Place& place_;
  const PartitionKey& key_;
  const TokenizedText text_;
};

std::string SideText(const std::vector<BoundValue>& side) {
  std::vector<std::string> values;
  for (const BoundValue& value : side) {
    switch (value.kind) {
      case Kind::kValue:
        values.push_back(value.literal);
        break;
      case Kind::kNull:
        values.emplace_back("NULL");
        break;
      case Kind::kMin:
        values.emplace_back("MINVALUE");
        break;
      case Kind::kMax:
        values.emplace_back("MAXVALUE");
        break;
    }
  }
  return fmt::format("({})", fmt::join(values, ", "));
}

// What pg_get_expr gives for all expressions of the key, at the places where it has no column.
std::string KeySql(Planning& planning, const TableShape& parent, const db::Row& row,
                   const std::vector<std::string>& expressions, std::size_t& next,
                   PartitionKeyPart& part) {
  if (row[0]) {
    part.type = db::ToText(row[1]);
    return QuoteName(db::ToText(row[0]));
  }
  const std::string expression = "(" + expressions.at(next++) + ")";
  part.type = db::ToText(
      planning.reading.session()
          .Query(fmt::format("SELECT pg_catalog.pg_typeof({}) FROM (SELECT "
                             "(NULL::{}).*) AS no_row",
                             expression, QuoteName(parent.name.schema, parent.name.name)))
          .rows.at(0)[0]);
  return expression;
}

}  // namespace

PartitionKey ReadPartitionKey(Planning& planning, const TableShape& parent) {
  PartitionKey key;
  key.table_oid = parent.oid;
  const db::Result found = planning.reading.session().Query(
      R"(
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), p.partstrat,
       pg_catalog.pg_get_expr(p.partexprs, p.partrelid),
       (SELECT pg_catalog.array_to_string(pg_catalog.array_agg(pg_catalog.format('OPERATOR(%I.%s)',
                 n.nspname, o.oprname) ORDER BY m.amopstrategy), pg_catalog.chr(10))
          FROM pg_catalog.pg_amop AS m JOIN pg_catalog.pg_operator AS o ON o.oid = m.amopopr
          JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace
         WHERE m.amopfamily = c.opcfamily AND m.amoplefttype = c.opcintype
           AND m.amoprighttype = c.opcintype AND m.amoppurpose = 's'),
       coalesce(t.typcategory = 'A', false), l.oid <> 0,
       CASE WHEN l.oid <> 0 AND l.oid IS DISTINCT FROM a.attcollation THEN
         (SELECT pg_catalog.format(' COLLATE %I.%I', n.nspname, x.collname)
            FROM pg_catalog.pg_collation AS x
            JOIN pg_catalog.pg_namespace AS n ON n.oid = x.collnamespace WHERE x.oid = l.oid) END
  FROM pg_catalog.pg_partitioned_table AS p
 CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(p.partattrs::pg_catalog.int2[]),
         pg_catalog.unnest(p.partclass::pg_catalog.oid[]),
         pg_catalog.unnest(p.partcollation::pg_catalog.oid[])) WITH ORDINALITY
         AS k(attnum, class, collation_oid, place)
 CROSS JOIN LATERAL (SELECT k.collation_oid AS oid) AS l
  JOIN pg_catalog.pg_opclass AS c ON c.oid = k.class
  LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = k.attnum AND k.attnum > 0
  LEFT JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
 WHERE p.partrelid = $1::pg_catalog.oid ORDER BY k.place)",
      {std::to_string(parent.oid)});
  std::size_t next = 0;
  for (const db::Row& row : found.rows) {
    key.strategy = db::ToText(row[2])[0];
    PartitionKeyPart part;
    const std::vector<std::string> expressions =
        row[3] ? SplitAtCommas(*row[3]) : std::vector<std::string>();
    part.sql = KeySql(planning, parent, row, expressions, next, part);
    part.compared = part.sql + row[7].value_or("");
    std::string names = row[4].value_or("");
    for (std::size_t end = 0; !names.empty(); names.erase(0, end)) {
      end = std::min(names.find('\n'), names.size());
      part.operators.push_back(names.substr(0, end));
      if (end < names.size()) ++end;
    }
    part.is_array = db::ToBool(row[5]);
    part.is_collatable = db::ToBool(row[6]);
    key.parts.push_back(std::move(part));
  }
  return key;
}

PartitionBound ParseBound(Planning& planning, const Place& place, const PartitionKey& key,
                          const std::string& text) {
  return BoundReader(planning, place, key, text).Read();
}

std::string BoundText(const PartitionBound& bound) {
  if (bound.is_default) return "DEFAULT";
  if (bound.modulus > 0) {
    return fmt::format("FOR VALUES WITH (MODULUS {}, REMAINDER {})", bound.modulus,
                       bound.remainder);
  }
  if (!bound.list.empty()) return "FOR VALUES IN " + SideText(bound.list);
  return fmt::format("FOR VALUES FROM {} TO {}", SideText(bound.lower), SideText(bound.upper));
}

std::string BoundCondition(const PartitionKey& key, const PartitionBound& bound) {
  if (key.strategy == 'h') return HashCondition(key, bound);
  if (key.strategy == 'l') return ListCondition(key.parts.at(0), bound.list);
  std::vector<std::string> conditions = NotNull(key);
  for (std::string& condition : RangeConditions(key, bound)) {
    conditions.push_back(std::move(condition));
  }
  return Joined(conditions, " AND ");
}

std::string OverlapQuestion(const PartitionKey& key, const PartitionBound& one,
                            const PartitionBound& other) {
  const bool is_collatable =
      std::any_of(key.parts.begin(), key.parts.end(),
                  [](const PartitionKeyPart& part) { return part.is_collatable; });
  if (key.strategy == 'h' || is_collatable) return {};
  if (key.strategy == 'l') return "SELECT " + HaveOneInCommon(key, one.list, other.list);
  return fmt::format("SELECT {} AND {}", IsBelow(key, one.lower, other.upper, 0),
                     IsBelow(key, other.lower, one.upper, 0));
}

std::string DefaultCondition(const PartitionKey& key, const std::vector<PartitionBound>& others) {
  if (others.empty()) return {};
  if (key.strategy == 'l') {
    std::vector<BoundValue> all;
    for (const PartitionBound& other : others) {
      all.insert(all.end(), other.list.begin(), other.list.end());
    }
    return fmt::format("NOT ({})", ListCondition(key.parts.at(0), all));
  }
  std::vector<std::string> ranges;
  for (const PartitionBound& other : others) {
    const std::vector<std::string> range = RangeConditions(key, other);
    ranges.push_back(Joined(range.empty() ? NotNull(key) : range, " AND "));
  }
  std::vector<std::string> conditions = NotNull(key);
  conditions.push_back(Joined(ranges, " OR "));
  return fmt::format("NOT ({})", Joined(conditions, " AND "));
}

}  // namespace pawl::schema
