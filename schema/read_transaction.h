// The transaction in which a plan is made: read-only, with one snapshot and a time limit, and able
// to go on after a question that the server could not answer.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "db/session.h"

namespace pawl::schema {

// Thread safety: none. Owned by one planning.
class ReadTransaction {
 public:
  // `session` must outlive it and be in no transaction.
  explicit ReadTransaction(db::Session& session);

  db::Session& session() { return session_; }

  // Runs a query that may fail or take longer than `limit`. Returns nullopt then, with the server's
  // words in `error`; the snapshot is a new one from there on. Throws db::Error where the
  // connection is gone.
  std::optional<db::Result> Try(const std::string& query, std::chrono::milliseconds limit,
                                std::string& error);

 private:
  void Begin();

  db::Session& session_;
  std::unique_ptr<db::Transaction> transaction_;
};

}  // namespace pawl::schema
