// What ALTER TABLE does, sub-command by sub-command, and ALTER INDEX in the same clothes.
#include "schema/ddl_effect_takers.h"

#include <algorithm>
#include <set>
#include <string>

#include "schema/ast_queries.h"
#include "schema/ddl_effect_table.h"
#include "schema/type_text.h"

namespace pawl::schema {
namespace {

// "ALTER TABLE … ", or that of what else has its sub-commands.
std::string AlterWords(const std::string& object) {
  if (object == "OBJECT_VIEW") return "ALTER VIEW … ";
  if (object == "OBJECT_MATVIEW") return "ALTER MATERIALIZED VIEW … ";
  if (object == "OBJECT_SEQUENCE") return "ALTER SEQUENCE … ";
  if (object == "OBJECT_FOREIGN_TABLE") return "ALTER FOREIGN TABLE … ";
  return "ALTER TABLE … ";
}

// False where the type may be a domain: its name is none that PostgreSQL has, and the text does not
// say what it is. Enums and the types of extensions are taken for one too.
bool IsBuiltIn(const AstObject& type) {
  static const std::set<std::string, std::less<>> kBuiltIn = {
      "text",      "uuid",      "json",     "jsonb",   "bytea",     "date",      "timestamptz",
      "timetz",    "name",      "inet",     "cidr",    "macaddr",   "macaddr8",  "money",
      "xml",       "oid",       "tsvector", "tsquery", "int2",      "int4",      "int8",
      "float4",    "float8",    "bool",     "bpchar",  "varbit",    "point",     "line",
      "lseg",      "box",       "path",     "polygon", "circle",    "pg_lsn",    "jsonpath",
      "int4range", "int8range", "numrange", "tsrange", "tstzrange", "daterange", "regclass"};
  const AstArray& names = ArrayMember(type, "names");
  if (names.empty() || !ArrayMember(type, "arrayBounds").empty()) return true;
  if (names.size() > 1) return StringOf(names.front()) == "pg_catalog";
  return kBuiltIn.contains(StringOf(names.front()));
}

// What a new column's constraints and default make of ADD COLUMN.
class NewColumn {
 public:
  NewColumn(const AstObject& column, const TableName& table) : table_(table) {
    for (const AstValue& node : ArrayMember(column, "constraints")) {
      if (const AstObject* constraint = NodeOf(node, "Constraint")) Take(*constraint);
    }
    const AstObject* type = ObjectMember(column, "typeName");
    if (type != nullptr && IsSerial(*type)) has_sequence_ = true;
    is_built_in_ = type == nullptr || has_sequence_ || IsBuiltIn(*type);
  }

  DdlEffect Effect() const {
    DdlEffect effect = EffectOf(*RowOf(is_built_in_ ? "AT_AddColumn" : "column_type"), table_);
    if (!referenced_.name.empty()) {
      effect.locks.push_back({referenced_, LockLevel::kShareRowExclusive});
    }
    if (has_sequence_ || is_identity_ || is_generated_) {
      effect.rewrites = effect.scans = Certainty::kYes;
      effect.rule = is_generated_  ? "add_generated_column"
                    : is_identity_ ? "add_identity_column"
                                   : "add_serial_column";
      effect.online_form =
          is_generated_
              ? "PostgreSQL has none. Add an ordinary column, have a BEFORE INSERT OR UPDATE trigger "
                "compute it, and fill the old rows with an UPDATE under `keep_in_sync`. From 18 on, a "
                "VIRTUAL one writes no row; run that by hand."
              : "`pawl run` adds the column with a sequence for new rows, fills the old ones in "
                "batches, and makes it NOT NULL by a validated check" +
                    std::string(is_identity_ ? ", and an identity in the same moment." : ".");
    } else if (default_ != nullptr && !IsPlain(*default_)) {
      // Volatile or not is for the catalogue to say.
      effect.rewrites = effect.scans = Certainty::kDepends;
      effect.rule = "add_column_default";
      effect.online_form =
          "`pawl run` adds the column without the default, sets it for new rows in the same moment, "
          "and fills the old ones in batches, where it is volatile.";
    }
    if (builds_index_ || checks_) {
      effect.scans = Certainty::kYes;
      effect.rule = builds_index_ ? "add_unique_column" : "add_checked_column";
      effect.online_form +=
          (effect.online_form.empty() ? "" : " ") +
          std::string(
              "`pawl run` makes the constraint after the column: an index built "
              "CONCURRENTLY, a check or foreign key NOT VALID and then validated.");
    }
    if (is_not_null_ && default_ == nullptr && !has_sequence_ && !is_identity_ && !is_generated_) {
      effect.rule = "add_not_null_column";
      effect.scans = Certainty::kYes;
      effect.online_form =
          "It fails as soon as the table has a row. Give it a constant DEFAULT, or add it without "
          "NOT NULL, fill it in batches, and make it NOT NULL by a validated check.";
    }
    return effect;
  }

 private:
  void Take(const AstObject& constraint) {
    const std::string type = TextMember(constraint, "contype");
    if (type == "CONSTR_NOTNULL") is_not_null_ = true;
    if (type == "CONSTR_DEFAULT") default_ = Member(constraint, "raw_expr");
    if (type == "CONSTR_IDENTITY") is_identity_ = true;
    if (type == "CONSTR_GENERATED") is_generated_ = true;
    if (type == "CONSTR_CHECK") checks_ = true;
    if (type == "CONSTR_PRIMARY" || type == "CONSTR_UNIQUE") builds_index_ = true;
    if (type == "CONSTR_FOREIGN") referenced_ = TableIn(constraint, "pktable");
  }

  // The same for every row for certain: no function, no column.
  static bool IsPlain(const AstValue& expression) {
    return !Contains(expression, "FuncCall") && !Contains(expression, "SQLValueFunction");
  }

  TableName table_;
  TableName referenced_;
  const AstValue* default_ = nullptr;
  bool is_not_null_ = false;
  bool has_sequence_ = false;
  bool is_identity_ = false;
  bool is_generated_ = false;
  bool checks_ = false;
  bool builds_index_ = false;
  bool is_built_in_ = true;
};

// The row for ADD CONSTRAINT; empty if the table has none.
std::string_view KeyOfConstraint(const AstObject& constraint) {
  const std::string type = TextMember(constraint, "contype");
  const bool not_valid = FlagMember(constraint, "skip_validation");
  const bool using_index = !TextMember(constraint, "indexname").empty();
  if (type == "CONSTR_CHECK") return not_valid ? "check_not_valid" : "check";
  if (type == "CONSTR_FOREIGN") return not_valid ? "foreign_key_not_valid" : "foreign_key";
  if (type == "CONSTR_UNIQUE") return using_index ? "unique_using_index" : "unique";
  if (type == "CONSTR_PRIMARY") return using_index ? "primary_key_using_index" : "primary_key";
  if (type == "CONSTR_EXCLUSION") return "exclusion";
  return {};
}

// Storage parameters that change what running statements rely on lock everybody out; all others
// are for the next VACUUM or INSERT.
bool LocksOut(const AstArray& options) {
  static const std::set<std::string, std::less<>> kHeavy = {
      "user_catalog_table", "security_barrier", "check_option",          "security_invoker",
      "fastupdate",         "buffering",        "gin_pending_list_limit"};
  return std::any_of(options.begin(), options.end(), [](const AstValue& node) {
    const AstObject* option = NodeOf(node, "DefElem");
    return option != nullptr && kHeavy.contains(TextMember(*option, "defname"));
  });
}

// A partitioned table, or a parent without ONLY, takes these along.
constexpr std::string_view kHeirs = "its partitions and the tables that inherit from it";

void TakeAlterIndex(const AstObject& command, EffectList& effects) {
  const std::string subtype = TextMember(command, "subtype");
  DdlEffect& effect = effects.Add("alter_index", {});
  effect.words =
      "ALTER INDEX … " + std::string(RowOf(subtype) == nullptr ? "…" : RowOf(subtype)->words);
  const AstValue* options = Member(command, "def");
  if (options != nullptr && LocksOut(ItemsOf(*options))) {
    effect.also_locks = "the index, so that every statement on its table waits";
  }
  if (subtype == "AT_SetTableSpace") {
    effect.rewrites = Certainty::kYes;
    effect.also_locks = "the index, so that every statement on its table waits";
    effect.online_form = "Build it anew there, CONCURRENTLY, and drop the old one.";
  }
}

void TakePartition(const std::string& subtype, const AstObject& definition, const TableName& table,
                   const std::string& alter, EffectList& effects) {
  const AstObject* command = ObjectMember(definition, "PartitionCmd");
  if (command == nullptr) return effects.AddUnknown();
  const TableName partition = TableIn(*command, "name");
  if (subtype != "AT_AttachPartition") {
    const bool concurrently = FlagMember(*command, "concurrent");
    DdlEffect& effect = effects.Add(concurrently ? "detach_concurrently" : subtype, table, alter);
    effect.locks.push_back({partition, LockLevel::kAccessExclusive});
    effect.also_locks = "the default partition, where there is one";
    return;
  }
  DdlEffect& effect = effects.Add(subtype, table, alter);
  effect.locks.push_back({partition, LockLevel::kAccessExclusive});
  effect.scans = Certainty::kDepends;
  effect.also_locks = "the default partition, where there is one";
}

void TakeConstraint(const AstObject& constraint, const TableName& table, const std::string& alter,
                    EffectList& effects) {
  const std::string_view key = KeyOfConstraint(constraint);
  if (key.empty()) return effects.AddUnknown();
  DdlEffect& effect = effects.Add(key, table, alter);
  effect.also_locks = kHeirs;
  const TableName referenced = TableIn(constraint, "pktable");
  if (!referenced.name.empty() && referenced != table) {
    effect.locks.push_back({referenced, LockLevel::kShareRowExclusive});
  }
}

// What a sub-command locks that its text does not name.
std::string AlsoLocks(const std::string& subtype) {
  if (subtype == "AT_SetIdentity" || subtype == "AT_DropIdentity" || subtype == "AT_SetLogged" ||
      subtype == "AT_SetUnLogged" || subtype == "AT_ChangeOwner") {
    return "the sequences of its columns";
  }
  if (subtype == "AT_DropConstraint" || subtype == "AT_AlterConstraint") {
    return "the other table, where it is a foreign key";
  }
  if (subtype == "AT_AlterColumnType" || subtype == "AT_DropColumn") {
    return "the other tables of its foreign keys, and with CASCADE what is made of the column";
  }
  return std::string(kHeirs);
}

void TakeAlter(const AstObject& command, const TableName& table, const std::string& alter,
               EffectList& effects) {
  const std::string subtype = TextMember(command, "subtype");
  const AstObject* definition = ObjectMember(command, "def");
  if (subtype == "AT_AddColumn" && definition != nullptr) {
    if (const AstObject* column = ObjectMember(*definition, "ColumnDef")) {
      DdlEffect effect = NewColumn(*column, table).Effect();
      effect.words = alter + effect.words;
      effect.also_locks = kHeirs;
      effects.Add(std::move(effect));
      return;
    }
  }
  if (subtype == "AT_AddConstraint" && definition != nullptr) {
    if (const AstObject* constraint = ObjectMember(*definition, "Constraint")) {
      return TakeConstraint(*constraint, table, alter, effects);
    }
  }
  if (subtype.ends_with("tachPartition") || subtype == "AT_DetachPartitionFinalize") {
    return TakePartition(subtype, *definition, table, alter, effects);
  }
  if (RowOf(subtype) == nullptr) return effects.AddUnknown();
  DdlEffect& effect = effects.Add(subtype, table, alter);
  effect.also_locks = AlsoLocks(subtype);
  if (subtype == "AT_AddInherit" || subtype == "AT_DropInherit") {
    const AstObject* parent =
        definition == nullptr ? nullptr : ObjectMember(*definition, "RangeVar");
    if (parent != nullptr) {
      effect.locks.push_back({RelationOf(*parent), subtype == "AT_AddInherit"
                                                       ? LockLevel::kShareUpdateExclusive
                                                       : LockLevel::kAccessShare});
    }
  }
  if ((subtype == "AT_SetRelOptions" || subtype == "AT_ResetRelOptions") && definition != nullptr &&
      LocksOut(ItemsOf(*Member(command, "def")))) {
    effect.locks.front().level = LockLevel::kAccessExclusive;
  }
}

// ALTER TYPE of a composite type. A table's column of it keeps what it has; a typed table changes
// with it, where CASCADE is said.
void TakeAttribute(const AstObject& command, EffectList& effects) {
  const std::string subtype = TextMember(command, "subtype");
  std::string_view key = "type_other";  // OWNER TO
  if (subtype == "AT_AddColumn") key = "add_attribute";
  if (subtype == "AT_DropColumn") key = "drop_attribute";
  if (subtype == "AT_AlterColumnType") key = "attribute_type";
  DdlEffect& effect = effects.Add(key, {});
  if (TextMember(command, "behavior") == "DROP_CASCADE") {
    effect.also_locks = "the tables OF the type, so that every statement on them waits";
  }
}

}  // namespace

// ALTER TABLE, and ALTER INDEX, VIEW, … in the same clothes.
void TakeAlterTable(const AstObject& body, EffectList& effects) {
  const std::string object = TextMember(body, "objtype");
  const TableName table = TableIn(body, "relation");
  for (const AstValue& node : ArrayMember(body, "cmds")) {
    const AstObject* command = NodeOf(node, "AlterTableCmd");
    if (command == nullptr) continue;
    if (object == "OBJECT_INDEX") {
      TakeAlterIndex(*command, effects);
    } else if (object == "OBJECT_TYPE") {
      TakeAttribute(*command, effects);
    } else if (object == "OBJECT_SEQUENCE" && TextMember(*command, "subtype").ends_with("ogged")) {
      effects.Add("sequence_logged", table, AlterWords(object));
    } else {
      TakeAlter(*command, table, AlterWords(object), effects);
    }
  }
}

void TakeMoveAll(const AstObject& body, EffectList& effects) {
  const std::string alter = TextMember(body, "objtype") == "OBJECT_INDEX"
                                ? "ALTER INDEX "
                                : AlterWords(TextMember(body, "objtype"));
  DdlEffect& effect = effects.Add("move_all", {}, alter.substr(0, alter.find("…")));
  effect.also_locks = "all that lies there, so that every statement on it waits";
}

}  // namespace pawl::schema
