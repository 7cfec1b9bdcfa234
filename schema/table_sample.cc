#include "schema/table_sample.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "db/error.h"
#include "db/quote.h"
#include "schema/statement_check.h"

namespace pawl::schema {
namespace {

constexpr std::int64_t kPagesSampled = 300;
constexpr std::chrono::seconds kConditionLimit{2};
constexpr std::chrono::seconds kPlainLimit{20};

std::string RankOf(const KeyIndex* key, const std::string& alias) {
  if (key == nullptr) return "NULL::bigint";
  std::string columns;
  for (const std::string& column : key->columns) {
    if (!columns.empty()) columns += ", ";
    columns += db::QuoteName(alias) + "." + db::QuoteName(column);
  }
  return fmt::format("pg_catalog.rank() OVER (ORDER BY {})", columns);
}

std::string SampleSql(const TableShape& table, const std::string& alias, const KeyIndex* key,
                      const std::string& condition, double percent) {
  const std::string sampled =
      percent >= 100 ? "" : fmt::format("TABLESAMPLE SYSTEM ({:.6f}) REPEATABLE (1)", percent);
  const std::string relation = RelationSql(
      table, alias, sampled,
      "(t.ctid::text::point)[0] AS pawl_block, pg_catalog.pg_column_size(t.*) AS pawl_bytes");
  return fmt::format(R"(
SELECT pg_catalog.count(*),
       pg_catalog.count(*) FILTER (WHERE matches),
       pg_catalog.count(DISTINCT block),
       coalesce(pg_catalog.avg(bytes), 0)::bigint,
       pg_catalog.corr(block, rank)
  FROM (SELECT pawl_block AS block, pawl_bytes AS bytes, {} AS rank, ({}) AS matches
          FROM {}) AS pawl_sample)",
                     RankOf(key, alias), condition.empty() ? "true" : condition, relation);
}

// The catalogue's count per page holds for pages it has not seen yet.
std::int64_t RowsInTable(const TableShape& table, double rows_sampled, double percent) {
  if (percent < 100 && table.rows_in_statistics > 0 && table.pages_in_statistics > 0) {
    return std::llround(table.rows_in_statistics / static_cast<double>(table.pages_in_statistics) *
                        static_cast<double>(table.pages));
  }
  return std::llround(rows_sampled * 100 / percent);
}

}  // namespace

TableSample ReadSample(ReadTransaction& reading, const TableShape& table, const std::string& alias,
                       const KeyIndex* key, const std::string& condition) {
  TableSample sample;
  if (table.oid == 0 || table.pages == 0) return sample;
  const double percent = std::min(100.0, 100.0 * kPagesSampled / static_cast<double>(table.pages));
  std::optional<db::Result> result;
  if (!condition.empty()) {
    result = reading.Try(SampleSql(table, alias, key, condition, percent), kConditionLimit,
                         sample.condition_error);
    sample.condition_known = result.has_value();
  }
  if (!result) {
    std::string error;
    result = reading.Try(SampleSql(table, alias, key, "", percent), kPlainLimit, error);
    if (!result) {
      db::FailInput(fmt::format("A sample of {} cannot be read: {}. Nothing was changed.",
                                Readable(table.name), error));
    }
  }
  const db::Row& row = result->rows.at(0);
  const double rows = db::ToDouble(row[0]);
  const double blocks = db::ToDouble(row[2]);
  sample.rows_in_table = RowsInTable(table, rows, percent);
  if (rows > 0) {
    sample.share_matching = db::ToDouble(row[1]) / rows;
    sample.rows_per_page = rows / std::max(1.0, blocks);
  }
  sample.row_bytes = db::ToInt(row[3]);
  sample.correlation = row[4] ? db::ToDouble(row[4]) : 1;
  return sample;
}

}  // namespace pawl::schema
