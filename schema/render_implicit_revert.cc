// Columns that the plan created itself are taken back by walking again: nothing was kept.
#include <fmt/format.h>

#include "db/error.h"
#include "db/quote.h"
#include "schema/render_parts.h"

namespace pawl::schema {

using db::QuoteName;

Backfill ImplicitRevert(const Backfill& backfill, bool force) {
  Backfill revert = backfill;
  Texts sets;
  Texts held;
  Texts current;
  Texts expected;
  for (const ChangedColumn& changed : backfill.changed) {
    const std::string name = QuoteName(changed.column.name);
    sets.push_back(name + " = NULL");
    current.push_back(QuoteName(backfill.alias) + "." + name);
    held.push_back(current.back() + " IS NOT NULL");
    PAWL_CHECK(changed.expression.has_value());
    expected.push_back(fmt::format("(\n{}\n)::{}", *changed.expression, changed.column.type));
  }
  revert.set_clause = Joined(sets);
  revert.where_clause = fmt::format("({})", Joined(held, " OR "));
  if (!force) {
    revert.where_clause += fmt::format(" AND {} *= {}", Record(current), Record(expected));
  }
  revert.base_where.clear();
  revert.undo = UndoKind::kNone;
  revert.quarantine_max = 0;
  return revert;
}

std::string RenderImplicitConflicts(const Backfill& backfill) {
  const Backfill forced = ImplicitRevert(backfill, true);
  const Backfill matching = ImplicitRevert(backfill, false);
  Texts keys;
  for (const std::string& name : Qualified(backfill.alias, backfill.key)) {
    keys.push_back(name + "::text");
  }
  return fmt::format("SELECT {} FROM {} WHERE {} AND NOT ({}) LIMIT 1000",
                     keys.empty() ? "'no key'" : fmt::format("concat_ws(', ', {})", Joined(keys)),
                     Walked(backfill), forced.where_clause, matching.where_clause);
}

}  // namespace pawl::schema
