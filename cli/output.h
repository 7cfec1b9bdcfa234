// Where words go: results to stdout, errors and progress to stderr. With --json, stdout holds JSON
// lines and nothing else.
//
// Thread safety: const methods.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace pawl::cli {

class Output {
 public:
  explicit Output(bool json) : json_(json) {}

  bool json() const { return json_; }

  // A result for people; says nothing with --json. Adds the line's end.
  void Say(const std::string& text) const;

  // A result for programs, on one line; says nothing without --json.
  void Say(const boost::json::value& value) const;

  // One sentence on stderr, "pawl: …", that changes nothing else.
  void Warn(const std::string& sentence) const;

  // The sentence of an error, and with --json {"event":"error",…} too.
  void Fail(const std::string& sentence, int exit_code) const;

 private:
  bool json_;
};

}  // namespace pawl::cli
