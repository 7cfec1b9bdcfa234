// A migration file as a whole: its statements, which options belong to which, and its hash.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <xxhash.h>

#include "db/error.h"
#include "schema/alter_split.h"
#include "schema/ast.h"
#include "schema/ast_queries.h"
#include "schema/ddl_statement.h"
#include "schema/dml_statement.h"
#include "schema/newer_grammar.h"
#include "schema/parse_options.h"
#include "schema/place.h"
#include "schema/sql_tokens.h"
#include "schema/statement.h"

namespace pawl::schema {
namespace {

constexpr std::size_t kFileBytesMax = 16 << 20;  // A migration is text that people read.

std::string BaseName(const std::string& name) {
  std::string base = name.substr(name.find_last_of('/') + 1);
  if (base.size() > 4 && base.ends_with(".sql")) base.resize(base.size() - 4);
  return base;
}

std::vector<std::size_t> NewlinesIn(std::string_view text) {
  std::vector<std::size_t> offsets;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') offsets.push_back(i);
  }
  return offsets;
}

// Returns the offset of the first byte that is not part of a well-formed UTF-8 character, or npos.
std::size_t FindBadUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    if (length == 0 || i + length > text.size() || lead == 0) return i;
    for (std::size_t k = 1; k < length; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return i;
    }
    i += length;
  }
  return std::string_view::npos;
}

// Where a statement stands: its tokens without comments, half-open.
struct Extent {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// One migration file in the making.
//
// Thread safety: none. Lives for one call.
class FileParser {
 public:
  FileParser(const std::string& base_name, const std::string& text)
      : file_(base_name + ".sql"), text_(text), newlines_(NewlinesIn(text)) {}

  std::vector<Statement> Parse() {
    CheckBytes();
    const std::vector<Extent> extents = FindStatements();
    std::vector<Options> options(extents.size());
    Options defaults;
    ReadOptionLines(extents, defaults, options);
    std::vector<Statement> statements;
    for (std::size_t i = 0; i < extents.size(); ++i) {
      options[i].insert(defaults.begin(), defaults.end());  // What is there already stays.
      const Extent& extent = extents[i];
      const SplitStatement split =
          SplitAlterTable(text_.substr(extent.begin, extent.end - extent.begin));
      for (const std::string& text : split.statements) {
        statements.push_back(TakeApart(text, LineAt(extent.begin), options[i]));
        if (split.refusal.empty()) continue;
        statements.back().refusals = {{"ddl", split.refusal, false}};
      }
    }
    return statements;
  }

 private:
  int LineAt(std::size_t offset) const {
    const auto next = std::lower_bound(newlines_.begin(), newlines_.end(), offset);
    return 1 + static_cast<int>(next - newlines_.begin());
  }

  Place PlaceAt(std::size_t offset) const { return {file_, LineAt(offset)}; }

  void CheckBytes() const {
    if (text_.size() > kFileBytesMax) {
      FailAt({file_, 1},
             fmt::format("the file has {} bytes, the most are {}", text_.size(), kFileBytesMax),
             "Put the values into a table and read them from there.");
    }
    const std::size_t bad = FindBadUtf8(text_);
    if (bad == std::string_view::npos) return;
    FailAt(PlaceAt(bad), "the text is not UTF-8", "Save the file as UTF-8.");
  }

  std::vector<Extent> FindStatements() {
    const ParsedSql parsed = ParseSql(text_);
    if (!parsed.error.empty()) {
      FailAt(PlaceAt(parsed.error_offset), parsed.error,
             RemedyForSyntax(text_, parsed.error, parsed.error_offset));
    }
    tokens_ = ScanTokens(text_);
    std::vector<Extent> extents;
    for (const AstValue& statement : parsed.statements) {
      const AstObject& object = statement.get_object();
      const std::size_t begin = Position(object, "stmt_location", 0);
      const std::size_t length = Position(object, "stmt_len", text_.size() - begin);
      extents.push_back(WithoutOuterComments({begin, begin + length}));
    }
    if (extents.empty()) {
      FailAt({file_, 1}, "the file holds no statement",
             "Write an UPDATE, DELETE, INSERT … SELECT, or a short change of the schema.");
    }
    return extents;
  }

  static std::size_t Position(const AstObject& object, std::string_view name,
                              std::size_t otherwise) {
    const AstValue* member = Member(object, name);
    return member == nullptr ? otherwise : member->to_number<std::size_t>();
  }

  Extent WithoutOuterComments(Extent outer) const {
    Extent inner{outer.end, outer.begin};
    const auto first = std::lower_bound(
        tokens_.begin(), tokens_.end(), outer.begin,
        [](const Token& token, std::size_t offset) { return token.begin < offset; });
    for (auto token = first; token != tokens_.end() && token->begin < outer.end; ++token) {
      if (token->is_comment) continue;
      inner.begin = std::min(inner.begin, token->begin);
      inner.end = std::max(inner.end, token->end);
    }
    return inner;
  }

  // An option line belongs to the statement whose first line follows it with no empty line between.
  // Before the first statement, one that is followed by an empty line is for the whole file.
  void ReadOptionLines(const std::vector<Extent>& extents, Options& defaults,
                       std::vector<Options>& options) const {
    for (const Token& token : tokens_) {
      if (!token.is_comment) continue;
      const std::optional<std::string> line = OptionLine(token);
      if (!line) continue;
      const auto next = std::find_if(extents.begin(), extents.end(), [&](const Extent& extent) {
        return extent.end > token.begin;
      });
      const Place place = PlaceAt(token.begin);
      if (next == extents.end() || next->begin < token.begin || !BeginsLine(token.begin)) {
        FailMisplaced(place);
      }
      const auto index = static_cast<std::size_t>(next - extents.begin());
      if (!HasEmptyLine(token.end, next->begin)) {
        ReadOptions(place, *line, options[index]);
      } else if (index == 0) {
        ReadDefaults(place, *line, defaults);
      } else {
        FailMisplaced(place);
      }
    }
  }

  std::optional<std::string> OptionLine(const Token& token) const {
    const std::string comment = text_.substr(token.begin, token.end - token.begin);
    // Finding a place counts lines, which for each of a hundred thousand remarks takes minutes.
    if (!MentionsPawl(comment)) return std::nullopt;
    const Place place = PlaceAt(token.begin);
    if (comment.starts_with("--")) return OptionsInComment(place, comment);
    if (comment.starts_with("/*") && OptionsInComment(place, comment)) {
      FailAt(place, "options stand in a /* */ comment", "Write a line \"-- pawl: name=value\".");
    }
    return std::nullopt;
  }

  static void ReadDefaults(const Place& place, const std::string& line, Options& defaults) {
    ReadOptions(place, line, defaults);
    if (!defaults.contains("inverse")) return;
    FailAt(place, "option \"inverse\" is given for the whole file, but it undoes one statement",
           "Put it directly above that statement, without an empty line between.");
  }

  [[noreturn]] static void FailMisplaced(const Place& place) {
    FailAt(place, "an option line belongs to no statement",
           "Put it on a line of its own directly above a statement; or at the top of the file with "
           "an empty line after it, to have it hold for every statement.");
  }

  bool BeginsLine(std::size_t offset) const {
    while (offset > 0 && (text_[offset - 1] == ' ' || text_[offset - 1] == '\t')) --offset;
    return offset == 0 || text_[offset - 1] == '\n';
  }

  bool HasEmptyLine(std::size_t begin, std::size_t end) const {
    bool line_is_empty = false;  // The rest of the comment's own line does not count.
    for (std::size_t i = begin; i < end; ++i) {
      if (text_[i] == '\n') {
        if (line_is_empty) return true;
        line_is_empty = true;
      } else if (text_[i] != ' ' && text_[i] != '\t' && text_[i] != '\r') {
        line_is_empty = false;
      }
    }
    return false;
  }

  Statement TakeApart(const std::string& text, int line, const Options& options) const {
    Statement statement;
    statement.text = text;
    statement.line = line;
    statement.options = options;
    const Place place{file_, statement.line};
    const std::optional<AstValue> node = ParseOneStatement(statement.text);
    if (!node) FailToTakeApart(place, "the statement");
    if (Contains(*node, "ParamRef")) {
      FailAt(place, "the statement has a parameter such as $1", "Write the value itself.");
    }
    if (const AstObject* update = NodeOf(*node, "UpdateStmt")) {
      TakeApartUpdate(place, *update, statement);
    } else if (const AstObject* deletion = NodeOf(*node, "DeleteStmt")) {
      TakeApartDelete(place, *deletion, statement);
    } else if (const AstObject* insertion = NodeOf(*node, "InsertStmt")) {
      TakeApartInsert(place, *insertion, statement);
    } else {
      TakeApartDdl(place, *node, statement);
    }
    return statement;
  }

  std::string file_;
  const std::string& text_;
  const std::vector<std::size_t> newlines_;
  std::vector<Token> tokens_;
};

// Each part is preceded by its length, so that no two lists of parts give the same bytes.
void AppendPart(std::string& bytes, std::string_view part) {
  bytes += std::to_string(part.size()) + ":";
  bytes += part;
}

std::string HashOf(const std::vector<Statement>& statements) {
  std::string bytes;
  for (const Statement& statement : statements) {
    AppendPart(bytes, CanonicalSql(statement.text));
    Options options = statement.options;
    options.erase("ignore");  // Said to the linter; what is done stays the same.
    AppendPart(bytes, std::to_string(options.size()));
    for (const auto& [name, value] : options) {
      AppendPart(bytes, name);
      AppendPart(bytes, value);
    }
  }
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace

void FailAt(const Place& place, const std::string& what_was_wrong, const std::string& remedy) {
  db::FailInput(fmt::format("{}, line {}: {}. Nothing was changed. {}", place.file, place.line,
                            what_was_wrong, remedy));
}

MigrationFile ParseMigration(const std::string& name, const std::string& text) {
  // Some editors put a byte-order mark in front, which is no SQL.
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  const std::string sql =
      text.starts_with(kByteOrderMark) ? text.substr(kByteOrderMark.size()) : text;
  MigrationFile file;
  file.name = BaseName(name);
  file.statements = FileParser(file.name, sql).Parse();
  file.hash = HashOf(file.statements);
  return file;
}

}  // namespace pawl::schema
