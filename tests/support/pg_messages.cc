#include "tests/support/pg_messages.h"

#include <algorithm>
#include <cctype>
#include <stdexcept>

namespace pawl::test {
namespace {

constexpr std::size_t kLengthBytes = 4;
constexpr std::uint32_t kMessageBytesMax = 1U << 30;  // PostgreSQL's own limit.

std::uint32_t LengthAt(std::string_view bytes, std::size_t offset) {
  std::uint32_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    length = length << 8 | static_cast<unsigned char>(bytes[offset + i]);
  }
  return length;
}

bool IsWordCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Returns the offset behind the quoted text, comment or dollar quote that starts at `at`, or `at`
// where none does.
std::size_t SkipOpaque(std::string_view sql, std::size_t at) {
  const auto behind = [&](std::string_view end, std::size_t from) {
    const std::size_t found = sql.find(end, from);
    return found == std::string_view::npos ? sql.size() : found + end.size();
  };
  const std::string_view rest = sql.substr(at);
  if (rest.starts_with("--")) return behind("\n", at);
  if (rest.starts_with("/*")) return behind("*/", at + 2);
  if (rest.starts_with('\'')) return behind("'", at + 1);
  if (rest.starts_with('"')) return behind("\"", at + 1);
  if (rest.starts_with('$')) {
    std::size_t tag_end = 1;
    while (tag_end < rest.size() && IsWordCharacter(rest[tag_end])) ++tag_end;
    const bool is_parameter = tag_end > 1 && std::isdigit(static_cast<unsigned char>(rest[1]));
    if (!is_parameter && tag_end < rest.size() && rest[tag_end] == '$') {
      return behind(rest.substr(0, tag_end + 1), at + tag_end + 1);
    }
  }
  return at;
}

std::string Upper(std::string_view word) {
  std::string upper(word);
  std::ranges::transform(upper, upper.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper;
}

// Takes a zero-terminated string off the front of `body`.
std::string_view TakeString(std::string_view& body) {
  const std::size_t end = std::min(body.find('\0'), body.size());
  const std::string_view text = body.substr(0, end);
  body.remove_prefix(std::min(end + 1, body.size()));
  return text;
}

}  // namespace

bool HasCommit(std::string_view sql) {
  bool at_statement_start = true;
  for (std::size_t at = 0; at < sql.size();) {
    if (const std::size_t behind = SkipOpaque(sql, at); behind != at) {
      at_statement_start = at_statement_start && (sql[at] == '-' || sql[at] == '/');
      at = behind;
    } else if (IsWordCharacter(sql[at])) {
      std::size_t end = at;
      while (end < sql.size() && IsWordCharacter(sql[end])) ++end;
      const std::string word = Upper(sql.substr(at, end - at));
      if (at_statement_start && (word == "COMMIT" || word == "END")) return true;
      at_statement_start = false;
      at = end;
    } else {
      if (sql[at] == ';') at_statement_start = true;
      ++at;
    }
  }
  return false;
}

void MessageCutter::Add(std::string_view bytes) {
  buffer_.erase(0, taken_);
  taken_ = 0;
  buffer_.append(bytes);
}

std::optional<std::string> MessageCutter::Next(bool typed) {
  const std::size_t type_bytes = typed ? 1 : 0;
  const std::string_view rest = std::string_view(buffer_).substr(taken_);
  if (rest.size() < type_bytes + kLengthBytes) return std::nullopt;
  const std::uint32_t length = LengthAt(rest, type_bytes);
  if (length < kLengthBytes || length > kMessageBytesMax) {
    throw std::runtime_error("not the PostgreSQL protocol: a message of " + std::to_string(length) +
                             " bytes");
  }
  if (rest.size() < type_bytes + length) return std::nullopt;
  taken_ += type_bytes + length;
  return std::string(rest.substr(0, type_bytes + length));
}

bool RequestLog::ClientSent(std::string_view message, const Marker& is_marked) {
  std::string_view body = message.substr(1 + kLengthBytes);
  switch (message.front()) {
    case 'Q':
      requests_.push_back({Kind::kQuery, is_marked(TakeString(body))});
      return requests_.back().is_marked;
    case 'P': {
      const std::string name(TakeString(body));
      statements_[name] = TakeString(body);
      return false;
    }
    case 'B': {
      const std::string portal(TakeString(body));
      const auto statement = statements_.find(TakeString(body));
      portals_[portal] = statement == statements_.end() ? "" : statement->second;
      return false;
    }
    case 'E': {
      const auto portal = portals_.find(TakeString(body));
      requests_.push_back({Kind::kExecute, portal != portals_.end() && is_marked(portal->second)});
      return requests_.back().is_marked;
    }
    case 'S':
      requests_.push_back({Kind::kSync});
      return false;
    case 'c':
    case 'f':
      // The server ignores a Sync that reaches it within COPY FROM STDIN; another follows the data.
      if (requests_.size() > 1 && requests_[0].kind == Kind::kExecute &&
          requests_[1].kind == Kind::kSync) {
        requests_.erase(requests_.begin() + 1);
      }
      return false;
    default:
      return false;
  }
}

RequestLog::Answer RequestLog::ServerSent(std::string_view message) {
  const bool first_is_marked = !requests_.empty() && requests_.front().is_marked;
  switch (message.front()) {
    case 'C':
    case 'I':
    case 's':
      return Completed(message.substr(1 + kLengthBytes));
    case 'E':
      return Refused();
    case 'Z':
      return Ready();
    default:
      return first_is_marked || marked_until_ready_ ? Answer::kMarkedPart : Answer::kOther;
  }
}

RequestLog::Answer RequestLog::Completed(std::string_view tag) {
  if (requests_.empty() || requests_.front().kind == Kind::kSync) return Answer::kOther;
  Request& first = requests_.front();
  const bool rolled_back = first.is_marked && tag.starts_with("ROLLBACK");
  if (rolled_back) first.is_marked = false;
  if (first.kind == Kind::kExecute) {
    const bool committed = first.is_marked && tag.starts_with("COMMIT");
    marked_until_ready_ = marked_until_ready_ || first.is_marked;
    requests_.pop_front();
    if (committed) {
      marked_until_ready_ = false;
      return Answer::kMarkedDone;
    }
    if (rolled_back) return Answer::kMarkedRefused;
    return marked_until_ready_ ? Answer::kMarkedPart : Answer::kOther;
  }
  // One Q may hold many statements; only its Z says that it is done.
  if (rolled_back) return Answer::kMarkedRefused;
  return first.is_marked ? Answer::kMarkedPart : Answer::kOther;
}

RequestLog::Answer RequestLog::Refused() {
  bool refused = marked_until_ready_;
  marked_until_ready_ = false;
  while (!requests_.empty() && requests_.front().kind == Kind::kExecute) {
    refused = refused || requests_.front().is_marked;
    requests_.pop_front();
  }
  if (!requests_.empty() && requests_.front().kind == Kind::kQuery) {
    refused = refused || requests_.front().is_marked;
    requests_.front().is_marked = false;
  }
  return refused ? Answer::kMarkedRefused : Answer::kOther;
}

RequestLog::Answer RequestLog::Ready() {
  // The first Z greets a new session and answers nothing.
  if (requests_.empty()) return Answer::kOther;
  const bool done = requests_.front().is_marked || marked_until_ready_;
  marked_until_ready_ = false;
  requests_.pop_front();
  return done ? Answer::kMarkedDone : Answer::kOther;
}

}  // namespace pawl::test
