#include "cli/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace pawl::cli {
namespace {

constexpr double kMinute = 60;
constexpr double kHour = 60 * kMinute;
constexpr double kDay = 24 * kHour;
constexpr double kSecondsMax = 1e12;  // What is longer is not known; and no cast overflows.

std::int64_t Whole(double value) { return static_cast<std::int64_t>(std::llround(value)); }

// "1 h 20 min", and "1 h" where the second part is 0.
std::string TwoParts(std::int64_t small, std::int64_t per_large, std::string_view large_unit,
                     std::string_view small_unit) {
  const std::string first = fmt::format("{} {}", small / per_large, large_unit);
  const std::int64_t rest = small % per_large;
  return rest == 0 ? first : fmt::format("{} {} {}", first, rest, small_unit);
}

// An estimate of the future deserves one unit, not two. Returns the number and the unit, or no unit
// where one number would be too coarse.
struct Coarse {
  std::int64_t number = 0;
  std::string_view unit;
};

Coarse CoarseOf(double seconds) {
  if (seconds < 90) return {std::max<std::int64_t>(1, Whole(seconds)), "s"};
  if (seconds < 90 * kMinute) return {Whole(seconds / kMinute), "min"};
  return {};
}

std::string CoarseText(double seconds) {
  const Coarse coarse = CoarseOf(seconds);
  if (coarse.unit.empty()) return Duration(seconds);
  return fmt::format("{} {}", coarse.number, coarse.unit);
}

std::size_t CharacterLength(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

// From U+1100 on, and below the punctuation and box characters' block or from CJK on, a character
// may be two columns wide.
std::size_t CharacterWidth(std::string_view character) {
  if (character.size() < 3) return 1;
  if (character.size() == 4) return 2;
  const auto lead = static_cast<unsigned char>(character[0]);
  const auto second = static_cast<unsigned char>(character[1]);
  const bool symbols = lead == 0xe2 && second < 0xba;  // U+2000 to U+2E7F: dashes, bars, arrows.
  return symbols ? 1 : 2;
}

}  // namespace

std::string Grouped(std::int64_t number) {
  std::string digits = fmt::format("{}", number);
  const std::size_t sign = number < 0 ? 1 : 0;
  for (std::size_t i = digits.size(); i > sign + 3;) {
    i -= 3;
    digits.insert(i, 1, ',');
  }
  return digits;
}

std::string Counted(std::int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", Grouped(count), noun, count == 1 ? "" : "s");
}

std::string Rows(std::int64_t count) { return Counted(count, "row"); }

std::string Bytes(std::int64_t bytes) {
  if (bytes < 1024) return Counted(bytes, "byte");
  constexpr std::array<std::string_view, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return value < 9.95 ? fmt::format("{:.1f} {}", value, kUnits[unit])
                      : fmt::format("{:.0f} {}", value, kUnits[unit]);
}

std::string Duration(double seconds) {
  if (!(seconds >= 0) || seconds > kSecondsMax) return "unknown";
  if (seconds < 0.95) return fmt::format("{} ms", Whole(seconds * 1000));
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds < 59.5) return fmt::format("{} s", Whole(seconds));
  if (seconds < kHour - 0.5) return TwoParts(Whole(seconds), 60, "min", "s");
  if (seconds < kDay - kMinute / 2) return TwoParts(Whole(seconds / kMinute), 60, "h", "min");
  return TwoParts(Whole(seconds / kHour), 24, "d", "h");
}

std::string Percent(double fraction) {
  const double clamped = std::clamp(fraction, 0.0, 1.0);
  // Rounded down: "100.0 %" is said of what is done, not of what nearly is.
  return fmt::format("{:.1f} %", std::floor(clamped * 1000 + 1e-9) / 10);
}

std::string DurationRange(double seconds_low, double seconds_high) {
  if (!(seconds_low >= 0) || !(seconds_high >= 0) || seconds_high > kSecondsMax) return "";
  const Coarse low = CoarseOf(seconds_low);
  const Coarse high = CoarseOf(seconds_high);
  if (!low.unit.empty() && low.unit == high.unit) {
    return low.number >= high.number
               ? fmt::format("{} {}", high.number, high.unit)
               : fmt::format("{} to {} {}", low.number, high.number, high.unit);
  }
  const std::string from = CoarseText(seconds_low);
  const std::string to = CoarseText(seconds_high);
  return from == to ? from : fmt::format("{} to {}", from, to);
}

std::size_t DisplayWidth(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view character =
        text.substr(i, CharacterLength(static_cast<unsigned char>(text[i])));
    width += CharacterWidth(character);
    i += character.size();
  }
  return width;
}

std::string Fitted(std::string_view text, std::size_t columns) {
  std::string fitted;
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view character =
        text.substr(i, CharacterLength(static_cast<unsigned char>(text[i])));
    width += CharacterWidth(character);
    if (width > columns) break;
    const bool control = static_cast<unsigned char>(character[0]) < 0x20 || character[0] == 0x7f;
    fitted += control ? " " : character;
    i += character.size();
  }
  return fitted;
}

std::string PaddedRight(std::string_view text, std::size_t columns) {
  const std::size_t width = DisplayWidth(text);
  return std::string(text) + std::string(columns > width ? columns - width : 0, ' ');
}

std::string PaddedLeft(std::string_view text, std::size_t columns) {
  const std::size_t width = DisplayWidth(text);
  return std::string(columns > width ? columns - width : 0, ' ') + std::string(text);
}

std::string Aligned(const std::vector<std::vector<std::string>>& lines,
                    const std::set<std::size_t>& numbers) {
  std::vector<std::size_t> widths(lines.front().size());
  for (const auto& cells : lines) {
    for (std::size_t i = 0; i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(cells[i]));
    }
  }
  std::string text;
  for (const auto& cells : lines) {
    std::string line;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (i > 0) line += "  ";
      line +=
          numbers.contains(i) ? PaddedLeft(cells[i], widths[i]) : PaddedRight(cells[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace pawl::cli
