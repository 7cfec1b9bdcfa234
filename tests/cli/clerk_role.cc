#include "tests/cli/clerk_role.h"

#include <gtest/gtest.h>

namespace pawl::test {

std::string WithUser(std::string url, const std::string& user) {
  const std::size_t begin = url.find("//") + 2;
  return url.replace(begin, url.find('@') - begin, user);
}

ClerkRole::ClerkRole(TestDatabase& database)
    : database_(database),
      name_("clerk_" + database.name()),
      url_(WithUser(database.url(), name_)) {
  database_.Exec("CREATE ROLE " + name_ + " LOGIN");
}

ClerkRole::~ClerkRole() {
  try {
    database_.Exec("DROP OWNED BY " + name_ + " CASCADE; DROP ROLE " + name_);
  } catch (const std::exception& error) {
    ADD_FAILURE() << "cannot drop role " << name_ << ": " << error.what();
  }
}

}  // namespace pawl::test
