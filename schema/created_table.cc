#include "schema/created_table.h"

#include <algorithm>

#include <fmt/format.h>

#include "db/error.h"
#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/type_text.h"

namespace pawl::schema {
namespace {

// Bits of TableLikeClause (nodes/parsenodes.h): CREATE_TABLE_LIKE_GENERATED, …_IDENTITY, …_INDEXES.
constexpr std::int64_t kLikeGenerated = 1 << 4;
constexpr std::int64_t kLikeIdentity = 1 << 5;
constexpr std::int64_t kLikeIndexes = 1 << 6;

// Thread safety: none. Lives for one statement.
class CreatedTable {
 public:
  CreatedTable(db::Session& session, const Place& place, const FindTable& find,
               std::vector<std::string>& notes)
      : session_(session), place_(place), find_(find), notes_(notes) {}

  TableShape Shape(const Statement& statement) {
    table_.name = statement.target;
    table_.may_select = table_.may_update = table_.may_insert = table_.may_delete = true;
    table_.may_create_trigger = table_.is_owner = true;
    table_.is_cached = true;
    table_.rows_in_statistics = 0;
    const std::optional<AstValue> node = ParseOneStatement(statement.text);
    const AstObject* body = node ? NodeOf(*node, "CreateStmt") : nullptr;
    PAWL_CHECK(body != nullptr);
    if (Member(*body, "partspec") != nullptr) table_.kind = 'p';
    for (const AstValue& element : ArrayMember(*body, "tableElts")) AddElement(element);
    KeepKeysOfNotNullColumns();
    return std::move(table_);
  }

 private:
  void AddElement(const AstValue& element) {
    if (const AstObject* column = NodeOf(element, "ColumnDef")) {
      AddColumn(*column);
    } else if (const AstObject* constraint = NodeOf(element, "Constraint")) {
      AddConstraint(*constraint, {});
    } else if (const AstObject* like = NodeOf(element, "TableLikeClause")) {
      AddLike(*like);
    }
  }

  void AddColumn(const AstObject& definition) {
    TableColumn column;
    column.column.name = TextMember(definition, "colname");
    const AstObject* type_name = ObjectMember(definition, "typeName");
    const std::string type = TypeOf(type_name);
    if (type.empty()) {
      FailAt(place_, fmt::format("the type of column \"{}\" cannot be read", column.column.name),
             "Write the type with plain modifiers.");
    }
    column.column = ResolveOrFail(column.column.name, type);
    column.is_created = true;
    column.column.not_null = type_name != nullptr && IsSerial(*type_name);
    table_.columns.push_back(column);
    for (const AstValue& node : ArrayMember(definition, "constraints")) {
      const AstObject* constraint = NodeOf(node, "Constraint");
      if (constraint != nullptr) AddConstraint(*constraint, column.column.name);
    }
  }

  static std::string TypeOf(const AstObject* type_name) {
    if (type_name == nullptr) return {};
    if (!IsSerial(*type_name)) return TypeText(*type_name).value_or("");
    const AstArray& names = ArrayMember(*type_name, "names");
    const std::string serial = StringOf(names[names.size() - 1]);
    if (serial == "smallserial" || serial == "serial2") return "smallint";
    return serial == "bigserial" || serial == "serial8" ? "bigint" : "integer";
  }

  Column ResolveOrFail(const std::string& name, const std::string& type) {
    try {
      return ResolveType(session_, name, type);
    } catch (const db::Error& error) {
      if (error.action() == db::Action::kReconnect) throw;
      FailAt(place_, fmt::format("column \"{}\": {}", name, error.what()),
             "A type that this file creates cannot be used in it yet: create it in a migration "
             "before this one.");
    }
  }

  // `column` is that of a column constraint; empty for one of the table.
  void AddConstraint(const AstObject& constraint, const std::string& column) {
    const std::string type = TextMember(constraint, "contype");
    TableColumn* own = FindColumn(column);
    if (type == "CONSTR_NOTNULL" && own != nullptr) own->column.not_null = true;
    if (type == "CONSTR_GENERATED" && own != nullptr) own->is_generated = true;
    if (type == "CONSTR_IDENTITY" && own != nullptr) {
      own->column.not_null = true;
      own->is_identity_always = TextMember(constraint, "generated_when") == "a";
    }
    if (type != "CONSTR_PRIMARY" && type != "CONSTR_UNIQUE") return;
    AddKey(constraint, column, type == "CONSTR_PRIMARY");
  }

  void AddKey(const AstObject& constraint, const std::string& column, bool is_primary) {
    if (FlagMember(constraint, "deferrable")) return;
    KeyIndex key;
    key.name = TextMember(constraint, "conname");
    if (key.name.empty()) key.name = table_.name.name + (is_primary ? "_pkey" : "_key");
    key.is_primary = is_primary;
    if (!column.empty()) key.columns.push_back(column);
    for (const AstValue& name : ArrayMember(constraint, "keys")) {
      key.columns.push_back(StringOf(name));
    }
    table_.index_count += 1;
    for (const std::string& name : key.columns) {
      table_.indexed_columns.push_back(name);
      if (TableColumn* member = FindColumn(name); is_primary && member != nullptr) {
        member->column.not_null = true;
      }
    }
    table_.keys.push_back(std::move(key));
  }

  void AddLike(const AstObject& like) {
    const AstObject* relation = ObjectMember(like, "relation");
    const TableName name = relation == nullptr ? TableName{} : RelationOf(*relation);
    const std::optional<TableShape> model = find_(name);
    if (!model) {
      FailAt(place_, fmt::format("LIKE names table \"{}\", which does not exist", Readable(name)),
             "Correct the name.");
    }
    const AstValue* member = Member(like, "options");
    const std::int64_t options = member == nullptr ? 0 : member->to_number<std::int64_t>();
    for (TableColumn column : model->columns) {
      column.is_created = true;
      column.is_generated = column.is_generated && (options & kLikeGenerated) != 0;
      column.is_identity_always = column.is_identity_always && (options & kLikeIdentity) != 0;
      column.may_update = true;
      table_.columns.push_back(std::move(column));
    }
    if ((options & kLikeIndexes) == 0) return;
    table_.keys.insert(table_.keys.end(), model->keys.begin(), model->keys.end());
    table_.index_count += model->index_count;
    if (!model->keys.empty()) {
      notes_.push_back(fmt::format("The names of the indexes of {} are not known before it exists.",
                                   Readable(table_.name)));
    }
  }

  TableColumn* FindColumn(const std::string& name) {
    const auto found =
        std::find_if(table_.columns.begin(), table_.columns.end(),
                     [&](const TableColumn& column) { return column.column.name == name; });
    return found == table_.columns.end() ? nullptr : &*found;
  }

  void KeepKeysOfNotNullColumns() {
    std::erase_if(table_.keys, [&](const KeyIndex& key) {
      return !std::all_of(key.columns.begin(), key.columns.end(), [&](const std::string& name) {
        const TableColumn* column = FindColumn(name);
        return column != nullptr && column->column.not_null;
      });
    });
    std::stable_sort(table_.keys.begin(), table_.keys.end(),
                     [](const KeyIndex& left, const KeyIndex& right) {
                       return left.is_primary > right.is_primary;
                     });
  }

  db::Session& session_;
  const Place& place_;
  const FindTable& find_;
  std::vector<std::string>& notes_;
  TableShape table_;
};

}  // namespace

TableShape ShapeOfCreated(db::Session& session, const Place& place, const Statement& statement,
                          const FindTable& find, std::vector<std::string>& notes) {
  return CreatedTable(session, place, find, notes).Shape(statement);
}

}  // namespace pawl::schema
