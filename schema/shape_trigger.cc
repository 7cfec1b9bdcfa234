#include "schema/shape_trigger.h"

#include <fmt/format.h>

#include "db/quote.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

std::string FunctionName(const ShapeTrigger& trigger) {
  return QuoteName("pawl", "shape_" + trigger.suffix);
}

std::string TriggerName(const ShapeTrigger& trigger, const char* event) {
  return QuoteName(kShapeTriggerPrefix + trigger.suffix + event);
}

std::string TableSql(const ShapeTrigger& trigger) {
  return QuoteName(trigger.table.schema, trigger.table.name);
}

std::string Body(const ShapeTrigger& trigger) {
  // Bytes are compared, not values: 1.0 and 1.00 are two.
  constexpr const char* kLenient = R"(
  BEGIN
    pawl_expected := {forth};
  EXCEPTION WHEN OTHERS THEN
    pawl_expected := NULL;
  END;)";
  constexpr const char* kStrict = R"(
  pawl_expected := {forth};)";
  const std::string expected = fmt::format(fmt::runtime(trigger.lenient ? kLenient : kStrict),
                                           fmt::arg("forth", trigger.forth));
  return fmt::format(
      R"(
DECLARE
  pawl_expected {table}.{other}%TYPE;
BEGIN{expected}
  IF TG_OP = 'INSERT' THEN
    IF NEW.{other} IS NULL THEN
      NEW.{other} := pawl_expected;
    ELSIF ROW(NEW.{other})::record *<> ROW(pawl_expected)::record THEN
      NEW.{read} := {back};
    END IF;
  ELSIF ROW(NEW.{read})::record *<> ROW(OLD.{read})::record THEN
    NEW.{other} := pawl_expected;
  ELSIF ROW(NEW.{other})::record *<> ROW(pawl_expected)::record THEN
    NEW.{read} := {back};
  END IF;
  RETURN NEW;
END
)",
      fmt::arg("table", TableSql(trigger)), fmt::arg("other", QuoteName(trigger.other)),
      fmt::arg("read", QuoteName(trigger.read)), fmt::arg("expected", expected),
      fmt::arg("back", trigger.back));
}

std::string Changed(const std::string& column) {
  return fmt::format("ROW(NEW.{0})::record *<> ROW(OLD.{0})::record", QuoteName(column));
}

}  // namespace

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
                     FunctionName(trigger),
                     FunctionSettings(trigger.search_path, trigger.time_zone),
                     DollarQuoted(Body(trigger)));
}

std::string RenderShapeOn(const ShapeTrigger& trigger) {
  return fmt::format(R"({function};
CREATE TRIGGER {insert}
  BEFORE INSERT ON {table}
  FOR EACH ROW
  EXECUTE FUNCTION {name}();
CREATE TRIGGER {update}
  BEFORE UPDATE ON {table}
  FOR EACH ROW
  WHEN ({read} OR {other})
  EXECUTE FUNCTION {name}();
ALTER TABLE {table} ENABLE ALWAYS TRIGGER {insert}, ENABLE ALWAYS TRIGGER {update})",
                     fmt::arg("function", RenderShapeFunction(trigger)),
                     fmt::arg("insert", TriggerName(trigger, "_i")),
                     fmt::arg("update", TriggerName(trigger, "_u")),
                     fmt::arg("table", TableSql(trigger)), fmt::arg("name", FunctionName(trigger)),
                     fmt::arg("read", Changed(trigger.read)),
                     fmt::arg("other", Changed(trigger.other)));
}

std::string RenderShapeOff(const ShapeTrigger& trigger) {
  return fmt::format(R"(DROP TRIGGER IF EXISTS {} ON {};
DROP TRIGGER IF EXISTS {} ON {};
DROP FUNCTION IF EXISTS {}())",
                     TriggerName(trigger, "_i"), TableSql(trigger), TriggerName(trigger, "_u"),
                     TableSql(trigger), FunctionName(trigger));
}

}  // namespace pawl::schema
