#include "schema/newer_grammar.h"

#include <fmt/format.h>
#include <pg_query.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "schema/sql_tokens.h"

namespace pawl::schema {
namespace {

struct NewerForm {
  // Words as ScanTokens gives them, with one space between; * is any one token.
  std::string_view words;
  std::string_view name;
  int since = 0;
  std::string_view instead;
};

constexpr std::string_view kByHand =
    "Run it by hand, with a short lock_timeout: its lock is short.";
constexpr std::string_view kGenerated =
    "A virtual column writes no row: add it by hand, with a short lock_timeout.";

// A form comes before one that it contains.
constexpr NewerForm kForms[] = {
    {"CONSTRAINT * NOT NULL", "NOT NULL as a constraint with a name", 18,
     "Write ALTER COLUMN … SET NOT NULL: it reads the rows while everybody works."},
    {"ADD NOT NULL", "NOT NULL as a constraint of the table", 18,
     "Write ALTER COLUMN … SET NOT NULL: it reads the rows while everybody works."},
    {"NOT ENFORCED", "NOT ENFORCED", 18, kByHand},
    {"ENFORCED", "ENFORCED", 18, "Leave it out where it stands for the default."},
    {"VIRTUAL", "VIRTUAL", 18, kGenerated},
    {"WITHOUT OVERLAPS", "WITHOUT OVERLAPS", 18,
     "Its index cannot be built while others write: choose a quiet hour."},
    {"PERIOD", "PERIOD", 18, "Run it by hand, at a quiet hour: it reads every row."},
    {"ALTER CONSTRAINT * INHERIT", "ALTER CONSTRAINT … INHERIT", 18, kByHand},
    {"RETURNING WITH", "RETURNING WITH", 18, "Write it without."},
    {"SET EXPRESSION", "SET EXPRESSION", 17,
     "It rewrites every row of a stored column while everybody waits; there is no other form."},
    {"SET STATISTICS DEFAULT", "SET STATISTICS DEFAULT", 17, "Write SET STATISTICS -1."},
    {"ACCESS METHOD DEFAULT", "SET ACCESS METHOD DEFAULT", 17, "Write the name, for example heap."},
    {"MATCHED BY", "NOT MATCHED BY", 17, "Write it as a statement of its own."},
    {"SET STORAGE DEFAULT", "SET STORAGE DEFAULT", 16,
     "Write the storage itself: that of text is EXTENDED."},
    {"STATISTICS ON", "CREATE STATISTICS without a name", 16, "Give it a name."},
    {"IS JSON", "IS JSON", 16, "Write it with a function."},
    {"IS NOT JSON", "IS NOT JSON", 16, "Write it with a function."},
};

// Tokens from `begin` on that `words` describes; 0 if they are others.
std::size_t MatchAt(const TokenizedText& text, std::size_t begin, std::string_view words) {
  std::size_t count = 0;
  while (!words.empty()) {
    const std::size_t space = std::min(words.find(' '), words.size());
    const std::string_view word = words.substr(0, space);
    words.remove_prefix(std::min(space + 1, words.size()));
    if (begin + count >= text.size()) return 0;
    if (word != "*" && text[begin + count].word != word) return 0;
    ++count;
  }
  return count;
}

// The form that the token `at`, where the parser stopped, is one of, or follows.
const NewerForm* FormAt(const TokenizedText& text, std::size_t at) {
  for (const NewerForm& form : kForms) {
    for (std::size_t begin = at < 4 ? 0 : at - 4; begin <= at; ++begin) {
      if (begin + MatchAt(text, begin, form.words) > at) return &form;
      if (form.words == "PERIOD" && begin + 1 == at && text[begin].word == "PERIOD") return &form;
    }
  }
  return nullptr;
}

// GENERATED ALWAYS AS (…) that nothing follows: STORED had to, before 18.
bool EndsGenerated(const TokenizedText& text, std::size_t at) {
  if (at == 0 || text[at - 1].word != ")") return false;
  if (at < text.size() && text[at].word != ";" && text[at].word != ",") return false;
  for (std::size_t open = at - 1; open-- > 3;) {
    if (text[open].depth != text[at - 1].depth || text[open].word != "(") continue;
    return MatchAt(text, open - 3, "GENERATED ALWAYS AS") == 3;
  }
  return false;
}

// 1_000 and 0x1F.
bool IsNewerNumber(const std::string& sql, std::size_t offset) {
  const std::size_t end = sql.find_first_not_of("0123456789", offset);
  if (end == std::string::npos || end == offset) return false;
  const char next = static_cast<char>(std::tolower(static_cast<unsigned char>(sql[end])));
  return next == '_' || (sql[offset] == '0' && (next == 'x' || next == 'o' || next == 'b'));
}

std::string Newer(std::string_view name, int since, std::string_view instead) {
  return fmt::format("Pawl reads SQL as PostgreSQL {} does, and {} is of {}. {}", GrammarVersion(),
                     name, since, instead);
}

}  // namespace

std::string_view GrammarVersion() { return PG_MAJORVERSION; }

std::string RemedyForSyntax(const std::string& sql, const std::string& error, std::size_t offset) {
  if (error.starts_with("subquery in FROM must have an alias")) {
    return Newer("a subquery without a name", 16, "Give it one.");
  }
  if (error.ends_with("cannot be marked NO INHERIT")) {
    return Newer("ALTER CONSTRAINT … NO INHERIT", 18, kByHand);
  }
  if (error.starts_with("trailing junk") && IsNewerNumber(sql, offset)) {
    return Newer("such a number", 16, "Write it in decimal digits only.");
  }
  const TokenizedText text(sql);
  std::size_t at = 0;
  while (at < text.size() && text[at].begin < offset) ++at;
  if (error.starts_with("syntax error")) {
    if (const NewerForm* form = FormAt(text, at)) {
      return Newer(form->name, form->since, form->instead);
    }
    if (EndsGenerated(text, at)) {
      return Newer("GENERATED ALWAYS AS (…) without STORED", 18, kGenerated);
    }
  }
  return fmt::format(
      "Correct the SQL there, or write it more simply; it was read as PostgreSQL {}'s own parser "
      "reads it. What only a later version knows has to be run by hand.",
      GrammarVersion());
}

}  // namespace pawl::schema
