#include "schema/reindex_form.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/chosen_name.h"
#include "schema/form_steps.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;

constexpr std::size_t kNamedMax = 10;

// The indexes of `tables`, a query of oids, with those of their TOAST tables.
constexpr const char* kIndexesOf = R"(
WITH wanted(oid) AS ({}),
tables AS (
  SELECT oid FROM wanted
  UNION SELECT c.reltoastrelid FROM wanted JOIN pg_catalog.pg_class AS c USING (oid) WHERE c.reltoastrelid <> 0)
SELECT i.indexrelid FROM pg_catalog.pg_index AS i JOIN tables ON tables.oid = i.indrelid)";

struct ReindexedIndex {
  TableName name;
  TableName table;  // Of a TOAST table: that.
  bool is_valid = true;
  bool is_exclusion = false;
  bool is_owner = false;
  bool is_own = false;   // Pawl's.
  bool is_left = false;  // By a REINDEX that failed.
};

// Thread safety: none. Lives for one statement.
class Reindex {
 public:
  Reindex(Planning& planning, const Statement& statement)
      : planning_(planning), statement_(statement), place_(planning.PlaceOf(statement)) {}

  void Plan() {
    const std::optional<AstValue> node = ParseOneStatement(statement_.text);
    const AstObject& body = *NodeOf(*node, "ReindexStmt");
    CheckOptions(body);
    kind_ = TextMember(body, "kind");
    const std::vector<ReindexedIndex> indexes = Indexes(QueryOf(body));
    for (const ReindexedIndex& index : indexes) Take(index);
    if (steps_.empty()) {
      Step nothing = DdlStep(statement_.line, {}, "reindex", "none", "");
      nothing.notes.emplace_back("There is no index to build anew: the statement does nothing.");
      steps_.push_back(std::move(nothing));
    }
    AddNotes();
    for (Step& step : steps_) planning_.Add(std::move(step));
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, what_was_wrong, remedy);
  }

  db::Session& session() const { return planning_.reading.session(); }
  bool is_one() const { return kind_ == "REINDEX_OBJECT_INDEX"; }

  void CheckOptions(const AstObject& body) const {
    for (const AstValue& node : ArrayMember(body, "params")) {
      const AstObject* option = NodeOf(node, "DefElem");
      const std::string name = option == nullptr ? "" : TextMember(*option, "defname");
      if (name == "concurrently" || name == "verbose") continue;
      Fail(fmt::format("option {} of REINDEX is not known to this version", name),
           "Leave it out, or run the statement with psql: REINDEX (…, CONCURRENTLY).");
    }
  }

  // A query of the oids of the indexes that are meant.
  std::string QueryOf(const AstObject& body) {
    if (kind_ == "REINDEX_OBJECT_SCHEMA") return QueryOfSchema(TextMember(body, "name"));
    if (kind_ == "REINDEX_OBJECT_DATABASE") return QueryOfDatabase(TextMember(body, "name"));
    const std::string relation = SqlName(RelationOf(*ObjectMember(body, "relation")));
    const db::Result found = session().Query(
        "SELECT c.oid, c.relkind FROM pg_catalog.pg_class AS c WHERE c.oid = "
        "pg_catalog.to_regclass($1)",
        {relation});
    if (found.rows.empty()) {
      Fail(fmt::format("{} does not exist", relation), "Check its name and the search path.");
    }
    const std::string& oid = db::ToText(found.rows[0][0]);
    const char relkind = db::ToText(found.rows[0][1])[0];
    const bool is_index = relkind == 'i' || relkind == 'I';
    const bool is_table = relkind == 'r' || relkind == 'm' || relkind == 't' || relkind == 'p';
    if (is_one() ? !is_index : !is_table) {
      Fail(fmt::format("{} is no {}", relation, is_one() ? "index" : "table"),
           "Check its name and the kind of REINDEX.");
    }
    // Of what is partitioned: the parts that hold something.
    const bool is_partitioned = relkind == 'I' || relkind == 'p';
    const std::string oids =
        is_partitioned
            ? fmt::format(
                  "SELECT relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree({}) WHERE "
                  "isleaf",
                  oid)
            : fmt::format("SELECT {}::pg_catalog.oid", oid);
    return is_index ? oids : fmt::format(kIndexesOf, oids);
  }

  std::string QueryOfSchema(const std::string& name) {
    const db::Result found =
        session().Query("SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1", {name});
    if (found.rows.empty()) {
      Fail(fmt::format("schema \"{}\" does not exist", name), "Check its name.");
    }
    if (name == "pg_catalog" || name == "pg_toast" || name == "information_schema") {
      RefuseCatalogues();
    }
    return fmt::format(
        kIndexesOf, fmt::format("SELECT oid FROM pg_catalog.pg_class WHERE relkind IN ('r', 'm') "
                                "AND relpersistence <> 't' AND relnamespace = {}",
                                db::ToText(found.rows[0][0])));
  }

  std::string QueryOfDatabase(const std::string& name) {
    const std::string current =
        db::ToText(session().Query("SELECT pg_catalog.current_database()").rows.at(0)[0]);
    if (!name.empty() && name != current) {
      Fail(fmt::format("this is database \"{}\", not \"{}\"", current, name),
           "Name the database that Pawl is connected to.");
    }
    return fmt::format(
        kIndexesOf,
        "SELECT c.oid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = "
        "c.relnamespace WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND n.nspname NOT "
        "IN ('pg_catalog', 'information_schema', 'pg_toast')");
  }

  [[noreturn]] void RefuseCatalogues() const {
    Fail("indexes of the system catalogues cannot be built while others use them",
         "Run it with psql in a quiet hour.");
  }

  std::vector<ReindexedIndex> Indexes(const std::string& query) {
    const db::Result found = session().Query(fmt::format(
        R"(
SELECT n.nspname, c.relname, tn.nspname, t.relname, i.indisvalid, i.indisexclusion,
       pg_catalog.pg_has_role(coalesce(m.relowner, t.relowner), 'USAGE'),
       coalesce(mn.nspname, tn.nspname) = 'pawl', t.oid < 16384,
       NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
  FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_catalog.pg_class AS m ON m.reltoastrelid = t.oid
  LEFT JOIN pg_catalog.pg_namespace AS mn ON mn.oid = m.relnamespace
 WHERE i.indexrelid IN ({})
 ORDER BY coalesce(mn.nspname, tn.nspname), coalesce(m.relname, t.relname), c.relname)",
        query));
    std::vector<ReindexedIndex> indexes;
    for (const db::Row& row : found.rows) {
      if (db::ToBool(row[8])) RefuseCatalogues();
      ReindexedIndex index;
      index.name = {db::ToText(row[0]), db::ToText(row[1])};
      index.table = {db::ToText(row[2]), db::ToText(row[3])};
      index.is_valid = db::ToBool(row[4]);
      index.is_exclusion = db::ToBool(row[5]);
      index.is_owner = db::ToBool(row[6]);
      index.is_own = db::ToBool(row[7]);
      index.is_left = db::ToBool(row[9]);
      indexes.push_back(std::move(index));
    }
    return indexes;
  }

  void Take(const ReindexedIndex& index) {
    const std::string name = Readable(index.name);
    if (index.is_own) {
      has_own_ = true;
    } else if (!index.is_owner) {
      if (is_one() || kind_ == "REINDEX_OBJECT_TABLE") {
        Fail(fmt::format("only the owner of {} may do this", Readable(index.table)),
             "Connect as the owner, or as a member of the owner's role.");
      }
      foreign_.push_back(name);
    } else if (index.is_exclusion) {
      if (is_one()) {
        Fail(fmt::format("{} is the index of an exclusion constraint, which cannot be built while "
                         "others write",
                         name),
             "Run it with psql in a quiet hour.");
      }
      exclusions_.push_back(name);
    } else if (index.is_left && !is_one()) {
      AddDrop(index);
    } else if (!index.is_valid && !is_one()) {
      invalid_.push_back(name);
    } else {
      AddReindex(index);
    }
  }

  void AddDrop(const ReindexedIndex& index) {
    Step step = DdlStep(statement_.line, index.table,
                        fmt::format("drop {}, left by a REINDEX that failed", Readable(index.name)),
                        kNobodyWaits, "CONCURRENTLY: it stops nobody.");
    step.sql = "DROP INDEX CONCURRENTLY IF EXISTS " + SqlName(index.name);
    step.alone = true;
    step.settled =
        fmt::format("SELECT pg_catalog.to_regclass({}) IS NULL", QuoteLiteral(SqlName(index.name)));
    // Those that were left go first: else the new ones would get other names.
    steps_.insert(steps_.begin() + drops_++, std::move(step));
  }

  void AddReindex(const ReindexedIndex& index) {
    Step step =
        DdlStep(statement_.line, index.table, fmt::format("reindex {}", Readable(index.name)),
                kNobodyWaits, "CONCURRENTLY: a new index beside the old one, then a swap.");
    step.sql = "REINDEX INDEX CONCURRENTLY " + SqlName(index.name);
    step.alone = true;
    // Dropped since: there is nothing to do.
    step.settled =
        fmt::format("SELECT pg_catalog.to_regclass({}) IS NULL", QuoteLiteral(SqlName(index.name)));
    // What a REINDEX that failed leaves beside the index: the new one, or the old one after the swap.
    const std::string left = fmt::format(
        "FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid WHERE "
        "NOT i.indisvalid AND i.indrelid = pg_catalog.to_regclass({}) AND "
        "pg_catalog.rtrim(c.relname::pg_catalog.text, '0123456789') IN ({}, {})",
        QuoteLiteral(SqlName(index.table)), QuoteLiteral(ObjectName(index.name.name, "", "ccnew")),
        QuoteLiteral(ObjectName(index.name.name, "", "ccold")));
    step.leftover = fmt::format("SELECT EXISTS (SELECT {})", left);
    step.clear = fmt::format(
        "SELECT pg_catalog.format('DROP INDEX CONCURRENTLY IF EXISTS %I.%I', {}, c.relname) {}",
        QuoteLiteral(index.name.schema), left);
    steps_.push_back(std::move(step));
  }

  void Note(const std::string& sentence, const std::vector<std::string>& names) {
    if (names.empty()) return;
    const std::vector<std::string> first(
        names.begin(),
        names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kNamedMax)));
    const std::string more =
        names.size() > kNamedMax ? fmt::format(" and {} more", names.size() - kNamedMax) : "";
    steps_[0].notes.push_back(fmt::format("{}: {}{}.", sentence, fmt::join(first, ", "), more));
  }

  void AddNotes() {
    std::vector<std::string>& notes = steps_[0].notes;
    notes.emplace_back("There is nothing to take back: the index holds the same.");
    if (kind_ == "REINDEX_OBJECT_DATABASE") {
      notes.emplace_back(
          "Left out: the system catalogues, whose indexes cannot be built while others use them.");
    }
    if (has_own_) notes.emplace_back("Left out: Pawl's own tables, which the run uses itself.");
    Note("Left out, of exclusion constraints, which cannot be built while others write",
         exclusions_);
    Note("Left out, as invalid: drop them, or build them by REINDEX INDEX", invalid_);
    Note("Left out, as another role's", foreign_);
  }

  Planning& planning_;
  const Statement& statement_;
  const Place place_;
  std::string kind_;
  std::vector<Step> steps_;
  std::ptrdiff_t drops_ = 0;
  std::vector<std::string> exclusions_;
  std::vector<std::string> invalid_;
  std::vector<std::string> foreign_;
  bool has_own_ = false;
};

}  // namespace

bool IsReindex(const AstValue& node) {
  const AstObject* reindex = NodeOf(node, "ReindexStmt");
  return reindex != nullptr && TextMember(*reindex, "kind") != "REINDEX_OBJECT_SYSTEM";
}

void PlanReindex(Planning& planning, const Statement& statement) {
  Reindex(planning, statement).Plan();
}

}  // namespace pawl::schema
