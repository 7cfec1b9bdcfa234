#include "schema/lint_catalog.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "db/error.h"
#include "db/quote.h"
#include "schema/ast_queries.h"
#include "schema/catalog.h"
#include "schema/new_column_default.h"
#include "schema/type_text.h"

namespace pawl::schema {
namespace {

// The only sub-command of ALTER TABLE that is `subtype`; with several, none is settled here.
const AstObject* CommandOf(const AstValue& node, std::string_view subtype) {
  const AstObject* alter = NodeOf(node, "AlterTableStmt");
  if (alter == nullptr) return nullptr;
  const AstObject* found = nullptr;
  for (const AstValue& entry : ArrayMember(*alter, "cmds")) {
    const AstObject* command = NodeOf(entry, "AlterTableCmd");
    if (command == nullptr || TextMember(*command, "subtype") != subtype) continue;
    if (found != nullptr) return nullptr;
    found = command;
  }
  return found;
}

// Casts that only look at the bytes in another way, and modifiers that only widen. After
// ATColumnChangeRequiresRewrite (tablecmds.c), varchar_support, numeric_support and
// temporal_support: in doubt it says true.
constexpr const char* kRewritesSql = R"sql(
WITH old AS (
  SELECT a.atttypid AS type, a.atttypmod AS modifier FROM pg_attribute AS a
   WHERE a.attrelid = $1::oid AND a.attname = $2::text AND NOT a.attisdropped
), new AS (
  SELECT $3::regtype::oid AS type, $4::integer AS modifier
)
SELECT NOT CASE
         WHEN old.type = new.type AND new.type IN ('varchar'::regtype, 'varbit'::regtype)
           THEN new.modifier = -1 OR (old.modifier <> -1 AND old.modifier <= new.modifier)
         WHEN old.type = new.type AND new.type = 'numeric'::regtype
           THEN new.modifier = -1 OR (old.modifier <> -1 AND (old.modifier - 4) & 65535 =
                (new.modifier - 4) & 65535 AND old.modifier <= new.modifier)
         WHEN old.type = new.type THEN old.modifier = new.modifier OR (new.modifier = -1 AND new.type IN (
                'timestamp'::regtype, 'timestamptz'::regtype, 'time'::regtype, 'timetz'::regtype,
                'interval'::regtype))
         WHEN new.modifier <> -1 THEN false
         ELSE EXISTS (SELECT FROM pg_cast AS c WHERE c.castsource = old.type AND c.casttarget = new.type
                         AND c.castmethod = 'b')
       END
  FROM old, new)sql";

}  // namespace

std::optional<RelationFacts> LintCatalog::Find(const TableName& table) {
  if (session_ == nullptr || table.name.empty()) return std::nullopt;
  const std::optional<std::int64_t> oid = FindRelation(*session_, table);
  if (!oid) return std::nullopt;
  const auto found = session_->Query(
      "SELECT CASE WHEN relkind = 'p' THEN (SELECT coalesce(sum(greatest(l.reltuples, 0)), 0) FROM "
      "pg_partition_tree($1::oid) AS p JOIN pg_class AS l ON l.oid = p.relid WHERE p.isleaf) ELSE "
      "reltuples END::float8 FROM pg_class WHERE oid = $1::oid",
      {std::to_string(*oid)});
  return RelationFacts{*oid, std::stod(db::ToText(found.rows.at(0)[0]))};
}

std::vector<std::string> LintCatalog::TriggersOn(std::int64_t table, const std::string& event) {
  std::vector<std::string> triggers;
  if (session_ == nullptr) return triggers;
  const char* bit = event == "INSERT" ? "4" : event == "DELETE" ? "8" : "16";
  const auto found = session_->Query(
      "SELECT t.tgname || ' (' || t.tgfoid::regproc || ')' FROM pg_trigger AS t WHERE t.tgrelid = "
      "$1::oid AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & $2::integer <> 0 ORDER "
      "BY 1",
      {std::to_string(table), bit});
  for (const db::Row& row : found.rows) triggers.push_back(db::ToText(row[0]));
  return triggers;
}

std::vector<std::string> LintCatalog::DependentsOf(std::int64_t table) {
  std::vector<std::string> dependents;
  if (session_ == nullptr) return dependents;
  const auto found = session_->Query(
      R"sql(SELECT DISTINCT CASE r.relkind WHEN 'm' THEN 'materialized view ' ELSE 'view ' END ||
                   r.oid::regclass
              FROM pg_depend AS d JOIN pg_rewrite AS w ON w.oid = d.objid
              JOIN pg_class AS r ON r.oid = w.ev_class
             WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
               AND d.refobjid = $1::oid AND r.oid <> $1::oid
            UNION
            SELECT 'foreign key ' || quote_ident(c.conname) || ' of ' || c.conrelid::regclass
              FROM pg_constraint AS c WHERE c.contype = 'f' AND c.confrelid = $1::oid
            ORDER BY 1 LIMIT 10)sql",
      {std::to_string(table)});
  for (const db::Row& row : found.rows) dependents.push_back(db::ToText(row[0]));
  return dependents;
}

bool LintCatalog::FindsFewByReadingAll(const Statement& statement, const RelationFacts& facts) {
  if (session_ == nullptr || !statement.from_clause.empty()) return false;
  try {
    const auto explained = session_->Query(fmt::format(
        "EXPLAIN (FORMAT JSON) SELECT 1 FROM {}{} AS {} WHERE {}", statement.only ? "ONLY " : "",
        db::QuoteName(statement.target.schema, statement.target.name),
        db::QuoteName(statement.alias), statement.where_clause));
    const boost::json::value plan = boost::json::parse(db::ToText(explained.rows.at(0)[0]));
    const boost::json::object& top = plan.as_array().at(0).as_object().at("Plan").as_object();
    const std::string text = boost::json::serialize(plan);
    return text.find("\"Seq Scan\"") != std::string::npos && facts.rows > 0 &&
           top.at("Plan Rows").to_number<double>() < facts.rows / 10;
  } catch (const db::Error& error) {
    if (error.action() == db::Action::kReconnect) throw;
    return false;  // A column that the file makes first.
  }
}

void LintCatalog::Refine(const AstValue& node, DdlEffect& effect) {
  if (session_ == nullptr || effect.locks.empty()) return;
  const std::optional<RelationFacts> facts = Find(effect.locks.front().table);
  if (!facts) return;
  if (effect.rule == "alter_column_type") {
    if (const AstObject* command = CommandOf(node, "AT_AlterColumnType")) {
      RefineType(*command, facts->oid, effect);
    }
  } else if (effect.rule == "add_column_type") {
    if (const AstObject* command = CommandOf(node, "AT_AddColumn")) {
      RefineColumnType(*Member(*command, "def"), effect);
    }
  } else if (effect.rule == "add_column_default") {
    if (const AstObject* command = CommandOf(node, "AT_AddColumn")) {
      RefineDefault(*Member(*command, "def"), effect);
    }
  } else if (effect.rule == "set_not_null") {
    if (const AstObject* command = CommandOf(node, "AT_SetNotNull")) {
      RefineNotNull(*command, facts->oid, effect);
    }
  }
}

void LintCatalog::RefineType(const AstObject& command, std::int64_t table, DdlEffect& effect) {
  const AstObject* definition = ObjectMember(command, "def");
  const AstObject* column =
      definition == nullptr ? nullptr : ObjectMember(*definition, "ColumnDef");
  const AstObject* type = column == nullptr ? nullptr : ObjectMember(*column, "typeName");
  if (type == nullptr || Member(*column, "raw_default") != nullptr) return;  // USING: anything.
  const std::optional<std::string> text = TypeText(*type);
  if (!text) return;
  try {
    const auto named = session_->Query(fmt::format("SELECT pg_typeof(NULL::{})::text", *text));
    const std::size_t open = text->find('(');
    std::int64_t typmod = -1;
    if (open != std::string::npos) {
      const std::size_t comma = text->find(',', open);
      const std::int64_t first = std::stoll(text->substr(open + 1));
      const bool numeric = text->starts_with("numeric");
      const std::int64_t second =
          comma == std::string::npos ? 0 : std::stoll(text->substr(comma + 1));
      typmod = numeric ? ((first << 16) | second) + 4 : first + (text->starts_with("bit") ? 0 : 4);
      if (text->starts_with("time") || text->starts_with("interval")) return;  // Stays a maybe.
    }
    const auto found =
        session_->Query(kRewritesSql, {std::to_string(table), TextMember(command, "name"),
                                       db::ToText(named.rows.at(0)[0]), std::to_string(typmod)});
    if (found.rows.empty()) return;
    const bool rewrites = db::ToBool(found.rows[0][0]);
    effect.rewrites = effect.scans = rewrites ? Certainty::kYes : Certainty::kNo;
    if (!rewrites) effect.online_form.clear();
  } catch (const db::Error& error) {
    if (error.action() == db::Action::kReconnect) throw;
  } catch (const std::exception&) {
    // A modifier that is no number: it stays a maybe.
  }
}

void LintCatalog::RefineColumnType(const AstValue& definition, DdlEffect& effect) {
  const AstObject* column = NodeOf(definition, "ColumnDef");
  const AstObject* type = column == nullptr ? nullptr : ObjectMember(*column, "typeName");
  const std::optional<std::string> text = type == nullptr ? std::nullopt : TypeText(*type);
  if (!text) return;
  const auto known = session_->Query("SELECT pg_catalog.to_regtype($1::text) IS NOT NULL", {*text});
  if (!db::ToBool(known.rows.at(0)[0])) return;  // One that the file makes first.
  const bool rewrites = !RewriteByType(*session_, *text).empty();
  effect.scans = effect.rewrites = rewrites ? Certainty::kYes : Certainty::kNo;
  if (!rewrites) effect.online_form.clear();
}

void LintCatalog::RefineDefault(const AstValue& definition, DdlEffect& effect) {
  for (const FunctionCall& call : FunctionsIn(definition)) {
    const auto found = session_->Query(
        "SELECT coalesce(bool_or(provolatile = 'v'), true) FROM pg_proc WHERE proname = $1",
        {call.name});
    if (db::ToBool(found.rows.at(0)[0])) {
      effect.scans = effect.rewrites = Certainty::kYes;
      return;
    }
  }
  effect.scans = effect.rewrites = Certainty::kNo;
  effect.online_form.clear();
}

void LintCatalog::RefineNotNull(const AstObject& command, std::int64_t table, DdlEffect& effect) {
  if (const auto unproved = UnprovedNotNull(*session_, table, TextMember(command, "name"))) {
    effect.online_form = fmt::format(
        "VALIDATE CONSTRAINT {}, which lets everybody work: it is that NOT NULL, NOT VALID.",
        db::QuoteName(*unproved));
    return;
  }
  // Only the plain form is looked for; PostgreSQL proves more.
  const auto found = session_->Query(
      "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = $1::oid AND contype = 'c' AND "
      "convalidated AND pg_get_constraintdef(oid) = format('CHECK ((%I IS NOT NULL))', $2::text)) OR "
      "(SELECT attnotnull FROM pg_attribute WHERE attrelid = $1::oid AND attname = $2::text)",
      {std::to_string(table), TextMember(command, "name")});
  if (!found.rows.at(0)[0] || !db::ToBool(found.rows[0][0])) return;
  effect.scans = Certainty::kNo;
  effect.online_form.clear();
}

}  // namespace pawl::schema
