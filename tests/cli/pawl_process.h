// The pawl binary as a user runs it: words in, exit code and words out.
#pragma once

#include <sys/types.h>

#include <boost/json/value.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/test_database.h"

namespace pawl::test {

struct Finished {
  int exit_code = -1;  // 128 + the signal where one ended it.
  std::string out;
  std::string err;

  std::string both() const { return out + err; }
  // The last line of stdout as JSON.
  boost::json::value LastJson() const;
};

// One process. Kills it when it goes out of scope. Thread safety: none.
class PawlProcess {
 public:
  // Starts it against `database_url`, with `input` on standard input.
  PawlProcess(const std::vector<std::string>& arguments, const std::string& database_url,
              const std::string& input = {});
  ~PawlProcess();
  PawlProcess(const PawlProcess&) = delete;
  PawlProcess& operator=(const PawlProcess&) = delete;

  void Signal(int signal) const;
  bool Running();
  Finished Wait();

 private:
  void Reap(int options);

  std::string directory_;  // Holds its standard streams: files cannot fill up as a pipe can.
  pid_t pid_ = 0;
  bool ended_ = false;
  int status_ = 0;
};

// Where the binary is: $PAWL_BINARY, else where the build has put it.
std::string PawlBinary();

// Runs pawl to its end.
Finished RunPawl(const std::vector<std::string>& arguments, const std::string& database_url,
                 const std::string& input = {});

// Writes `text` to <fresh directory>/<name> and returns the path; it goes with the program.
std::string MigrationFile(const std::string& name, const std::string& text);

// Waits until `condition` holds; returns whether it did within `limit`.
bool WaitUntil(const std::function<bool()>& condition,
               std::chrono::milliseconds limit = std::chrono::seconds(60));

// Makes table `item` of `rows` rows: id from 1, price = id, label 'item <id>'.
void MakeItems(TestDatabase& database, std::int64_t rows);

}  // namespace pawl::test
