// The order in which the objects of a picture can be made; in reverse, removed.
#pragma once

#include <string>
#include <vector>

#include "schema/picture.h"

namespace pawl::schema {

// All keys of `picture`: each after what it needs, belongs to or comes after, and otherwise by kind
// and name. Where objects need each other in a circle, one of them comes too early.
std::vector<std::string> CreationOrder(const Picture& picture);

}  // namespace pawl::schema
