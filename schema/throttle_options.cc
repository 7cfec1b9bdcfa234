#include "schema/throttle_options.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include "db/error.h"
#include "schema/comma_list.h"
#include "schema/near_name.h"

namespace pawl::schema {
namespace {

using Unit = ThrottleUnit;

constexpr std::string_view kTimes = "a time such as 500ms, 10s, 2min or 1h, or off";
constexpr std::string_view kSizes = "a size such as 512MB or 2GB, or off";
constexpr std::string_view kLatencies =
    "a share above the normal such as +25%, a time such as 20ms, or off";
constexpr std::string_view kShares = "a share such as 25%, or off";
constexpr std::string_view kCounts = "a number greater than 0, or off";

struct UnitFactor {
  std::string_view name;
  double factor;
};

constexpr UnitFactor kTimeUnits[] = {{"ms", 0.001}, {"s", 1}, {"min", 60}, {"h", 3'600}};
constexpr UnitFactor kByteUnits[] = {{"kB", 1024.0},
                                     {"MB", 1024.0 * 1024},
                                     {"GB", 1024.0 * 1024 * 1024},
                                     {"TB", 1024.0 * 1024 * 1024 * 1024}};
constexpr UnitFactor kRateUnits[] = {
    {"kB/s", 1024.0}, {"MB/s", 1024.0 * 1024}, {"GB/s", 1024.0 * 1024 * 1024}};
constexpr UnitFactor kShareUnits[] = {{"%", 0.01}};
constexpr UnitFactor kNoUnits[] = {{"", 1}};

// A number greater than 0 with one of `units` behind it, in base units.
template <std::size_t size>
std::optional<double> Measure(std::string_view text, const UnitFactor (&units)[size]) {
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !(number > 0) || !std::isfinite(number)) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const UnitFactor& known : units) {
    if (known.name == unit) return number * known.factor;
  }
  return std::nullopt;
}

std::optional<LatencyLimit> Latency(std::string_view text) {
  if (const auto share = Measure(text.starts_with('+') ? text.substr(1) : text, kShareUnits)) {
    return LatencyLimit{true, *share};
  }
  if (const auto time = Measure(text, kTimeUnits)) return LatencyLimit{false, *time};
  return std::nullopt;
}

std::optional<double> Number(Unit unit, std::string_view text) {
  switch (unit) {
    case Unit::kTime:
      return Measure(text, kTimeUnits);
    case Unit::kBytes:
      return Measure(text, kByteUnits);
    case Unit::kByteRate:
      return Measure(text, kRateUnits);
    case Unit::kShare:
      return Measure(text, kShareUnits);
    case Unit::kCount:
      return Measure(text, kNoUnits);
    default:
      return std::nullopt;
  }
}

bool IsWordOf(std::string_view words, std::string_view value) {
  std::size_t at = 0;
  while ((at = words.find(value, at)) != std::string_view::npos) {
    const auto is_letter = [&](std::size_t i) {
      return i < words.size() && std::isalpha(static_cast<unsigned char>(words[i])) != 0;
    };
    if ((at == 0 || !is_letter(at - 1)) && !is_letter(at + value.size())) {
      return !value.empty() && value != "or" && value != ",";
    }
    ++at;
  }
  return false;
}

// "HH:MM" as minutes; 24:00 is the day's end.
std::optional<int> Minute(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const std::size_t i : {0U, 1U, 3U, 4U}) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
  }
  const int hours = (text[0] - '0') * 10 + text[1] - '0';
  const int minutes = (text[3] - '0') * 10 + text[4] - '0';
  if (hours > 24 || minutes > 59 || (hours == 24 && minutes > 0)) return std::nullopt;
  return hours * 60 + minutes;
}

}  // namespace

const std::vector<ThrottleOption>& ThrottleOptions() {
  static const std::vector<ThrottleOption> kOptions = {
      {"throttle", Unit::kWord, "on", "on or off"},
      {"limit.latency", Unit::kLatency, "+50%", kLatencies},
      {"limit.commit", Unit::kLatency, "+100%", kLatencies},
      {"limit.active", Unit::kCount, "2", kCounts},
      {"limit.lock_wait", Unit::kTime, "500ms", kTimes},
      {"limit.stall", Unit::kTime, "200ms", "a time of 60ms or more"},
      {"limit.replica_lag", Unit::kTime, "10s", kTimes},
      {"limit.replica_lag_bytes", Unit::kBytes, "off", kSizes},
      {"limit.slot_wal", Unit::kBytes, "16GB", kSizes},
      {"limit.archive_backlog", Unit::kBytes, "2GB", kSizes},
      {"limit.wal_rate", Unit::kByteRate, "off", "a rate such as 20MB/s, or off"},
      {"limit.checkpoints", Unit::kCount, "off", "a number of requested ones a minute, or off"},
      {"limit.dead_tuples", Unit::kShare, "off", kShares},
      {"limit.growth", Unit::kShare, "off", kShares},
      {"limit.vacuum", Unit::kWord, "off", "any, wraparound or off"},
      {"limit.xid_age", Unit::kCount, "1200000000", kCounts},
      {"limit.disk_free", Unit::kBytes, "auto", "a size such as 512MB or 2GB, auto or off"},
      {"limit.connections", Unit::kCount, "3", kCounts},
      {"limit.query", Unit::kCount, "off", kCounts},
      {"query", Unit::kText, "off", "a SELECT that returns one number, in double quotes"},
      {"http", Unit::kText, "off", "a URL that begins with http://, or off"},
      {"flag_file", Unit::kText, "off", "the path of a file, or off"},
      {"window", Unit::kText, "off",
       "times of the day, for example \"22:00-06:00 Europe/Berlin\", or off"},
      {"canary", Unit::kText, "off", "a SELECT such as the application's, in double quotes"},
      {"replicas", Unit::kText, "off", "names of replicas joined by commas, or off for all"},
      {"replica", Unit::kText, "off",
       "a connection string of a replica without a password, in double quotes"},
      {"cores", Unit::kCount, "off", "the number of the server's cores"},
      {"end_sessions", Unit::kText, "off", "names of roles joined by commas, or off"},
      {"weight", Unit::kCount, "1", "a number greater than 0"},
      {"vacuum", Unit::kWord, "auto", "auto, make, let or off"},
  };
  return kOptions;
}

const ThrottleOption* FindThrottleOption(std::string_view name) {
  for (const ThrottleOption& option : ThrottleOptions()) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

bool AcceptsThrottleValue(const ThrottleOption& option, const std::string& value) {
  if (value.empty() || value.find_first_of("\r\n") != std::string::npos) return false;
  if (value == "off") return option.name != "weight" && option.name != "limit.stall";
  // One try to get a lock takes that long.
  if (option.name == "limit.stall") return Number(option.unit, value).value_or(0) >= 0.06;
  if (value == "auto" && option.standard == "auto") return true;
  if (option.name == "window") return ParseDayWindow(value).has_value();
  if (option.name == "http") return value.starts_with("http://") && value.size() > 7;
  if (option.name == "replica") return value.find("password") == std::string::npos;
  switch (option.unit) {
    case Unit::kText:
      return true;
    case Unit::kWord:
      return IsWordOf(option.allowed, value);
    case Unit::kLatency:
      return Latency(value).has_value();
    default:
      return Number(option.unit, value).has_value();
  }
}

std::string ToText(const ThrottleValues& values) {
  if (values.empty()) return "";
  boost::json::object object;
  for (const auto& [name, value] : values) object[name] = value;
  return boost::json::serialize(object);
}

ThrottleValues ThrottleValuesFrom(const std::string& text) {
  ThrottleValues values;
  if (text.empty()) return values;
  boost::system::error_code error;
  const boost::json::value parsed = boost::json::parse(text, error);
  const boost::json::object* object = parsed.if_object();
  bool good = !error && object != nullptr;
  for (const auto& [name, value] : good ? *object : boost::json::object()) {
    const ThrottleOption* option = FindThrottleOption(name);
    good = good && option != nullptr && value.is_string() &&
           AcceptsThrottleValue(*option, std::string(value.get_string()));
    if (good) values[std::string(name)] = std::string(value.get_string());
  }
  if (good) return values;
  throw db::Error(db::Action::kStop,
                  fmt::format("The throttle's settings of the run, {}, are not understood: they "
                              "were changed by hand. Set pawl.run.throttle to '' and resume.",
                              text));
}

std::pair<std::string, std::string> ParseThrottleSetting(const std::string& setting) {
  const std::size_t equals = setting.find('=');
  const std::string name = setting.substr(0, equals);
  const ThrottleOption* option = FindThrottleOption(name);
  if (option == nullptr) {
    std::vector<std::string> names;
    for (const ThrottleOption& known : ThrottleOptions()) names.emplace_back(known.name);
    const std::string near = NearName(name, names);
    db::FailInput(
        fmt::format("There is no setting \"{}\". {}The settings are workers, pace, {}. "
                    "Nothing was changed.",
                    name, near.empty() ? "" : fmt::format("Did you mean \"{}\"? ", near),
                    fmt::join(names, ", ")));
  }
  const std::string value = equals == std::string::npos ? "" : setting.substr(equals + 1);
  if (!AcceptsThrottleValue(*option, value)) {
    db::FailInput(fmt::format("{}=\"{}\" is not understood. Allowed: {}. Nothing was changed.",
                              name, value, option->allowed));
  }
  return {name, value};
}

std::string ThrottleValue(const ThrottleValues& values, std::string_view name) {
  const auto found = values.find(std::string(name));
  if (found != values.end()) return found->second;
  const ThrottleOption* option = FindThrottleOption(name);
  PAWL_CHECK(option != nullptr);
  return std::string(option->standard);
}

std::optional<double> ThrottleNumber(const ThrottleValues& values, std::string_view name) {
  const ThrottleOption* option = FindThrottleOption(name);
  PAWL_CHECK(option != nullptr);
  const std::string value = ThrottleValue(values, name);
  if (value == "off") return std::nullopt;
  return Number(option->unit, value);
}

std::vector<std::string> ThrottleNames(const ThrottleValues& values, std::string_view name) {
  const std::string list = ThrottleValue(values, name);
  return list == "off" ? std::vector<std::string>{} : CommaList(list);
}

std::optional<LatencyLimit> ThrottleLatency(const ThrottleValues& values, std::string_view name) {
  const std::string value = ThrottleValue(values, name);
  if (value == "off") return std::nullopt;
  return Latency(value);
}

std::optional<DayWindow> ParseDayWindow(const std::string& text) {
  if (text.size() < 11 || text[5] != '-') return std::nullopt;
  const auto begin = Minute(std::string_view(text).substr(0, 5));
  const auto end = Minute(std::string_view(text).substr(6, 5));
  if (!begin || !end || *begin % 1440 == *end % 1440) {
    // 00:00-24:00 is the whole day; anything else that ends where it begins never opens.
    if (!begin || !end || *begin != 0 || *end != 1440) return std::nullopt;
  }
  DayWindow window{*begin, *end, ""};
  if (text.size() > 11) {
    if (text[11] != ' ' || text.size() == 12) return std::nullopt;
    window.time_zone = text.substr(12);
  }
  return window;
}

}  // namespace pawl::schema
