#include "schema/position.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include "db/error.h"

namespace pawl::schema {

namespace json = boost::json;

std::string ToText(const Position& position) { return json::serialize(json::value_from(position)); }

Position PositionFrom(const std::string& text) {
  try {
    return json::value_to<Position>(json::parse(text));
  } catch (const std::exception&) {
    FailDamaged("position", text);
  }
}

void FailDamaged(std::string_view what, const std::string& text) {
  throw db::Error(
      db::Action::kStop,
      fmt::format("The control schema holds the {} {}, which this program does not understand: it "
                  "was written by another version or by hand. Put it back, or give the run up with "
                  "`pawl abort`.",
                  what, text));
}

std::string Display(const Position& position) {
  return position.size() == 1 ? position[0] : fmt::format("({})", fmt::join(position, ", "));
}

}  // namespace pawl::schema
