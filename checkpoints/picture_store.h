// The recorded picture of the schema in pawl.picture: what the database looked like when the last run
// had ended, or when somebody said that it is right as it is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "db/session.h"
#include "schema/picture.h"

namespace pawl::checkpoints {

struct RecordedPicture {
  schema::Picture picture;
  std::optional<std::int64_t> run;  // nullopt: recorded by hand.
  int server_version = 0;           // Whose words it is in; for example 150020.
  std::string recorded_at;
  std::string recorded_by;
};

// Replaces the picture, inside of the caller's transaction.
void StorePicture(db::Session& session, const schema::Picture& picture,
                  std::optional<std::int64_t> run);

// nullopt where none was ever recorded. Throws kBadInput where it cannot be read.
std::optional<RecordedPicture> LoadPicture(db::Session& session);

// The run that changed the schema and ended last, where that was after the picture was recorded: an
// older pawl was at it, or the picture could not be taken.
std::optional<std::int64_t> RunAfterPicture(db::Session& session);

}  // namespace pawl::checkpoints
