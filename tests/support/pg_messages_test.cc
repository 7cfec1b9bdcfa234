// The test's own tools, tested: reading the wire protocol.
#include "tests/support/pg_messages.h"

#include <gtest/gtest.h>

namespace pawl::test {
namespace {

std::string Message(char type, std::string_view body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 4);
  std::string message(1, type);
  for (int shift = 24; shift >= 0; shift -= 8) message += static_cast<char>(length >> shift);
  return message.append(body);
}

std::string Text(std::string_view text) { return std::string(text) + '\0'; }

TEST(HasCommitTest, SeesACommitWhereverItStands) {
  for (const char* sql : {"COMMIT", "commit", " Commit ;", "END", "UPDATE t SET a = 1; COMMIT",
                          "/* last */ COMMIT", "-- last\nCOMMIT", "COMMIT AND CHAIN",
                          "SELECT 'it''s'; end transaction", "SELECT $1; COMMIT"}) {
    EXPECT_TRUE(HasCommit(sql)) << sql;
  }
}

TEST(HasCommitTest, IsNotFooledByText) {
  for (const char* sql : {"", "SELECT 'COMMIT'", "SELECT 1 -- ; COMMIT", "SELECT $x$ ; COMMIT; $x$",
                          "SELECT CASE WHEN true THEN 1 END", "SELECT \"; COMMIT\" FROM t",
                          "SELECT commit FROM t", "COMMITTED", "/* ; COMMIT */ SELECT 1"}) {
    EXPECT_FALSE(HasCommit(sql)) << sql;
  }
}

TEST(MessageCutterTest, CutsWhateverTheChunks) {
  const std::string stream = Message('Q', Text("SELECT 1")) + Message('X', "");
  MessageCutter cutter;
  std::vector<std::string> messages;
  for (const char byte : stream) {
    cutter.Add({&byte, 1});
    while (auto message = cutter.Next(true)) messages.push_back(*message);
  }
  EXPECT_EQ(messages, (std::vector{Message('Q', Text("SELECT 1")), Message('X', "")}));
  cutter.Add(std::string_view("Q\0\0\0\1x", 6));
  EXPECT_THROW(cutter.Next(true), std::runtime_error);
}

class RequestLogTest : public ::testing::Test {
 protected:
  using Answer = RequestLog::Answer;
  bool Sent(const std::string& message) { return log_.ClientSent(message, HasCommit); }
  Answer Got(char type, std::string_view body = "") { return log_.ServerSent(Message(type, body)); }
  RequestLog log_;
};

TEST_F(RequestLogTest, SimpleCommitIsDoneWhenTheServerIsReady) {
  EXPECT_FALSE(Sent(Message('Q', Text("UPDATE t SET a = 1"))));
  EXPECT_EQ(Got('C', Text("UPDATE 1")), Answer::kOther);
  EXPECT_EQ(Got('Z', "T"), Answer::kOther);
  EXPECT_TRUE(Sent(Message('Q', Text("COMMIT"))));
  EXPECT_EQ(Got('C', Text("COMMIT")), Answer::kMarkedPart);
  EXPECT_EQ(Got('Z', "I"), Answer::kMarkedDone);
}

TEST_F(RequestLogTest, PreparedCommitInAPipelineIsDoneWithItsOwnAnswer) {
  Sent(Message('P', Text("change") + Text("UPDATE t SET a = $1") + std::string(2, '\0')));
  Sent(Message('P', Text("the_end") + Text("COMMIT") + std::string(2, '\0')));
  Sent(Message('S', ""));
  EXPECT_EQ(Got('Z', "I"), Answer::kOther);
  for (const char* statement : {"change", "the_end", "change"}) {
    Sent(Message('B', Text("") + Text(statement) + std::string(6, '\0')));
    EXPECT_EQ(Sent(Message('E', Text("") + std::string(4, '\0'))),
              std::string(statement) == "the_end");
  }
  Sent(Message('S', ""));
  EXPECT_EQ(Got('2'), Answer::kOther);
  EXPECT_EQ(Got('C', Text("UPDATE 1")), Answer::kOther);
  EXPECT_EQ(Got('C', Text("COMMIT")), Answer::kMarkedDone);
  EXPECT_EQ(Got('C', Text("UPDATE 1")), Answer::kOther);
  EXPECT_EQ(Got('Z', "I"), Answer::kOther);
}

TEST_F(RequestLogTest, ARefusedCommitIsNotDone) {
  Sent(Message('Q', Text("COMMIT")));
  EXPECT_EQ(Got('E', Text("")), Answer::kMarkedRefused);
  EXPECT_EQ(Got('Z', "I"), Answer::kOther);
  Sent(Message('Q', Text("COMMIT")));
  EXPECT_EQ(Got('C', Text("ROLLBACK")), Answer::kMarkedRefused);
  EXPECT_EQ(Got('Z', "I"), Answer::kOther);
}

TEST_F(RequestLogTest, AnErrorSkipsToTheSync) {
  Sent(Message('P', Text("") + Text("COMMIT") + std::string(2, '\0')));
  for (int request = 0; request < 2; ++request) {
    Sent(Message('B', Text("") + Text("") + std::string(6, '\0')));
    Sent(Message('E', Text("") + std::string(4, '\0')));
  }
  Sent(Message('S', ""));
  EXPECT_EQ(Got('E', Text("")), Answer::kMarkedRefused);
  EXPECT_EQ(Got('Z', "I"), Answer::kOther);
  Sent(Message('Q', Text("SELECT 1")));
  EXPECT_EQ(Got('Z', "I"), Answer::kOther);
}

}  // namespace
}  // namespace pawl::test
