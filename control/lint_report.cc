#include "control/lint_report.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <map>
#include <set>

namespace pawl::control {
namespace {

namespace json = boost::json;
using schema::Finding;
using schema::Severity;

std::string Counted(int count, std::string_view word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string Message(const Finding& finding) {
  std::string message = fmt::format("{}: {}", finding.statement, finding.reason);
  if (!finding.lock.empty()) message += fmt::format(" It takes {}.", finding.lock);
  if (!finding.safe_form.empty()) message += " " + finding.safe_form;
  return message;
}

}  // namespace

std::string LintText(const std::vector<LintedFile>& files) {
  std::string text;
  std::map<Severity, int> counts;
  for (const LintedFile& file : files) {
    for (const Finding& finding : file.findings) {
      ++counts[finding.severity];
      text +=
          fmt::format("{}:{}: {}: {}: {}: {}\n", file.path, finding.line, NameOf(finding.severity),
                      finding.rule, finding.statement, finding.reason);
      if (!finding.lock.empty()) text += fmt::format("    lock: {}\n", finding.lock);
      if (!finding.safe_form.empty()) text += fmt::format("    safe: {}\n", finding.safe_form);
    }
  }
  text += fmt::format("{}: {}, {}, {}.\n", Counted(static_cast<int>(files.size()), "file"),
                      Counted(counts[Severity::kError], "error"),
                      Counted(counts[Severity::kWarning], "warning"),
                      Counted(counts[Severity::kNote], "note"));
  return text;
}

std::string LintJson(const std::vector<LintedFile>& files) {
  json::array findings;
  for (const LintedFile& file : files) {
    for (const Finding& finding : file.findings) {
      findings.push_back({{"file", file.path},
                          {"line", finding.line},
                          {"severity", NameOf(finding.severity)},
                          {"rule", finding.rule},
                          {"statement", finding.statement},
                          {"lock", finding.lock},
                          {"reason", finding.reason},
                          {"safe_form", finding.safe_form}});
    }
  }
  return json::serialize(findings);
}

std::string LintSarif(const std::vector<LintedFile>& files, const std::string& version) {
  json::array results;
  std::set<std::string> rule_names;
  for (const LintedFile& file : files) {
    for (const Finding& finding : file.findings) {
      rule_names.insert(finding.rule);
      const json::object region{{"startLine", finding.line}};
      const json::object location{
          {"physicalLocation", json::object{{"artifactLocation", json::object{{"uri", file.path}}},
                                            {"region", region}}}};
      results.push_back(json::object{{"ruleId", finding.rule},
                                     {"level", NameOf(finding.severity)},
                                     {"message", json::object{{"text", Message(finding)}}},
                                     {"locations", json::array{location}}});
    }
  }
  json::array rules;
  for (const std::string& name : rule_names) rules.push_back(json::object{{"id", name}});
  const json::object driver{{"name", "pawl"}, {"version", version}, {"rules", rules}};
  const json::object run{{"tool", json::object{{"driver", driver}}}, {"results", results}};
  return json::serialize(json::object{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                                      {"version", "2.1.0"},
                                      {"runs", json::array{run}}});
}

}  // namespace pawl::control
