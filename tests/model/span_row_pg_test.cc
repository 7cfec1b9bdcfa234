// Binds the model to the code: on every small row of pawl.span, and for every lease that somebody
// may believe to have, each statement of checkpoints/span_store.cc does what span_row.h says.
#include "tests/model/span_row.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "checkpoints/control_schema.h"
#include "checkpoints/run_store.h"
#include "checkpoints/span_store.h"
#include "db/error.h"
#include "tests/support/test_database.h"

namespace pawl::model {

void PrintTo(const SpanRow& row, std::ostream* out) {
  *out << fmt::format("({}, {}] cursor {} seq {} epoch {} holder {}{}", row.begin, row.end,
                      row.cursor, row.seq, row.epoch, row.holder, row.done ? " done" : "");
}

namespace {

constexpr checkpoints::Round kRound{1, 1, 1};

std::string EndText(Small end) { return fmt::format("[\"{}\"]", end); }
std::string CursorText(Small cursor) { return fmt::format("{{\"at\":[\"{}\"]}}", cursor); }
Small Digit(const std::string& text) {
  return static_cast<Small>(text.at(text.find_first_of("0123456789")) - '0');
}

class SpanRowPgTest : public testing::Test {
 protected:
  SpanRowPgTest() {
    checkpoints::EnsureControlSchema(session_);
    database_.Exec(R"sql(
INSERT INTO pawl.migration (migration_hash, name, text) VALUES ('m', 'm', '');
INSERT INTO pawl.plan (plan_hash, migration_hash, version, content) VALUES ('p', 'm', 1, '');
INSERT INTO pawl.run (run_id, migration, migration_hash, plan_hash, state)
VALUES (1, 'm', 'm', 'p', 'running');
INSERT INTO pawl.step (run_id, step, kind, title) VALUES (1, 1, 'backfill', 'm');
ALTER TABLE pawl.span ALTER span_id RESTART 1000)sql");
    database_.Exec(fmt::format(
        "INSERT INTO pawl.worker (worker_id, run_id, host, pid, backend_pid, backend_start) SELECT "
        "1, 1, 'h', 1, pid, backend_start FROM pg_stat_activity WHERE pid = {0} UNION ALL SELECT "
        "2, 1, 'h', 1, pid, backend_start - interval '1 day' FROM pg_stat_activity WHERE pid = {0}",
        pipeline_.backend_pid()));
  }

  void Store(const SpanRow& row) {
    const char* worker = row.holder == kNobody ? "NULL" : row.holder == kGone ? "2" : "1";
    const char* until = row.holder == kNobody    ? "NULL"
                        : row.holder == kExpired ? "now() - interval '1 minute'"
                                                 : "now() + interval '1 hour'";
    database_.Exec(fmt::format(
        "TRUNCATE pawl.span; INSERT INTO pawl.span (span_id, run_id, step, round, begin_key, "
        "end_key, cursor, seq, lease_epoch, worker_id, lease_until, done) VALUES (7, 1, 1, 1, "
        "'{}', '{}', '{}', {}, {}, {}, {}, {})",
        EndText(row.begin), EndText(row.end), CursorText(row.cursor), row.seq, row.epoch, worker,
        until, row.done ? "true" : "false"));
  }

  // All spans, the oldest first.
  std::vector<SpanRow> Stored() {
    std::vector<SpanRow> rows;
    for (
        const test::Row& row : database_.Rows(
            "SELECT begin_key, end_key, cursor, seq, lease_epoch, CASE WHEN worker_id IS NULL THEN "
            "0 WHEN worker_id = 2 THEN 3 WHEN lease_until > clock_timestamp() THEN 1 ELSE 2 END, "
            "done::integer FROM pawl.span ORDER BY (span_id = 7) DESC")) {
      rows.push_back({Digit(row[0]), Digit(row[1]), Digit(row[2]), Digit(row[3]), Digit(row[4]),
                      Digit(row[5]), Digit(row[6])});
    }
    return rows;
  }

  static checkpoints::SpanLease Real(const Lease& lease) {
    return {7, lease.epoch, lease.seq, EndText(lease.end), CursorText(lease.cursor)};
  }

  static std::optional<Lease> Believed(const std::optional<checkpoints::SpanLease>& lease) {
    if (!lease) return std::nullopt;
    return Lease{static_cast<Small>(lease->epoch), Digit(lease->cursor), Digit(lease->end_key),
                 static_cast<Small>(lease->seq)};
  }

  static void ForEachRow(const std::function<void(const SpanRow&)>& visit) {
    for (Small bits = 0; bits < 64; ++bits) {
      SpanRow row;
      row.end = bits & 1 ? 4 : 2;
      row.cursor = bits & 2 ? 2 : 0;
      row.epoch = bits & 4 ? 2 : 1;
      row.done = bits & 8 ? 1 : 0;
      row.holder = static_cast<Small>(bits >> 4);
      row.seq = 3;
      visit(row);
    }
  }

  // Every row with every lease.
  static void ForEachPair(const std::function<void(const SpanRow&, const Lease&)>& visit) {
    ForEachRow([&](const SpanRow& row) {
      for (Small bits = 0; bits < 8; ++bits) {
        visit(row, {static_cast<Small>(bits & 4 ? 2 : 1), static_cast<Small>(bits & 2 ? 2 : 0),
                    static_cast<Small>(bits & 1 ? 4 : 2), 3});
      }
    });
  }

  void ExpectStored(const SpanRow& before, const SpanRow& after) {
    const std::vector<SpanRow> stored = Stored();
    ASSERT_EQ(stored.size(), 1u);
    EXPECT_EQ(stored[0], after) << "before: " << testing::PrintToString(before);
  }

  test::TestDatabase database_;
  db::Session session_{db::ConnectionString(database_.url()), "test"};
  db::Pipeline pipeline_{db::ConnectionString(database_.url()), "test", {}};
};

TEST_F(SpanRowPgTest, Fence) {
  ForEachPair([&](const SpanRow& row, const Lease& lease) {
    for (const bool done : {false, true}) {
      Store(row);
      bool held = true;
      try {
        pipeline_.Run({{"BEGIN", {}},
                       checkpoints::Fence(Real(lease), CursorText(3), done, 1),
                       {"COMMIT", {}}});
      } catch (const db::Error& error) {
        held = false;
        EXPECT_NE(std::string(error.what()).find(checkpoints::kLostLease), std::string::npos);
      }
      EXPECT_EQ(held, FenceMatches(row, lease)) << testing::PrintToString(row);
      SpanRow after = row;
      if (held) Fence(after, 3, done);
      ExpectStored(row, after);
    }
  });
}

TEST_F(SpanRowPgTest, Claim) {
  ForEachRow([&](const SpanRow& row) {
    Store(row);
    const auto lease = Believed(checkpoints::ClaimSpan(pipeline_, kRound, 1));
    ASSERT_EQ(lease.has_value(), CanClaim(row)) << testing::PrintToString(row);
    SpanRow after = row;
    if (lease) {
      Claim(after);
      EXPECT_EQ(*lease, LeaseOf(after));
    }
    ExpectStored(row, after);
  });
}

TEST_F(SpanRowPgTest, Reclaim) {
  ForEachPair([&](const SpanRow& row, const Lease& believed) {
    Store(row);
    const auto lease = Believed(checkpoints::ReclaimSpan(pipeline_, Real(believed), 1));
    ASSERT_EQ(lease.has_value(), CanReclaim(row, believed)) << testing::PrintToString(row);
    SpanRow after = row;
    if (lease) {
      Reclaim(after);
      EXPECT_EQ(*lease, LeaseOf(after));
    }
    ExpectStored(row, after);
  });
}

TEST_F(SpanRowPgTest, Reload) {
  ForEachPair([&](const SpanRow& row, const Lease& believed) {
    Store(row);
    const auto lease = Believed(checkpoints::ReloadLease(pipeline_, Real(believed)));
    ASSERT_EQ(lease.has_value(), CanReload(row, believed)) << testing::PrintToString(row);
    if (lease) {
      EXPECT_EQ(*lease, LeaseOf(row));
    }
    ExpectStored(row, row);
  });
}

TEST_F(SpanRowPgTest, Finish) {
  ForEachPair([&](const SpanRow& row, const Lease& lease) {
    Store(row);
    checkpoints::FinishSpan(pipeline_, Real(lease));
    SpanRow after = row;
    Finish(after, lease);
    ExpectStored(row, after);
  });
}

TEST_F(SpanRowPgTest, Release) {
  ForEachPair([&](const SpanRow& row, const Lease& lease) {
    Store(row);
    checkpoints::ReleaseSpan(pipeline_, Real(lease));
    SpanRow after = row;
    Release(after, lease);
    ExpectStored(row, after);
  });
}

TEST_F(SpanRowPgTest, Split) {
  ForEachPair([&](const SpanRow& row, const Lease& lease) {
    Store(row);
    const checkpoints::SpanSeed tail{EndText(3), EndText(lease.end), CursorText(3), 0};
    const bool cut = checkpoints::SplitSpan(pipeline_, Real(lease), EndText(3), tail);
    ASSERT_EQ(cut, CanSplit(row, lease.cursor, lease.end)) << testing::PrintToString(row);
    std::vector<SpanRow> after{row};
    if (cut) after.push_back(Split(after[0], 3));
    EXPECT_EQ(Stored(), after);
  });
}

TEST_F(SpanRowPgTest, Retire) {
  ForEachRow([&](const SpanRow& row) {
    Store(row);
    checkpoints::RetireForwardSpans(session_, 1);
    SpanRow after = row;
    Retire(after);
    ExpectStored(row, after);
  });
}

// The edges that the model's run moves along exist.
TEST_F(SpanRowPgTest, TheRunMayMoveAsTheModelDoes) {
  const std::vector<std::pair<const char*, const char*>> edges = {
      {"running", "paused"},   {"running", "verifying"},  {"paused", "running"},
      {"paused", "reverting"}, {"verifying", "paused"},   {"verifying", "completed"},
      {"verifying", "failed"}, {"failed", "reverting"},   {"completed", "reverting"},
      {"reverting", "paused"}, {"reverting", "reverted"}, {"completed", "contracted"},
  };
  for (const auto& [from, to] : edges) {
    database_.Exec(fmt::format("UPDATE pawl.run SET state = '{}'", from));
    EXPECT_NO_THROW(checkpoints::MoveRun(session_, 1, to, "")) << from << " to " << to;
  }
  // And some that it must not.
  for (const auto& [from, to] :
       std::vector<std::pair<const char*, const char*>>{{"paused", "completed"},
                                                        {"paused", "verifying"},
                                                        {"reverting", "running"},
                                                        {"reverted", "running"},
                                                        {"aborted", "running"},
                                                        {"contracted", "reverting"},
                                                        {"completed", "running"}}) {
    database_.Exec(fmt::format("UPDATE pawl.run SET state = '{}'", from));
    EXPECT_THROW(checkpoints::MoveRun(session_, 1, to, ""), db::Error) << from << " to " << to;
  }
}

}  // namespace
}  // namespace pawl::model
