#include "schema/sql_tokens.h"

#include <pg_query.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <memory>
#include <utility>

namespace pawl::schema {
namespace {

constexpr std::uint64_t kSqlComment = 275;  // Token numbers of pg_query.proto.
constexpr std::uint64_t kBlockComment = 276;

// Reads the few protobuf fields of ScanResult. Debian ships libpg_query's generated header without
// the protobuf-c header that it includes, and two message types do not deserve a dependency.
class ProtobufReader {
 public:
  explicit ProtobufReader(std::string_view bytes) : bytes_(bytes) {}

  bool at_end() const { return bytes_.empty(); }

  std::uint64_t Varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) break;
    }
    return value;
  }

  std::string_view Bytes() {
    const std::size_t length = std::min<std::uint64_t>(Varint(), bytes_.size());
    const std::string_view result = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return result;
  }

 private:
  std::string_view bytes_;
};

Token DecodeToken(std::string_view bytes) {
  Token token;
  for (ProtobufReader reader(bytes); !reader.at_end();) {
    const std::uint64_t field = reader.Varint() >> 3;
    const std::uint64_t value = reader.Varint();
    if (field == 1) token.begin = value;
    if (field == 4) token.is_comment = value == kSqlComment || value == kBlockComment;
  }
  return token;
}

bool IsSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

bool IsWord(std::string_view text) {
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_') return false;
  }
  return true;
}

std::string WordOf(std::string_view text) {
  std::string word(text);
  if (!IsWord(text)) return word;
  for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return word;
}

// Only the beginnings are taken from the lexer: for U&'…' it reports a wrong end. Comments are
// tokens too, so nothing but white space lies between one token's end and the next one's beginning.
void FillEndsAndDepths(const std::string& sql, std::vector<Token>& tokens) {
  int depth = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    Token& token = tokens[i];
    token.end = i + 1 < tokens.size() ? tokens[i + 1].begin : sql.size();
    while (token.end > token.begin + 1 && IsSpace(sql[token.end - 1])) --token.end;
    token.word = WordOf(std::string_view(sql).substr(token.begin, token.end - token.begin));
    if (token.word == ")" || token.word == "]") --depth;
    token.depth = depth;
    if (token.word == "(" || token.word == "[") ++depth;
  }
}

}  // namespace

std::vector<Token> ScanTokens(const std::string& sql) {
  PgQueryScanResult result = pg_query_scan(sql.c_str());
  const std::unique_ptr<PgQueryScanResult, void (*)(PgQueryScanResult*)> guard(
      &result, [](PgQueryScanResult* scanned) { pg_query_free_scan_result(*scanned); });
  std::vector<Token> tokens;
  if (result.error != nullptr) return tokens;
  for (ProtobufReader reader({result.pbuf.data, result.pbuf.len}); !reader.at_end();) {
    const std::uint64_t tag = reader.Varint();
    if ((tag & 7) == 2) {
      tokens.push_back(DecodeToken(reader.Bytes()));
    } else {
      reader.Varint();
    }
  }
  FillEndsAndDepths(sql, tokens);
  return tokens;
}

TokenizedText::TokenizedText(std::string sql) : sql_(std::move(sql)) {
  for (Token& token : ScanTokens(sql_)) {
    if (!token.is_comment) tokens_.push_back(std::move(token));
  }
}

std::string TokenizedText::Cut(std::size_t first, std::size_t last) const {
  last = std::min(last, tokens_.size());
  if (first >= last) return {};
  return sql_.substr(tokens_[first].begin, tokens_[last - 1].end - tokens_[first].begin);
}

std::size_t TokenizedText::Find(std::string_view word, std::size_t from, int depth) const {
  for (std::size_t i = from; i < tokens_.size(); ++i) {
    if (tokens_[i].depth != depth || tokens_[i].word != word) continue;
    if (i == 0 || tokens_[i - 1].word != ".") return i;
  }
  return tokens_.size();
}

std::size_t TokenizedText::Closing(std::size_t open) const {
  if (open >= tokens_.size()) return tokens_.size();
  for (std::size_t i = open + 1; i < tokens_.size(); ++i) {
    if (tokens_[i].depth == tokens_[open].depth) return i;
  }
  return tokens_.size();
}

std::vector<std::string> SplitAtCommas(const std::string& sql) {
  const TokenizedText text(sql);
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  for (std::size_t comma = text.Find(",", 0); comma < text.size(); comma = text.Find(",", begin)) {
    pieces.push_back(text.Cut(begin, comma));
    begin = comma + 1;
  }
  pieces.push_back(text.Cut(begin, text.size()));
  return pieces;
}

std::vector<std::string> SplitAtAnds(const std::string& sql) {
  const TokenizedText text(sql);
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  int open_cases = 0;
  int open_betweens = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i].depth != 0 || (i > 0 && text[i - 1].word == ".")) continue;
    const std::string& word = text[i].word;
    if (word == "CASE") ++open_cases;
    if (word == "END") --open_cases;
    if (open_cases > 0) continue;
    if (word == "BETWEEN") ++open_betweens;
    if (word != "AND") continue;
    if (open_betweens > 0) {
      --open_betweens;
      continue;
    }
    pieces.push_back(text.Cut(begin, i));
    begin = i + 1;
  }
  pieces.push_back(text.Cut(begin, text.size()));
  return pieces;
}

std::optional<std::string> InsideParentheses(const std::string& sql) {
  const TokenizedText text(sql);
  if (text.size() < 3 || text[0].word != "(" || text.Closing(0) != text.size() - 1) {
    return std::nullopt;
  }
  return text.Cut(1, text.size() - 1);
}

}  // namespace pawl::schema
