// Numbers as a person reads them. Pure; everything here is in English and knows no locale.
//
// Thread safety: all functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::cli {

std::string Grouped(std::int64_t number);                        // "1,000,000"
std::string Rows(std::int64_t count);                            // "1 row", "1,000 rows"
std::string Counted(std::int64_t count, std::string_view noun);  // "1 difference", "0 differences"
std::string Bytes(std::int64_t bytes);                           // "512 bytes", "1.5 MiB", "20 GiB"
std::string Duration(double seconds);  // "6.2 s", "45 s", "3 min 5 s", "1 h 20 min", "2 d 3 h"
std::string Percent(double fraction);  // "42.3 %"; never rounded up to 100.

// "3 to 5 min", "40 s to 2 min", "12 s" where both ends read the same. Empty where either is
// negative: not known yet.
std::string DurationRange(double seconds_low, double seconds_high);

// How many columns of a terminal UTF-8 `text` takes: wide characters count two, combining ones are
// taken for one, so it never falls short.
std::size_t DisplayWidth(std::string_view text);

// `text` on one line of at most `columns`: control characters become spaces, and what does not fit
// is cut, whole characters only.
std::string Fitted(std::string_view text, std::size_t columns);

// `text` followed by spaces up to `columns`, or as it is where it is longer.
std::string PaddedRight(std::string_view text, std::size_t columns);
std::string PaddedLeft(std::string_view text, std::size_t columns);

// `lines` of equally many cells as a table; the columns of `numbers`, from 0, stand at the right.
std::string Aligned(const std::vector<std::vector<std::string>>& lines,
                    const std::set<std::size_t>& numbers);

}  // namespace pawl::cli
