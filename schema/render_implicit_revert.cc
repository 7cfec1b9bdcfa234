// Columns that the plan created itself are taken back by walking again: nothing was kept.
#include <fmt/format.h>

#include "db/error.h"
#include "db/quote.h"
#include "schema/render_parts.h"

namespace pawl::schema {

using db::QuoteName;

namespace {

// An expression of `type` that fails with kConflict in each row where it is evaluated. The ctid
// keeps the planner from evaluating it before.
std::string Raised(const std::string& alias, const std::string& type) {
  return fmt::format("('{} ' || {}.ctid::text)::bigint::text::{}", kConflict, QuoteName(alias),
                     type);
}

}  // namespace

Backfill ImplicitRevert(const Backfill& backfill, OnConflict on_conflict) {
  const std::vector<Column> changed = ChangedColumns(backfill);
  const Texts current = Qualified(backfill.alias, changed);
  Texts sets;
  Texts held;
  Texts expected;
  for (const ChangedColumn& each : backfill.changed) {
    PAWL_CHECK(each.expression.has_value());
    sets.push_back(QuoteName(each.column.name) + " = NULL");
    expected.push_back(fmt::format("(\n{}\n)::{}", *each.expression, each.column.type));
  }
  for (const std::string& column : current) held.push_back(column + " IS NOT NULL");
  const std::string is_written = SameImage(changed, current, expected);
  Backfill revert = backfill;
  revert.where_clause = fmt::format("({})", Joined(held, " OR "));
  if (on_conflict == OnConflict::kSkip) revert.where_clause += " AND " + is_written;
  if (on_conflict == OnConflict::kStop) {
    sets[0] = fmt::format("{} = CASE WHEN {} THEN NULL ELSE {} END", QuoteName(changed[0].name),
                          is_written, Raised(backfill.alias, changed[0].type));
  }
  revert.set_clause = Joined(sets);
  revert.base_where.clear();
  revert.salt = (backfill.salt + 1) % (kSaltMax + 1);
  revert.undo = UndoKind::kNone;
  revert.re_evaluable = false;
  revert.quarantine_max = 0;
  return revert;
}

std::string RenderImplicitConflicts(const Backfill& backfill) {
  const Backfill forced = ImplicitRevert(backfill, OnConflict::kForce);
  const Backfill matching = ImplicitRevert(backfill, OnConflict::kSkip);
  Texts keys;
  for (const std::string& name : Qualified(backfill.alias, backfill.key)) {
    keys.push_back(name + "::text");
  }
  return fmt::format("SELECT {} FROM {} WHERE {} AND NOT ({}) LIMIT 1000",
                     keys.empty() ? "'no key'" : fmt::format("concat_ws(', ', {})", Joined(keys)),
                     Walked(backfill), forced.where_clause, matching.where_clause);
}

}  // namespace pawl::schema
