// Plans as JSON and their hash. One list of fields a struct serves writing, reading and hashing, so
// that the three cannot drift apart.
#include "schema/plan.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>
#include <boost/json.hpp>

#include "db/error.h"

namespace pawl::schema {
namespace {

namespace json = boost::json;

template <typename Enum>
struct EnumName {
  Enum value;
  const char* name;
};

constexpr std::array<EnumName<StepKind>, 7> kStepKinds = {{{StepKind::kDdl, "ddl"},
                                                           {StepKind::kSyncOn, "sync on"},
                                                           {StepKind::kBackfill, "backfill"},
                                                           {StepKind::kSyncOff, "sync off"},
                                                           {StepKind::kCutOver, "cut over"},
                                                           {StepKind::kWayBack, "way back"},
                                                           {StepKind::kContract, "contract"}}};
constexpr std::array<EnumName<Order>, 4> kOrders = {{{Order::kKey, "key"},
                                                     {Order::kBlock, "block"},
                                                     {Order::kKeyStrides, "key strides"},
                                                     {Order::kBlockStrides, "block strides"}}};
constexpr std::array<EnumName<UndoKind>, 5> kUndoKinds = {{{UndoKind::kImplicit, "implicit"},
                                                           {UndoKind::kImage, "image"},
                                                           {UndoKind::kInverse, "inverse"},
                                                           {UndoKind::kColumn, "column"},
                                                           {UndoKind::kNone, "none"}}};
constexpr std::array<EnumName<StatementKind>, 7> kStatementKinds = {
    {{StatementKind::kUpdate, "update"},
     {StatementKind::kDelete, "delete"},
     {StatementKind::kInsertSelect, "insert select"},
     {StatementKind::kAddColumn, "add column"},
     {StatementKind::kCreateTable, "create table"},
     {StatementKind::kOnlineDdl, "online ddl"},
     {StatementKind::kOtherDdl, "other ddl"}}};

constexpr const auto& NamesOf(StepKind) { return kStepKinds; }
constexpr const auto& NamesOf(Order) { return kOrders; }
constexpr const auto& NamesOf(UndoKind) { return kUndoKinds; }
constexpr const auto& NamesOf(StatementKind) { return kStatementKinds; }

template <typename Enum>
const char* EnumText(Enum value) {
  for (const auto& entry : NamesOf(value)) {
    if (entry.value == value) return entry.name;
  }
  return "";
}

[[noreturn]] void FailFormat(const std::string& what) {
  throw db::Error(db::Action::kStop,
                  fmt::format("The stored plan cannot be read: {}. It was written by another "
                              "version of Pawl or changed since; use that version, or plan anew.",
                              what));
}

// The fields of each struct, for a writer or a reader alike. `Estimated` fields do not enter the
// hash. `Since` fields are not there in plans of older versions, whose hash was made without them.
template <typename Fields, typename T>
void List(Fields& fields, T& item) {
  using Plain = std::remove_const_t<T>;
  if constexpr (std::is_same_v<Plain, TableName>) {
    fields("schema", item.schema);
    fields("name", item.name);
  } else if constexpr (std::is_same_v<Plain, Column>) {
    fields("name", item.name);
    fields("type", item.type);
    fields("not_null", item.not_null);
    fields("is_array", item.is_array);
    fields("is_composite", item.is_composite);
    fields("has_hash", item.has_hash);
    fields("hash_function", item.hash_function);
    fields("is_integer", item.is_integer);
  } else if constexpr (std::is_same_v<Plain, ChangedColumn>) {
    fields("column", item.column);
    fields("expression", item.expression);
  } else if constexpr (std::is_same_v<Plain, Estimate>) {
    fields("rows", item.rows);
    fields("batches", item.batches);
    fields("wal_bytes", item.wal_bytes);
    fields("undo_bytes", item.undo_bytes);
    fields("growth_bytes", item.growth_bytes);
    fields("seconds_low", item.seconds_low);
    fields("seconds_high", item.seconds_high);
  } else if constexpr (std::is_same_v<Plain, Backfill>) {
    fields("kind", item.kind);
    fields("target", item.target);
    fields("walked", item.walked);
    fields("alias", item.alias);
    fields("walked_oid", item.walked_oid);
    fields("target_oid", item.target_oid);
    fields("key", item.key);
    fields("key_index", item.key_index);
    fields("target_key", item.target_key);
    fields("target_columns", item.target_columns);
    fields("changed", item.changed);
    fields("set_clause", item.set_clause);
    fields("from_clause", item.from_clause);
    fields("where_clause", item.where_clause);
    fields("base_where", item.base_where);
    fields("insert_columns", item.insert_columns);
    fields("select_items", item.select_items);
    fields("source_joins", item.source_joins);
    fields("overriding", item.overriding);
    fields("order", item.order);
    fields("stride", item.stride);
    fields("salt", item.salt);
    fields("undo", item.undo);
    fields("inverse", item.inverse);
    fields("self_excluding", item.self_excluding);
    fields("re_evaluable", item.re_evaluable);
    fields("stands_alone", item.stands_alone);
    fields("old_is_null", item.old_is_null);
    fields("keep_in_sync", item.keep_in_sync);
    fields("quiet_triggers", item.quiet_triggers);
    fields("quarantine_max", item.quarantine_max);
    fields("batch_rows", item.batch_rows);
    fields("batch_time_ms", item.batch_time_ms);
    fields.Estimated("rows_estimated", item.rows_estimated);
    fields.Estimated("rows_in_table", item.rows_in_table);
    fields.Estimated("pages_in_table", item.pages_in_table);
    fields.Estimated("row_bytes", item.row_bytes);
  } else if constexpr (std::is_same_v<Plain, Step>) {
    fields("number", item.number);
    fields("kind", item.kind);
    fields("title", item.title);
    fields("lock", item.lock);
    // Sentences quote sizes and shares that the sample gave.
    fields.Estimated("why", item.why);
    fields.Estimated("notes", item.notes);
    fields("line", item.line);
    fields("sql", item.sql);
    fields("inverse", item.inverse);
    fields("table", item.table);
    fields("created_column", item.created_column);
    fields("alone", item.alone);
    fields("settled", item.settled);
    fields("leftover", item.leftover);
    fields("clear", item.clear);
    fields.Since(2, "question", item.question);
    fields.Since(2, "reopen", item.reopen);
    fields.Since(2, "also", item.also);
    fields.Since(2, "is_own", item.is_own);
    fields("backfill", item.backfill);
    fields.Estimated("estimate", item.estimate);
  } else {
    static_assert(std::is_same_v<Plain, Plan>);
    fields("version", item.version);
    fields("migration", item.migration);
    fields("migration_hash", item.migration_hash);
    fields.Estimated("hash", item.hash);
    fields("database", item.database);
    fields("system_identifier", item.system_identifier);
    fields("server_version", item.server_version);
    fields("search_path", item.search_path);
    fields("time_zone", item.time_zone);
    fields("workers", item.workers);
    fields("pace", item.pace);
    fields.Since(3, "retention_s", item.retention_s);
    fields("throttle", item.throttle);
    fields.Estimated("notes", item.notes);
    fields("steps", item.steps);
  }
}

// Thread safety: none. Lives for one object.
class Writer {
 public:
  Writer(bool with_estimates, int version) : with_estimates_(with_estimates), version_(version) {}

  template <typename T>
  void operator()(const char* name, const T& value) {
    object_[name] = Json(value);
  }

  template <typename T>
  void Estimated(const char* name, const T& value) {
    if (with_estimates_) object_[name] = Json(value);
  }

  template <typename T>
  void Since(int version, const char* name, const T& value) {
    if (version_ >= version) object_[name] = Json(value);
  }

  json::object Take() { return std::move(object_); }

 private:
  template <typename T>
  json::value Json(const std::vector<T>& values) const {
    json::array array;
    for (const T& value : values) array.push_back(Json(value));
    return array;
  }

  template <typename T>
  json::value Json(const std::optional<T>& value) const {
    return value ? Json(*value) : json::value(nullptr);
  }

  template <typename T>
  json::value Json(const T& value) const {
    if constexpr (std::is_enum_v<T>) {
      return json::value(EnumText(value));
    } else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string>) {
      return json::value(value);
    } else {
      Writer inner(with_estimates_, version_);
      List(inner, value);
      return inner.Take();
    }
  }

  bool with_estimates_;
  int version_;
  json::object object_;
};

// Thread safety: none. Lives for one object.
class Reader {
 public:
  Reader(const json::object& object, int version) : object_(object), version_(version) {}

  template <typename T>
  void operator()(const char* name, T& value) {
    const json::value* member = object_.if_contains(name);
    if (member == nullptr) FailFormat(fmt::format("it has no \"{}\"", name));
    ++members_read_;
    Read(name, *member, value);
  }

  template <typename T>
  void Estimated(const char* name, T& value) {
    (*this)(name, value);
  }

  template <typename T>
  void Since(int version, const char* name, T& value) {
    if (version_ >= version) (*this)(name, value);
  }

  // A member that this version does not know may change what the others mean.
  void Finish() const {
    if (members_read_ != object_.size()) FailFormat("it holds more than this version knows");
  }

 private:
  template <typename T>
  void Read(const char* name, const json::value& source, std::vector<T>& values) const {
    if (!source.is_array()) FailFormat(fmt::format("\"{}\" is no list", name));
    for (const json::value& element : source.get_array()) {
      Read(name, element, values.emplace_back());
    }
  }

  template <typename T>
  void Read(const char* name, const json::value& source, std::optional<T>& value) const {
    if (source.is_null()) {
      value.reset();
    } else {
      Read(name, source, value.emplace());
    }
  }

  template <typename T>
  void Read(const char* name, const json::value& source, T& value) const {
    if constexpr (std::is_enum_v<T>) {
      const std::string text = source.is_string() ? std::string(source.get_string()) : "";
      const auto& names = NamesOf(T{});
      const auto found = std::find_if(names.begin(), names.end(),
                                      [&](const auto& entry) { return text == entry.name; });
      if (found == names.end()) FailFormat(fmt::format("\"{}\" is \"{}\"", name, text));
      value = found->value;
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!source.is_string()) FailFormat(fmt::format("\"{}\" is no text", name));
      value = std::string(source.get_string());
    } else if constexpr (std::is_same_v<T, bool>) {
      if (!source.is_bool()) FailFormat(fmt::format("\"{}\" is neither true nor false", name));
      value = source.get_bool();
    } else if constexpr (std::is_arithmetic_v<T>) {
      boost::system::error_code error;
      value = source.to_number<T>(error);
      if (error) FailFormat(fmt::format("\"{}\" is no number", name));
    } else {
      if (!source.is_object()) FailFormat(fmt::format("\"{}\" is no object", name));
      Reader inner(source.get_object(), version_);
      List(inner, value);
      inner.Finish();
    }
  }

  const json::object& object_;
  const int version_;
  std::size_t members_read_ = 0;
};

std::string Serialized(const Plan& plan, bool with_estimates) {
  Writer writer(with_estimates, plan.version);
  List(writer, plan);
  return json::serialize(writer.Take());
}

}  // namespace

std::string ToJson(const Plan& plan) { return Serialized(plan, true); }

Plan FromJson(const std::string& text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object()) FailFormat("it is no JSON object");
  const json::object& object = value.get_object();
  const json::value* version = object.if_contains("version");
  if (version == nullptr || !version->is_int64() || version->get_int64() < kPlanVersionMin ||
      version->get_int64() > kPlanVersion) {
    FailFormat(fmt::format("its format is not version {} to {}", kPlanVersionMin, kPlanVersion));
  }
  Plan plan;
  Reader reader(object, static_cast<int>(version->get_int64()));
  List(reader, plan);
  reader.Finish();
  return plan;
}

std::string HashOf(const Plan& plan) {
  const std::string content = Serialized(plan, false);
  const XXH128_hash_t hash = XXH3_128bits(content.data(), content.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::string PhaseOf(const Plan& plan, const Step& step) {
  const bool keeps = std::any_of(plan.steps.begin(), plan.steps.end(), [](const Step& other) {
    return other.kind == StepKind::kContract;
  });
  if (!keeps) return {};
  switch (step.kind) {
    case StepKind::kDdl:
    case StepKind::kSyncOn:
      return "expand";
    case StepKind::kSyncOff:
      return "cut over";
    default:
      return NameOf(step.kind);
  }
}

const char* NameOf(Order order) { return EnumText(order); }
const char* NameOf(UndoKind undo) { return EnumText(undo); }
const char* NameOf(StepKind kind) { return EnumText(kind); }

}  // namespace pawl::schema
