// The tables that hold what takes a batch back: packed arrays, a row a batch (docs/decisions/0005),
// or for DELETE the rows themselves.
#include <fmt/format.h>

#include "schema/render_parts.h"

namespace pawl::schema {

std::string UndoTable(std::int64_t run, int step) {
  return fmt::format("pawl.undo_{}_{}", run, step);
}

std::string RenderUndoTable(const Backfill& backfill, std::int64_t run, int step) {
  if (backfill.undo != UndoKind::kImage) return {};
  Texts columns;
  const auto add = [&](const std::vector<Column>& of, std::string_view prefix, bool packed) {
    for (std::size_t i = 0; i < of.size(); ++i) {
      columns.push_back(
          fmt::format("{}{} {}", prefix, i + 1, packed ? PackedType(of[i]) : of[i].type));
    }
  };
  if (backfill.kind == StatementKind::kDelete) {
    columns.push_back("batch_id bigint NOT NULL");
    add(backfill.target_columns, "c", false);
    const std::string table = UndoTable(run, step);
    return fmt::format("CREATE TABLE {} ({}); CREATE INDEX ON {} (batch_id)", table,
                       Joined(columns), table);
  }
  columns.push_back("batch_id bigint PRIMARY KEY");
  if (backfill.kind == StatementKind::kInsertSelect) {
    add(backfill.target_key, "k", true);
    columns.push_back("h bigint[]");
  } else {
    add(backfill.key, "k", true);
    add(ChangedColumns(backfill), "o", true);
    add(ChangedColumns(backfill), "w", true);
  }
  return fmt::format("CREATE TABLE {} ({})", UndoTable(run, step), Joined(columns));
}

}  // namespace pawl::schema
