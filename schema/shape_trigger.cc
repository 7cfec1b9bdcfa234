#include "schema/shape_trigger.h"

#include <fmt/format.h>

#include "db/quote.h"
#include "schema/catalog.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

std::string TriggerName(const ShapeTrigger& trigger, const char* event) {
  return QuoteName(kShapeTriggerPrefix + trigger.suffix + event);
}

std::string TableSql(const ShapeTrigger& trigger) {
  return QuoteName(trigger.table.schema, trigger.table.name);
}

// What a value can do that does not fit. Anything else (no memory, a cancel, a right that is missing)
// is an error of the statement, not of the value.
constexpr const char* kUnfit =
    "data_exception OR integrity_constraint_violation OR raise_exception";

// Bytes are compared, not values: 1.0 and 1.00 are two. The row is a copy, and not a variable of the
// column's type, because to name a type its schema must be usable for whoever writes.
std::string TypeBody(const ShapeTrigger& trigger) {
  constexpr const char* kLenient = R"(
  BEGIN
    pawl_row.{other} := {forth};
  EXCEPTION WHEN {unfit} THEN
    pawl_row.{other} := NULL;
  END;)";
  constexpr const char* kStrict = R"(
  pawl_row.{other} := {forth};)";
  const std::string other = QuoteName(trigger.other);
  const std::string expected =
      fmt::format(fmt::runtime(trigger.lenient ? kLenient : kStrict), fmt::arg("other", other),
                  fmt::arg("forth", trigger.forth), fmt::arg("unfit", kUnfit));
  return fmt::format(
      R"(
DECLARE
  pawl_row record;
BEGIN
  pawl_row := NEW;{expected}
  IF TG_OP = 'INSERT' THEN
    IF NEW.{other} IS NULL THEN
      NEW.{other} := pawl_row.{other};
    ELSIF ROW(NEW.{other})::record *<> ROW(pawl_row.{other})::record THEN
      IF NEW.{read} IS NULL THEN
        NEW.{read} := {back};
      ELSE
        BEGIN
          pawl_row.{read} := {back};
        EXCEPTION WHEN {unfit} THEN
          pawl_row.{read} := NULL;
        END;
        IF ROW(NEW.{read})::record *<> ROW(pawl_row.{read})::record THEN
          NEW.{other} := pawl_row.{other};
        END IF;
      END IF;
    END IF;
  ELSIF ROW(NEW.{read})::record *<> ROW(OLD.{read})::record THEN
    NEW.{other} := pawl_row.{other};
  ELSIF ROW(NEW.{other})::record *<> ROW(pawl_row.{other})::record THEN
    NEW.{read} := {back};
  END IF;
  RETURN NEW;
END
)",
      fmt::arg("other", other), fmt::arg("read", QuoteName(trigger.read)),
      fmt::arg("expected", expected), fmt::arg("back", trigger.back), fmt::arg("unfit", kUnfit));
}

std::string NameBody(const ShapeTrigger& trigger) {
  const std::string other = QuoteName(trigger.other);
  const std::string read = QuoteName(trigger.read);
  const std::string both =
      trigger.is_drawn
          ? fmt::format("NEW.{} := NEW.{};", read, other)
          : fmt::format(
                "RAISE EXCEPTION 'This INSERT gives two values for one column of %: it has "
                "the two names % and % until the contract. Give one of them, or the same "
                "value to both.', {}, {}, {} USING ERRCODE = 'data_exception';",
                db::QuoteLiteral(Readable(trigger.table)), db::QuoteLiteral(trigger.read),
                db::QuoteLiteral(trigger.other));
  return fmt::format(
      R"(
DECLARE
  pawl_row record;
BEGIN
  IF ROW(NEW.{read})::record *= ROW(NEW.{other})::record THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'INSERT' THEN
    pawl_row := NEW;
    pawl_row.{other} := {default};
    IF ROW(NEW.{other})::record *= ROW(pawl_row.{other})::record THEN
      NEW.{other} := NEW.{read};
    ELSIF ROW(NEW.{read})::record *= ROW(pawl_row.{other})::record THEN
      NEW.{read} := NEW.{other};
    ELSE
      {both}
    END IF;
  ELSIF ROW(NEW.{read})::record *<> ROW(OLD.{read})::record THEN
    NEW.{other} := NEW.{read};
  ELSE
    NEW.{read} := NEW.{other};
  END IF;
  RETURN NEW;
END
)",
      fmt::arg("other", other), fmt::arg("read", read),
      fmt::arg("default", trigger.is_drawn ? "NULL" : trigger.default_value),
      fmt::arg("both", both));
}

std::string Body(const ShapeTrigger& trigger) {
  return trigger.is_same ? NameBody(trigger) : TypeBody(trigger);
}

std::string Changed(const std::string& column) {
  return fmt::format("ROW(NEW.{0})::record *<> ROW(OLD.{0})::record", QuoteName(column));
}

// Of an UPDATE: whether the two may part.
std::string Parts(const ShapeTrigger& trigger) {
  const std::string read = Changed(trigger.read);
  const std::string other = Changed(trigger.other);
  if (trigger.filled.empty()) return fmt::format("{} OR {}", read, other);
  return fmt::format("{} OR ({} AND ROW(NEW.{})::record *<> ROW({})::record)", read, other,
                     QuoteName(trigger.other), trigger.filled);
}

}  // namespace

std::string ShapeFunctionName(const ShapeTrigger& trigger) {
  return QuoteName("pawl", "shape_" + trigger.suffix);
}

std::string RenderShapeGuard(const ShapeTrigger& trigger) {
  const std::string insert = kShapeTriggerPrefix + trigger.suffix + "_i";
  const std::string update = kShapeTriggerPrefix + trigger.suffix + "_u";
  return "DO " + DollarQuoted(fmt::format(
                     R"(
BEGIN
  IF (SELECT count(*) FROM pg_catalog.pg_trigger
       WHERE tgrelid = pg_catalog.to_regclass({table}) AND tgenabled = 'A'
         AND tgname IN ({insert}, {update})) <> 2 THEN
    RAISE EXCEPTION 'Triggers % and % of %, which keep two columns in step, are not both there and ENABLE ALWAYS. Switch them on with ALTER TABLE … ENABLE ALWAYS TRIGGER, then resume: every row is proved again.',
      {insert}, {update}, {name};
  END IF;
  IF EXISTS (SELECT FROM pg_catalog.pg_inherits
              WHERE pg_catalog.to_regclass({table}) IN (inhparent, inhrelid)) THEN
    RAISE EXCEPTION '% has got a parent or a child table since this was planned, whose rows are not in step. Take that away (ALTER TABLE … NO INHERIT), then resume.',
      {name};
  END IF;
END
)",
                     fmt::arg("table", db::QuoteLiteral(TableSql(trigger))),
                     fmt::arg("insert", db::QuoteLiteral(insert)),
                     fmt::arg("update", db::QuoteLiteral(update)),
                     fmt::arg("name", db::QuoteLiteral(Readable(trigger.table)))));
}

std::string FunctionSettings(const std::string& search_path, const std::string& time_zone) {
  std::string settings;
  if (!search_path.empty()) settings += "\n  SET search_path = " + search_path;
  if (!time_zone.empty()) {
    settings += "\n  SET \"TimeZone\" = " + db::QuoteLiteral(time_zone) +
                "\n  SET \"DateStyle\" = 'ISO, YMD'\n  SET \"IntervalStyle\" = 'postgres'\n  "
                "SET bytea_output = 'hex'\n  SET extra_float_digits = 1";
  }
  return settings;
}

std::string DollarQuoted(const std::string& body) {
  std::string tag = "$pawl$";
  while (body.find(tag) != std::string::npos) tag.insert(tag.size() - 1, "_");
  return tag + body + tag;
}

std::string RenderShapeFunction(const ShapeTrigger& trigger) {
  return fmt::format("CREATE OR REPLACE FUNCTION {}() RETURNS trigger\n  LANGUAGE plpgsql{}\nAS {}",
                     ShapeFunctionName(trigger),
                     FunctionSettings(trigger.search_path, trigger.time_zone),
                     DollarQuoted(Body(trigger)));
}

std::string RenderShapeOn(const ShapeTrigger& trigger) {
  return fmt::format(
      R"({function};
CREATE TRIGGER {insert}
  BEFORE INSERT ON {table}
  FOR EACH ROW
  EXECUTE FUNCTION {name}();
CREATE TRIGGER {update}
  BEFORE UPDATE ON {table}
  FOR EACH ROW
  WHEN ({parts})
  EXECUTE FUNCTION {name}();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {insert}, ENABLE ALWAYS TRIGGER {update})",
      fmt::arg("function", RenderShapeFunction(trigger)),
      fmt::arg("insert", TriggerName(trigger, "_i")),
      fmt::arg("update", TriggerName(trigger, "_u")), fmt::arg("table", TableSql(trigger)),
      fmt::arg("name", ShapeFunctionName(trigger)), fmt::arg("parts", Parts(trigger)));
}

std::string RenderShapeOff(const ShapeTrigger& trigger) {
  return fmt::format(R"(DROP TRIGGER IF EXISTS {} ON {};
DROP TRIGGER IF EXISTS {} ON {};
DROP FUNCTION IF EXISTS {}())",
                     TriggerName(trigger, "_i"), TableSql(trigger), TriggerName(trigger, "_u"),
                     TableSql(trigger), ShapeFunctionName(trigger));
}

}  // namespace pawl::schema
