// Lists as users write them in an option: "a,b,c".
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace pawl::schema {

// The pieces between the commas; empty ones are left out.
inline std::vector<std::string> CommaList(const std::string& list) {
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  while (begin <= list.size()) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) pieces.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return pieces;
}

}  // namespace pawl::schema
