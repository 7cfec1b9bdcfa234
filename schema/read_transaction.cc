#include "schema/read_transaction.h"

#include <fmt/format.h>

#include "db/error.h"

namespace pawl::schema {
namespace {

// A planner that hangs on a catalogue would hold back vacuum.
constexpr std::chrono::seconds kQuestionLimit{30};

void LimitStatements(db::Session& session, std::chrono::milliseconds limit) {
  session.Execute(fmt::format("SET LOCAL statement_timeout = {}", limit.count()));
}

}  // namespace

ReadTransaction::ReadTransaction(db::Session& session) : session_(session) { Begin(); }

std::optional<db::Result> ReadTransaction::Try(const std::string& query,
                                               std::chrono::milliseconds limit,
                                               std::string& error) {
  try {
    LimitStatements(session_, limit);
    db::Result result = session_.Query(query);
    LimitStatements(session_, kQuestionLimit);
    return result;
  } catch (const db::Error& failure) {
    if (failure.action() == db::Action::kReconnect) throw;
    error = failure.what();
    while (!error.empty() && (error.back() == '.' || error.back() == ' ')) error.pop_back();
    Begin();
    return std::nullopt;
  }
}

void ReadTransaction::Begin() {
  transaction_.reset();  // A session has one transaction at a time.
  transaction_ = std::make_unique<db::Transaction>(session_, true, true);
  LimitStatements(session_, kQuestionLimit);
}

}  // namespace pawl::schema
