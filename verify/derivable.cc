#include "verify/derivable.h"

#include <fmt/format.h>

#include <algorithm>

#include "db/error.h"
#include "db/quote.h"

namespace pawl::verify {
namespace {

// Functions that depend on session settings only, and those are pinned.
constexpr const char* kSteady =
    "'concat', 'concat_ws', 'format', 'to_char', 'to_date', 'to_timestamp', 'to_number', "
    "'date_trunc', 'date_part', 'extract', 'timezone', 'to_json', 'to_jsonb'";

bool IsSteady(db::Session& session, const schema::FunctionCall& function) {
  const db::Result found = session.Query(
      fmt::format(R"sql(SELECT count(*), count(*) FILTER (WHERE p.provolatile = 'i' OR
    n.nspname = 'pg_catalog' AND p.proname IN ({}))
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.proname = {} AND {} IN ('', n.nspname))sql",
                  kSteady, db::QuoteLiteral(function.name), db::QuoteLiteral(function.schema)));
  const std::int64_t all = db::ToInt(found.rows.at(0)[0]);
  return all == db::ToInt(found.rows[0][1]);  // None: a construct of the grammar, like coalesce.
}

bool HasRowTrigger(db::Session& session, const schema::TableName& table) {
  // 1: FOR EACH ROW, 2: BEFORE, 16: UPDATE.
  const db::Result found = session.Query(fmt::format(
      "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = {}::regclass AND NOT tgisinternal AND "
      "tgenabled <> 'D' AND tgtype & 19 = 19)",
      db::QuoteLiteral(db::QuoteName(table.schema, table.name))));
  return db::ToBool(found.rows.at(0)[0]);
}

}  // namespace

std::string WhyNotDerivable(db::Session& session, const schema::Backfill& backfill,
                            const std::string& statement) {
  if (!backfill.from_clause.empty()) return "it reads other tables";
  const auto is_known = [](const schema::ChangedColumn& changed) {
    return changed.expression.has_value();
  };
  if (!std::ranges::all_of(backfill.changed, is_known)) {
    return "a column is assigned without an expression of its own";
  }
  schema::MigrationFile parsed;
  try {
    parsed = schema::ParseMigration("step", statement);
  } catch (const db::Error&) {
    return "its text cannot be taken apart";
  }
  if (parsed.statements.size() != 1) return "its text cannot be taken apart";
  const schema::Statement& update = parsed.statements[0];
  if (update.has_subselect || !update.other_tables.empty()) return "it reads other tables";
  if (update.reads_clock) return "it reads the clock";
  for (const schema::FunctionCall& function : update.functions) {
    if (!IsSteady(session, function)) {
      return fmt::format("{}() may give something else at another time", function.name);
    }
  }
  if (HasRowTrigger(session, backfill.target)) return "a trigger may have changed what was written";
  return "";
}

}  // namespace pawl::verify
