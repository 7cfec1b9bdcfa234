// The values of `-- pawl: name=value` lines: reading a line, and holding each value to its kind.
//
// Thread safety: all functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "schema/place.h"
#include "schema/statement.h"

namespace pawl::schema {

// Returns the option's value as it is stored, or throws db::Error (kBadInput) naming what is
// allowed. Without a value, a name alone: "end" for keep_in_sync, "true" for quiet_triggers; others
// need one.
std::string CheckedOption(const Place& place, const std::string& name,
                          const std::optional<std::string>& value);

// Whether a comment begins with "pawl": no other holds options. Requires two characters of marks.
bool MentionsPawl(std::string_view comment);

// Returns what follows "pawl:" if `comment`, with its dashes, is an option line. Throws where it is
// one but for a missing colon: an option that is silently ignored is worse than an error.
std::optional<std::string> OptionsInComment(const Place& place, std::string_view comment);

// Reads the pairs of one line into `options`. Throws db::Error (kBadInput) where one is unknown,
// malformed or there already.
void ReadOptions(const Place& place, std::string_view line, Options& options);

}  // namespace pawl::schema
