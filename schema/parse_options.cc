#include "schema/parse_options.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/error.h"
#include "schema/ast.h"
#include "schema/near_name.h"
#include "schema/statement.h"
#include "schema/throttle_options.h"

namespace pawl::schema {
namespace {

// No count that makes sense here is longer, and none overflows where it is multiplied by bytes.
constexpr std::int64_t kCountMax = 1'000'000'000'000;

constexpr std::string_view kMark = "pawl";

// What a value must be, and the sentence that says so.
struct OptionRule {
  std::string_view name;
  std::string_view allowed;
  bool (*accepts)(const std::string& value);
  std::string_view value_alone;  // The value of the bare name; empty if it needs one.
};

bool IsOneOf(const std::string& value, std::initializer_list<std::string_view> allowed) {
  return std::find(allowed.begin(), allowed.end(), value) != allowed.end();
}

std::optional<std::int64_t> Count(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || end != text.data() + text.size() || count < 0 || count > kCountMax) {
    return std::nullopt;
  }
  return count;
}

bool IsCount(const std::string& value) { return Count(value).has_value(); }

bool IsPositiveCount(const std::string& value) { return Count(value).value_or(0) > 0; }

bool IsWorkers(const std::string& value) {
  const std::int64_t workers = Count(value).value_or(0);
  return workers > 0 && workers <= kWorkersMax;
}

bool IsStride(const std::string& value) {
  return IsOneOf(value, {"2", "4", "8", "16", "32", "64"});
}

bool IsDuration(const std::string& value) {
  const std::size_t digits = value.find_first_not_of("0123456789");
  if (digits == std::string::npos || digits == 0) return false;
  return IsPositiveCount(value.substr(0, digits)) &&
         IsOneOf(value.substr(digits), {"ms", "s", "min"});
}

bool IsRetention(const std::string& value) {
  const std::size_t digits = value.find_first_not_of("0123456789");
  if (digits == std::string::npos || digits == 0 || digits > 4) return false;
  return IsPositiveCount(value.substr(0, digits)) && IsOneOf(value.substr(digits), {"h", "d"});
}

bool IsSetList(const std::string& value) {
  const std::optional<AstValue> statement = ParseOneStatement("UPDATE t SET " + value);
  const AstObject* update = statement ? NodeOf(*statement, "UpdateStmt") : nullptr;
  // The table and the list: no FROM, WHERE or RETURNING.
  return update != nullptr && update->size() == 2;
}

bool IsNameList(const std::string& value) {
  bool in_name = false;
  for (const char c : value) {
    if (c == ',' && !in_name) return false;
    if (c != ',' && c != '_' && (c < 'a' || c > 'z')) return false;
    in_name = c != ',';
  }
  return in_name;
}

constexpr std::string_view kSetListRule =
    "a list of assignments as after SET, in double quotes, for example inverse=\"x = x - 1\"";

const std::array<OptionRule, 14>& Rules() {
  static const std::array<OptionRule, 14> kRules = {{
      {"order", "auto, key, block, key_strides or block_strides",
       [](const std::string& value) {
         return IsOneOf(value, {"auto", "key", "block", "key_strides", "block_strides"});
       },
       ""},
      {"stride", "2, 4, 8, 16, 32 or 64", IsStride, ""},
      {"undo", "auto, image, none or inverse",
       [](const std::string& value) {
         return IsOneOf(value, {"auto", "image", "none", "inverse"});
       },
       ""},
      {"inverse", kSetListRule, IsSetList, ""},
      {"keep_in_sync", "false, end or contract",
       [](const std::string& value) {
         return IsOneOf(value, {"false", "end", "contract"});
       },
       "end"},
      {"quiet_triggers", "true or false",
       [](const std::string& value) {
         return IsOneOf(value, {"true", "false"});
       },
       "true"},
      {"quarantine", "a number of rows, 0 or more", IsCount, ""},
      {"batch_rows", "a number of rows, 1 or more", IsPositiveCount, ""},
      {"batch_time", "a time in ms, s or min, for example 250ms", IsDuration, ""},
      {"retention", "hours or days, for example 12h or 30d", IsRetention, ""},
      {"workers", "a number from 1 to 64", IsWorkers, ""},
      {"pace", "a number of rows per second, 0 for no limit", IsCount, ""},
      {"allow", "names of refusals joined by commas, for example self_join", IsNameList, ""},
      {"ignore", "names of lint rules joined by commas, for example set_not_null", IsNameList, ""},
  }};
  return kRules;
}

std::string CheckedThrottleOption(const Place& place, const ThrottleOption& option,
                                  const std::optional<std::string>& value) {
  if (!value) {
    FailAt(place, fmt::format("option \"{}\" has no value", option.name),
           fmt::format("Write {}=…: {}.", option.name, option.allowed));
  }
  if (AcceptsThrottleValue(option, *value)) return *value;
  FailAt(place, fmt::format("option {}=\"{}\" is not understood", option.name, *value),
         fmt::format("Allowed: {}.", option.allowed));
}

[[noreturn]] void FailUnknown(const Place& place, const std::string& name) {
  std::vector<std::string> throttle;
  for (const ThrottleOption& option : ThrottleOptions()) throttle.emplace_back(option.name);
  std::vector<std::string> all = KnownOptions();
  all.insert(all.end(), throttle.begin(), throttle.end());
  std::string remedy = fmt::format("The options are {}.", fmt::join(all, ", "));
  if (const std::string nearest = NearName(name, all); !nearest.empty()) {
    const bool steers = FindThrottleOption(nearest) != nullptr;
    remedy = fmt::format("Did you mean \"{}\"? The options{} are {}.", nearest,
                         steers ? " of the throttle" : "",
                         fmt::join(steers ? throttle : KnownOptions(), ", "));
  }
  FailAt(place, fmt::format("there is no option \"{}\"", name), remedy);
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\f\v");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\f\v") - begin + 1);
}

std::string_view TakeName(std::string_view& line) {
  std::size_t length = 0;
  while (length < line.size() && line[length] != '=' && line[length] != ' ' &&
         line[length] != '\t' && line[length] != '"') {
    ++length;
  }
  const std::string_view name = line.substr(0, length);
  line.remove_prefix(length);
  return name;
}

// Takes what follows the equals sign; inside double quotes, two of them stand for one.
std::string TakeValue(const Place& place, const std::string& name, std::string_view& line) {
  std::string value;
  if (line.empty() || line.front() != '"') {
    const std::size_t length = std::min(line.find_first_of(" \t"), line.size());
    value = line.substr(0, length);
    line.remove_prefix(length);
    return value;
  }
  for (std::size_t i = 1; i < line.size(); ++i) {
    if (line[i] != '"') {
      value.push_back(line[i]);
    } else if (i + 1 < line.size() && line[i + 1] == '"') {
      value.push_back(line[i++]);
    } else {
      line.remove_prefix(i + 1);
      return value;
    }
  }
  FailAt(place, fmt::format("the value of option \"{}\" has no closing double quote", name),
         "Close it on the same line; inside the quotes, write \"\" for a double quote.");
}

}  // namespace

const std::vector<std::string>& KnownOptions() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (const OptionRule& rule : Rules()) names.emplace_back(rule.name);
    return names;
  }();
  return kNames;
}

std::string CheckedOption(const Place& place, const std::string& name,
                          const std::optional<std::string>& value) {
  if (const ThrottleOption* option = FindThrottleOption(name)) {
    return CheckedThrottleOption(place, *option, value);
  }
  const auto rule = std::find_if(Rules().begin(), Rules().end(),
                                 [&](const OptionRule& known) { return known.name == name; });
  if (rule == Rules().end()) FailUnknown(place, name);
  if (!value && !rule->value_alone.empty()) return std::string(rule->value_alone);
  if (!value) {
    FailAt(place, fmt::format("option \"{}\" has no value", name),
           fmt::format("Write {}=…: {}.", name, rule->allowed));
  }
  if (!rule->accepts(*value)) {
    FailAt(place, fmt::format("option {}=\"{}\" is not understood", name, *value),
           fmt::format("Allowed: {}.", rule->allowed));
  }
  return *value;
}

bool MentionsPawl(std::string_view comment) {
  const std::string_view body = Trimmed(comment.substr(2));
  if (body.size() < kMark.size()) return false;
  return std::equal(kMark.begin(), kMark.end(), body.begin(), [](char mark, char c) {
    return std::tolower(static_cast<unsigned char>(c)) == mark;
  });
}

std::optional<std::string> OptionsInComment(const Place& place, std::string_view comment) {
  if (!MentionsPawl(comment)) return std::nullopt;
  std::string_view rest = Trimmed(Trimmed(comment.substr(2)).substr(kMark.size()));
  if (!rest.empty() && rest.front() == ':') return std::string(Trimmed(rest.substr(1)));
  const std::string first(TakeName(rest));
  const bool is_option =
      FindThrottleOption(first) != nullptr ||
      std::find(KnownOptions().begin(), KnownOptions().end(), first) != KnownOptions().end();
  if (is_option && !rest.empty() && rest.front() == '=') {
    FailAt(place, "an option line has no colon", fmt::format("Write \"-- pawl: {}=…\".", first));
  }
  return std::nullopt;
}

void ReadOptions(const Place& place, std::string_view line, Options& options) {
  line = Trimmed(line);
  if (line.empty()) {
    FailAt(place, "an option line names no option", "Write \"-- pawl: name=value\" or remove it.");
  }
  while (!line.empty()) {
    const std::string name(TakeName(line));
    std::optional<std::string> value;
    if (!line.empty() && line.front() == '=') {
      line.remove_prefix(1);
      value = TakeValue(place, name, line);
    }
    if (!line.empty() && line.front() != ' ' && line.front() != '\t') {
      FailAt(place, fmt::format("after option \"{}\" stands \"{}\"", name, line),
             "Write name=value pairs with spaces between them, and quote a value with spaces.");
    }
    const std::string checked = CheckedOption(place, name, value);
    if (!options.emplace(name, checked).second) {
      FailAt(place, fmt::format("option \"{}\" is given twice", name), "Keep one of the two.");
    }
    line = Trimmed(line);
  }
}

}  // namespace pawl::schema
