#include "schema/partitioned_index.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/chosen_name.h"
#include "schema/form_steps.h"
#include "schema/move_checks.h"
#include "schema/partition_change.h"
#include "schema/sql_tokens.h"

namespace pawl::schema {
namespace {

using db::QuoteLiteral;
using db::QuoteName;

struct Part {
  std::int64_t oid = 0;
  std::int64_t parent_oid = 0;
  TableName name;
  bool is_partitioned = false;
  std::string index;  // Its name.
};

// The columns' part of the name that PostgreSQL chooses: a_lower_expr.
std::string ColumnsOfName(const AstObject& index) {
  std::string columns;
  for (const char* list : {"indexParams", "indexIncludingParams"}) {
    for (const AstValue& node : ArrayMember(index, list)) {
      const AstObject* element = NodeOf(node, "IndexElem");
      if (element == nullptr) continue;
      std::string name = TextMember(*element, "name");
      const AstValue* expression = Member(*element, "expr");
      if (name.empty()) name = "expr";
      if (expression != nullptr) {
        if (const AstObject* call = NodeOf(*expression, "FuncCall")) name = FunctionOf(*call).name;
      }
      columns += (columns.empty() ? "" : "_") + name;
    }
  }
  return columns;
}

// Thread safety: none. Lives for one statement.
class PartitionedIndex {
 public:
  PartitionedIndex(Planning& planning, const Statement& statement, const AstObject& index,
                   const TableShape& parent)
      : planning_(planning),
        statement_(statement),
        index_(index),
        parent_(parent),
        place_(planning.PlaceOf(statement)),
        text_(statement.text) {}

  std::vector<Step> Steps() {
    CutText();
    const std::string name = TextMember(index_, "idxname");
    if (statement_.only) {
      AddOnly({parent_.oid, 0, parent_.name, true, name});
      return std::move(steps_);
    }
    RequireSamePartitions(planning_, place_, parent_.name);
    RequireUnchanged(planning_, place_, parent_.name);
    ReadParts(name);
    for (const auto& [oid, part] : parts_) {
      if (!part.is_partitioned) AddLeaf(part);
    }
    // The whole comes last: on the way back it goes first, and takes with it what is attached.
    for (auto oid = order_.rbegin(); oid != order_.rend(); ++oid) {
      if (parts_.at(*oid).is_partitioned) AddOnly(parts_.at(*oid));
    }
    for (auto oid = order_.rbegin(); oid != order_.rend(); ++oid) {
      if (*oid != parent_.oid) AddAttach(parts_.at(*oid));
    }
    AddProof(name);
    return std::move(steps_);
  }

 private:
  [[noreturn]] void Fail(const std::string& what_was_wrong, const std::string& remedy) const {
    FailAt(place_, what_was_wrong, remedy);
  }

  // "CREATE UNIQUE INDEX" and what follows the table: "USING btree (a) WHERE …".
  void CutText() {
    const std::size_t index = text_.Find("INDEX", 0);
    head_ = text_.Cut(0, index + 1);
    std::size_t at = text_.Find("ON", index) + 1;
    if (text_[at].word == "ONLY") ++at;
    ++at;
    while (at + 1 < text_.size() && text_[at].word == ".") at += 2;
    tail_ = text_.Cut(at, text_.size());
  }

  // All partitions, each behind the one it belongs to.
  void ReadParts(const std::string& name) {
    const db::Result found = planning_.reading.session().Query(
        R"(
SELECT c.oid, coalesce(t.parentrelid::pg_catalog.oid, 0::pg_catalog.oid), n.nspname, c.relname, c.relkind,
       pg_catalog.pg_has_role(c.relowner, 'USAGE')
  FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass) AS t
  JOIN pg_catalog.pg_class AS c ON c.oid = t.relid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 ORDER BY t.level, n.nspname, c.relname)",
        {std::to_string(parent_.oid)});
    const std::string columns = ColumnsOfName(index_);
    std::set<std::string> taken = {name};
    for (const db::Row& row : found.rows) {
      Part part;
      part.oid = db::ToInt(row[0]);
      part.parent_oid = db::ToInt(row[1]);
      part.name = {db::ToText(row[2]), db::ToText(row[3])};
      const char kind = db::ToText(row[4])[0];
      part.is_partitioned = kind == 'p';
      if (kind != 'p' && kind != 'r') {
        Fail(fmt::format("partition {} is a foreign table, which has no indexes of its own",
                         Readable(part.name)),
             "Run the statement for each of the other partitions.");
      }
      if (!db::ToBool(row[5])) {
        Fail(fmt::format("only the owner of {} may do this", Readable(part.name)),
             "Connect as the owner of all partitions, or as a member of the owner's role.");
      }
      part.index = part.oid == parent_.oid ? name
                                           : ChosenIndexName(planning_.reading.session(), part.name,
                                                             columns, "idx", taken);
      order_.push_back(part.oid);
      parts_.emplace(part.oid, std::move(part));
    }
  }

  void AddLeaf(const Part& part) {
    steps_.push_back(IndexStep(
        statement_.line, part.name, part.index,
        fmt::format("{} CONCURRENTLY {} ON {} {}", head_, QuoteName(part.index), SqlName(part.name),
                    tail_),
        "CONCURRENTLY: it reads the partition twice and waits for older transactions, but stops "
        "nobody."));
  }

  void AddOnly(const Part& part) {
    Step step =
        DdlStep(statement_.line, part.name,
                fmt::format("make index {} of {}", part.index, Readable(part.name)),
                "SHARE on the partitioned table alone: milliseconds, within the stall budget",
                "ON ONLY: it reads no row, and partitions that come from now on have it.");
    const TableName index = {part.name.schema, part.index};
    step.sql =
        fmt::format("{} {} ON ONLY {} {}", head_, QuoteName(part.index), SqlName(part.name), tail_);
    step.inverse = "DROP INDEX IF EXISTS " + SqlName(index);
    steps_.push_back(std::move(step));
  }

  void AddAttach(const Part& part) {
    const Part& above = parts_.at(part.parent_oid);
    Step step = DdlStep(
        statement_.line, part.name, fmt::format("attach index {} to {}", part.index, above.index),
        fmt::format("ACCESS EXCLUSIVE on the index of {}: milliseconds, within the stall budget",
                    Readable(part.name)),
        "The index is there: it changes the catalogue only.");
    step.sql =
        fmt::format("ALTER INDEX {} ATTACH PARTITION {}", QuoteName(above.name.schema, above.index),
                    QuoteName(part.name.schema, part.index));
    steps_.push_back(std::move(step));
  }

  // A partition that was made between the plan and ON ONLY has no index.
  void AddProof(const std::string& name) {
    const std::string whole = QuoteName(parent_.name.schema, name);
    Step step = DdlStep(statement_.line, parent_.name, fmt::format("see whether {} is valid", name),
                        "none", "It is as soon as every partition has one like it.");
    step.sql = fmt::format(
        "DO $pawl$ BEGIN IF NOT (SELECT indisvalid FROM pg_catalog.pg_index WHERE indexrelid = "
        "pg_catalog.to_regclass({})) THEN RAISE EXCEPTION 'index % is not valid yet: a partition has "
        "come in meanwhile that has none like it. Build it there, ALTER INDEX … ATTACH PARTITION it, "
        "and resume', {}; END IF; END $pawl$",
        QuoteLiteral(whole), QuoteLiteral(whole));
    steps_.push_back(std::move(step));
  }

  Planning& planning_;
  const Statement& statement_;
  const AstObject& index_;
  const TableShape& parent_;
  const Place place_;
  const TokenizedText text_;
  std::string head_;
  std::string tail_;
  std::map<std::int64_t, Part> parts_;
  std::vector<std::int64_t> order_;  // Of the oids, from the whole down.
  std::vector<Step> steps_;
};

}  // namespace

std::vector<Step> PartitionedIndexSteps(Planning& planning, const Statement& statement,
                                        const AstObject& index, const TableShape& parent) {
  return PartitionedIndex(planning, statement, index, parent).Steps();
}

}  // namespace pawl::schema
