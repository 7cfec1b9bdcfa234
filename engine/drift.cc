// What was changed in the schema since the last run, or sets two databases apart: `pawl drift`.
#include "schema/drift.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoints/control_schema.h"
#include "checkpoints/picture_store.h"
#include "checkpoints/run_store.h"
#include "db/error.h"
#include "db/log.h"
#include "engine/engine.h"
#include "engine/picture_taking.h"
#include "engine/preconditions.h"

namespace pawl::engine {
namespace {

constexpr int kTries = 3;

// Somebody may remove an object while it is read.
schema::Picture PictureOf(db::Session& session) {
  for (int left = kTries - 1;; --left) {
    try {
      return schema::ReadPicture(session);
    } catch (const db::Error& error) {
      if (left == 0 || error.action() == db::Action::kReconnect) throw;
    }
  }
}

checkpoints::RecordedPicture Recorded(const db::ConnectionString& where, db::Session& session) {
  auto recorded = checkpoints::LoadPicture(session);
  if (!recorded) {
    db::FailInput(fmt::format(
        "No picture of the schema of {} was recorded yet. A run that changes the schema records one "
        "when it ends; or, if the schema is right as it is, `pawl drift --record` does.",
        where.Display()));
  }
  if (const auto run = checkpoints::RunAfterPicture(session)) {
    db::FailInput(fmt::format(
        "Run {} ended after the picture of the schema was recorded at {}, and recorded none: an older "
        "pawl was at it, or the catalogue could not be read. See that the schema is right, then give "
        "`pawl drift --record`.",
        *run, recorded->recorded_at));
  }
  // Each version has its own words for the same view.
  if (recorded->server_version / 10'000 != session.server_version() / 10'000) {
    db::FailInput(fmt::format(
        "The picture of the schema was recorded on PostgreSQL {}, and this is {}, which writes "
        "definitions in other words. See that the schema is right, then give `pawl drift --record`.",
        recorded->server_version / 10'000, session.server_version() / 10'000));
  }
  return *recorded;
}

}  // namespace

std::optional<schema::Picture> TakePicture(db::Session& session, const schema::Plan& plan) {
  // RunAfterPicture asks the same of the table of steps.
  const bool changes_schema =
      std::any_of(plan.steps.begin(), plan.steps.end(), [](const schema::Step& step) {
        return step.kind != schema::StepKind::kBackfill && step.kind != schema::StepKind::kSyncOn &&
               step.kind != schema::StepKind::kSyncOff;
      });
  if (!changes_schema) return std::nullopt;
  try {
    return PictureOf(session);
  } catch (const db::Error& error) {
    if (error.action() == db::Action::kReconnect) throw;
    db::Log(db::LogLevel::kWarning, "no picture of the schema", {{"error", error.what()}});
    return std::nullopt;
  }
}

DriftReport Engine::Drift(const std::optional<db::ConnectionString>& other) {
  const auto session = OpenFirst(where_, "drift");
  DriftReport report;
  schema::Picture wanted;
  if (other) {
    const auto beside = OpenFirst(*other, "drift");
    report.against = other->Display();
    if (beside->server_version() / 10'000 != session->server_version() / 10'000) {
      report.note =
          "The two are of different versions of PostgreSQL, which write the same view or "
          "function in different words: some of this may be no difference.";
    }
    wanted = PictureOf(*beside);
  } else {
    checkpoints::RecordedPicture recorded = Recorded(where_, *session);
    report.against = recorded.run ? fmt::format("run {}", *recorded.run) : recorded.recorded_by;
    report.recorded_at = recorded.recorded_at;
    report.run = recorded.run;
    wanted = std::move(recorded.picture);
  }
  report.statements = schema::Difference(PictureOf(*session), wanted);
  return report;
}

void Engine::RecordPicture() {
  const auto session = OpenFirst(where_, "drift");
  RequireWritable(*session);
  checkpoints::EnsureControlSchema(*session);
  checkpoints::RequireControlPrivileges(*session, false);
  const schema::Picture picture = PictureOf(*session);
  db::Transaction transaction(*session);
  checkpoints::StorePicture(*session, picture, std::nullopt);
  transaction.Commit();
}

}  // namespace pawl::engine
