// The difference of two schemas, judged by pg_dump: after its statements, both dumps are the same.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "db/session.h"
#include "schema/drift.h"
#include "tests/cli/drift_cases.h"
#include "tests/cli/server_tools.h"
#include "tests/support/test_database.h"

namespace pawl::test {
namespace {

using schema::Picture;

Picture PictureOf(const TestDatabase& database) {
  db::Session session(db::ConnectionString(database.url()), "test");
  return schema::ReadPicture(session);
}

// Without the lines that differ each time. Where there is no pg_dump of this version, the picture.
std::string Dump(const TestDatabase& database) {
  std::string text;
  if (UsesForeignServer() || !std::filesystem::exists(ServerProgram("pg_dump"))) {
    for (const auto& [key, object] : PictureOf(database))
      text += key + " " + object.definition + "\n";
    return text;
  }
  const std::string path = SharedServer().directory() + "/" + database.name() + ".sql";
  RunTool({ServerProgram("pg_dump"), "--schema-only", "-d", database.url(), "-f", path},
          SharedServer().directory());
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("\\restrict") && !line.starts_with("\\unrestrict")) text += line + "\n";
  }
  std::filesystem::remove(path);
  return text;
}

// The first lines in which they differ, for people.
std::string FirstDifference(const std::string& left, const std::string& right) {
  std::istringstream one(left);
  std::istringstream other(right);
  std::string a;
  std::string b;
  while (std::getline(one, a) && std::getline(other, b)) {
    if (a != b) return "<" + a + "\n>" + b;
  }
  return left == right ? "" : "one ends early";
}

// Two databases that look alike, over and over.
class Pair {
 public:
  Pair() {
    for (const auto* database : {&changed_, &other_}) (*database)->Exec(DriftSchema());
    base_ = PictureOf(*changed_);
    base_dump_ = Dump(*changed_);
    EXPECT_TRUE(schema::Difference(PictureOf(*other_), base_).empty());
  }

  // Returns what went wrong, or nothing.
  std::string Try(const DriftCase& one) {
    changed_->Exec(one.sql);
    const Picture target = PictureOf(*changed_);
    const auto forth = schema::Difference(base_, target);
    if (forth.empty()) return "no difference is seen";
    if (std::string failure = Apply(*other_, forth); !failure.empty()) return "there: " + failure;
    if (std::string line = FirstDifference(Dump(*changed_), Dump(*other_)); !line.empty()) {
      return "there: " + line + Listed(forth);
    }
    if (const auto rest = schema::Difference(PictureOf(*other_), target); !rest.empty()) {
      return "there, left over:" + Listed(rest) + "\nafter" + Listed(forth);
    }
    const auto back = schema::Difference(target, base_);
    for (const auto* database : {&changed_, &other_}) {
      if (std::string failure = Apply(**database, back); !failure.empty())
        return "back: " + failure;
    }
    if (one.is_one_way) {
      const auto rest = schema::Difference(PictureOf(*other_), base_);
      return rest.empty() ? "" : "back, left over:" + Listed(rest) + "\nafter" + Listed(back);
    }
    const std::string line = FirstDifference(base_dump_, Dump(*changed_));
    return line.empty() ? "" : "back: " + line + Listed(back);
  }

 private:
  static std::string Listed(const std::vector<schema::DriftStatement>& statements) {
    std::string text;
    for (const auto& statement : statements) text += "\n  " + statement.sql + ";";
    return text;
  }

  static std::string Apply(TestDatabase& database,
                           const std::vector<schema::DriftStatement>& statements) {
    Sql sql = database.Connect();
    for (const auto& statement : statements) {
      try {
        sql.Exec(statement.sql);
      } catch (const SqlError& error) {
        return std::string(error.what()) + "\n  at " + statement.sql + "\nof" + Listed(statements);
      }
    }
    return {};
  }

  std::unique_ptr<TestDatabase> changed_ = std::make_unique<TestDatabase>();
  std::unique_ptr<TestDatabase> other_ = std::make_unique<TestDatabase>();
  Picture base_;
  std::string base_dump_;
};

bool IsAvailable(const DriftCase& one) {
  if (!one.sql.starts_with("CREATE EXTENSION")) return true;
  TestDatabase database;
  return database.Integer("SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'") > 0;
}

TEST(DriftPgTest, ItsStatementsMakeOneSchemaOfTheOther) {
  Sql server(ServerUrl());
  if (server.Rows("SELECT FROM pg_roles WHERE rolname = 'drift_reader'").empty()) {
    server.Exec("CREATE ROLE drift_reader");
  }
  std::atomic<std::size_t> next{0};
  std::vector<std::string> failures(DriftCases().size());
  const auto work = [&] {
    auto pair = std::make_unique<Pair>();
    for (std::size_t i = next++; i < failures.size(); i = next++) {
      const DriftCase& one = DriftCases()[i];
      if (!IsAvailable(one)) continue;
      try {
        failures[i] = pair->Try(one);
      } catch (const std::exception& error) {
        failures[i] = error.what();
      }
      if (!failures[i].empty() || one.is_one_way) pair = std::make_unique<Pair>();
    }
  };
  {
    std::jthread first(work);
    std::jthread second(work);
  }
  for (std::size_t i = 0; i < failures.size(); ++i) {
    if (!failures[i].empty()) ADD_FAILURE() << DriftCases()[i].sql << "\n" << failures[i];
  }
}

}  // namespace
}  // namespace pawl::test
