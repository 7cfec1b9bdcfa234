// SQL text as tokens, so that a statement can be cut where PostgreSQL's own lexer sees a boundary
// and never inside a string, a comment or parentheses.
//
// Cutting is only half of it: who cuts must prove the pieces by parsing them (schema/ast.h).
//
// Thread safety: all functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::schema {

struct Token {
  std::size_t begin = 0;  // Bytes, half-open.
  std::size_t end = 0;
  // An unquoted word in upper case; everything else as written, so that no string or quoted name is
  // ever taken for a key word.
  std::string word;
  int depth = 0;  // Parentheses and brackets open around it; for these themselves, outside of them.
  bool is_comment = false;
};

// Returns every token with the comments, or nothing if `sql` is not SQL to the lexer.
std::vector<Token> ScanTokens(const std::string& sql);

// A piece of SQL with its tokens, comments left out. A cut from token to token keeps the comments
// in the middle and loses those at either end, so that no piece ends in one that swallows what
// follows.
class TokenizedText {
 public:
  explicit TokenizedText(std::string sql);

  std::size_t size() const { return tokens_.size(); }
  const Token& operator[](std::size_t index) const { return tokens_[index]; }

  // Returns the text of the tokens [first, last) as far as there are any.
  std::string Cut(std::size_t first, std::size_t last) const;

  // Returns the first token from `from` on that is `word` at `depth` and not the name after a dot
  // (`t.from` is a column), or size().
  std::size_t Find(std::string_view word, std::size_t from, int depth = 0) const;

  // Returns the index of the token that closes the parenthesis at `open`, or size().
  std::size_t Closing(std::size_t open) const;

 private:
  std::string sql_;
  std::vector<Token> tokens_;
};

// Splits at the commas outside of all parentheses. Never returns an empty vector.
std::vector<std::string> SplitAtCommas(const std::string& sql);

// Splits at the ANDs outside of parentheses, CASE … END and BETWEEN … AND.
std::vector<std::string> SplitAtAnds(const std::string& sql);

// Returns what is inside if one pair of parentheses encloses all of `sql`.
std::optional<std::string> InsideParentheses(const std::string& sql);

}  // namespace pawl::schema
