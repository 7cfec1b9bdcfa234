// The words with which a user steers the throttle: names, units, what holds where nothing is said.
// One table, read by migration files, by `--set`, by `pawl set` and by the signals themselves.
//
// Thread safety: all functions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::schema {

enum class ThrottleUnit {
  kTime,      // "10s", "500ms", "2min", "1h"; in seconds.
  kBytes,     // "512MB", "2GB"; 1 kB is 1,024 bytes, as in PostgreSQL.
  kByteRate,  // "20MB/s"
  kShare,     // "25%"; 0.25.
  kLatency,   // "+25%" over how it is without us, or a time. See LatencyLimit.
  kCount,     // "3", "1.5"
  kWord,      // One of a few words; `allowed` lists them.
  kText,      // Checked where it is used.
};

struct ThrottleOption {
  std::string_view name;
  ThrottleUnit unit;
  std::string_view standard;  // Holds where nothing is said; "off": the signal is not read.
  std::string_view allowed;   // For messages.
};

// In the order in which `pawl throttle` shows them.
const std::vector<ThrottleOption>& ThrottleOptions();

// nullptr where there is none of this name.
const ThrottleOption* FindThrottleOption(std::string_view name);

// Whether `value` is one of the option's kind. "off" is, for all.
bool AcceptsThrottleValue(const ThrottleOption& option, const std::string& value);

// Values by name; only those that somebody gave.
using ThrottleValues = std::map<std::string, std::string>;

// A JSON object, as it is stored with the run.
std::string ToText(const ThrottleValues& values);
// Throws db::Error (kStop) where the text is none.
ThrottleValues ThrottleValuesFrom(const std::string& text);

// Reads "name=value" as `pawl set` and `--set` take it. Throws db::Error (kBadInput) that names
// what is allowed.
std::pair<std::string, std::string> ParseThrottleSetting(const std::string& setting);

// The value that holds: what was given, else the standard one.
std::string ThrottleValue(const ThrottleValues& values, std::string_view name);

// The same as a number in base units; nullopt where it is off. Requires a unit that has numbers.
std::optional<double> ThrottleNumber(const ThrottleValues& values, std::string_view name);

// The same as names between commas; none where it is off.
std::vector<std::string> ThrottleNames(const ThrottleValues& values, std::string_view name);

// "+25%" is relative: {true, 0.25}. "20ms" is not: {false, 0.02}.
struct LatencyLimit {
  bool relative = false;
  double allowed = 0;
};
std::optional<LatencyLimit> ThrottleLatency(const ThrottleValues& values, std::string_view name);

// `window`: "22:00-06:00 Europe/Berlin". Minutes of the day; the end is not part of it, and may lie
// on the next day. No zone: the database's.
struct DayWindow {
  int begin_minute = 0;
  int end_minute = 0;
  std::string time_zone;
};
// nullopt where the text is none, or the window would never open.
std::optional<DayWindow> ParseDayWindow(const std::string& text);

}  // namespace pawl::schema
