#include "batching/cursor.h"

#include <stdexcept>

#include <boost/json.hpp>

namespace pawl::batching {
namespace {

namespace json = boost::json;

json::value ToValue(const std::optional<schema::Position>& position) {
  return position ? json::value_from(*position) : json::value(nullptr);
}

std::optional<schema::Position> FromValue(const json::value& value) {
  if (value.is_null()) return std::nullopt;
  return json::value_to<schema::Position>(value);
}

}  // namespace

std::string ToText(const Cursor& cursor) {
  json::object object;
  object["at"] = ToValue(cursor.at);
  if (cursor.in_window) {
    object["window"] = json::array{ToValue(cursor.window_lo), ToValue(cursor.window_hi)};
    object["residues"] = json::array{cursor.residue_lo, cursor.residue_hi};
  }
  return json::serialize(object);
}

Cursor CursorFrom(const std::string& text) {
  try {
    const json::value value = json::parse(text);
    const json::object& object = value.as_object();
    Cursor cursor;
    cursor.at = FromValue(object.at("at"));
    if (object.contains("window")) {
      cursor.in_window = true;
      cursor.window_lo = FromValue(object.at("window").as_array().at(0));
      cursor.window_hi = json::value_to<schema::Position>(object.at("window").as_array().at(1));
      cursor.residue_lo = object.at("residues").as_array().at(0).as_int64();
      cursor.residue_hi = object.at("residues").as_array().at(1).as_int64();
      // A pass of no residue at all would be divided by.
      if (cursor.residue_lo < 0 || cursor.residue_hi <= cursor.residue_lo) {
        throw std::out_of_range("residues");
      }
    }
    return cursor;
  } catch (const std::exception&) {
    schema::FailDamaged("cursor", text);
  }
}

}  // namespace pawl::batching
