#include "cli/output.h"

#include <cstdio>

#include "cli/json.h"

namespace pawl::cli {
namespace {

void PrintLine(std::FILE* file, const std::string& text) {
  const bool ended = !text.empty() && text.back() == '\n';
  std::fputs((ended ? text : text + "\n").c_str(), file);
  std::fflush(file);  // A pipe's reader wants each line now.
}

}  // namespace

void Output::Say(const std::string& text) const {
  if (!json_) PrintLine(stdout, text);
}

void Output::Say(const boost::json::value& value) const {
  if (json_) PrintLine(stdout, OnOneLine(value));
}

void Output::Warn(const std::string& sentence) const { PrintLine(stderr, "pawl: " + sentence); }

void Output::Fail(const std::string& sentence, int exit_code) const {
  Warn(sentence);
  Say(boost::json::value{{"event", "error"}, {"message", sentence}, {"exit", exit_code}});
}

}  // namespace pawl::cli
