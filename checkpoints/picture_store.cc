#include "checkpoints/picture_store.h"

#include "checkpoints/control_schema.h"

namespace pawl::checkpoints {

void StorePicture(db::Session& session, const schema::Picture& picture,
                  std::optional<std::int64_t> run) {
  // Two who end their runs at once: the second one replaces what the first has written.
  session.Query("LOCK TABLE pawl.picture IN SHARE ROW EXCLUSIVE MODE");
  session.Query("DELETE FROM pawl.picture");
  session.Query(
      "INSERT INTO pawl.picture (object, content, run_id, server_version) SELECT o ->> 0, o ->> 1, "
      "$2::bigint, current_setting('server_version_num')::integer FROM json_array_elements($1::json) "
      "AS o",
      {schema::ToText(picture), run ? db::Value(std::to_string(*run)) : std::nullopt});
}

std::optional<RecordedPicture> LoadPicture(db::Session& session) {
  if (ControlSchemaVersion(session) < 2) return std::nullopt;
  const auto found = session.Query(
      "SELECT object, content, run_id, server_version, to_char(recorded_at, 'YYYY-MM-DD HH24:MI:SS "
      "TZ'), recorded_by FROM pawl.picture");
  if (found.rows.empty()) return std::nullopt;
  RecordedPicture recorded;
  for (const db::Row& row : found.rows) {
    recorded.picture[db::ToText(row[0])] = schema::PictureObjectFrom(db::ToText(row[1]));
  }
  const db::Row& row = found.rows.front();
  if (row[2]) recorded.run = db::ToInt(row[2]);
  recorded.server_version = static_cast<int>(db::ToInt(row[3]));
  recorded.recorded_at = db::ToText(row[4]);
  recorded.recorded_by = db::ToText(row[5]);
  return recorded;
}

std::optional<std::int64_t> RunAfterPicture(db::Session& session) {
  const auto found = session.Query(
      "SELECT r.run_id FROM pawl.run AS r WHERE r.state IN ('completed', 'contracted', 'reverted') AND "
      "EXISTS (SELECT FROM pawl.step AS s WHERE s.run_id = r.run_id AND s.kind NOT IN ('backfill', "
      "'sync on', 'sync off')) AND "
      "finished_at > (SELECT max(recorded_at) FROM pawl.picture) ORDER BY finished_at DESC LIMIT 1");
  if (found.rows.empty()) return std::nullopt;
  return db::ToInt(found.rows[0][0]);
}

}  // namespace pawl::checkpoints
