#include "schema/chosen_name.h"

#include <functional>

#include "schema/column_definitions.h"

namespace pawl::schema {
namespace {

// Of so many names one is free, or somebody plays with us.
constexpr int kTriesMax = 1'000;

void Clip(std::string& name, std::size_t length) {
  if (name.size() <= length) return;
  while (length > 0 && (static_cast<unsigned char>(name[length]) & 0xc0) == 0x80) --length;
  name.resize(length);
}

bool IsRelation(db::Session& session, const TableName& table, const std::string& name) {
  return !session
              .Query(
                  "SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = "
                  "c.relnamespace WHERE n.nspname = $1 AND c.relname = $2",
                  {table.schema, name})
              .rows.empty();
}

bool IsConstraint(db::Session& session, const TableName& table, const std::string& name) {
  return !session
              .Query(
                  "SELECT FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_namespace AS n ON "
                  "n.oid = k.connamespace WHERE n.nspname = $1 AND k.conname = $2",
                  {table.schema, name})
              .rows.empty();
}

std::string FirstFree(const TableName& table, const std::string& column, const std::string& label,
                      const std::function<bool(const std::string&)>& is_taken) {
  std::string name;
  for (int i = 0; i < kTriesMax; ++i) {
    name = ObjectName(table.name, column, i == 0 ? label : label + std::to_string(i));
    if (!is_taken(name)) break;
  }
  return name;
}

}  // namespace

std::string ObjectName(std::string table, std::string column, const std::string& label) {
  const std::size_t overhead = 1 + label.size() + (column.empty() ? 0 : 1);
  const std::size_t room = kNameBytesMax - overhead;
  std::size_t table_length = table.size();
  std::size_t column_length = column.size();
  while (table_length + column_length > room) {
    if (table_length > column_length) {
      --table_length;
    } else {
      --column_length;
    }
  }
  Clip(table, table_length);
  Clip(column, column_length);
  return table + (column.empty() ? "" : "_" + column) + "_" + label;
}

std::string ChosenConstraintName(db::Session& session, const TableName& table,
                                 const std::string& column, const std::string& label,
                                 std::set<std::string>& taken) {
  const std::string name = FirstFree(table, column, label, [&](const std::string& candidate) {
    return taken.contains(candidate) || IsConstraint(session, table, candidate);
  });
  taken.insert(name);
  return name;
}

std::string ChosenIndexName(db::Session& session, const TableName& table, const std::string& column,
                            const std::string& label, std::set<std::string>& taken) {
  const std::string name = FirstFree(table, column, label, [&](const std::string& candidate) {
    return taken.contains(candidate) || IsRelation(session, table, candidate) ||
           IsConstraint(session, table, candidate);
  });
  taken.insert(name);
  return name;
}

std::string ChosenSequenceName(db::Session& session, const TableName& table,
                               const std::string& column) {
  return FirstFree(table, column, "seq", [&](const std::string& candidate) {
    return IsRelation(session, table, candidate);
  });
}

}  // namespace pawl::schema
