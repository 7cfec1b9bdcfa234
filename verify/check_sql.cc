// The table's rows against their expressions and against WHERE, and what all checks share.
#include "verify/check_sql.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "db/error.h"
#include "db/quote.h"
#include "verify/check_texts.h"
#include "verify/row_version.h"

namespace pawl::verify {

using db::QuoteLiteral;
using db::QuoteName;
using schema::Column;

CheckSql::CheckSql(const schema::Backfill& backfill, std::int64_t run, int step)
    : backfill_(backfill), run_(run), step_(step), alias_(QuoteName(backfill.alias)) {}

std::string CheckSql::undo_table() const { return fmt::format("pawl.undo_{}_{}", run_, step_); }

std::string CheckSql::Walked() const {
  return fmt::format("ONLY {} AS {}", Table(backfill_.walked), alias_);
}

std::string CheckSql::InRange(const RowChunk& chunk) const {
  Texts tests;
  const std::string place = Place(backfill_, alias_);
  if (chunk.lo) tests.push_back(place + " > " + Bound(backfill_, *chunk.lo));
  if (chunk.hi) tests.push_back(place + " <= " + Bound(backfill_, *chunk.hi));
  return tests.empty() ? "true" : Joined(tests, " AND ");
}

// A changed row may no longer match a conjunct that mentions a changed column: then all rows are
// looked at, and those that never were in scope sorted out afterwards.
std::string CheckSql::BaseScope() const {
  const auto is_mentioned = [&](const schema::ChangedColumn& changed) {
    const auto same = [](char left, char right) {
      return std::tolower(static_cast<unsigned char>(left)) ==
             std::tolower(static_cast<unsigned char>(right));
    };
    return !std::ranges::search(backfill_.base_where, changed.column.name, same).empty();
  };
  if (backfill_.base_where.empty() || std::ranges::any_of(backfill_.changed, is_mentioned)) {
    return "true";
  }
  return Group(backfill_.base_where);
}

std::string CheckSql::MatchesWhere() const {
  const std::string where = backfill_.where_clause.empty() ? "true" : Group(backfill_.where_clause);
  if (backfill_.from_clause.empty()) return "(" + where + " IS TRUE)";
  return fmt::format("EXISTS (SELECT FROM {}\n WHERE {})", backfill_.from_clause, where);
}

std::string CheckSql::EqualToExpressions() const {
  std::vector<Pair> pairs;
  for (const schema::ChangedColumn& changed : backfill_.changed) {
    PAWL_CHECK(changed.expression);
    pairs.push_back({&changed.column, In(alias_, changed.column), Group(*changed.expression)});
  }
  if (backfill_.quarantine_max == 0) return Equal(pairs);
  // Of a row that was set aside the expression may fail here as it failed there.
  return fmt::format("(CASE WHEN {} THEN false ELSE {} END)", Quarantined(), Equal(pairs));
}

std::string CheckSql::CoverCase(const RowChunk& chunk, bool whole_snapshot) const {
  const auto value = [&](const std::string& snapshot) {
    return whole_snapshot ? QuoteLiteral(snapshot) + "::pg_snapshot" : OldestUnderWay(snapshot);
  };
  // Neighbours that agree share a branch.
  std::string branches;
  for (std::size_t i = 0; i < chunk.covers.size(); ++i) {
    const bool last = i + 1 == chunk.covers.size();
    if (!last && value(chunk.covers[i].snapshot) == value(chunk.covers[i + 1].snapshot)) continue;
    branches += fmt::format(" WHEN {} <= {} THEN {}", Place(backfill_, alias_),
                            Bound(backfill_, chunk.covers[i].hi), value(chunk.covers[i].snapshot));
  }
  if (branches.empty()) return value(chunk.rest_snapshot);
  return fmt::format("(CASE{} ELSE {} END)", branches, value(chunk.rest_snapshot));
}

std::string CheckSql::Quarantined() const {
  if (backfill_.key.empty()) return "false";
  Texts values;
  for (const Column& column : backfill_.key) values.push_back(In(alias_, column) + "::text");
  return fmt::format(
      "jsonb_build_array({}) IN (SELECT q.key::jsonb FROM pawl.quarantine AS q WHERE q.run_id = {} "
      "AND q.step = {})",
      Joined(values), run_, step_);
}

std::string CheckSql::CountEqual(const RowChunk& chunk) const {
  return fmt::format(
      R"sql(SELECT count(*), count(*) FILTER (WHERE {})
FROM {}
WHERE {} AND {})sql",
      EqualToExpressions(), Walked(), InRange(chunk), BaseScope());
}

std::string CheckSql::UnequalRows(const RowChunk& chunk) const {
  const std::string oldest = CoverCase(chunk, false);
  const std::string this_step = fmt::format("l.step = {}", step_);
  const std::string later_step = fmt::format("l.step > {}", step_);
  return fmt::format(
      R"sql(SELECT {key} AS key, CASE
  {first}WHEN {xid} < {oldest} AND NOT {matches} THEN 'outside'
  WHEN {ours} THEN 'wrong'
  WHEN {later} THEN 'later'
  WHEN {quarantined} THEN 'quarantine'
  WHEN {matches} THEN CASE WHEN {visible} THEN 'missed' ELSE 'newer' END
  WHEN {visible} THEN 'outside'
  ELSE 'changed' END AS verdict
FROM {walked}
WHERE {range} AND CASE WHEN {scope} THEN NOT {equal} ELSE false END)sql",
      // In block order an earlier round of ours is older than the snapshot of the last one.
      fmt::arg("first", IsBlockOrder(backfill_) ? fmt::format("WHEN {} THEN 'wrong'\n  ",
                                                              WrittenBy(alias_, run_, this_step))
                                                : std::string()),
      fmt::arg("key", KeyText(alias_, backfill_.key)), fmt::arg("xid", WholeXid(alias_)),
      fmt::arg("oldest", oldest), fmt::arg("matches", MatchesWhere()),
      fmt::arg("ours", WrittenBy(alias_, run_, this_step)),
      fmt::arg("later", WrittenBy(alias_, run_, later_step)),
      fmt::arg("quarantined", Quarantined()),
      fmt::arg("visible", IsVisible(alias_, CoverCase(chunk, true))), fmt::arg("walked", Walked()),
      fmt::arg("range", InRange(chunk)), fmt::arg("scope", BaseScope()),
      fmt::arg("equal", EqualToExpressions()));
}

// A row that its batch saw matched WHERE or not, and gave a value if it did: what raises here raised
// there. Nobody says so of a row that somebody else wrote later.
std::string CheckSql::SettledRows(const RowChunk& chunk) const {
  const std::string ours = WrittenBy(alias_, run_, fmt::format("l.step = {}", step_));
  return fmt::format(
      R"sql(SELECT {key} AS key, CASE
  {first}WHEN {ours} THEN CASE WHEN {equal} THEN 'verified' ELSE 'wrong' END
  WHEN {later} THEN 'later'
  WHEN {quarantined} THEN 'quarantine'
  WHEN NOT {visible} THEN 'open'
  WHEN NOT {matches} THEN 'outside'
  WHEN {equal} THEN 'verified'
  ELSE 'missed' END AS verdict
FROM {walked}
WHERE {range})sql",
      fmt::arg("first",
               IsBlockOrder(backfill_)
                   ? std::string()
                   : fmt::format("WHEN {} < {} AND NOT {} THEN 'outside'\n  ", WholeXid(alias_),
                                 CoverCase(chunk, false), MatchesWhere())),
      fmt::arg("key", KeyText(alias_, backfill_.key)), fmt::arg("ours", ours),
      fmt::arg("later", WrittenBy(alias_, run_, fmt::format("l.step > {}", step_))),
      fmt::arg("quarantined", Quarantined()),
      fmt::arg("visible", IsVisible(alias_, CoverCase(chunk, true))),
      fmt::arg("matches", MatchesWhere()), fmt::arg("equal", EqualToExpressions()),
      fmt::arg("walked", Walked()), fmt::arg("range", InRange(chunk)));
}

std::string CheckSql::OpenRows(const RowChunk& chunk, std::int64_t rows_max) const {
  return fmt::format(
      R"sql(SELECT {alias}.ctid::text, count(*) OVER ()
FROM {walked}
WHERE {range} AND NOT {of_run} AND NOT {quarantined} AND NOT {visible}
LIMIT {rows_max})sql",
      fmt::arg("alias", alias_), fmt::arg("walked", Walked()), fmt::arg("range", InRange(chunk)),
      fmt::arg("of_run", WrittenBy(alias_, run_, fmt::format("l.step >= {}", step_))),
      fmt::arg("quarantined", Quarantined()),
      fmt::arg("visible", IsVisible(alias_, CoverCase(chunk, true))),
      fmt::arg("rows_max", rows_max));
}

std::string CheckSql::OpenVerdicts(std::span<const std::string> places) const {
  return fmt::format(
      R"sql(SELECT {} AS key, CASE WHEN {} THEN CASE
  WHEN {} THEN 'verified'
  WHEN {} THEN 'newer'
  ELSE 'changed' END ELSE 'outside' END AS verdict
FROM {}
WHERE {})sql",
      KeyText(alias_, backfill_.key), BaseScope(), EqualToExpressions(), MatchesWhere(), Walked(),
      AtPlaces(places));
}

std::string CheckSql::FailingVerdicts(std::span<const std::string> places, bool evaluate) const {
  return fmt::format(
      "SELECT {} AS key, CASE WHEN {} THEN 'newer' ELSE 'failing' END AS verdict\nFROM {}\nWHERE {}",
      KeyText(alias_, backfill_.key), evaluate ? MatchesWhere() : "false", Walked(),
      AtPlaces(places));
}

std::string CheckSql::AtPlaces(std::span<const std::string> places) const {
  return fmt::format("{}.ctid = ANY ('{{\"{}\"}}'::tid[])", alias_, fmt::join(places, "\",\""));
}

// Matching rows that this step wrote are as they should be: an expression gave NULL, or the WHERE
// clause does not look at what was changed. Their batch sees none of them: only where blocks are
// walked in rounds are they older than the snapshot they are measured by.
std::string CheckSql::RowsLeft(const RowChunk& chunk, Newer newer) const {
  // Not just older than the oldest transaction under way then: a long one, anywhere, would excuse
  // what the batch could see.
  const std::string visible = IsVisible(alias_, CoverCase(chunk, true));
  std::string left = MatchesWhere();
  if (newer == Newer::kLeftOut) left = visible + " AND " + left;
  if (newer == Newer::kNotEvaluated) {
    left = fmt::format("CASE WHEN {} THEN {} ELSE false END", visible, left);
  }
  return fmt::format(
      R"sql(SELECT {key} AS key, CASE
  WHEN {ours} THEN 'outside'
  WHEN {quarantined} THEN 'quarantine'
  WHEN {visible} THEN 'missed'
  ELSE 'newer' END AS verdict
FROM {walked}
WHERE {range} AND {left})sql",
      fmt::arg("key", KeyText(alias_, backfill_.key)), fmt::arg("quarantined", Quarantined()),
      fmt::arg("ours", WrittenBy(alias_, run_, fmt::format("l.step = {}", step_))),
      fmt::arg("visible", visible), fmt::arg("walked", Walked()), fmt::arg("range", InRange(chunk)),
      fmt::arg("left", left));
}

std::string CheckSql::RowsWritten(const RowChunk& chunk) const {
  return fmt::format("SELECT {} AS key, 'verified' AS verdict\nFROM {}\nWHERE {} AND {}",
                     KeyText(alias_, backfill_.key), Walked(), InRange(chunk),
                     WrittenBy(alias_, run_, fmt::format("l.step >= {}", step_)));
}

std::string CheckSql::CountWriters(const RowChunk& chunk) const {
  return fmt::format(
      R"sql(SELECT count(*) FILTER (WHERE {ours}), count(*) FILTER (WHERE NOT {ours} AND {later}),
       count(*) FILTER (WHERE NOT {ours} AND NOT {later} AND {xid} >= {oldest})
FROM {walked}
WHERE {range})sql",
      fmt::arg("ours", ChangedBy("=")), fmt::arg("later", ChangedBy(">")),
      fmt::arg("xid", WholeXid(alias_)), fmt::arg("oldest", CoverCase(chunk, false)),
      fmt::arg("walked", Walked()), fmt::arg("range", InRange(chunk)));
}

// Unequal rows that do not match WHERE any more were told apart at first sight.
std::string CheckSql::AlteredRows(const RowChunk& chunk) const {
  const std::string unequal = backfill_.re_evaluable
                                  ? fmt::format("CASE WHEN {} THEN NOT {} ELSE false END",
                                                MatchesWhere(), EqualToExpressions())
                                  : "true";
  return fmt::format(
      R"sql(SELECT {key} AS key,
       CASE WHEN {matches} THEN 'rewritten' ELSE 'overwritten' END AS verdict
FROM {walked}
WHERE {range} AND CASE
  WHEN {xid} >= {oldest} AND NOT {ours} AND NOT {later} AND NOT {quarantined} THEN {unequal}
  ELSE false END)sql",
      fmt::arg("key", KeyText(alias_, backfill_.key)), fmt::arg("matches", MatchesWhere()),
      fmt::arg("walked", Walked()), fmt::arg("range", InRange(chunk)),
      fmt::arg("xid", WholeXid(alias_)), fmt::arg("oldest", CoverCase(chunk, false)),
      fmt::arg("ours", ChangedBy("=")), fmt::arg("later", ChangedBy(">")),
      fmt::arg("quarantined", Quarantined()), fmt::arg("unequal", unequal));
}

// Batches that were taken back left nothing that could be altered.
std::string CheckSql::ChangedBy(const char* relation) const {
  return WrittenBy(alias_, run_,
                   fmt::format("l.step {} {} AND l.kind = 'change'", relation, step_));
}

std::string CheckSql::CountOf(const std::string& verdicts) {
  return fmt::format("SELECT verdict, count(*)\nFROM (\n{}\n) AS verdicts\nGROUP BY verdict",
                     verdicts);
}

std::string CheckSql::ListOf(const std::string& verdicts, const std::string& names,
                             std::int64_t rows_max) {
  return fmt::format(
      "SELECT key, verdict\nFROM (\n{}\n) AS verdicts\nWHERE verdict IN ({})\nLIMIT {}", verdicts,
      names, rows_max);
}

std::string CheckSql::StatementText() const {
  return fmt::format("UPDATE {} AS {} SET {}\n", Table(backfill_.target), alias_,
                     backfill_.set_clause);
}

}  // namespace pawl::verify
