// "Did you mean …": the known name nearest to one that is not known.
//
// Thread safety: all functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pawl::schema {

// Returns the candidate that is a slip of the hand away from `name` (at most a third of its
// letters, rounded, and at least one), or an empty text.
std::string NearName(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace pawl::schema
