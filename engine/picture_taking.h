// The picture of the schema that is kept at the end of a run, so that `pawl drift` can say what was
// changed since.
#pragma once

#include <optional>

#include "db/session.h"
#include "schema/picture.h"
#include "schema/plan.h"

namespace pawl::engine {

// Nothing where no step of `plan` changes the schema for good: the picture that is there still holds
// then, and what others have changed is still told. Reads the picture before the transaction that ends
// the run and so not under its locks: what somebody else changes in between is in the database and not
// in the picture, and so is told as drift. nullopt, and a line in the log, where it could not be read
// in a few tries: a run does not fail for that. `session` must be in no transaction. Throws
// kReconnect.
std::optional<schema::Picture> TakePicture(db::Session& session, const schema::Plan& plan);

}  // namespace pawl::engine
