// Findings of the linter as people, programs and code-scanning sites read them.
//
// Thread safety: all functions.
#pragma once

#include <string>
#include <vector>

#include "schema/lint.h"

namespace pawl::control {

struct LintedFile {
  std::string path;  // As the user gave it.
  std::vector<schema::Finding> findings;
};

// One finding after the other, "path:line: error: rule: …", and a line of totals.
std::string LintText(const std::vector<LintedFile>& files);

// An array of objects: file, line, severity, rule, statement, lock, reason, safe_form.
std::string LintJson(const std::vector<LintedFile>& files);

// SARIF 2.1.0, the Static Analysis Results Interchange Format of OASIS; `version` is Pawl's.
std::string LintSarif(const std::vector<LintedFile>& files, const std::string& version);

}  // namespace pawl::control
