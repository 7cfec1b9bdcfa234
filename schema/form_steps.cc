#include "schema/form_steps.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/sql_tokens.h"

namespace pawl::schema {

using db::QuoteLiteral;
using db::QuoteName;

std::string SqlName(const TableName& name) { return QuoteName(name.schema, name.name); }

bool IsBrief(const Step& step) { return step.lock.ends_with("within the stall budget"); }

std::chrono::milliseconds LockWaitOf(const Step& step) {
  const bool is_detach =
      step.sql.starts_with("ALTER TABLE ") && step.sql.ends_with(" CONCURRENTLY");
  return std::chrono::milliseconds(is_detach ? 50 : 0);
}

Step DdlStep(int line, const TableName& table, const std::string& title, const std::string& lock,
             const std::string& why) {
  Step step;
  step.kind = StepKind::kDdl;
  step.line = line;
  step.title = title;
  step.lock = lock;
  step.why = why;
  step.table = table;
  return step;
}

std::string HasIndex(const TableName& index, bool valid) {
  return fmt::format(
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indexrelid = "
      "pg_catalog.to_regclass({}) AND {}indisvalid)",
      QuoteLiteral(SqlName(index)), valid ? "" : "NOT ");
}

std::string HasConstraint(const TableName& table, const std::string& name,
                          const std::string& condition) {
  return fmt::format(
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = "
      "pg_catalog.to_regclass({}) AND conname = {}{})",
      QuoteLiteral(SqlName(table)), QuoteLiteral(name), condition);
}

std::string DropConstraint(const TableName& table, const std::string& name) {
  return fmt::format("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", SqlName(table),
                     QuoteName(name));
}

Step IndexStep(int line, const TableName& table, const std::string& name, const std::string& sql,
               const std::string& why) {
  Step step = DdlStep(line, table, fmt::format("build index {} on {}", name, Readable(table)),
                      kNobodyWaits, why);
  const TableName index = {table.schema, name};
  step.sql = sql;
  step.inverse = "DROP INDEX CONCURRENTLY IF EXISTS " + SqlName(index);
  step.alone = true;
  step.settled = HasIndex(index, true);
  step.leftover = HasIndex(index, false);
  step.clear = step.inverse;
  return step;
}

Step ValidationStep(int line, const TableName& table, const std::string& name) {
  Step step = DdlStep(line, table, fmt::format("validate {} of {}", name, Readable(table)),
                      kNobodyWaits, "It reads every row and stops nobody.");
  step.sql = fmt::format("ALTER TABLE {} VALIDATE CONSTRAINT {}", SqlName(table), QuoteName(name));
  step.alone = true;
  step.settled = HasConstraint(table, name, " AND convalidated");
  return step;
}

std::string Concurrently(const std::string& create_index) {
  const TokenizedText text(create_index);
  const std::size_t index = text.Find("INDEX", 0);
  std::size_t name = index + 1;
  if (text[name].word == "CONCURRENTLY") ++name;
  if (text[name].word == "IF") name += 3;
  return text.Cut(0, index + 1) + " CONCURRENTLY " + text.Cut(name, text.size());
}

std::string IndexOn(const std::string& definition, const std::string& name,
                    const TableName& table) {
  const TokenizedText text(definition);
  const std::size_t index = text.Find("INDEX", 0);
  const std::size_t method = text.Find("USING", index);
  return fmt::format("{} CONCURRENTLY {} ON {} {}", text.Cut(0, index + 1), QuoteName(name),
                     SqlName(table), text.Cut(method, text.size()));
}

std::string RowInWords(const TableShape& table) {
  if (table.keys.empty()) return "'row ' || ctid::text";
  std::string words;
  for (const std::string& key : table.keys[0].columns) {
    words += fmt::format("{}{} || ' ' || {}::text", words.empty() ? "" : " || ', ' || ",
                         QuoteLiteral(key), QuoteName(key));
  }
  return words;
}

}  // namespace pawl::schema
