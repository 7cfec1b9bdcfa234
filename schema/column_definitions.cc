#include "schema/column_definitions.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <map>

#include "db/quote.h"
#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/sql_tokens.h"

namespace pawl::schema {
namespace {

using db::QuoteName;

// A text with pieces to be replaced, by where they begin.
//
// Thread safety: none. Lives for one definition.
class Edits {
 public:
  explicit Edits(std::string sql) : sql_(std::move(sql)), tokens_(ScanTokens(sql_)) {}

  const std::string& sql() const { return sql_; }
  std::size_t size() const { return tokens_.size(); }
  const Token& operator[](std::size_t index) const { return tokens_[index]; }

  void Replace(std::size_t index, const std::string& text) {
    edits_[tokens_[index].begin] = {tokens_[index].end, text};
  }

  void InsertBefore(std::size_t index, const std::string& text) {
    const std::size_t at = index < size() ? tokens_[index].begin : sql_.size();
    edits_[at] = {at, text};
  }

  bool IsName(std::size_t index, const std::string& name) const {
    if (index >= size()) return false;
    const Token& token = tokens_[index];
    const std::string written = sql_.substr(token.begin, token.end - token.begin);
    return written == name || written == QuoteName(name);
  }

  // Returns size() where there is none at that depth from `from` on.
  std::size_t Find(std::string_view word, std::size_t from, int depth) const {
    std::size_t index = from;
    while (index < size() && (tokens_[index].word != word || tokens_[index].depth != depth)) {
      ++index;
    }
    return index;
  }

  // The elements of the list that opens at `open`, where each is just a column.
  void RenameInList(std::size_t open, const ColumnChange& change) {
    for (std::size_t i = open + 1; i < size() && tokens_[i].depth > tokens_[open].depth; ++i) {
      const bool begins = i == open + 1 || tokens_[i - 1].word == ",";
      const bool is_call =
          i + 1 < size() && (tokens_[i + 1].word == "(" || tokens_[i + 1].word == ".");
      if (begins && !is_call && tokens_[i].depth == tokens_[open].depth + 1 &&
          IsName(i, change.column)) {
        Replace(i, QuoteName(change.other));
      }
    }
  }

  // In expressions. False where the column is mentioned in a way that is not understood.
  bool RenameReferences(const AstValue& tree, const ColumnChange& change) {
    bool understood = true;
    Walk(tree, [&](std::string_view name, const AstObject& body) {
      if (name != "ColumnRef") return true;
      const std::vector<std::string> parts = ReferenceParts(body);
      if (parts.back() != change.column) return false;
      std::size_t index = 0;
      while (index < size() && tokens_[index].begin != LocationOf(body)) ++index;
      if (parts.size() != 1 || !IsName(index, change.column)) {
        understood = false;
      } else {
        Replace(index, QuoteName(change.other));
      }
      return false;
    });
    return understood;
  }

  std::string Take() const {
    std::string text = sql_;
    for (auto edit = edits_.rbegin(); edit != edits_.rend(); ++edit) {
      text.replace(edit->first, edit->second.first - edit->first, edit->second.second);
    }
    return text;
  }

 private:
  std::string sql_;
  std::vector<Token> tokens_;
  std::map<std::size_t, std::pair<std::size_t, std::string>> edits_;
};

constexpr std::string_view kAddConstraint = "ALTER TABLE t ADD ";

std::string WithoutNotValid(const std::string& definition) {
  constexpr std::string_view kNotValid = " NOT VALID";
  return definition.ends_with(kNotValid)
             ? definition.substr(0, definition.size() - kNotValid.size())
             : definition;
}

}  // namespace

std::optional<std::string> IndexOver(const std::string& definition, const ColumnChange& change,
                                     const std::string& name, const std::string& tablespace) {
  const std::optional<AstValue> tree = ParseOneStatement(definition);
  if (!tree || NodeOf(*tree, "IndexStmt") == nullptr) return std::nullopt;
  Edits edits(definition);
  const std::size_t index = edits.Find("INDEX", 0, 0);
  const std::size_t open = edits.Find("(", edits.Find("USING", index, 0), 0);
  if (open >= edits.size() || edits[index + 2].word != "ON") return std::nullopt;
  edits.Replace(index + 1, "CONCURRENTLY " + QuoteName(name));
  edits.RenameInList(open, change);
  const std::size_t include = edits.Find("INCLUDE", open, 0);
  if (include < edits.size()) edits.RenameInList(include + 1, change);
  if (!edits.RenameReferences(*tree, change)) return std::nullopt;
  if (!tablespace.empty()) {
    edits.InsertBefore(edits.Find("WHERE", open, 0),
                       fmt::format(" TABLESPACE {} ", QuoteName(tablespace)));
  }
  return edits.Take();
}

std::optional<std::string> StatisticsOver(const std::string& definition, const ColumnChange& change,
                                          const std::string& name) {
  const std::optional<AstValue> tree = ParseOneStatement(definition);
  if (!tree || NodeOf(*tree, "CreateStatsStmt") == nullptr) return std::nullopt;
  Edits edits(definition);
  std::size_t after_name = 3;
  while (after_name + 1 < edits.size() && edits[after_name].word == ".") after_name += 2;
  const std::size_t on = edits.Find("ON", after_name, 0);
  const std::size_t from = edits.Find("FROM", on, 0);
  if (from >= edits.size()) return std::nullopt;
  for (std::size_t i = 2; i < after_name; ++i) edits.Replace(i, i == 2 ? name : "");
  for (std::size_t i = on + 1; i < from; ++i) {
    const bool is_alone =
        (i == on + 1 || edits[i - 1].word == ",") && (i + 1 == from || edits[i + 1].word == ",");
    if (is_alone && edits[i].depth == 0 && edits.IsName(i, change.column)) {
      edits.Replace(i, QuoteName(change.other));
    }
  }
  if (!edits.RenameReferences(*tree, change)) return std::nullopt;
  return edits.Take();
}

std::optional<std::string> CheckOver(const std::string& definition, const ColumnChange& change) {
  Edits edits(std::string(kAddConstraint) + WithoutNotValid(definition));
  const std::optional<AstValue> tree = ParseOneStatement(edits.sql());
  if (!tree || !edits.RenameReferences(*tree, change)) return std::nullopt;
  return edits.Take().substr(kAddConstraint.size());
}

std::optional<std::string> ForeignKeyOver(const std::string& definition,
                                          const ColumnChange& referring,
                                          const ColumnChange& referenced) {
  Edits edits(std::string(kAddConstraint) + WithoutNotValid(definition));
  const std::size_t own = edits.Find("(", 0, 0);
  const std::size_t references = edits.Find("REFERENCES", own, 0);
  const std::size_t others = edits.Find("(", references, 0);
  if (others >= edits.size() || !ParseOneStatement(edits.sql())) return std::nullopt;
  edits.RenameInList(own, referring);
  edits.RenameInList(others, referenced);
  // ON DELETE SET NULL (columns).
  for (std::size_t i = edits.Find("(", others + 1, 0); i < edits.size();
       i = edits.Find("(", i + 1, 0)) {
    edits.RenameInList(i, referring);
  }
  return edits.Take().substr(kAddConstraint.size());
}

std::optional<std::string> ExpressionOver(const std::string& expression, const std::string& alias,
                                          const std::string& column,
                                          const std::string& replacement) {
  constexpr std::string_view kSelect = "SELECT ";
  const std::string sql = std::string(kSelect) + expression;
  const std::optional<AstValue> tree = ParseOneStatement(sql);
  if (!tree || !ParseExpression(expression) || Contains(*tree, "SubLink")) return std::nullopt;
  std::map<std::size_t, std::size_t> references;  // From where to where.
  const std::vector<Token> tokens = ScanTokens(sql);
  bool understood = true;
  Walk(*tree, [&](std::string_view name, const AstObject& body) {
    if (name != "ColumnRef") return true;
    const std::vector<std::string> parts = ReferenceParts(body);
    const bool is_known =
        parts.back() == column && (parts.size() == 1 || (parts.size() == 2 && parts[0] == alias));
    std::size_t first = 0;
    while (first < tokens.size() && tokens[first].begin != LocationOf(body)) ++first;
    const std::size_t last = first + 2 * (parts.size() - 1);  // Dots are tokens.
    if (!is_known || last >= tokens.size()) {
      understood = false;
    } else {
      references[tokens[first].begin] = tokens[last].end;
    }
    return false;
  });
  if (!understood) return std::nullopt;
  std::string text = sql;
  for (auto at = references.rbegin(); at != references.rend(); ++at) {
    text.replace(at->first, at->second - at->first, replacement);
  }
  return text.substr(kSelect.size());
}

std::string SuffixedName(const std::string& base, const std::string& suffix) {
  if (base.size() + suffix.size() <= kNameBytesMax) return base + suffix;
  const std::string hash = fmt::format("_{:08x}", XXH3_64bits(base.data(), base.size()) >> 32);
  std::size_t length = kNameBytesMax - suffix.size() - hash.size();
  // Not in the middle of a character.
  while (length > 0 && (static_cast<unsigned char>(base[length]) & 0xc0) == 0x80) --length;
  return base.substr(0, length) + hash + suffix;
}

}  // namespace pawl::schema
