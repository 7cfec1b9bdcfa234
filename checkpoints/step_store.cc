#include "checkpoints/step_store.h"

#include <fmt/format.h>

namespace pawl::checkpoints {
namespace {

std::string Text(std::int64_t number) { return std::to_string(number); }

}  // namespace

std::string StepState(db::Session& session, std::int64_t run, int step) {
  return db::ToText(
      session
          .Query("SELECT state FROM pawl.step WHERE run_id = $1::bigint AND step = $2::integer",
                 {Text(run), Text(step)})
          .rows.at(0)[0]);
}

void SetStepState(db::Session& session, std::int64_t run, int step, const std::string& state) {
  session.Query(
      "UPDATE pawl.step SET state = $3, started_at = coalesce(started_at, now()), finished_at = "
      "clock_timestamp() WHERE run_id = $1::bigint AND step = $2::integer",
      {Text(run), Text(step), state});
}

int LastRound(db::Session& session, std::int64_t run, int step, bool back) {
  // Of an empty table a round has no spans: the step itself knows how far it went.
  const char* sql =
      back ? "SELECT coalesce(min(round), 0) FROM pawl.span WHERE run_id = $1::bigint AND step = "
             "$2::integer AND round < 0"
           : "SELECT round FROM pawl.step WHERE run_id = $1::bigint AND step = $2::integer";
  return static_cast<int>(db::ToInt(session.Query(sql, {Text(run), Text(step)}).rows.at(0)[0]));
}

std::vector<int> RoundsToTakeBack(db::Session& session, std::int64_t run, int step) {
  std::vector<int> rounds;
  for (const db::Row& row :
       session
           .Query("SELECT DISTINCT round FROM pawl.ledger WHERE run_id = $1::bigint AND step = "
                  "$2::integer AND kind = 'change' AND round > 0 AND rows > 0 ORDER BY 1 DESC",
                  {Text(run), Text(step)})
           .rows) {
    rounds.push_back(static_cast<int>(db::ToInt(row[0])));
  }
  return rounds;
}

std::optional<Round> RoundAtWork(db::Session& session, std::int64_t run, bool back) {
  const db::Result found = session.Query(
      "SELECT step, round FROM pawl.span WHERE run_id = $1::bigint AND NOT done AND (round < 0) = "
      "$2::boolean ORDER BY span_id DESC LIMIT 1",
      {Text(run), back ? "true" : "false"});
  if (found.rows.empty()) return std::nullopt;
  return Round{run, static_cast<int>(db::ToInt(found.rows[0][0])),
               static_cast<int>(db::ToInt(found.rows[0][1]))};
}

std::int64_t RowsChanged(db::Session& session, const Round& round) {
  return db::ToInt(
      session
          .Query("SELECT coalesce(sum(rows), 0)::bigint FROM pawl.ledger WHERE run_id = $1::bigint "
                 "AND step = $2::integer AND round = $3::integer",
                 {Text(round.run), Text(round.step), Text(round.round)})
          .rows[0][0]);
}

std::int64_t RowsOfStep(db::Session& session, std::int64_t run, int step) {
  return db::ToInt(
      session
          .Query("SELECT coalesce(sum(rows), 0)::bigint FROM pawl.ledger WHERE run_id = $1::bigint "
                 "AND step = $2::integer AND kind = 'change'",
                 {Text(run), Text(step)})
          .rows[0][0]);
}

std::int64_t RowsQuarantined(db::Session& session, std::int64_t run) {
  return db::ToInt(
      session.Query("SELECT count(*) FROM pawl.quarantine WHERE run_id = $1::bigint", {Text(run)})
          .rows[0][0]);
}

std::int64_t Conflicts(db::Session& session, std::int64_t run) {
  return db::ToInt(
      session
          .Query("SELECT count(*) FROM pawl.conflict WHERE run_id = $1::bigint AND NOT forced",
                 {Text(run)})
          .rows[0][0]);
}

void ForceKept(db::Session& session, std::int64_t run) {
  session.Query(
      "UPDATE pawl.conflict SET forced = true WHERE run_id = $1::bigint AND batch_id = 0 AND NOT "
      "forced",
      {Text(run)});
}

std::int64_t UndoBytes(db::Session& session, std::int64_t run) {
  return db::ToInt(
      session
          .Query(
              "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class AS c "
              "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = 'pawl' AND "
              "c.relkind = 'r' AND c.relname LIKE $1",
              {fmt::format("undo\\_{}\\_%", run)})
          .rows[0][0]);
}

}  // namespace pawl::checkpoints
