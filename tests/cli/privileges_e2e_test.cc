// The GRANTs of docs/operations.md, word for word: with them everything works, and without any one
// of them Pawl says which is missing, before it has changed anything.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/cli/clerk_role.h"

namespace pawl::test {
namespace {

// The lines of the document that begin with GRANT, without their remarks.
std::vector<std::string> Recipe() {
  std::ifstream file(std::string(PAWL_SOURCE_DIR) + "/docs/operations.md");
  std::vector<std::string> grants;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("GRANT ")) grants.push_back(line.substr(0, line.find(';')));
  }
  return grants;
}

std::string Replaced(std::string text, const std::string& word, const std::string& by) {
  for (std::size_t at = text.find(word); at != std::string::npos;
       at = text.find(word, at + by.size())) {
    text.replace(at, word.size(), by);
  }
  return text;
}

// "GRANT a, b ON c TO d": the words between GRANT and ON, one by one.
std::vector<std::string> PrivilegesIn(const std::string& grant) {
  std::vector<std::string> privileges;
  const std::size_t end = grant.find(" ON ");
  for (std::size_t begin = 6; begin < end;) {
    const std::size_t comma = std::min(grant.find(", ", begin), end);
    privileges.push_back(grant.substr(begin, comma - begin));
    begin = comma == end ? end : comma + 2;
  }
  return privileges;
}

class PrivilegesE2eTest : public testing::Test {
 protected:
  PrivilegesE2eTest() {
    database_.Exec(
        "CREATE TABLE orders (id bigint PRIMARY KEY, total bigint NOT NULL);CREATE TABLE archive "
        "(id bigint PRIMARY KEY, total bigint NOT NULL);INSERT INTO orders SELECT n, n FROM "
        "generate_series(1, 3000) AS n; ANALYZE orders;REVOKE ALL ON SCHEMA public FROM "
        "PUBLIC;REVOKE ALL ON DATABASE " +
        database_.name() + " FROM PUBLIC");
    EXPECT_EQ(RunPawl({"init"}, database_.url()).exit_code, 0);
    hash_ = Hash();
  }

  // Those of the recipe that a migration of `kind` needs; the remarks are the document's.
  std::vector<std::string> Grants(const std::string& kind) const {
    std::vector<std::string> grants;
    for (const std::string& line : Recipe()) {
      const bool on_orders = line.find(" ON orders ") != std::string::npos;
      const bool on_archive = line.find(" ON archive ") != std::string::npos;
      if (on_orders && line.find(kind) == std::string::npos && kind != "archive") continue;
      if (on_archive && kind != "archive") continue;
      if (on_orders && kind == "archive") continue;
      grants.push_back(
          Replaced(Replaced(line, "shop", database_.name()), "pawl_user", role_.name()));
    }
    if (kind == "archive") grants.push_back("GRANT SELECT ON orders TO " + role_.name());
    return grants;
  }

  std::string Hash() {
    return database_.Value(
        "SELECT md5(string_agg(t, ',' ORDER BY t)) FROM (SELECT 'o' || o::text FROM orders AS o "
        "UNION ALL SELECT 'a' || a::text FROM archive AS a) AS rows (t)");
  }

  void ExpectThereAndBack(const std::string& kind, const std::string& file) {
    const bool has_control = database_.Value("SELECT to_regnamespace('pawl')") != "NULL";
    for (const std::string& grant : Grants(kind)) {
      if (has_control || grant.find("SCHEMA pawl") == std::string::npos) database_.Exec(grant);
    }
    const Finished plan = RunPawl({"plan", file}, role_.url());
    EXPECT_EQ(plan.exit_code, 0) << plan.both();
    const Finished run = RunPawl({"run", file}, role_.url());
    ASSERT_EQ(run.exit_code, 0) << run.both();
    EXPECT_NE(Hash(), hash_);
    const std::string number = database_.Value("SELECT max(run_id) FROM pawl.run");
    const Finished verify = RunPawl({"verify", number}, role_.url());
    EXPECT_EQ(verify.exit_code, 0) << verify.both();
    const Finished revert = RunPawl({"revert", number}, role_.url());
    EXPECT_EQ(revert.exit_code, 0) << revert.both();
    EXPECT_EQ(Hash(), hash_);
  }

  // Takes each privilege of the recipe away in turn.
  void ExpectEachIsMissed(const std::string& kind, const std::string& file) {
    for (const std::string& grant : Grants(kind)) database_.Exec(grant);
    for (const std::string& grant : Grants(kind)) {
      const std::size_t on = grant.find(" ON ");
      const std::string target = grant.substr(on, grant.find(" TO ") - on);
      for (const std::string& privilege : PrivilegesIn(grant)) {
        SCOPED_TRACE(privilege + target);
        // USAGE is all of a sequence that nextval needs; the document's SELECT and UPDATE are for
        // setval.
        const bool spare = target == " ON ALL SEQUENCES IN SCHEMA pawl" && privilege != "USAGE";
        database_.Exec("REVOKE " + privilege + target + " FROM " + role_.name());
        if (privilege == "USAGE" && target == " ON ALL SEQUENCES IN SCHEMA pawl") {
          database_.Exec("REVOKE UPDATE" + target + " FROM " + role_.name());
        }
        if (!spare && !(privilege == "CREATE" && kind == "archive")) {
          const Finished run = RunPawl({"run", file}, role_.url());
          EXPECT_EQ(run.exit_code, 2) << run.both();
          EXPECT_NE(run.err.find("GRANT"), std::string::npos) << run.err;
          EXPECT_NE(run.err.find(privilege), std::string::npos) << run.err;
          EXPECT_EQ(Hash(), hash_);
          EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.run"), 0);
        }
        for (const std::string& again : Grants(kind)) database_.Exec(again);
      }
    }
  }

  TestDatabase database_;
  ClerkRole role_{database_};
  std::string hash_;
  std::string update_ = MigrationFile("raise.sql", "UPDATE orders SET total = total + 1;");
  std::string delete_ = MigrationFile("thin.sql", "DELETE FROM orders WHERE id % 3 = 0;");
  std::string insert_ = MigrationFile(
      "keep.sql", "INSERT INTO archive (id, total) SELECT id, total FROM orders WHERE id > 100;");
};

TEST_F(PrivilegesE2eTest, TheRecipeIsEnoughForAnUpdate) {
  ExpectThereAndBack(" UPDATE ON", update_);
}
TEST_F(PrivilegesE2eTest, TheRecipeIsEnoughForADelete) { ExpectThereAndBack(" DELETE,", delete_); }
TEST_F(PrivilegesE2eTest, TheRecipeIsEnoughForAnInsert) { ExpectThereAndBack("archive", insert_); }

TEST_F(PrivilegesE2eTest, AMemberOfTheOwnersRoleMayAddAColumn) {
  for (const std::string& grant : Grants(" UPDATE ON")) database_.Exec(grant);
  const std::string owner = "owner_of_" + database_.name();
  database_.Exec("CREATE ROLE " + owner + "; GRANT USAGE, CREATE ON SCHEMA public TO " + owner +
                 "; ALTER TABLE orders OWNER TO " + owner + "; GRANT " + owner + " TO " +
                 role_.name());
  ExpectThereAndBack(" UPDATE ON",
                     MigrationFile("add.sql",
                                   "ALTER TABLE orders ADD COLUMN cents bigint;\n\n"
                                   "UPDATE orders SET cents = total * 100 WHERE cents IS NULL;"));
  database_.Exec("DROP OWNED BY " + owner + " CASCADE; DROP ROLE " + owner +
                 "; CREATE TABLE orders ()");
}

TEST_F(PrivilegesE2eTest, WithoutOwnershipAColumnIsRefused) {
  for (const std::string& grant : Grants(" UPDATE ON")) database_.Exec(grant);
  const Finished run =
      RunPawl({"run", MigrationFile("add.sql", "ALTER TABLE orders ADD COLUMN cents bigint;")},
              role_.url());
  EXPECT_EQ(run.exit_code, 2) << run.both();
  EXPECT_NE(run.err.find("owner"), std::string::npos) << run.err;
}

TEST_F(PrivilegesE2eTest, EachMissingPrivilegeOfAnUpdateIsNamed) {
  ExpectEachIsMissed(" UPDATE ON", update_);
}
TEST_F(PrivilegesE2eTest, EachMissingPrivilegeOfADeleteIsNamed) {
  ExpectEachIsMissed(" DELETE,", delete_);
}
TEST_F(PrivilegesE2eTest, EachMissingPrivilegeOfAnInsertIsNamed) {
  ExpectEachIsMissed("archive", insert_);
}

TEST_F(PrivilegesE2eTest, WithoutAControlSchemaTheWaysToOneAreNamed) {
  for (const std::string& grant : Grants(" UPDATE ON")) database_.Exec(grant);
  database_.Exec("DROP SCHEMA pawl CASCADE");
  const Finished run = RunPawl({"run", update_}, role_.url());
  EXPECT_EQ(run.exit_code, 2) << run.both();
  EXPECT_NE(run.err.find("GRANT CREATE ON DATABASE"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("pawl init"), std::string::npos) << run.err;
  EXPECT_EQ(Hash(), hash_);
}

TEST_F(PrivilegesE2eTest, ARoleThatMayCreateSchemasNeedsNoInit) {
  database_.Exec("DROP SCHEMA pawl CASCADE; GRANT CREATE ON DATABASE " + database_.name() + " TO " +
                 role_.name());
  ExpectThereAndBack(" UPDATE ON", update_);
}

}  // namespace
}  // namespace pawl::test
