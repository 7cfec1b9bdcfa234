// A role without any privilege, to log in as: what an administrator would make for Pawl.
#pragma once

#include <string>

#include "tests/cli/pawl_process.h"

namespace pawl::test {

// Thread safety: none. `database` must outlive it.
class ClerkRole {
 public:
  explicit ClerkRole(TestDatabase& database);
  // Drops the role with all that it owns and was granted.
  ~ClerkRole();
  ClerkRole(const ClerkRole&) = delete;
  ClerkRole& operator=(const ClerkRole&) = delete;

  const std::string& name() const { return name_; }
  // The database as this role, which the test's own server trusts.
  const std::string& url() const { return url_; }

 private:
  TestDatabase& database_;
  std::string name_;
  std::string url_;
};

// `url` as another user.
std::string WithUser(std::string url, const std::string& user);

}  // namespace pawl::test
