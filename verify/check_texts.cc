#include "verify/check_texts.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/quote.h"
#include "schema/position.h"

namespace pawl::verify {
namespace {

using db::QuoteLiteral;
using db::QuoteName;
using schema::Column;

// Types whose IS NOT DISTINCT FROM is as strict as comparing bytes, and faster. Text is so under
// collation C. Not float (0 and -0), numeric (1.0 and 1.00), interval, bpchar.
bool IsExact(std::string type) {
  if (const std::size_t modifier = type.find('('); modifier != std::string::npos) {
    // "timestamp(3) without time zone"
    const std::size_t end = type.find(')', modifier);
    if (end != std::string::npos) type.erase(modifier, end - modifier + 1);
  }
  constexpr std::array kTypes = {"smallint",
                                 "integer",
                                 "bigint",
                                 "boolean",
                                 "oid",
                                 "uuid",
                                 "date",
                                 "bytea",
                                 "timestamp without time zone",
                                 "timestamp with time zone",
                                 "text",
                                 "character varying"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

std::string Collated(const Column& column, const std::string& expression) {
  const bool is_text = column.type == "text" || column.type.starts_with("character varying");
  return is_text && IsExact(column.type) ? expression + " COLLATE \"C\"" : expression;
}

}  // namespace

bool IsBlockOrder(const schema::Backfill& backfill) {
  return backfill.order == schema::Order::kBlock || backfill.order == schema::Order::kBlockStrides;
}

std::string Joined(const Texts& texts, std::string_view separator) {
  return fmt::format("{}", fmt::join(texts, separator));
}

std::string Group(const std::string& text) { return "(" + text + "\n)"; }

std::string Table(const schema::TableName& table) { return QuoteName(table.schema, table.name); }

std::string In(const std::string& quoted_table, const Column& column) {
  return quoted_table + "." + QuoteName(column.name);
}

std::string Cast(const std::string& expression, const Column& column) {
  return fmt::format("({})::{}", expression, column.type);
}

std::string KeyText(const std::string& quoted_table, const std::vector<Column>& key) {
  if (key.empty()) return quoted_table + ".ctid::text";
  if (key.size() == 1) return In(quoted_table, key[0]) + "::text";
  Texts marks(key.size(), "%s");
  Texts values;
  for (const Column& column : key) values.push_back(In(quoted_table, column));
  return fmt::format("format('({})', {})", Joined(marks), Joined(values));
}

std::string Place(const schema::Backfill& backfill, const std::string& quoted_table) {
  if (IsBlockOrder(backfill)) return quoted_table + ".ctid";
  Texts values;
  for (const Column& column : backfill.key) values.push_back(In(quoted_table, column));
  return values.size() == 1 ? values[0] : "(" + Joined(values) + ")";
}

std::string Bound(const schema::Backfill& backfill, const std::string& text) {
  const schema::Position position = schema::PositionFrom(text);
  if (IsBlockOrder(backfill)) return QuoteLiteral(position.at(0)) + "::tid";
  Texts values;
  for (std::size_t i = 0; i < backfill.key.size(); ++i) {
    values.push_back(QuoteLiteral(position.at(i)) + "::" + backfill.key[i].type);
  }
  return values.size() == 1 ? values[0] : "(" + Joined(values) + ")";
}

std::string Equal(const std::vector<Pair>& pairs) {
  Texts tests, left, right;
  for (const Pair& pair : pairs) {
    const std::string left_value = Cast(pair.left, *pair.column);
    const std::string right_value = Cast(pair.right, *pair.column);
    if (IsExact(pair.column->type)) {
      tests.push_back(fmt::format("{} IS NOT DISTINCT FROM {}", Collated(*pair.column, left_value),
                                  Collated(*pair.column, right_value)));
    } else {
      // One array or composite has many images, with room for NULLs or without; but one text.
      const char* text = pair.column->is_array || pair.column->is_composite ? "::text" : "";
      left.push_back(left_value + text);
      right.push_back(right_value + text);
    }
  }
  // Without the casts it would be a comparison of the rows' elements, with their types' *=.
  if (!left.empty()) {
    tests.push_back(fmt::format("ROW({})::record *= ROW({})::record", Joined(left), Joined(right)));
  }
  return "(" + Joined(tests, " AND ") + ")";
}

void AppendArrays(const char* prefix, std::size_t count, Texts& qualified, Texts& names) {
  for (std::size_t i = 1; i <= count; ++i) {
    names.push_back(fmt::format("{}{}", prefix, i));
    qualified.push_back(fmt::format("n.{}{}", prefix, i));
  }
}

std::string SameKey(const std::vector<Column>& key) {
  Texts tests;
  for (std::size_t i = 0; i < key.size(); ++i) {
    tests.push_back(
        fmt::format("{} = ({}.k{})::{}", In(kRow, key[i]), kRecord, i + 1, key[i].type));
  }
  return Joined(tests, " AND ");
}

std::string RecordKeyText(std::size_t count) {
  if (count == 1) return fmt::format("{}.k1::text", kRecord);
  Texts marks(count, "%s"), values;
  for (std::size_t i = 1; i <= count; ++i) values.push_back(fmt::format("{}.k{}", kRecord, i));
  return fmt::format("format('({})', {})", Joined(marks), Joined(values));
}

std::string Batches(const std::string& batch_ids) {
  return fmt::format("ANY ('{{{}}}'::bigint[])", batch_ids);
}

}  // namespace pawl::verify
