#include "schema/new_column.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "db/quote.h"
#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/sql_tokens.h"
#include "schema/type_text.h"

namespace pawl::schema {
namespace {

using db::QuoteName;
using Kind = NewConstraint::Kind;

const AstObject* DefinitionIn(const std::optional<AstValue>& node) {
  const AstObject* alter = node ? NodeOf(*node, "AlterTableStmt") : nullptr;
  if (alter == nullptr || ArrayMember(*alter, "cmds").size() != 1) return nullptr;
  const AstObject* command = NodeOf(ArrayMember(*alter, "cmds")[0], "AlterTableCmd");
  const AstObject* holder = command == nullptr ? nullptr : ObjectMember(*command, "def");
  return holder == nullptr ? nullptr : ObjectMember(*holder, "ColumnDef");
}

// DEFERRABLE and its like belong to the constraint before them.
bool IsAttribute(const std::string& type) { return type.starts_with("CONSTR_ATTR_"); }

bool IsNull(const AstValue& expression) {
  if (const AstObject* cast = NodeOf(expression, "TypeCast")) {
    return Member(*cast, "arg") != nullptr && IsNull(*Member(*cast, "arg"));
  }
  const AstObject* constant = NodeOf(expression, "A_Const");
  return constant != nullptr && FlagMember(*constant, "isnull");
}

std::string IntegerOf(const std::string& serial) {
  if (serial == "smallserial" || serial == "serial2") return "smallint";
  return serial == "bigserial" || serial == "serial8" ? "bigint" : "integer";
}

// Thread safety: none. Lives for one statement.
class Reader {
 public:
  explicit Reader(const Statement& statement)
      : text_(statement.text), alias_(statement.alias), node_(ParseOneStatement(statement.text)) {
    column_.name = statement.column;
    column_.written_type = column_.type = statement.type;
  }

  NewColumn Read() {
    const AstObject* definition = DefinitionIn(node_);
    if (definition == nullptr) {
      column_.obstacle = "its definition cannot be read";
      return std::move(column_);
    }
    const AstObject* type = ObjectMember(*definition, "typeName");
    column_.is_serial = type != nullptr && IsSerial(*type);
    if (column_.is_serial) column_.type = IntegerOf(column_.written_type);
    FindBoundaries(*definition);
    TakeHead(*definition);
    for (const AstValue& node : ArrayMember(*definition, "constraints")) {
      const AstObject* constraint = NodeOf(node, "Constraint");
      if (constraint != nullptr) Take(*constraint);
    }
    const bool has_default = !column_.default_value.empty() || has_null_default_;
    const int sources = int{has_default} + int{column_.is_serial} + int{column_.identity != 0} +
                        int{column_.is_generated};
    if (sources > 1) column_.obstacle = "it says more than once where its values come from";
    if (is_nullable_ && (column_.is_not_null || column_.is_drawn_from_own_sequence())) {
      column_.obstacle = "it is said to be both NULL and NOT NULL";
    }
    if (column_.is_drawn_from_own_sequence()) column_.is_not_null = true;
    return std::move(column_);
  }

 private:
  // Where pieces of the definition begin, in bytes.
  void FindBoundaries(const AstObject& definition) {
    for (const AstValue& node : ArrayMember(definition, "constraints")) {
      const AstObject* constraint = NodeOf(node, "Constraint");
      if (constraint == nullptr || IsAttribute(TextMember(*constraint, "contype"))) continue;
      boundaries_.push_back(LocationOf(*constraint));
    }
    if (const AstObject* collation = ObjectMember(definition, "collClause")) {
      boundaries_.push_back(LocationOf(*collation));
    }
    std::sort(boundaries_.begin(), boundaries_.end());
  }

  std::size_t TokenAt(std::size_t location) const {
    std::size_t index = 0;
    while (index < text_.size() && text_[index].begin < location) ++index;
    return index;
  }

  // The tokens from `location` to the next boundary, half-open.
  std::pair<std::size_t, std::size_t> Extent(std::size_t location) const {
    const auto next = std::upper_bound(boundaries_.begin(), boundaries_.end(), location);
    return {TokenAt(location), next == boundaries_.end() ? text_.size() : TokenAt(*next)};
  }

  void TakeHead(const AstObject& definition) {
    const auto [first, last] = Extent(LocationOf(definition));
    column_.definition =
        column_.is_serial
            ? fmt::format("{} {}", QuoteName(column_.name), column_.type)
            : fmt::format("{} {}", QuoteName(column_.name), text_.Cut(first + 1, last));
    const AstObject* collation = ObjectMember(definition, "collClause");
    if (collation == nullptr) return;
    const auto [begin, end] = Extent(LocationOf(*collation));
    column_.definition += " " + text_.Cut(begin, end);
  }

  void Take(const AstObject& constraint) {
    const std::string type = TextMember(constraint, "contype");
    auto [first, last] = Extent(LocationOf(constraint));
    if (!TextMember(constraint, "conname").empty()) first += 2;  // CONSTRAINT name
    if (type == "CONSTR_NULL") {
      is_nullable_ = true;
    } else if (type == "CONSTR_NOTNULL") {
      column_.is_not_null = true;
    } else if (type == "CONSTR_DEFAULT") {
      const AstValue* value = Member(constraint, "raw_expr");
      has_null_default_ = value != nullptr && IsNull(*value);
      if (!has_null_default_) column_.default_value = text_.Cut(first + 1, last);
    } else if (type == "CONSTR_IDENTITY") {
      column_.identity = TextMember(constraint, "generated_when") == "a" ? 'a' : 'd';
      TakeIdentityOptions(constraint, first, last);
    } else if (type == "CONSTR_GENERATED") {
      column_.is_generated = true;
      const std::size_t open = text_.Find("(", first);
      column_.generation = text_.Cut(open + 1, text_.Closing(open));
    } else if (!IsAttribute(type)) {
      TakeConstraint(constraint, type, first, last);
    }
  }

  // The same options make two sequences here, one after the other, so a name of the user's own would be
  // taken by the first.
  void TakeIdentityOptions(const AstObject& constraint, std::size_t first, std::size_t last) {
    static const std::set<std::string> kKnown = {"start",    "increment", "minvalue",
                                                 "maxvalue", "cache",     "cycle"};
    for (const AstValue& node : ArrayMember(constraint, "options")) {
      const AstObject* option = NodeOf(node, "DefElem");
      const std::string name = option == nullptr ? "" : TextMember(*option, "defname");
      if (kKnown.contains(name)) continue;
      column_.obstacle = fmt::format("the option {} of an identity is not known here", name);
    }
    const std::size_t open = text_.Find("(", first);
    if (open < last) column_.identity_options = text_.Cut(open, last);
  }

  void TakeConstraint(const AstObject& constraint, const std::string& type, std::size_t first,
                      std::size_t last) {
    NewConstraint taken;
    taken.name = TextMember(constraint, "conname");
    const std::string list = fmt::format("({})", QuoteName(column_.name));
    if (type == "CONSTR_CHECK") {
      taken.text = text_.Cut(first, last);
      if (const AstValue* check = Member(constraint, "raw_expr")) {
        taken.columns = ColumnsRead(*check, alias_);
      }
    } else if (type == "CONSTR_FOREIGN") {
      taken.kind = Kind::kForeignKey;
      taken.text = fmt::format("FOREIGN KEY {} {}", list, text_.Cut(first, last));
    } else if (type == "CONSTR_UNIQUE" || type == "CONSTR_PRIMARY") {
      const bool is_primary = type == "CONSTR_PRIMARY";
      taken.kind = is_primary ? Kind::kPrimaryKey : Kind::kUnique;
      std::size_t words = first + (is_primary ? 2 : 1);
      if (words < last && text_[words].word == "NULLS") {
        words += text_[words + 1].word == "NOT" ? 3 : 2;
      }
      const std::string rest = text_.Cut(words, last);
      taken.text =
          fmt::format("{} {}{}{}", text_.Cut(first, words), list, rest.empty() ? "" : " ", rest);
      if (is_primary) column_.is_not_null = true;
    } else {
      column_.obstacle = "a constraint of it is not known to this version";
      return;
    }
    column_.constraints.push_back(std::move(taken));
  }

  const TokenizedText text_;
  const std::string alias_;  // The table's name, by which a check may qualify a column.
  const std::optional<AstValue> node_;
  NewColumn column_;
  std::vector<std::size_t> boundaries_;
  bool is_nullable_ = false;
  bool has_null_default_ = false;
};

}  // namespace

bool NewColumn::has_primary_key() const {
  return std::any_of(constraints.begin(), constraints.end(), [](const NewConstraint& constraint) {
    return constraint.kind == NewConstraint::Kind::kPrimaryKey;
  });
}

NewColumn NewColumnOf(const Statement& statement) { return Reader(statement).Read(); }

}  // namespace pawl::schema
