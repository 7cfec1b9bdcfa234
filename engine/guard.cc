#include "engine/guard.h"

#include <fmt/format.h>
#include <boost/json.hpp>

#include "db/error.h"
#include "db/quote.h"

namespace pawl::engine {
namespace {

namespace json = boost::json;

std::string Get(const json::object& node, const char* name) {
  const json::value* value = node.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

// PostgreSQL numbers repeated aliases within one statement: orders, orders_1, …
bool SameAlias(const std::string& found, const std::string& alias) {
  return found == alias || found.starts_with(alias + "_");
}

bool Unbounded(const json::object& node, const std::string& name, const std::string& alias) {
  const std::string type = Get(node, "Node Type");
  if (Get(node, "Relation Name") == name && SameAlias(Get(node, "Alias"), alias)) {
    if (type == "Seq Scan") return true;
    if ((type == "Index Scan" || type == "Index Only Scan") && !node.contains("Index Cond")) {
      return true;
    }
  }
  if (const json::value* children = node.if_contains("Plans")) {
    for (const json::value& child : children->as_array()) {
      if (Unbounded(child.as_object(), name, alias)) return true;
    }
  }
  return false;
}

}  // namespace

bool ScansWholeTable(const std::string& explain_json, const std::string& name,
                     const std::string& alias) {
  const json::value plan = json::parse(explain_json);
  return Unbounded(plan.as_array().at(0).as_object().at("Plan").as_object(), name, alias);
}

void CheckPlan(db::Pipeline& pipeline, const schema::Backfill& backfill, const db::Call& call) {
  const db::Result explained =
      pipeline.Run({{"EXPLAIN (FORMAT JSON) " + call.sql, call.parameters}})[0];
  if (!ScansWholeTable(db::ToText(explained.rows.at(0).at(0)), backfill.walked.name,
                       backfill.alias)) {
    return;
  }
  throw db::Error(
      db::Action::kStop,
      fmt::format(
          "PostgreSQL would scan all of {}.{} for every batch. Check that the index {} exists and "
          "is valid, run ANALYZE on the table, and resume.",
          backfill.walked.schema, backfill.walked.name, backfill.key_index));
}

db::Call SameTableCall(const schema::Backfill& backfill) {
  // The cast of words to a number is how plain SQL raises an error; the counts keep the planner
  // from doing it in advance.
  static const std::string sql = fmt::format(
      R"sql(SELECT CASE WHEN tables = 0 THEN ('{} ' || tables)::integer
            WHEN indexes = 0 THEN ('{} ' || indexes)::integer
            WHEN columns <> $5::bigint THEN ('{} ' || columns)::integer ELSE 1 END
  FROM (SELECT count(*) FILTER (WHERE to_regclass($1)::oid = $2::oid) AS tables,
               count(*) FILTER (WHERE $3 = '' OR EXISTS (
                 SELECT FROM pg_index WHERE indexrelid = to_regclass($3)::oid AND indisvalid)) AS indexes,
               CASE WHEN $5::bigint < 0 THEN -1 ELSE (
                 SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass($4)::oid AND attnum > 0
                    AND NOT attisdropped AND attgenerated = '') END AS columns
          FROM (SELECT) AS one) AS facts)sql",
      kReplaced, kIndexGone, kColumnsChanged);
  // What a DELETE or INSERT is taken back by.
#ifdef PAWL_MUTANT_same_columns
  const bool whole_rows = false;
#else
  const bool whole_rows =
      backfill.kind != schema::StatementKind::kUpdate && backfill.undo == schema::UndoKind::kImage;
#endif
  const bool by_key =
      backfill.order == schema::Order::kKey || backfill.order == schema::Order::kKeyStrides;
  return {sql,
          {db::QuoteName(backfill.walked.schema, backfill.walked.name),
           std::to_string(backfill.walked_oid),
           by_key && !backfill.key_index.empty()
               ? db::QuoteName(backfill.walked.schema, backfill.key_index)
               : std::string(),
           db::QuoteName(backfill.target.schema, backfill.target.name),
           std::to_string(whole_rows ? static_cast<std::int64_t>(backfill.target_columns.size())
                                     : -1)}};
}

}  // namespace pawl::engine
