#include "schema/column_move.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "db/quote.h"
#include "schema/dependent_swap.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;

std::string Sql(const TableName& name) { return QuoteName(name.schema, name.name); }

ColumnChange Change(const ColumnMove& move) { return {move.named, move.incoming}; }

std::string NotNullName(const ColumnMove& move) {
  return SuffixedName(move.table.name + "_" + move.named, move.incoming_suffix + "_not_null");
}

std::string HasConstraint(const TableName& table, const std::string& name, const char* condition) {
  return fmt::format(
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = "
      "pg_catalog.to_regclass({}) AND conname = {}{})",
      QuoteLiteral(Sql(table)), QuoteLiteral(name), condition);
}

std::string HasIndex(const TableName& table, const std::string& name, const char* negation) {
  return fmt::format(
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass({}) "
      "AND {}indisvalid)",
      QuoteLiteral(QuoteName(table.schema, name)), negation);
}

Building IndexBuilding(const ColumnMove& move, const IndexUse& index, const std::string& sql,
                       const std::string& name) {
  Building building;
  building.title =
      fmt::format("build index {} on {} of {}", name, move.incoming, Readable(move.table));
  building.sql = sql;
  building.undo = "DROP INDEX CONCURRENTLY IF EXISTS " + QuoteName(move.table.schema, name);
  building.is_long = true;
  building.settled = HasIndex(move.table, name, "");
  building.leftover = HasIndex(move.table, name, "NOT ");
  building.table = move.table;
  building.why = fmt::format("It becomes {}.", index.name);
  return building;
}

void AddConstraint(const TableName& table, const std::vector<TableName>& also,
                   const std::string& name, const std::string& definition, bool is_validated,
                   std::vector<Building>& buildings) {
  Building building;
  building.title = fmt::format("add constraint {} to {}, for new rows", name, Readable(table));
  building.sql = fmt::format("ALTER TABLE {} ADD CONSTRAINT {} {} NOT VALID", Sql(table),
                             QuoteName(name), definition);
  building.undo =
      fmt::format("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", Sql(table), QuoteName(name));
  building.stops_readers = definition.starts_with("CHECK");
  building.settled = HasConstraint(table, name, "");
  building.table = table;
  building.also = also;
  building.why = "NOT VALID: it holds for new rows and reads no old one.";
  buildings.push_back(building);
  if (!is_validated) return;
  building.title = fmt::format("validate {} of {}", name, Readable(table));
  building.sql = fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", Sql(table), QuoteName(name));
  building.undo.clear();
  building.is_long = true;
  building.settled = HasConstraint(table, name, " AND convalidated");
  building.why = "It reads every row and stops nobody.";
  buildings.push_back(std::move(building));
}

// On the outgoing column, and named as the one that the way back would build, which is then there
// already.
Building KeptIndex(const ColumnMove& move, const IndexUse& index, std::string& obstacle) {
  const std::string name = SuffixedName(index.name, move.outgoing_suffix);
  const auto sql = IndexOver(index.definition, {}, name, index.tablespace);
  if (!sql) obstacle = "index " + index.name;
  Building building = IndexBuilding(move, index, sql.value_or(""), name);
  building.title =
      fmt::format("build index {} on {} of {}", name, move.outgoing, Readable(move.table));
  building.why = fmt::format("{} stays with it until the contract.", index.name);
  return building;
}

// Filled by the ANALYZE before the cut-over.
Building StatisticsBuilding(const ColumnMove& move, const StatisticsUse& statistics,
                            std::string& obstacle) {
  const std::string name = SuffixedName(statistics.name.name, move.incoming_suffix);
  const std::string sql_name = QuoteName(statistics.name.schema, name);
  const auto sql = StatisticsOver(statistics.definition, Change(move), sql_name);
  if (!sql) obstacle = "statistics object " + statistics.name.name;
  Building building;
  building.title =
      fmt::format("create statistics {} on {} of {}", name, move.incoming, Readable(move.table));
  building.sql = sql.value_or("");
  building.undo = "DROP STATISTICS IF EXISTS " + sql_name;
  building.is_long = true;
  building.settled = fmt::format(
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_statistic_ext AS s JOIN pg_catalog.pg_namespace AS n "
      "ON n.oid = s.stxnamespace WHERE n.nspname = {} AND s.stxname = {})",
      QuoteLiteral(statistics.name.schema), QuoteLiteral(name));
  building.table = move.table;
  building.why = fmt::format("It becomes {}.", statistics.name.name);
  return building;
}

// Both sides of a foreign key but the moved table.
std::vector<TableName> OtherSide(const ForeignKeyUse& key) {
  return key.table == key.other ? std::vector<TableName>{} : std::vector<TableName>{key.other};
}

std::string Comment(const std::string& what, const std::string& text) {
  return text.empty() ? "" : fmt::format("COMMENT ON {} IS {};\n", what, QuoteLiteral(text));
}

// The largest number of a whole number type, as text.
std::string MaximumOf(const std::string& type) {
  static const std::map<std::string, std::string> kMaxima = {
      {"smallint", "32767"}, {"integer", "2147483647"}, {"bigint", "9223372036854775807"}};
  const auto found = kMaxima.find(type);
  return found == kMaxima.end() ? "" : found->second;
}

// Thread safety: none. Lives for one rendering.
class Swap {
 public:
  explicit Swap(const ColumnMove& move) : move_(move), table_(Sql(move.table)) {}

  std::string Render() {
    const DependentSwap dependents = Dependents();
    sql_ += RenderViewLocks(dependents);
    Lock();
    sql_ += RenderTakenDown(dependents);
    TakeOff();
    Rename();
    PutOn();
    sql_ += RenderPutUp(dependents);
    return std::move(sql_);
  }

 private:
  template <typename... Arguments>
  void Add(std::string_view format, const Arguments&... arguments) {
    sql_ += fmt::vformat(format, fmt::make_format_args(arguments...)) + ";\n";
  }

  DependentSwap Dependents() const {
    return {move_.table,          move_.outgoing, move_.incoming,
            move_.outgoing_after, move_.is_same,  move_.uses.dependents};
  }

  void Lock() {
    std::string tables = table_;
    for (const TableName& other : OthersLocked(move_)) tables += ", " + Sql(other);
    Add("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables);
#ifndef PAWL_MUTANT_standing_guard
    sql_ += move_.guards;
#endif
  }

  // From the outgoing column, what may not hold for it any more.
  void TakeOff() {
    for (const ForeignKeyUse& key : move_.uses.foreign_keys) {
      Add("ALTER TABLE {} DROP CONSTRAINT {}", Sql(key.table), QuoteName(key.name));
    }
    for (const IndexUse& index : move_.uses.indexes) {
      if (!index.constraint_type.empty()) {
        Add("ALTER TABLE {} DROP CONSTRAINT {}", table_, QuoteName(index.name));
      } else if (index.is_unique) {
        Add("DROP INDEX {}", QuoteName(move_.table.schema, index.name));
      } else {
        Add("ALTER INDEX {} RENAME TO {}", QuoteName(move_.table.schema, index.name),
            QuoteName(SuffixedName(index.name, move_.outgoing_suffix)));
      }
    }
    for (const CheckUse& check : move_.uses.checks) {
      Add("ALTER TABLE {} DROP CONSTRAINT {}", table_, QuoteName(check.name));
    }
    for (const StatisticsUse& statistics : move_.uses.statistics) {
      Add("ALTER STATISTICS {} RENAME TO {}", Sql(statistics.name),
          QuoteName(SuffixedName(statistics.name.name, move_.outgoing_suffix)));
    }
    if (move_.uses.identity != 0) TakeOffIdentity();
    if (!move_.uses.default_value.empty() && !move_.shares_default) {
      Add("ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT", table_, QuoteName(move_.outgoing));
    }
    if (move_.uses.not_null) {
      Add("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL", table_, QuoteName(move_.outgoing));
    }
  }

  // ALTER SEQUENCE locks out nextval(), so that no number is drawn after it was read.
  void TakeOffIdentity() {
    const std::string sequence = Sql(move_.uses.sequence.name);
    Add("ALTER SEQUENCE {} NO CYCLE", sequence);
    Add("SELECT pg_catalog.set_config('pawl.last_value', last_value::text, true), "
        "pg_catalog.set_config('pawl.is_called', is_called::text, true) FROM {}",
        sequence);
    Add("ALTER TABLE {} ALTER COLUMN {} DROP IDENTITY", table_, QuoteName(move_.outgoing));
  }

  void Rename() {
    if (move_.outgoing != move_.outgoing_after) {
      Add("ALTER TABLE {} RENAME COLUMN {} TO {}", table_, QuoteName(move_.outgoing),
          QuoteName(move_.outgoing_after));
    }
    if (move_.incoming != move_.incoming_after) {
      Add("ALTER TABLE {} RENAME COLUMN {} TO {}", table_, QuoteName(move_.incoming),
          QuoteName(move_.incoming_after));
    }
  }

  void PutOn() {
    const ColumnUses& uses = move_.uses;
    const std::string column = QuoteName(move_.incoming_after);
    if (uses.not_null) {
      // Neither reads a row: the check is proved.
      if (uses.not_null_name.empty()) {
        Add("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL", table_, column);
      } else {
        Add("ALTER TABLE {} ADD CONSTRAINT {} NOT NULL {}", table_, QuoteName(uses.not_null_name),
            column);
      }
      Add("ALTER TABLE {} DROP CONSTRAINT {}", table_, QuoteName(NotNullName(move_)));
    }
    if (!uses.default_value.empty() && !move_.shares_default) {
      Add("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}", table_, column, uses.default_value);
    }
    if (uses.identity != 0) {
      PutOnIdentity(column);
    } else if (!uses.sequence.name.name.empty()) {
      Add("ALTER SEQUENCE {} OWNED BY {}.{}", Sql(uses.sequence.name), table_, column);
    }
    for (const IndexUse& index : uses.indexes) PutOnIndex(index);
    for (const CheckUse& check : uses.checks) {
      RenameConstraint(move_.table, check.name, check.comment);
    }
    for (const ForeignKeyUse& key : uses.foreign_keys) {
      RenameConstraint(key.table, key.name, key.comment);
    }
    for (const StatisticsUse& statistics : uses.statistics) PutOnStatistics(statistics);
    if (move_.is_back) return;  // The column kept the rest.
    for (const std::string& setting : uses.settings) {
      Add("ALTER TABLE {} ALTER COLUMN {} {}", table_, column, setting);
    }
    for (std::string grant : uses.grants) Add("{}", grant.replace(grant.find('%'), 1, column));
    sql_ += Comment(fmt::format("COLUMN {}.{}", table_, column), uses.comment);
  }

  void PutOnIdentity(const std::string& column) {
    const SequenceUse& sequence = move_.uses.sequence;
    const std::string name = Sql(sequence.name);
    const std::string maximum = sequence.maximum == MaximumOf(sequence.type)
                                    ? MaximumOf(move_.incoming_type)
                                    : sequence.maximum;
    Add("ALTER TABLE {} ALTER COLUMN {} ADD GENERATED {} AS IDENTITY (SEQUENCE NAME {} {} MINVALUE "
        "{} MAXVALUE {})",
        table_, column, move_.uses.identity == 'a' ? "ALWAYS" : "BY DEFAULT", name,
        sequence.options, sequence.minimum, maximum);
    Add("SELECT pg_catalog.setval({}, pg_catalog.current_setting('pawl.last_value')::bigint, "
        "pg_catalog.current_setting('pawl.is_called')::boolean)",
        QuoteLiteral(name));
    for (const std::string& grant : sequence.grants) Add("{}", grant);
    sql_ += Comment("SEQUENCE " + name, sequence.comment);
  }

  void PutOnIndex(const IndexUse& index) {
    const std::string built = SuffixedName(index.name, move_.incoming_suffix);
    if (index.constraint_type.empty()) {
      Add("ALTER INDEX {} RENAME TO {}", QuoteName(move_.table.schema, built),
          QuoteName(index.name));
    } else {
      Add("ALTER TABLE {} ADD CONSTRAINT {} {} USING INDEX {}", table_, QuoteName(index.name),
          index.constraint_type == "p" ? "PRIMARY KEY" : "UNIQUE", QuoteName(built));
      sql_ += Comment(fmt::format("CONSTRAINT {} ON {}", QuoteName(index.name), table_),
                      index.constraint_comment);
    }
    RenameInIndex(index);
    sql_ += Comment("INDEX " + QuoteName(move_.table.schema, index.name), index.comment);
    if (index.is_clustered) Add("ALTER TABLE {} CLUSTER ON {}", table_, QuoteName(index.name));
  }

  void PutOnStatistics(const StatisticsUse& statistics) {
    const std::string& name = statistics.name.name;
    const std::string built = SuffixedName(name, move_.incoming_suffix);
    Add("ALTER STATISTICS {} RENAME TO {}", QuoteName(statistics.name.schema, built),
        QuoteName(name));
    if (move_.is_back) return;
    Add("ALTER STATISTICS {} OWNER TO {}", Sql(statistics.name), statistics.owner);
    if (!statistics.target.empty()) {
      Add("ALTER STATISTICS {} SET STATISTICS {}", Sql(statistics.name), statistics.target);
    }
    sql_ += Comment("STATISTICS " + Sql(statistics.name), statistics.comment);
  }

  // An index keeps the name that its column had when it was built: \d shows it.
  void RenameInIndex(const IndexUse& index) {
    const bool is_built = !move_.is_back || index.is_unique;
    if (!index.names_column || !is_built || move_.incoming == move_.incoming_after) return;
    Add("ALTER TABLE {} RENAME COLUMN {} TO {}", QuoteName(move_.table.schema, index.name),
        QuoteName(move_.incoming), QuoteName(move_.incoming_after));
  }

  void RenameConstraint(const TableName& table, const std::string& name,
                        const std::string& comment) {
    Add("ALTER TABLE {} RENAME CONSTRAINT {} TO {}", Sql(table),
        QuoteName(SuffixedName(name, move_.incoming_suffix)), QuoteName(name));
    sql_ += Comment(fmt::format("CONSTRAINT {} ON {}", QuoteName(name), Sql(table)), comment);
  }

  const ColumnMove& move_;
  const std::string table_;
  std::string sql_;
};

}  // namespace

std::vector<Building> BuildingsOf(const ColumnMove& move, std::string& obstacle) {
  std::vector<Building> buildings;
  for (const IndexUse& index : move.uses.indexes) {
    if (move.is_back && !index.is_unique) continue;
    const std::string name = SuffixedName(index.name, move.incoming_suffix);
    const auto sql = IndexOver(index.definition, Change(move), name, index.tablespace);
    if (!sql) obstacle = "index " + index.name;
    buildings.push_back(IndexBuilding(move, index, sql.value_or(""), name));
  }
  for (const CheckUse& check : move.uses.checks) {
    const auto definition = CheckOver(check.definition, Change(move));
    if (!definition) obstacle = "constraint " + check.name;
    AddConstraint(move.table, {}, SuffixedName(check.name, move.incoming_suffix),
                  definition.value_or(""), check.is_validated, buildings);
  }
  for (const StatisticsUse& statistics : move.uses.statistics) {
    if (move.is_back) continue;
    buildings.push_back(StatisticsBuilding(move, statistics, obstacle));
  }
  if (move.uses.not_null) {
    AddConstraint(move.table, {}, NotNullName(move),
                  fmt::format("CHECK ({} IS NOT NULL)", QuoteName(move.incoming)), true, buildings);
  }
  for (const ForeignKeyUse& key : move.uses.foreign_keys) {
    const ColumnChange none;
    const auto definition = ForeignKeyOver(key.definition, key.is_referring ? Change(move) : none,
                                           key.is_referenced ? Change(move) : none);
    if (!definition) obstacle = "foreign key " + key.name;
    AddConstraint(key.table, OtherSide(key), SuffixedName(key.name, move.incoming_suffix),
                  definition.value_or(""), key.is_validated, buildings);
  }
  for (const IndexUse& index : move.uses.indexes) {
    if (!move.is_same || move.is_back || !index.is_unique) continue;
    buildings.push_back(KeptIndex(move, index, obstacle));
  }
  return buildings;
}

std::string RenderSwap(const ColumnMove& move) { return Swap(move).Render(); }

std::vector<TableName> OthersLocked(const ColumnMove& move) {
  std::vector<TableName> others;
  for (const ForeignKeyUse& key : move.uses.foreign_keys) {
    for (const TableName& side : {key.table, key.other}) {
      if (side == move.table || std::find(others.begin(), others.end(), side) != others.end()) {
        continue;
      }
      others.push_back(side);
    }
  }
  return others;
}

}  // namespace pawl::schema
