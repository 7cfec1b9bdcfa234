// The times of day at which the run may work, by the server's clock in the zone the user named.
#include <fmt/format.h>

#include "engine/throttle/signals.h"

namespace pawl::throttle {
namespace {

class DayWindow : public Signal {
 public:
  DayWindow(std::string text, schema::DayWindow window)
      : text_(std::move(text)), window_(std::move(window)) {}

  std::string name() const override { return "window"; }

  std::optional<std::string> Obstacle(db::Session& session) override {
    try {
      Minute(session);
    } catch (const db::Error& error) {
      return fmt::format("{}. Name a zone as in pg_timezone_names, for example Europe/Berlin.",
                         error.what());
    }
    return std::nullopt;
  }

  std::optional<Reading> Read(db::Session& session) override {
    const int minute = Minute(session);
    const bool overnight = window_.begin_minute >= window_.end_minute;
    const bool open = overnight ? minute >= window_.begin_minute || minute < window_.end_minute
                                : minute >= window_.begin_minute && minute < window_.end_minute;
    return Reading{open ? 0.0 : 1.0, 1, open ? 0.0 : 1.0,
                   fmt::format("it is {:02}:{:02}{}, {} the window {}", minute / 60, minute % 60,
                               window_.time_zone.empty() ? "" : " in " + window_.time_zone,
                               open ? "inside" : "outside", text_),
                   false};
  }

 private:
  int Minute(db::Session& session) {
    const auto found = session.Query(
        R"sql(SELECT extract(hour FROM t) * 60 + extract(minute FROM t)
  FROM (SELECT CASE WHEN $1 = '' THEN clock_timestamp()::timestamp
                    ELSE clock_timestamp() AT TIME ZONE $1 END AS t) AS now)sql",
        {window_.time_zone});
    return static_cast<int>(db::ToDouble(found.rows.at(0)[0]));
  }

  std::string text_;
  schema::DayWindow window_;
};

}  // namespace

std::unique_ptr<Signal> MakeWindow(const Scene& scene) {
  const std::string text = schema::ThrottleValue(scene.values, "window");
  if (text == "off") return nullptr;
  const auto window = schema::ParseDayWindow(text);
  PAWL_CHECK(window.has_value());
  return std::make_unique<DayWindow>(text, *window);
}

}  // namespace pawl::throttle
