// The PostgreSQL wire protocol, as much of it as a proxy needs: where one message ends and the next
// begins, which SQL a client sent, and which of the server's answers belongs to which request.
//
// Reads only; it never changes or makes up a message. Protocol 3.0, chapter 55 of PostgreSQL's
// manual.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pawl::test {

// Whether one of the statements in `sql` ends a transaction by committing it: COMMIT, END, in any
// case, behind comments, among others. COMMIT PREPARED counts; text within quotes does not.
bool HasCommit(std::string_view sql);

// Cuts a stream of bytes into whole messages.
// Thread safety: none.
class MessageCutter {
 public:
  void Add(std::string_view bytes);

  // Returns the next whole message with its type and length, or nullopt until more bytes come.
  // `typed` is false for the first messages of a client, which have no type byte. Throws
  // std::runtime_error on a length that cannot be.
  std::optional<std::string> Next(bool typed);

 private:
  std::string buffer_;
  std::size_t taken_ = 0;  // Bytes of the buffer that were returned already.
};

// What one session has asked and not yet been answered.
//
//   client   Q ───────┐        P B E  P B E  S
//                     │            │      │  │
//   server   … C … C  Z        1 2 C  1 2 C  Z
//
// Each E (Execute) is answered by C, I or s, each Q and S (Sync) by Z. After an error the server
// skips all up to the next S.
// Thread safety: none.
class RequestLog {
 public:
  using Marker = std::function<bool(std::string_view sql)>;

  // Notes a client's message. Returns whether it asks for the execution of a statement of which
  // `is_marked` says yes; that request is then marked until it is answered.
  bool ClientSent(std::string_view message, const Marker& is_marked);

  enum class Answer {
    kOther,          // Belongs to no marked request, or does not complete it.
    kMarkedPart,     // Belongs to a marked request, more follows.
    kMarkedDone,     // The marked request is executed, and committed if it commits.
    kMarkedRefused,  // The server refused the marked request, or rolled back where it was to
                     // commit.
  };

  // Notes a message of the server.
  Answer ServerSent(std::string_view message);

 private:
  enum class Kind { kQuery, kExecute, kSync };
  struct Request {
    Kind kind;
    bool is_marked = false;
  };
  Answer Completed(std::string_view tag);
  Answer Refused();
  Answer Ready();

  std::deque<Request> requests_;
  std::map<std::string, std::string, std::less<>>
      statements_;                                           // SQL by name of prepared statement.
  std::map<std::string, std::string, std::less<>> portals_;  // SQL by name of portal.
  bool marked_until_ready_ = false;  // An executed marked request that commits with its Sync.
};

}  // namespace pawl::test
