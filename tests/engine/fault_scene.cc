#include "tests/engine/fault_scene.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace pawl::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Binary() {
  const char* path = std::getenv("PAWL_BINARY");
  if (path != nullptr) return path;
#ifdef PAWL_BINARY  // Tests of this folder that run no binary are linked with this file too.
  return PAWL_BINARY;
#else
  throw std::runtime_error("set PAWL_BINARY to the program to test");
#endif
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

bool HasFaultPoints() {
#ifdef PAWL_FAULT_POINTS
  return true;
#else
  return false;
#endif
}

bool WaitUntil(const std::function<bool()>& holds, milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(20));
  }
  return true;
}

std::string FreshDirectory() {
  std::string path = (fs::temp_directory_path() / "pawl-kill-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make " + path);
  return path;
}

Child::Child(std::vector<std::string> words, std::vector<std::string> environment,
             const std::string& output)
    : output_(output) {
  words.insert(words.begin(), "pawl");
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (!text.starts_with("PAWL_") && !text.starts_with("PG")) environment.emplace_back(text);
  }
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, 1, 2);
  const int error = posix_spawn(&pid_, Binary().c_str(), &files, nullptr, Pointers(words).data(),
                                Pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) throw std::runtime_error("cannot start " + Binary());
}

Child::~Child() {
  if (Ended()) return;
  Signal(SIGKILL);
  waitpid(pid_, &status_, 0);
}

void Child::Signal(int signal) const { kill(pid_, signal); }

bool Child::Ended() {
  if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
  return ended_;
}

int Child::Wait(milliseconds limit) {
  if (!WaitUntil([&] { return Ended(); }, limit)) return -1;
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

std::string Child::Output() const {
  std::ifstream file(output_);
  return {std::istreambuf_iterator<char>(file), {}};
}

Scene::Scene(std::int64_t rows, const std::string& options) : rows_(rows) {
  database_.Exec(
      "CREATE TABLE t (id bigint PRIMARY KEY, x integer NOT NULL, updates integer NOT NULL "
      "DEFAULT 0, filler text NOT NULL DEFAULT repeat('x', 60)) WITH (fillfactor = 70)");
  database_.Exec("INSERT INTO t (id, x) SELECT n, n % 7 FROM generate_series(1, " +
                 std::to_string(rows_) + ") AS n; ANALYZE t");
  // How fast it goes is not what is tested: a busy machine would hold it for minutes.
  std::ofstream(directory_ + "/raise.sql")
      << "ALTER TABLE t ADD COLUMN extra integer;\n\n"
      << "-- pawl: limit.latency=off limit.commit=off limit.active=off " << options
      << "\nUPDATE t SET x = x + 1;\n";
  WriterOptions writes;
  writes.url = database_.url();
  writes.table = "t";
  writes.key_end = rows_ + 1;
  writes.inserts = false;
  writes.deletes = false;
  writes.changes_per_second = 200;
  writers_ = std::make_unique<Writers>(writes);
}

Scene::~Scene() {
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

std::unique_ptr<Child> Scene::Start(const std::vector<std::string>& more, const std::string& fault,
                                    const std::string& url) {
  std::vector<std::string> words = {"run", directory_ + "/raise.sql"};
  words.insert(words.end(), more.begin(), more.end());
  std::vector<std::string> environment = {"PAWL_DATABASE_URL=" +
                                          (url.empty() ? database_.url() : url)};
  environment.push_back("PAWL_FAULT_DIR=" + directory_);
  if (!fault.empty()) environment.push_back("PAWL_FAULT_AT=" + fault);
  return std::make_unique<Child>(words, environment, directory_ + "/output");
}

int Scene::Command(const std::vector<std::string>& words, const std::string& fault) {
  return Child(words,
               {"PAWL_DATABASE_URL=" + database_.url(), "PAWL_FAULT_DIR=" + directory_,
                "PAWL_FAULT_AT=" + fault},
               directory_ + "/commands")
      .Wait();
}

void Scene::Finish(int attempts_max) {
  for (int attempt = 0; attempt < attempts_max; ++attempt) {
    const auto child = Start({"--pace", "0"});
    const int code = child->Wait();
    if (code == 0) return;
    ASSERT_NE(code, -1) << "it hangs: " << child->Output();
  }
  FAIL() << "it does not finish: " << Start({})->Output();
}

bool Scene::WaitForBatches(std::int64_t count) {
  return WaitUntil([&] { return Batches() >= count; });
}

std::int64_t Scene::Batches() {
  if (database_.Value("SELECT to_regclass('pawl.ledger') IS NULL") == "t") return 0;
  return database_.Integer("SELECT count(*) FROM pawl.ledger");
}

std::int64_t Scene::Passes(const std::string& point) const {
  std::error_code missing;
  const auto size = fs::file_size(fs::path(directory_) / point, missing);
  return missing ? 0 : static_cast<std::int64_t>(size);
}

bool Scene::WaitForPass(const std::string& point, std::int64_t count) {
  return WaitUntil([&] { return Passes(point) >= count; });
}

void Scene::Pass(const std::string& point) {
  std::ofstream(directory_ + "/" + point, std::ios::app) << '.';
}

void Scene::NoticeRestart() {
  try {
    Batches();
  } catch (const SqlError&) {
  }
}

void Scene::ExpectRaisedOnce() {
  const WriterCounts counts = writers_->Stop();
  EXPECT_EQ(counts.refused, 0) << counts.first_refusal;
  EXPECT_EQ(writers_->Mismatch(), "");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t WHERE x = id % 7 + 1"), rows_);
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM t"), rows_);
  EXPECT_EQ(database_.Value("SELECT state FROM pawl.run"), "completed");
  EXPECT_EQ(database_.Integer("SELECT count(*) FROM pawl.run"), 1);
  EXPECT_EQ(database_.Integer("SELECT sum(rows) FROM pawl.ledger"), rows_);
  EXPECT_EQ(
      database_.Integer("SELECT count(*) - count(DISTINCT (step, span_id, seq)) FROM pawl.ledger"),
      0);
  EXPECT_EQ(
      database_.Integer("SELECT count(*) - count(DISTINCT (span_id, range_lo, residue_lo)) FROM "
                        "pawl.ledger WHERE range_lo IS NOT NULL"),
      0);
}

}  // namespace pawl::test
