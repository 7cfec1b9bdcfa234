// What is fed with bad input: everything that reads text which a user, or a hand in the control
// schema, has written. Nothing but db::Error may come out of any of it.
//
// Thread safety: all functions.
#pragma once

#include <string>
#include <vector>

namespace pawl::fuzz {

struct Target {
  std::string name;  // Also of its folders of seeds and crashers.
  // Reads the text; checks that what is understood is understood the same the second time. Throws
  // anything but db::Error, or aborts, where it is not.
  void (*feed)(const std::string& text);
};

const std::vector<Target>& Targets();

}  // namespace pawl::fuzz
