#include "tests/fuzz/targets.h"

#include <stdexcept>

#include "batching/cursor.h"
#include "db/error.h"
#include "schema/parse_options.h"
#include "schema/plan.h"
#include "schema/position.h"
#include "schema/statement.h"

namespace pawl::fuzz {
namespace {

void Require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// A message that quotes what it was given is still a sentence that can be shown.
void CheckMessage(const db::Error& error) {
  Require(std::string(error.what()).size() > 0, "an error without a sentence");
}

void FeedMigration(const std::string& text) {
  try {
    const schema::MigrationFile file = schema::ParseMigration("fuzz", text);
    Require(!file.statements.empty(), "a migration without a statement");
    Require(file.hash.size() == 32, "a hash that is none");
    Require(schema::ParseMigration("fuzz", text).hash == file.hash, "another hash the second time");
  } catch (const db::Error& error) {
    Require(error.action() == db::Action::kBadInput, "bad input that is called something else");
    CheckMessage(error);
  }
}

void FeedOptions(const std::string& text) {
  const schema::Place place{"fuzz.sql", 1};
  try {
    schema::Options options;
    schema::ReadOptions(place, text, options);
    for (const auto& [name, value] : options) {
      // A value that was checked and stored is still right.
      Require(schema::CheckedOption(place, name, value) == value, "a value that changes");
    }
  } catch (const db::Error& error) {
    CheckMessage(error);
  }
  try {
    schema::OptionsInComment(place, "--" + text);
  } catch (const db::Error& error) {
    CheckMessage(error);
  }
}

void FeedCursor(const std::string& text) {
  try {
    const std::string once = batching::ToText(batching::CursorFrom(text));
    Require(batching::ToText(batching::CursorFrom(once)) == once, "a cursor with two texts");
  } catch (const db::Error& error) {
    CheckMessage(error);
  }
}

void FeedPosition(const std::string& text) {
  try {
    const schema::Position position = schema::PositionFrom(text);
    schema::Display(position);
    Require(schema::PositionFrom(schema::ToText(position)) == position, "a position that changes");
  } catch (const db::Error& error) {
    CheckMessage(error);
  }
}

void FeedPlan(const std::string& text) {
  try {
    const schema::Plan plan = schema::FromJson(text);
    const std::string once = schema::ToJson(plan);
    const schema::Plan again = schema::FromJson(once);
    Require(schema::ToJson(again) == once, "a plan with two texts");
    Require(schema::HashOf(again) == schema::HashOf(plan), "a plan with two hashes");
  } catch (const db::Error& error) {
    CheckMessage(error);
  }
}

}  // namespace

const std::vector<Target>& Targets() {
  static const std::vector<Target> targets = {
      {"migration", FeedMigration}, {"options", FeedOptions}, {"cursor", FeedCursor},
      {"position", FeedPosition},   {"plan", FeedPlan},
  };
  return targets;
}

}  // namespace pawl::fuzz
