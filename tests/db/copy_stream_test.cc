// Streams that no healthy server sends: cut short, malformed, cut into odd messages. A server of a
// few lines plays them to libpq.
#include "db/copy_stream.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "db/error.h"

namespace pawl::db {
namespace {

using std::string_literals::operator""s;

std::string Integer(std::uint32_t value) {
  const std::uint32_t big_endian = htonl(value);
  return {reinterpret_cast<const char*>(&big_endian), sizeof big_endian};
}

std::string Message(char type, const std::string& body) {
  return type + Integer(static_cast<std::uint32_t>(body.size() + 4)) + body;
}

std::string Field(const std::string& value) {
  return Integer(static_cast<std::uint32_t>(value.size())) + value;
}

const std::string kHeader = "PGCOPY\n\377\r\n\0"s + Integer(0) + Integer(0);
const std::string kTrailer = "\377\377"s;
const std::string kNull = Integer(0xFFFFFFFF);
const std::string kRowA = "\0\2"s + Field("a") + kNull;
const std::string kRowB = "\0\2"s + Field("") + Field("two\0bytes"s);

// What the server says: the bytes of the stream in messages, and how it ends.
struct Script {
  std::vector<std::string> messages;
  std::string tag = "COPY 2";
  bool is_binary = true;
  bool hangs_up = false;  // Instead of ending the COPY.
};

// Serves one client, which may send what it likes and is told the script.
class ScriptedServer {
 public:
  explicit ScriptedServer(Script script)
      : script_(std::move(script)), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    const auto generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, generic, length) != 0 || listen(listener_, 1) != 0 ||
        getsockname(listener_, generic, &length) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }

  ~ScriptedServer() { thread_.join(); }

  std::string address() const {
    return fmt::format("host=127.0.0.1 port={} user=a sslmode=disable gssencmode=disable", port_);
  }

 private:
  void Serve() {
    const int client = accept(listener_, nullptr, nullptr);
    close(listener_);  // A request to cancel, which comes on a connection of its own, is refused.
    char ignored[4096];
    if (read(client, ignored, sizeof ignored) > 0) {
      Send(client, Message('R', Integer(0)) + Message('Z', "I"));
      if (read(client, ignored, sizeof ignored) > 0) Send(client, Answer());
    }
    // A socket closed with unread bytes is reset, and the client might lose what was sent to it.
    if (script_.hangs_up) shutdown(client, SHUT_WR);
    while (read(client, ignored, sizeof ignored) > 0) {
    }
    close(client);
  }

  std::string Answer() const {
    const char format = script_.is_binary ? '\1' : '\0';
    std::string answer =
        Message('1', "") + Message('2', "") + Message('n', "") + Message('H', format + "\0\0"s);
    for (const std::string& message : script_.messages) answer += Message('d', message);
    if (script_.hangs_up) return answer;
    return answer + Message('c', "") + Message('C', script_.tag + "\0"s) + Message('Z', "I");
  }

  static void Send(int client, const std::string& bytes) {
    if (send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) perror("send");
  }

  Script script_;
  int listener_;
  int port_ = 0;
  std::thread thread_;
};

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

std::vector<std::string> RowsOf(const Script& script) {
  const ScriptedServer server(script);
  const std::unique_ptr<PGconn, Finish> connection{PQconnectdb(server.address().c_str())};
  std::vector<std::string> rows;
  CopyRows(connection.get(), "COPY", [&](std::string_view row) { rows.emplace_back(row); });
  return rows;
}

// Returns the action and the message of the Error that reading `script` throws.
std::pair<Action, std::string> FailureOf(const Script& script) {
  try {
    RowsOf(script);
  } catch (const Error& error) {
    return {error.action(), error.what()};
  }
  return {Action::kRetryBatch, "no error"};
}

void ExpectMalformed(const Script& script, const std::string& why) {
  const auto [action, message] = FailureOf(script);
  EXPECT_EQ(action, Action::kStop);
  EXPECT_EQ(message, "The COPY stream is malformed: " + why +
                         ". Nothing read from it counts; check what stands between Pawl and the "
                         "server, and read again.");
}

TEST(CopyStreamTest, GivesRowsByteForByte) {
  EXPECT_EQ(RowsOf({.messages = {kHeader + kRowA, kRowB, kTrailer}}),
            (std::vector<std::string>{kRowA, kRowB}));
}

TEST(CopyStreamTest, DoesNotRelyOnWhereMessagesEnd) {
  const std::string stream = kHeader + kRowA + kRowB + kTrailer;
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    Script script;
    for (std::size_t at = 0; at < stream.size(); at += size) {
      script.messages.push_back(stream.substr(at, size));
    }
    EXPECT_EQ(RowsOf(script), (std::vector<std::string>{kRowA, kRowB})) << "messages of " << size;
  }
}

TEST(CopyStreamTest, ARowMayGoOnInTheNextBlock) {
  std::string stream = kHeader;
  std::vector<std::string> rows;
  for (int i = 0; i < 2'000; ++i) {
    rows.push_back("\0\1"s + Field(std::to_string(i) + std::string(500, 'x')));
    stream += rows.back();
  }
  stream += kTrailer;
  Script script;
  script.tag = "COPY 2000";
  for (std::size_t at = 0; at < stream.size(); at += 300) {
    script.messages.push_back(stream.substr(at, 300));
  }
  EXPECT_EQ(RowsOf(script), rows);
}

TEST(CopyStreamTest, SkipsAnExtensionOfTheHeader) {
  const std::string header = "PGCOPY\n\377\r\n\0"s + Integer(7) + Integer(3) + "abc";
  EXPECT_EQ(RowsOf({.messages = {header + kRowA, kTrailer}, .tag = "COPY 1"}),
            (std::vector<std::string>{kRowA}));
}

TEST(CopyStreamTest, EveryTruncationThrows) {
  const std::string stream = kHeader + kRowA + kRowB + kTrailer;
  for (std::size_t size = 0; size < stream.size(); ++size) {
    const Script script{.messages = {stream.substr(0, size)}};
    ExpectMalformed(script, "it ends without its trailer");
  }
}

TEST(CopyStreamTest, EveryHangUpThrows) {
  const std::string stream = kHeader + kRowA + kRowB + kTrailer;
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    const Script script{.messages = {stream.substr(0, size)}, .hangs_up = true};
    EXPECT_EQ(FailureOf(script).first, Action::kReconnect) << "after " << size << " bytes";
  }
}

TEST(CopyStreamTest, MalformedStreamsThrow) {
  ExpectMalformed({.messages = {"PGCOPX\n\377\r\n\0"s + Integer(0) + Integer(0) + kTrailer}},
                  "it does not open with binary COPY's signature");
  ExpectMalformed({.messages = {"PGCOPY\n\377\r\n\0"s + Integer(0x10000) + Integer(0) + kTrailer}},
                  "its flags 0x10000 are unknown");
  ExpectMalformed({.messages = {kHeader + "\377\376"s}}, "a row claims -2 fields");
  ExpectMalformed({.messages = {kHeader + "\0\1"s + Integer(0xFFFFFFFE)}},
                  "a field claims -2 bytes");
  ExpectMalformed({.messages = {kHeader + kTrailer, kRowA}}, "bytes follow its trailer");
  ExpectMalformed({.messages = {kHeader + kRowA, kTrailer}},
                  "the server counts 2 rows, but 1 arrived");
  ExpectMalformed({.messages = {kHeader + kRowA, kTrailer}, .tag = "COPY"},
                  "the server counts -1 rows, but 1 arrived");
}

TEST(CopyStreamTest, TextFormatIsRefused) {
  EXPECT_EQ(FailureOf({.messages = {"a\t\\N\n"}, .is_binary = false}).first, Action::kBadInput);
}

TEST(CopyStreamTest, FirstFieldTellsNullFromEmpty) {
  EXPECT_EQ(FirstField(kRowA), "a");
  EXPECT_EQ(FirstField(kRowB), "");
  EXPECT_EQ(FirstField("\0\1"s + kNull), std::nullopt);
  EXPECT_THROW(FirstField("\0\0"s), Error);
}

}  // namespace
}  // namespace pawl::db
