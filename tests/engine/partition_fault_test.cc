// A run that attaches a partition beside a default one, and one that detaches it, are killed inside of
// each of their short transactions, before a question is answered and around each long statement, there
// and back, while an application writes. Each time the next command carries it on or takes it back: the
// catalogue is that of the plain statement, or that of before, and no statement of the application fails.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/engine/fault_scene.h"

namespace pawl::test {
namespace {

constexpr const char* kAttach = "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (1000) TO (2000)";
constexpr const char* kDetach = "ALTER TABLE p DETACH PARTITION c CONCURRENTLY";

class PartitionFaultTest : public testing::Test {
 protected:
  PartitionFaultTest() {
    database_.Exec(R"sql(
CREATE TABLE o (id bigint PRIMARY KEY);
INSERT INTO o SELECT generate_series(0, 9);
CREATE TABLE p (id bigint NOT NULL, updates integer NOT NULL DEFAULT 0, label text, o bigint REFERENCES o,
  PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE INDEX p_label ON p (label);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
INSERT INTO p SELECT g, 0, 'row ' || g, g % 10 FROM generate_series(1, 500) AS g;
CREATE TABLE c (id bigint NOT NULL, updates integer NOT NULL DEFAULT 0, label text, o bigint);
INSERT INTO c SELECT g, 0, 'row ' || g, g % 10 FROM generate_series(1000, 1999) AS g)sql");
  }
  ~PartitionFaultTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  WriterOptions Options() const {
    WriterOptions options;
    options.url = database_.url();
    options.table = "p";
    options.key_end = 1'000;
    options.insert_columns = {{"label", "'w' || $1"}, {"o", "1"}};
    options.changes_per_second = 100;
    return options;
  }

  int Command(const std::vector<std::string>& words, const std::string& fault = {}) {
    std::vector<std::string> environment = {"PAWL_DATABASE_URL=" + database_.url(),
                                            "PAWL_FAULT_DIR=" + directory_};
    if (!fault.empty()) environment.push_back("PAWL_FAULT_AT=" + fault);
    return Child(words, environment, directory_ + "/output").Wait();
  }

  bool IsKilled(const std::vector<std::string>& words, const std::string& fault) {
    const int code = Command(words, fault);
    EXPECT_TRUE(code == 0 || code == 128 + SIGKILL) << code << Output();
    return code != 0;
  }

  std::string LastRun() { return database_.Value("SELECT max(run_id)::text FROM pawl.run"); }

  std::string Output() const {
    std::ifstream file(directory_ + "/output");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string Catalogue() {
    return database_.Value(R"sql(
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
  SELECT concat_ws(' ', c.relname, pg_get_expr(c.relpartbound, c.oid), i.inhparent::regclass)
    FROM pg_class AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid
   WHERE c.relnamespace = 'public'::regnamespace AND c.relname !~ '_(history|before)'
  UNION ALL SELECT pg_get_indexdef(indexrelid) || indisvalid FROM pg_index
   WHERE indrelid::regclass::text IN ('p', 'p1', 'c', 'pd')
  UNION ALL SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated, coninhcount)
    FROM pg_constraint WHERE conrelid::regclass::text IN ('p', 'p1', 'c', 'pd')) AS lines (line))sql");
  }

  void Write(const std::string& statement) { std::ofstream(file_) << statement << ";\n"; }

  // Kills the run, or the way back, in its `pass`th passing of the point; `gives_up`: then the run is
  // not carried on. Returns false where neither came so far.
  bool KillAt(const std::string& point, int pass, bool gives_up) {
    const std::string fault = point + ":" + std::to_string(pass) + ":kill";
    SCOPED_TRACE("PAWL_FAULT_AT=" + fault);
    const bool forward = IsKilled({"run", file_}, fault);
    if (forward && gives_up) {
      Command({"abort", LastRun()});
    } else {
      EXPECT_EQ(Command({"run", file_}), 0) << Output();
      EXPECT_EQ(Catalogue(), plain_);
    }
    const bool back = IsKilled({"revert", LastRun()}, fault);
    EXPECT_EQ(Command({"revert", LastRun()}), 0) << Output();
    EXPECT_EQ(Catalogue(), before_);
    return forward || back;
  }

  void Sweep() {
    Writers writers(Options());
    for (const auto& [point, passes_max] : std::vector<std::pair<std::string, int>>{
             {"in_ddl", 12}, {"before_question", 4}, {"before_ddl", 20}, {"after_ddl", 20}}) {
      int pass = 1;
      while (pass <= passes_max && KillAt(point, pass, pass % 2 == 0) && !HasFailure()) ++pass;
      if (HasFailure()) return;
    }
    const WriterCounts counts = writers.Stop();
    EXPECT_GT(counts.acknowledged(), 0);
    EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
    EXPECT_EQ(writers.Mismatch(), "");
  }

  TestDatabase database_;
  std::string directory_ = FreshDirectory();
  std::string file_ = directory_ + "/partition.sql";
  std::string before_;
  std::string plain_;
};

TEST_F(PartitionFaultTest, AttachKilledAtAnyPointIsCarriedOnOrTakenBack) {
  if (!HasFaultPoints()) GTEST_SKIP() << "no fault points in this build";
  database_.Exec("CREATE TABLE pd PARTITION OF p DEFAULT");
  ASSERT_EQ(Command({"init"}), 0) << Output();
  before_ = Catalogue();
  database_.Exec(std::string("BEGIN; ") + kAttach);
  plain_ = Catalogue();
  database_.Exec("ROLLBACK");
  Write(kAttach);
  Sweep();
}

TEST_F(PartitionFaultTest, DetachKilledAtAnyPointIsCarriedOnOrTakenBack) {
  if (!HasFaultPoints()) GTEST_SKIP() << "no fault points in this build";
  database_.Exec(kAttach);
  ASSERT_EQ(Command({"init"}), 0) << Output();
  before_ = Catalogue();
  database_.Exec(kDetach);
  plain_ = Catalogue();
  const std::string left = database_.Value(
      "SELECT conname FROM pg_constraint WHERE conrelid = 'c'::regclass AND contype = 'c'");
  database_.Exec(std::string(kAttach) + "; ALTER TABLE c DROP CONSTRAINT " + left);
  ASSERT_EQ(Catalogue(), before_);
  Write(kDetach);
  Sweep();
}

}  // namespace
}  // namespace pawl::test
